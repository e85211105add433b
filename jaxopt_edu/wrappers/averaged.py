"""Averaged parameters: the mean of where an optimizer has been is better than where it is.

With a constant learning rate the parameters end up walking around the minimum, as far from it as the
gradients are noisy. The mean of the walk is closer, without a smaller step: training goes on from the
newest parameters, and the average is what is evaluated, kept and published.

    w ← w + u                        (u: the optimizer's update; training is not changed)
    w̄ ← w̄ + c (w − w̄)
    c = (1 − decay) / (1 − decayᵗ)   (the moving average, its bias removed)
    c = 1 / t                        (decay = None: the plain mean of all t points)

with t = 1 at the first step; w̄₀ = w₀, of which nothing is left after the first step. It costs one array of
at least float32 for each of parameters, and a pass over them.

`optax.ema(decay)` averages updates, not parameters; of parameters, its debiased average is this one.
torch's `AveragedModel` with `get_ema_multi_avg_fn(decay)` starts at w₁ and keeps decayᵗ⁻¹ of it: its
average is biased towards the first point. Its plain mean (`SWA`) is ours. In bfloat16 both add in bfloat16;
here the average is float32. Statistics of batch normalization belong to the parameters that they were
collected with.

Polyak & Juditsky 1992, Acceleration of stochastic approximation by averaging, SIAM J. Control Optim. 30;
for networks Izmailov et al. 2018, Averaging Weights Leads to Wider Optima, arXiv:1803.05407.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_edu.core.checks import FRACTION, check_given, check_matches, check_state
from jaxopt_edu.core.composition import compose
from jaxopt_edu.core.transform import Hyperparameter, Optimizer
from jaxopt_edu.core.trees import (
    ValueInForce,
    WeightSum,
    copies,
    first_count,
    map_point,
    map_rule,
    next_count,
)
from jaxopt_edu.wrappers.order import check_inside

if TYPE_CHECKING:
    import chex


class AveragedState(NamedTuple):
    """The optimizer's state, and the average of the parameters."""

    count: jax.Array  # t, the number of updates made; int32, shape ()
    average: "chex.ArrayTree"  # w̄; as params, ≥ float32
    inner: Any  # the optimizer's state


def averaged(optimizer: optax.GradientTransformation, decay: Hyperparameter | None = None) -> Optimizer:
    """Keep an average of the parameters, and recommend it.

    `evaluation_params` gives the average; `fit` and `sweep` evaluate it.

    Args:
        optimizer: any optax transform; its updates are not changed. In a chain this has to be the last, since
            the parameters that it averages are those that its updates make.
        decay: what is kept of the moving average at a step; in [0, 1), or a schedule. None for the plain mean
            of all steps.

    Returns:
        A transform whose update needs `params`. Its state is AveragedState(count, average, inner).

    Raises:
        TypeError: optimizer is not an optax transform, or decay is neither a number, a schedule nor None.
        ValueError: decay is out of range, or optimizer cannot stand inside.

    >>> import jax.numpy as jnp, jaxopt_edu as jo, optax
    >>> opt, params = averaged(jo.sgd(learning_rate=0.5)), {"w": jnp.array([8.0])}
    >>> state = opt.init(params)
    >>> for _ in range(2):  # of f(w) = ½‖w‖²: 8, 4, 2
    ...     updates, state = opt.update(params, state, params)
    ...     params = optax.apply_updates(params, updates)
    >>> params["w"].tolist(), jo.evaluation_params(opt, state, params)["w"].tolist()
    ([2.0], [3.0])

    References:
        Polyak & Juditsky, Acceleration of stochastic approximation by averaging, 1992.
        Izmailov et al., Averaging Weights Leads to Wider Optima, 2018, arXiv:1803.05407.
    """
    check_inside("averaged", optimizer, "evaluates_elsewhere", "rests_between_steps", "scales_the_loss")
    if decay is None:
        return compose(averaged, init, AveragedStep(), [optimizer], constants={"decay": None})
    return compose(averaged, init, AveragedStep(), [optimizer], limits={"decay": FRACTION}, decay=decay)


def init(inits: Sequence[Callable], params: "chex.ArrayTree") -> AveragedState:
    """Before the first step: the parameters themselves."""
    return AveragedState(first_count(params), copies("averaged", params), inits[0](params))


@dataclass(frozen=True)
class AveragedStep:
    """One step: the optimizer's own, and the average of where it leads."""

    evaluates_elsewhere = True
    updates_are_final = True
    holds_parameters = True

    def inner_states(self, state: Any, size: int) -> tuple[Any, ...]:
        """The optimizer's state."""
        check_state("averaged", state, AveragedState)
        return (state.inner,)

    def __call__(
        self,
        update_functions: Sequence[Callable],
        updates: Any,
        state: Any,
        params: Any,
        *,
        decay: ValueInForce | None = None,
        **extra: Any,
    ) -> tuple["chex.ArrayTree", AveragedState]:
        """The optimizer's updates."""
        check_given("averaged", params)
        (inner,) = self.inner_states(state, 1)
        check_matches("gradient", updates, "parameter", params)
        updates, inner = update_functions[0](updates, inner, params, **extra)
        t = next_count(state.count)
        steps = jax.tree.map(lambda u, w: u.astype(jnp.result_type(w)), updates, params)
        moved: Any = optax.apply_updates(params, steps)
        if decay is None:
            _, average = map_rule(mean_rule, moved, state.average, t=t)
        else:
            weights = {"decay": decay, "one_minus_decay_t": WeightSum(decay, t)}
            _, average = map_rule(moving_rule, moved, state.average, **weights)
        return updates, AveragedState(t, average, inner)

    def evaluated_at(
        self, asks: Sequence[Callable], state: Any, params: "chex.ArrayTree", **numbers: Any
    ) -> "chex.ArrayTree":
        """The average."""
        self.inner_states(state, 1)
        return map_point(lambda w, average: average, params, state.average)


def mean_rule(w: jax.Array, average: jax.Array, *, t: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The parameter and the plain mean for one array."""
    return w, average + (w - average) / t


def moving_rule(
    w: jax.Array, average: jax.Array, *, decay: jax.Array, one_minus_decay_t: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The parameter and the moving average for one array."""
    return w, average + (1 - decay) / one_minus_decay_t * (w - average)
