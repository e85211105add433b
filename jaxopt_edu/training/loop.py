"""The compiled step loop that one run and thousands of runs share."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_edu.core.foreign import as_pytree
from jaxopt_edu.core.packing import Layout
from jaxopt_edu.core.trees import working_array
from jaxopt_edu.training.keys import Keyed
from jaxopt_edu.training.objective import Outcome, objective, with_loss_scale
from jaxopt_edu.wrappers.loss_scaling import loss_scale, scales_loss


class Carry(NamedTuple):
    """What one step hands to the next."""

    params: Any  # pytree of arrays
    state: Any  # the optimizer's
    model_state: Any = None  # what the model changes without a gradient, such as running averages


class Made(NamedTuple):
    """All that one step computes."""

    carry: Carry
    loss: jax.Array  # before the update
    metrics: dict[str, jax.Array]
    gradients: Any  # as the optimizer got them
    updates: Any


def start(optimizer: optax.GradientTransformation, params: Any, model_state: Any = None) -> Carry:
    """The carry before the first step.

    Args:
        optimizer: any optax transform.
        params: pytree of floating or complex arrays.
        model_state: pytree that the loss function updates, if it has one.

    Returns:
        The parameters, the optimizer's first state and the model's.
    """
    return Carry(params, optimizer.init(params), model_state)


def make_step(
    loss_fn: Callable[..., Any],
    optimizer: optax.GradientTransformation,
    draw: Callable[[Any], Any] = lambda entry: entry,
    *,
    stateful: bool = False,
    layout: Layout | None = None,
) -> Callable[[Carry, Any], tuple[Carry, tuple[jax.Array, dict[str, jax.Array]]]]:
    """One step of training, as `jax.lax.scan` wants it.

        loss, g = value_and_grad(loss_fn)(params, batch)
        params  ← params + optimizer.update(conj(g), …)

    The gradient of a real loss by complex parameters is conjugated here, since `jax.grad` gives the
    conjugate of the direction of steepest ascent. Transforms that take `value`, `grad`, `value_fn(params)` or
    `grad_fn(params, i)` get them. For `loss_scaling` gradients are those of the loss times its scale, values
    those of the loss.

    Args:
        loss_fn: `loss_fn(params, batch) -> loss` or `(loss, metrics)`; if stateful, `loss_fn(params,
            model_state, batch) -> (loss, model_state)` or `(loss, model_state, metrics)`.
        optimizer: any optax transform.
        draw: makes the batch of what is scanned over; where that is `Keyed`, of the entry in it, and the loss
            gets the key.
        stateful: whether the carry has a model state.
        layout: how the carry's parameters and state are packed, if they are.

    Returns:
        `step(carry, entry) -> (carry, (loss, metrics))`; the loss is that before the update.
    """
    whole = make_whole_step(loss_fn, optimizer, draw, stateful=stateful, layout=layout)

    def step(carry: Carry, entry: Any) -> tuple[Carry, tuple[jax.Array, dict[str, jax.Array]]]:
        made = whole(carry, entry)
        return made.carry, (made.loss, made.metrics)

    return step


def make_whole_step(
    loss_fn: Callable[..., Any],
    optimizer: optax.GradientTransformation,
    draw: Callable[[Any], Any] = lambda entry: entry,
    *,
    stateful: bool = False,
    layout: Layout | None = None,
) -> Callable[[Carry, Any], Made]:
    """The step of `make_step`, with all that it computes on its way; what nobody looks at costs nothing."""
    transform = as_pytree(optimizer)

    def step(carry: Carry, entry: Any) -> Made:
        batch, key = drawn(draw, entry)
        scale = loss_scale(transform, carry.state) if scales_loss(carry.state) else None
        told = loss_fn if scale is None else with_loss_scale(loss_fn, scale)
        loss_and_outcome = objective(told, stateful=stateful)

        def scaled(params: Any) -> tuple[jax.Array, tuple[jax.Array, Outcome]]:
            loss, outcome = loss_and_outcome(params, carry.model_state, batch, key)
            wide = working_array(loss)
            return (loss if scale is None else wide * scale.astype(wide.dtype)), (loss, outcome)

        def value_fn(params: Any) -> jax.Array:
            return scaled(params)[1][0]

        def grad_fn(params: Any, _: Any = None) -> Any:
            return jax.tree.map(jnp.conj, jax.grad(scaled, has_aux=True)(params)[0])

        params = carry.params if layout is None else layout.unpack(carry.params, carry.state.count)
        (_, (loss, outcome)), gradients = jax.value_and_grad(scaled, has_aux=True)(params)
        gradients = jax.tree.map(jnp.conj, gradients if layout is None else layout.pack(gradients))
        updates, state = transform.update(
            gradients,
            carry.state,
            carry.params,
            value=loss,
            grad=gradients,
            value_fn=value_fn,
            grad_fn=grad_fn,
        )
        params = optax.apply_updates(carry.params, updates)
        after = Carry(params, state, outcome.model_state)
        return Made(after, loss, outcome.metrics, gradients, updates)

    return step


def drawn(draw: Callable[[Any], Any], entry: Any) -> tuple[Any, jax.Array | None]:
    """The batch of a step, and the key of its loss; None for a loss without."""
    return (draw(entry.entry), entry.key) if isinstance(entry, Keyed) else (draw(entry), None)


def descend(
    loss_fn: Callable[[Any, Any], jax.Array],
    optimizer: optax.GradientTransformation,
    carry: Carry,
    batches: Any,
    *,
    steps: int | None = None,
    record: Callable[[Carry], Any] = lambda carry: (),
) -> tuple[Carry, jax.Array, Any]:
    """Make one step a batch, in one `jax.lax.scan`; to be called inside `jax.jit` and `jax.vmap`.

    Args:
        loss_fn: `loss_fn(params, batch)`, a real scalar.
        optimizer: any optax transform.
        carry: parameters and optimizer state.
        batches: pytree whose leaves have a leading axis of length steps, or None for a loss that
            ignores its batch.
        steps: number of steps; needed only where batches is None.
        record: what to keep of the carry after each step.

    Returns:
        The carry after the last step, the losses before each step's update, shape (steps,), and the
        records, stacked.

    >>> import jax, jax.numpy as jnp, jaxopt_edu as jo
    >>> opt = jo.sgd(learning_rate=0.5)
    >>> carry, losses, _ = descend(lambda w, _: w**2 / 2, opt, start(opt, jnp.array(1.0)), None, steps=3)
    >>> losses.tolist(), float(carry.params)
    ([0.5, 0.125, 0.03125], 0.125)
    """
    step = make_step(loss_fn, optimizer)

    def recorded_step(carry: Carry, batch: Any) -> tuple[Carry, tuple[jax.Array, Any]]:
        carry, (loss, _) = step(carry, batch)
        return carry, (loss, record(carry))

    carry, (losses, records) = jax.lax.scan(recorded_step, carry, batches, length=steps)
    return carry, losses, records
