"""Schedule-free: averaging takes the place of a decaying learning rate, so the number of steps is not needed.

A schedule that falls to 0 ends better than a constant rate, but has to know its end. The mean of all points
ends as well and knows none, but moves slowly while training. Here the gradient is taken in between:

    y = (1 − b1) z + b1 x            (y: the parameters held, where gradients are taken)
    z ← z + s u                      (u: the optimizer's update for the gradient at y)
    x ← (1 − c) x + c z              (x: the mean of all z, which is what is evaluated)
    s = min(1, t / warmup_steps),  c = s² / Σ s²

with t = 1 at the first step, z₀ = x₀ = w₀. Only z is kept, x = (y − (1 − b1) z) / b1: one array of at least
float32 for each of parameters, in place of the momentum that the optimizer should not have. So
`schedule_free(adam(b1=0))` stands for what the paper calls Schedule-Free AdamW, and b1 does what Adam's
did; `schedule_free(weight_decay(opt, rate))` decays at y, as the official code does. The learning rate is a
constant; the authors' code advises 1 to 10 times that of AdamW, and 10 to 50 times that of SGD.

`schedulefree` is the same formula, its warm-up (t / warmup_steps) and the weight s² of a step included.
`optax.contrib.schedule_free` is, too, without warm-up; with it, its rate is a step behind its weights. It
keeps the sum of weights in the parameters' dtype, which in bfloat16 stops growing after some hundred steps,
so that the mean becomes a moving average; here Σ s² is computed from t. b1 = 0 would leave y = z without x,
and is refused.

Defazio et al. 2024, The Road Less Scheduled, arXiv:2405.15682, Algorithm 1.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxopt_edu.core.by_leaf import holds_schedule
from jaxopt_edu.core.checks import Limit, check_given, check_matches, check_state
from jaxopt_edu.core.composition import compose
from jaxopt_edu.core.foreign import checked_transform
from jaxopt_edu.core.naming import hyperparameters
from jaxopt_edu.core.transform import Hyperparameter, Optimizer
from jaxopt_edu.core.trees import ValueInForce, copies, first_count, map_point, map_rule, next_count
from jaxopt_edu.wrappers.order import check_inside
from jaxopt_edu.wrappers.whole import check_whole

if TYPE_CHECKING:
    import chex

LIMITS: dict[str, Limit] = {
    "b1": Limit(float(np.nextafter(0.0, 1.0)), 1.0, "a number above 0 and below 1"),
    "warmup_steps": Limit(0.0, float("inf"), "a whole number of at least 0"),
}


class ScheduleFreeState(NamedTuple):
    """The optimizer's state, and the points that it moves."""

    count: jax.Array  # t, the number of updates made; int32, shape ()
    z: "chex.ArrayTree"  # z; as params, ≥ float32
    inner: Any  # the optimizer's state


def schedule_free(
    optimizer: optax.GradientTransformation, b1: Hyperparameter = 0.9, warmup_steps: float | jax.Array = 0
) -> Optimizer:
    """Replace momentum and schedule by a mean of all points.

    `evaluation_params` gives the mean x; `fit` and `sweep` evaluate it. The parameters held are y.

    Args:
        optimizer: any optax transform with a constant learning rate, best one without momentum. In a chain
            this has to be the last, since the parameters have to become the y that it computes.
        b1: how far y is from z towards x, as momentum's number; in (0, 1), or a schedule.
        warmup_steps: the steps in which the updates grow linearly to their full size; whole, ≥ 0.

    Returns:
        A transform whose update needs `params`. Its state is ScheduleFreeState(count, z, inner).

    Raises:
        TypeError: optimizer is not an optax transform, or a number is none.
        ValueError: a number is out of range, optimizer has a schedule for its learning rate, or it cannot
            stand inside.

    >>> import jax.numpy as jnp, jaxopt_edu as jo, optax
    >>> opt, params = schedule_free(jo.sgd(learning_rate=0.5), b1=0.5), {"w": jnp.array([8.0])}
    >>> state = opt.init(params)
    >>> for _ in range(2):  # of f(w) = ½‖w‖²: z is 8, 4, 2, its mean 4, 3
    ...     updates, state = opt.update(params, state, params)
    ...     params = optax.apply_updates(params, updates)
    >>> params["w"].tolist(), jo.evaluation_params(opt, state, params)["w"].tolist()
    ([2.5], [3.0])

    References:
        Defazio et al., The Road Less Scheduled, 2024, arXiv:2405.15682.
    """
    traits = ("evaluates_elsewhere", "updates_are_final", "rests_between_steps", "scales_the_loss")
    check_inside("schedule_free", optimizer, *traits)
    for name, value in hyperparameters(checked_transform("schedule_free", "optimizer", optimizer)).items():
        if name.rpartition(".")[2] == "learning_rate" and holds_schedule(value):
            raise ValueError(
                f"schedule_free: {name} of optimizer is a schedule, of which the weights of the mean would "
                "know nothing; give a number, and warmup_steps= for a warm-up."
            )
    check_whole("schedule_free", "warmup_steps", warmup_steps, lowest=0)
    numbers = {"b1": b1, "warmup_steps": warmup_steps}
    return compose(schedule_free, init, ScheduleFreeStep(), [optimizer], limits=LIMITS, **numbers)


