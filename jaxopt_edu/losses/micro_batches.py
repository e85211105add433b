"""Micro-batches: a batch that is too large for memory is read in parts, and the loss is that of the whole.

    L(w) = 1/n Σᵢ Lᵢ(w),  ∇L(w) = 1/n Σᵢ ∇Lᵢ(w)      (Lᵢ: the loss of part i of n, one after another)

What a network keeps for its gradient it keeps for one part at a time. Value and gradient of a part come
together: the gradient is computed on the way forward, so there is no second pass, and is scaled by what comes
back. Without a gradient asked for, only the values are computed.

`jax.checkpoint` around a loop over the parts needs as little memory, and one more pass forward. In torch one
calls `backward` for each part, and gradients add up in their own dtype. `optax.microbatching.microbatch` goes
around the gradient; this goes around the loss, so that whatever differentiates a loss can use it.
`accumulated(opt, k)` is something else: there k batches make a step of the optimizer.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero, zero_from_primal
from jax.tree_util import Partial

from jaxopt_edu.core.arguments import optional
from jaxopt_edu.core.checks import POSITIVE, checked_number, checked_whole
from jaxopt_edu.core.paths import leaf_names
from jaxopt_edu.core.trees import working_array
from jaxopt_edu.training.objective import Outcome, around, objective, with_loss_scale


def micro_batches(
    loss_fn: Callable[..., Any], parts: int, loss_scale: float | jax.Array | None = None
) -> Callable[..., Any]:
    """The same loss, computed and differentiated in parts of the batch, in the memory of one part.

        L = 1/n Σᵢ Lᵢ,  ∇L = 1/n Σᵢ ∇Lᵢ,  with part i the rows i, i + n, i + 2n, …

    The loss has to be a mean over its batch, of which all examples weigh alike: then this is the mean of
    means, and equal to the whole up to rounding. Gradients are added up in at least float32. Rows are taken
    in turns so that a batch that is split over devices stays so.

    It works under `jax.jit`, `jax.vmap`, `jax.checkpoint` (which computes it once more), in forward mode (at
    the price of a gradient) and for second derivatives. It can be differentiated by the parameters, and by
    arrays of `loss_fn` if that is a pytree; not by the batch, a model's state or what a function closes over.
    Metrics and the new model's state are constants.

    Args:
        loss_fn: as for `fit`, a mean over its batch: `loss_fn(params, batch)`, which returns a loss or (loss,
            metrics), or `loss_fn(params, model_state, batch)`, which returns (loss, model_state[, metrics]).
        parts: n, a whole number of at least 1 that divides the batch.
        loss_scale: by what the loss is going to be multiplied before it is differentiated, where gradients
            are computed in float16 (see `loss_scaling`); `fit` and `sweep` say it by themselves.

    Returns:
        A function with the same arguments as `loss_fn`, a pytree. Metrics are means over the parts, the
        model's state passes from part to part, and of a `key=` each part has its own, `fold_in(key, i)`.

    Raises:
        TypeError: loss_fn is no function, or a number is none. While it runs: a leaf of the batch has no
            rows, a metric is no real number, or it is differentiated by something else than the parameters.
        ValueError: parts is not whole, or a number is out of range. While it runs: it does not divide the
            rows of a leaf; names it.

    >>> import jax, jax.numpy as jnp
    >>> loss_fn = lambda w, x: jnp.mean((w - x) ** 2)
    >>> whole, in_parts = jax.value_and_grad(loss_fn), jax.value_and_grad(micro_batches(loss_fn, parts=2))
    >>> x = jnp.array([0.0, 1.0, 2.0, 3.0])
    >>> [float(each) for each in whole(1.0, x)], [float(each) for each in in_parts(1.0, x)]
    ([1.5, -1.0], [1.5, -1.0])
    """
    parts = checked_whole("micro_batches", "parts", parts)
    scale = optional(checked_number)("micro_batches", "loss_scale", loss_scale, POSITIVE)
    return around("micro_batches", MicroBatches(parts), loss_fn, scale)


@dataclass(frozen=True)
class MicroBatches:
    """The static half of `micro_batches`: how many parts there are."""

    around_loss = True

    parts: int

    def with_loss_scale(self, scale: jax.Array, loss_fn: Callable[..., Any], _: Any) -> Partial:
        """The same, told by what the loss is going to be multiplied."""
        return Partial(self, with_loss_scale(loss_fn, scale), scale)

    def __call__(
        self, loss_fn: Callable[..., Any], scale: Any, params: Any, *rest: Any, key: Any = None
    ) -> Any:
        """The mean over the parts, in the form in which the loss gives it."""
        *state, batch = rest
        scale = jax.lax.stop_gradient(scale)  # the loss does not depend on it
        call = Call(loss_fn, scale, params, state[0] if state else None, self.cut(batch), key)
        loss, outcome = _in_parts(self.parts, bool(state), call)
        metrics = (outcome.metrics,) if outcome.metrics else ()
        told = (loss, *([outcome.model_state] if state else ()), *metrics)
        return told if len(told) > 1 else loss

    def cut(self, batch: Any) -> Any:
        """The batch with the axis of the parts as its second.

        Raises:
            TypeError: a leaf has no rows; names it.
            ValueError: its rows cannot be divided; names it.
        """
        leaves, treedef = jax.tree.flatten(batch)
        if not leaves:
            raise TypeError("micro_batches: the batch has no arrays, so there is nothing to cut into parts.")
        for name, leaf in zip(leaf_names(batch), leaves, strict=True):
            where = f"the leaf {name} of the batch" if name else "the batch"
            if not jnp.shape(leaf):
                raise TypeError(f"micro_batches: {where} is a single number, without rows to cut into parts.")
            if jnp.shape(leaf)[0] % self.parts:
                raise ValueError(
                    f"micro_batches: {where} has {jnp.shape(leaf)[0]} rows, which parts = {self.parts} does "
                    "not divide."
                )
        rows = [leaf.reshape(-1, self.parts, *leaf.shape[1:]) for leaf in map(jnp.asarray, leaves)]
        return treedef.unflatten(rows)


class Call(NamedTuple):
    """What a loss is computed of; a pytree."""

    loss_fn: Callable[..., Any]
    scale: jax.Array | None
    params: Any
    model_state: Any
    batch: Any  # cut into parts, along the second axis
    key: jax.Array | None


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _in_parts(parts: int, stateful: bool, call: Call) -> tuple[jax.Array, Outcome]:
    def one(model_state: Any, i: jax.Array) -> tuple[Any, Any]:
        return _told(*_part(call, stateful, model_state, i))

    model_state, told = jax.lax.scan(one, _strong(call.model_state), jnp.arange(parts))
    return _mean(model_state, told)


@partial(_in_parts.defjvp, symbolic_zeros=True)
def _gradient_in_parts(parts: int, stateful: bool, primals: tuple[Call], tangents: tuple[Call]) -> Any:
    (call,), (moved,) = primals, tangents
    if any(map(_is_moved, jax.tree.leaves((moved.model_state, moved.batch)))):
        raise TypeError(
            "micro_batches: the loss is differentiated by its batch or its model's state, and can be by its "
            "parameters only; for others differentiate loss_fn itself."
        )
    leaves, treedef = jax.tree.flatten((call.loss_fn, call.params))
    steps = jax.tree.leaves((moved.loss_fn, moved.params))
    places = [place for place, step in enumerate(steps) if _is_moved(step)]

    def scaled(numbers: list[jax.Array], model_state: Any, i: jax.Array) -> tuple[jax.Array, Any]:
        chosen = dict(zip(places, numbers, strict=True))
        loss_fn, params = treedef.unflatten([chosen.get(place, leaf) for place, leaf in enumerate(leaves)])
        loss, outcome = _part(call._replace(loss_fn=loss_fn, params=params), stateful, model_state, i)
        wide = working_array(loss)
        return wide if call.scale is None else wide * jnp.asarray(call.scale, wide.dtype), (loss, outcome)

    def one(carry: tuple[Any, Any], i: jax.Array) -> tuple[Any, Any]:
        totals, model_state = carry
        gradients, results = jax.grad(scaled, has_aux=True)(
            [leaves[place] for place in places], model_state, i
        )
        totals = [total + working_array(g) for total, g in zip(totals, gradients, strict=True)]
        model_state, told = _told(*results)
        return (totals, model_state), told

    zeros = [jnp.zeros_like(working_array(leaves[place])) for place in places]
    (totals, model_state), told = jax.lax.scan(one, (zeros, _strong(call.model_state)), jnp.arange(parts))
    loss, outcome = _mean(model_state, told)
    wide = working_array(loss).dtype
    change = jnp.zeros((), wide)
    for total, place in zip(totals, places, strict=True):
        change += jnp.sum((total / parts * working_array(steps[place])).real).astype(wide)
    if call.scale is not None:
        change /= jnp.asarray(call.scale, wide)
    still = jax.tree.map(lambda leaf: zero_from_primal(leaf, symbolic_zeros=True), outcome)
    return (loss, outcome), (change.astype(loss.dtype), still)


def _part(call: Call, stateful: bool, model_state: Any, i: jax.Array) -> tuple[jax.Array, Outcome]:
    batch = jax.tree.map(lambda leaf: jax.lax.dynamic_index_in_dim(leaf, i, 1, keepdims=False), call.batch)
    key = None if call.key is None else jax.random.fold_in(call.key, i)
    return objective(call.loss_fn, stateful=stateful)(call.params, model_state, batch, key)


def _told(loss: jax.Array, outcome: Outcome) -> tuple[Any, Any]:
    """What passes from part to part, and what is averaged over them."""
    for name, value in outcome.metrics.items():
        if jnp.shape(value) or jnp.iscomplexobj(value):
            raise TypeError(
                f"micro_batches: loss_fn returned the metric {name!r} with shape {jnp.shape(value)} and "
                f"dtype {jnp.result_type(value)}; the parts' mean is taken of real numbers only."
            )
    return _strong(outcome.model_state), (loss, outcome.metrics)


def _mean(model_state: Any, told: Any) -> tuple[jax.Array, Outcome]:
    losses, metrics = told
    loss = working_array(losses).mean().astype(losses.dtype)
    return loss, Outcome(model_state, jax.tree.map(jnp.mean, metrics))


def _strong(model_state: Any) -> Any:
    # What a scan carries has to keep its type, a Python number's included.
    return jax.tree.map(lambda leaf: jax.lax.convert_element_type(leaf, jnp.result_type(leaf)), model_state)


def _is_moved(tangent: Any) -> bool:
    return not isinstance(tangent, SymbolicZero)
