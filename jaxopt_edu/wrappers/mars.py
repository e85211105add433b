"""MARS: the change of the gradient is added to it, so that averages of it are less behind and less noisy.

Momentum averages gradients of older parameters. What has changed since the last step, scaled to what an
average of weight 1 − b1 will forget of it, corrects for that; a correction that is too long is cut.

    c = g + gamma · b1 / (1 − b1) · (g − g₋₁)
    c ← c · min(1, max_norm / ‖c‖)   (‖c‖: of each array of its own)
    u ← optimizer.update(c)

with g₋₁ = 0 at the first step, as in the official code, and b1 = that of the optimizer. MARS-AdamW is
`mars(adamw(learning_rate=0.003, b1=0.95, b2=0.99), b1=0.95)`. It costs one array of at least float32 for
each of parameters, the last gradient, and a pass over them.

This is the approximate variant: the exact one takes g₋₁ anew, at the old parameters for the new batch, with
a second gradient. The official code has vectors (biases and norms) trained by plain AdamW: `partition` does
it. Levanter cuts by the norm of the whole tree. optax has none.

Yuan et al. 2024, MARS: Unleashing the Power of Variance Reduction for Training Large Models,
arXiv:2411.10438.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_edu.core.checks import FRACTION, NON_NEGATIVE, POSITIVE, Limit, check_state
from jaxopt_edu.core.composition import compose
from jaxopt_edu.core.numerics import divide
from jaxopt_edu.core.reductions import norm
from jaxopt_edu.core.transform import Hyperparameter, Optimizer
from jaxopt_edu.core.trees import ValueInForce, first_count, map_rule, next_count, zeros_like
from jaxopt_edu.wrappers.order import check_inside

if TYPE_CHECKING:
    import chex

LIMITS: dict[str, Limit] = {"gamma": NON_NEGATIVE, "b1": FRACTION, "max_norm": POSITIVE}


class MarsState(NamedTuple):
    """The optimizer's state, and the last gradient."""

    count: jax.Array  # the number of updates made; int32, shape ()
    previous: "chex.ArrayTree"  # g₋₁; as params, ≥ float32
    inner: Any  # the optimizer's state


def mars(
    optimizer: optax.GradientTransformation,
    gamma: Hyperparameter = 0.025,
    b1: Hyperparameter = 0.95,
    max_norm: Hyperparameter = 1.0,
) -> Optimizer:
    """Give an optimizer gradients that are corrected by their last change.

    Args:
        optimizer: any optax transform with momentum; it sees the corrected gradients.
        gamma: γ, how much of the correction is made; finite, ≥ 0, or a schedule. 0 leaves only the cut.
        b1: β₁, the optimizer's own, which says how long its average is; in [0, 1), or a schedule.
        max_norm: the length to which each array's corrected gradient is cut; finite, > 0, or a schedule.

    Returns:
        A transform. Its state is MarsState(count, previous, inner).

    Raises:
        TypeError: optimizer is not an optax transform, or a number is none.
        ValueError: a number is out of range, or optimizer cannot stand inside.

    >>> import jax.numpy as jnp, jaxopt_edu as jo
    >>> opt, w = mars(jo.sgd(learning_rate=1.0), gamma=0.5, b1=0.5), jnp.array([0.0])
    >>> _, state = opt.update(jnp.array([0.25]), opt.init(w), w)
    >>> updates, state = opt.update(jnp.array([0.5]), state, w)
    >>> updates.tolist()
    [-0.625]

    References:
        Yuan et al., MARS: Unleashing the Power of Variance Reduction for Training Large Models, 2024,
        arXiv:2411.10438.
    """
    check_inside("mars", optimizer, "rests_between_steps", "takes_new_gradient", "scales_the_loss")
    numbers: dict[str, Any] = {"gamma": gamma, "b1": b1, "max_norm": max_norm}
    return compose(mars, init, MarsStep(), [optimizer], limits=LIMITS, **numbers)


def init(inits: Sequence[Callable], params: "chex.ArrayTree") -> MarsState:
    """Before the first step: no gradient seen."""
    return MarsState(first_count(params), zeros_like(params), inits[0](params))


@dataclass(frozen=True)
class MarsStep:
    """One step: the gradients corrected, and the optimizer's step for them."""

    def inner_states(self, state: Any, size: int) -> tuple[Any, ...]:
        """The optimizer's state."""
        check_state("mars", state, MarsState)
        return (state.inner,)

    def __call__(
        self,
        update_functions: Sequence[Callable],
        updates: Any,
        state: Any,
        params: Any,
        *,
        gamma: ValueInForce,
        b1: ValueInForce,
        max_norm: ValueInForce,
        **extra: Any,
    ) -> tuple["chex.ArrayTree", MarsState]:
        """The optimizer's updates for the corrected gradients."""
        (inner,) = self.inner_states(state, 1)
        corrected, previous = map_rule(rule, updates, state.previous, gamma=gamma, b1=b1, max_norm=max_norm)
        updates, inner = update_functions[0](corrected, inner, params, **extra)
        return updates, MarsState(next_count(state.count), previous, inner)


def rule(
    g: jax.Array, previous: jax.Array, *, gamma: jax.Array, b1: jax.Array, max_norm: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The corrected gradient, and the gradient to remember, for one array."""
    c = g + gamma * (b1 / (1 - b1)) * (g - previous)
    length = norm(c)
    return c * jnp.where(length > max_norm, divide(max_norm, length), 1), g