def init(inits: Sequence[Callable], params: "chex.ArrayTree") -> ScheduleFreeState:
    """Before the first step: x = y = z."""
    return ScheduleFreeState(first_count(params), copies("schedule_free", params), inits[0](params))


@dataclass(frozen=True)
class ScheduleFreeStep:
    """One step: the optimizer's for z, and what it makes of y."""

    evaluates_elsewhere = True
    updates_are_final = True
    holds_parameters = True

    def inner_states(self, state: Any, size: int) -> tuple[Any, ...]:
        """The optimizer's state."""
        check_state("schedule_free", state, ScheduleFreeState)
        return (state.inner,)

    def __call__(
        self,
        update_functions: Sequence[Callable],
        updates: Any,
        state: Any,
        params: Any,
        *,
        b1: ValueInForce,
        warmup_steps: ValueInForce,
        **extra: Any,
    ) -> tuple["chex.ArrayTree", ScheduleFreeState]:
        """The updates that lead from y to the next y."""
        check_given("schedule_free", params)
        (inner,) = self.inner_states(state, 1)
        check_matches("gradient", updates, "parameter", params)
        updates, inner = update_functions[0](updates, inner, params, **extra)
        t = next_count(state.count)
        scale, share = Scale(warmup_steps, t), Share(warmup_steps, t)
        updates, z = map_rule(rule, updates, state.z, params=params, b1=b1, scale=scale, share=share)
        return updates, ScheduleFreeState(t, z, inner)

    def evaluated_at(
        self, asks: Sequence[Callable], state: Any, params: "chex.ArrayTree", *, b1: ValueInForce, **_: Any
    ) -> "chex.ArrayTree":
        """The mean x."""
        self.inner_states(state, 1)
        return map_point(mean, params, state.z, b1=b1)


def rule(
    u: jax.Array, y: jax.Array, z: jax.Array, *, b1: jax.Array, scale: jax.Array, share: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The update of y and the new z for one array."""
    x = mean(y, z, b1=b1)
    z = z + scale * u
    x = x + share * (z - x)
    return z + b1 * (x - z) - y, z


def mean(y: jax.Array, z: jax.Array, *, b1: jax.Array) -> jax.Array:
    """The mean x for one array, of y = (1 − b1) z + b1 x."""
    return z + (y - z) / b1


class Scale(NamedTuple):
    """s, the part of an update that is made at step t, not yet of any leaf's dtype."""

    warmup_steps: ValueInForce
    t: jax.Array

    def astype(self, dtype: Any) -> jax.Array:
        """The number in a leaf's working dtype."""
        return jnp.minimum(1, self.t.astype(dtype) / jnp.maximum(1, self.warmup_steps.astype(dtype)))


class Share(NamedTuple):
    """c = s² / Σ s², the part of the newest z in the mean, not yet of any leaf's dtype.

    While s = t/W the sum is t (t+1) (2t+1) / 6W², and after the warm-up it grows by 1 a step.
    """

    warmup_steps: ValueInForce
    t: jax.Array

    def astype(self, dtype: Any) -> jax.Array:
        """The number in a leaf's working dtype."""
        t, warmup = self.t.astype(dtype), jnp.maximum(1, self.warmup_steps.astype(dtype))
        while_warming = 6 * t / ((t + 1) * (2 * t + 1))
        afterwards = 1 / ((warmup + 1) * (2 * warmup + 1) / (6 * warmup) + (t - warmup))
        return jnp.where(t < warmup, while_warming, afterwards)
