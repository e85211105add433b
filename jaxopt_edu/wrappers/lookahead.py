"""Lookahead: some steps forward with any optimizer, then back to a point in between.

Fast steps overshoot and go around in noise. A second, slow set of parameters follows them from far: after
every sync_period steps it goes a part of the way to where the fast ones are, and they start again from
there.

    w ← w + u                        (u: the optimizer's update; w: the fast parameters, which are held)
    every sync_period steps:
        slow ← slow + slow_step_size (w − slow)
        w ← slow

with slow₀ = w₀; the paper's k = sync_period, α = slow_step_size. The slow parameters are what is evaluated.
It costs one array of at least float32 for each of parameters, and a pass over them. The optimizer's state
goes on through it all: nothing in it is reset or drawn back.

`optax.lookahead` is the same formula, and holds a pair of parameters that the training loop must know of;
its `reset_state=True` has no place here. pytorch_optimizer's `Lookahead(k, alpha)` is ours with
`pullback_momentum='none'`.

Zhang et al. 2019, Lookahead Optimizer: k steps forward, 1 step back, arXiv:1907.08610, Algorithm 1.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_edu.core.checks import Limit, check_given, check_matches, check_state
from jaxopt_edu.core.composition import compose
from jaxopt_edu.core.transform import Hyperparameter, Optimizer
from jaxopt_edu.core.trees import ValueInForce, copies, first_count, map_point, map_rule, next_count
from jaxopt_edu.wrappers.order import check_inside
from jaxopt_edu.wrappers.whole import check_whole

if TYPE_CHECKING:
    import chex

LIMITS: dict[str, Limit] = {
    "sync_period": Limit(1.0, float("inf"), "a whole number of at least 1"),
    "slow_step_size": Limit(0.0, 1.0 + 1e-12, "a number in [0, 1]"),
}


class LookaheadState(NamedTuple):
    """The optimizer's state, and the slow parameters."""

    count: jax.Array  # the number of updates made; int32, shape ()
    slow: "chex.ArrayTree"  # the slow parameters; as params, ≥ float32
    inner: Any  # the optimizer's state


def lookahead(
    optimizer: optax.GradientTransformation,
    sync_period: float | jax.Array = 5,
    slow_step_size: Hyperparameter = 0.5,
) -> Optimizer:
    """Go back, every few steps, to a point between where the steps began and where they led.

    `evaluation_params` gives the slow parameters; `fit` and `sweep` evaluate them.

    Args:
        optimizer: any optax transform; it makes the fast steps. In a chain this has to be the last, since the
            parameters have to become what it computes.
        sync_period: k, the number of fast steps between two slow ones; whole, ≥ 1.
        slow_step_size: α, the part of the way that a slow step goes; in [0, 1], or a schedule.

    Returns:
        A transform whose update needs `params`. Its state is LookaheadState(count, slow, inner).

    Raises:
        TypeError: optimizer is not an optax transform, or a number is none.
        ValueError: a number is out of range, or optimizer cannot stand inside.

    >>> import jax.numpy as jnp, jaxopt_edu as jo, optax
    >>> opt, params = lookahead(jo.sgd(learning_rate=0.5), sync_period=2), {"w": jnp.array([8.0])}
    >>> state = opt.init(params)
    >>> for _ in range(2):  # of f(w) = ½‖w‖²: 8, 4, then not 2, but half of the way there
    ...     updates, state = opt.update(params, state, params)
    ...     params = optax.apply_updates(params, updates)
    >>> params["w"].tolist(), jo.evaluation_params(opt, state, params)["w"].tolist()
    ([5.0], [5.0])

    References:
        Zhang et al., Lookahead Optimizer: k steps forward, 1 step back, 2019, arXiv:1907.08610.
    """
    traits = ("evaluates_elsewhere", "updates_are_final", "rests_between_steps", "scales_the_loss")
    check_inside("lookahead", optimizer, *traits)
    check_whole("lookahead", "sync_period", sync_period)
    numbers = {"sync_period": sync_period, "slow_step_size": slow_step_size}
    return compose(lookahead, init, LookaheadStep(), [optimizer], limits=LIMITS, **numbers)


def init(inits: Sequence[Callable], params: "chex.ArrayTree") -> LookaheadState:
    """Before the first step: the slow parameters are the fast ones."""
    return LookaheadState(first_count(params), copies("lookahead", params), inits[0](params))


@dataclass(frozen=True)
class LookaheadStep:
    """One step: the optimizer's, and now and then the slow one."""

    evaluates_elsewhere = True
    updates_are_final = True
    holds_parameters = True

    def inner_states(self, state: Any, size: int) -> tuple[Any, ...]:
        """The optimizer's state."""
        check_state("lookahead", state, LookaheadState)
        return (state.inner,)

    def __call__(
        self,
        update_functions: Sequence[Callable],
        updates: Any,
        state: Any,
        params: Any,
        *,
        sync_period: ValueInForce,
        slow_step_size: ValueInForce,
        **extra: Any,
    ) -> tuple["chex.ArrayTree", LookaheadState]:
        """The optimizer's updates, or those that lead to the slow parameters."""
        check_given("lookahead", params)
        (inner,) = self.inner_states(state, 1)
        check_matches("gradient", updates, "parameter", params)
        updates, inner = update_functions[0](updates, inner, params, **extra)
        t = next_count(state.count)
        syncs = t % sync_period.astype(jnp.int32) == 0
        updates, slow = map_rule(
            rule, updates, state.slow, params=params, slow_step_size=slow_step_size, syncs=syncs
        )
        return updates, LookaheadState(t, slow, inner)

    def evaluated_at(
        self, asks: Sequence[Callable], state: Any, params: "chex.ArrayTree", **numbers: Any
    ) -> "chex.ArrayTree":
        """The slow parameters."""
        self.inner_states(state, 1)
        return map_point(lambda w, slow: slow, params, state.slow)


def rule(
    u: jax.Array, w: jax.Array, slow: jax.Array, *, slow_step_size: jax.Array, syncs: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The update of the fast parameters and the slow ones for one array."""
    reached = slow + slow_step_size * (w + u - slow)
    return jnp.where(syncs != 0, reached - w, u), jnp.where(syncs != 0, reached, slow)
