"""Accumulated gradients: several batches make one step, as one large batch would.

A batch that does not fit into memory is given in parts. Their gradients are added up, and the optimizer
sees their mean once all have come; until then the updates are 0.

    Σ ← Σ + g,  i ← i + 1
    if i = steps:  u ← optimizer.update(Σ / i),  Σ ← 0,  i ← 0
    else:          u ← 0

It costs one array of at least float32 for each of parameters. The mean is that of the large batch if the
parts are of one size and the loss is a mean over its batch.

`optax.MultiSteps(opt, every_k_schedule=steps)` keeps a running mean, a division for each part, in the
gradients' dtype; in bfloat16 it loses what is float32 here. Its number of steps is not a leaf, and here it
is: a sweep can try several. torch has the sum of gradients, which is `steps` times as large, by leaving out
`zero_grad`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_edu.core.checks import Limit, check_matches, check_state
from jaxopt_edu.core.composition import compose
from jaxopt_edu.core.counting import shared_out
from jaxopt_edu.core.transform import Hyperparameter, Optimizer
from jaxopt_edu.core.trees import ValueInForce, first_count, map_rule, next_count, working_array, zeros_like
from jaxopt_edu.wrappers.order import check_inside
from jaxopt_edu.wrappers.whole import check_whole

if TYPE_CHECKING:
    import chex

LIMITS: dict[str, Limit] = {"steps": Limit(1.0, float("inf"), "a whole number of at least 1")}
# What speaks of one part is wrong of the mean of all.
OF_ONE_PART = ("value", "grad", "value_fn", "grad_fn")


class AccumulatedState(NamedTuple):
    """The optimizer's state, and the gradients since its last step."""

    count: jax.Array  # the number of steps of the optimizer; int32, shape ()
    pending: jax.Array  # i, the number of gradients added up; int32, shape ()
    total: "chex.ArrayTree"  # Σ, their sum; as params, ≥ float32
    inner: Any  # the optimizer's state


def accumulated(optimizer: optax.GradientTransformation, steps: Hyperparameter) -> Optimizer:
    """Make one step for the mean gradient of several batches.

    Args:
        optimizer: any optax transform; it is asked once in `steps` calls, and sees none of `value`, `grad`,
            `value_fn` and `grad_fn`, which are of one batch. Its schedules count its own steps.
        steps: how many gradients make a step; whole, ≥ 1, or a schedule of the optimizer's steps.

    Returns:
        A transform whose updates are 0 in between. Its state is AccumulatedState(count, pending,
        total, inner).

    Raises:
        TypeError: optimizer is not an optax transform, or steps is no number.
        ValueError: steps is out of range, or optimizer cannot stand inside.

    >>> import jax.numpy as jnp, jaxopt_edu as jo
    >>> opt, w = accumulated(jo.sgd(learning_rate=1.0), steps=2), jnp.array([0.0])
    >>> first, state = opt.update(jnp.array([1.0]), opt.init(w), w)
    >>> second, state = opt.update(jnp.array([4.0]), state, w)
    >>> first.tolist(), second.tolist()
    ([0.0], [-2.5])
    """
    check_inside("accumulated", optimizer, "takes_new_gradient")
    if not callable(steps):
        check_whole("accumulated", "steps", steps)
    return compose(accumulated, init, AccumulatedStep(), [optimizer], limits=LIMITS, steps=steps)


def init(inits: Sequence[Callable], params: "chex.ArrayTree") -> AccumulatedState:
    """Before the first gradient."""
    return AccumulatedState(first_count(params), first_count(params), zeros_like(params), inits[0](params))


@dataclass(frozen=True)
class AccumulatedStep:
    """One gradient more, and a step if it is the last."""

    rests_between_steps = True

    def inner_states(self, state: Any, size: int) -> tuple[Any, ...]:
        """The optimizer's state."""
        check_state("accumulated", state, AccumulatedState)
        return (state.inner,)

    def updates_inside(self, updates: int, numbers: Mapping[str, Any]) -> int | None:
        """How many steps the optimizer makes for so many gradients."""
        return shared_out(updates, numbers["steps"])

    def __call__(
        self,
        update_functions: Sequence[Callable],
        updates: Any,
        state: Any,
        params: Any,
        *,
        steps: ValueInForce,
        **extra: Any,
    ) -> tuple["chex.ArrayTree", AccumulatedState]:
        """The optimizer's updates for the mean, or 0."""
        (inner,) = self.inner_states(state, 1)
        check_matches("gradient", updates, "entry of the state", state.total)
        extra = {name: value for name, value in extra.items() if name not in OF_ONE_PART}
        pending = next_count(state.pending)
        _, total = map_rule(lambda g, total: (g, total + g), updates, state.total)

        def step(inner: Any) -> tuple[Any, AccumulatedState]:
            wide = jax.tree.map(working_array, updates)
            mean, _ = map_rule(lambda g, total, i: (total / i, total), wide, total, i=pending)
            moved, inner = update_functions[0](mean, inner, params, **extra)
            moved = jax.tree.map(lambda u, g: u.astype(jnp.result_type(g)), moved, updates)
            empty = jax.tree.map(jnp.zeros_like, total)
            return moved, AccumulatedState(next_count(state.count), jnp.zeros_like(pending), empty, inner)

        def rest(inner: Any) -> tuple[Any, AccumulatedState]:
            return jax.tree.map(jnp.zeros_like, updates), AccumulatedState(state.count, pending, total, inner)

        return jax.lax.cond(pending >= steps.astype(jnp.int32), step, rest, inner)
