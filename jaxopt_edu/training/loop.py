"""The compiled step loop that one run and thousands of runs share."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

if TYPE_CHECKING:
    import chex


class Carry(NamedTuple):
    """What one step hands to the next."""

    params: Any  # pytree of arrays
    state: Any  # the optimizer's


def start(optimizer: optax.GradientTransformation, params: "chex.ArrayTree") -> Carry:
    """The carry before the first step.

    Args:
        optimizer: any optax transform.
        params: pytree of floating or complex arrays.

    Returns:
        The parameters and the optimizer's first state.
    """
    return Carry(params, optimizer.init(params))


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

        loss, g = value_and_grad(loss_fn)(params, batch)
        params  ← params + optimizer.update(conj(g), …)

    The gradient of a real loss by complex parameters is conjugated here, since `jax.grad` gives the
    conjugate of the direction of steepest ascent. Transforms that want `value`, `grad` and `value_fn` get
    them.

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
    transform = optax.with_extra_args_support(optimizer)

    def step(carry: Carry, batch: Any) -> tuple[Carry, tuple[jax.Array, Any]]:
        def value_fn(params: Any) -> jax.Array:
            return loss_fn(params, batch)

        loss, gradients = jax.value_and_grad(value_fn)(carry.params)
        gradients = jax.tree.map(jnp.conj, gradients)
        updates, state = transform.update(
            gradients, carry.state, carry.params, value=loss, grad=gradients, value_fn=value_fn
        )
        carry = Carry(optax.apply_updates(carry.params, updates), state)
        return carry, (loss, record(carry))

    carry, (losses, records) = jax.lax.scan(step, carry, batches, length=steps)
    return carry, losses, records
