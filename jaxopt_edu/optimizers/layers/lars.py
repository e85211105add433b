"""LARS: momentum whose steps are as long as their layer's weights are.

With a large batch there are few steps, and they have to be long. The gradients of layers differ in length
by a hundred, their weights much less: one η is too long for one layer and too short for another. Here each
array of parameters, a layer's kernel or bias, has a rate of its own, at which its gradient is τ of its
weights' length. It costs momentum's one array of memory, and two norms of each array.

    φ = τ ‖w‖ / (‖g‖ + λ ‖w‖), or 1 where ‖w‖ or the divisor is 0
    v ← α v − η φ (g + λ w)
    w ← w + v

with η = learning_rate, α = momentum, τ = trust, λ = weight_decay, v₀ = 0; ‖·‖ is over one array; w on the
right is the old parameter.

As in the paper η is inside the velocity and the norms in the divisor are added. `optax.lars` divides by
‖g + λ w‖, which is the same for λ = 0 (and puts η inside the velocity, too). `pytorch_optimizer.LARS` has
the paper's divisor and η outside of the velocity, which is the same while η is constant, but leaves arrays
of one axis without φ and without decay; torch has none. Biases and norms are usually given to another
optimizer, with `partition`. As its rule looks at whole arrays, `packed` refuses it.

You et al. 2017, Large Batch Training of Convolutional Networks, arXiv:1708.03888, Algorithm 1.
"""

from typing import TYPE_CHECKING, NamedTuple

import jax

from jaxopt_edu.core.checks import FRACTION, NON_NEGATIVE, Limit
from jaxopt_edu.core.distributions import Distribution, loguniform, one_minus
from jaxopt_edu.core.hints import with_hints
from jaxopt_edu.core.reductions import norm, ratio_or_one
from jaxopt_edu.core.stepping import step_leaves
from jaxopt_edu.core.transform import Hyperparameter, Optimizer, build
from jaxopt_edu.core.trees import ValueInForce, first_count, zeros_like

if TYPE_CHECKING:
    import chex

LIMITS: dict[str, Limit] = {
    "learning_rate": NON_NEGATIVE,
    "momentum": FRACTION,
    "trust": NON_NEGATIVE,
    "weight_decay": NON_NEGATIVE,
}
SPACE: dict[str, Distribution] = {
    "learning_rate": loguniform(0.1, 100.0),
    "momentum": one_minus(loguniform(0.01, 1.0)),
    "weight_decay": loguniform(1e-5, 1e-2),
}


class LarsState(NamedTuple):
    """What LARS remembers."""

    count: jax.Array  # t, the number of updates made; int32, shape ()
    velocity: "chex.ArrayTree"  # v, the last update; as params, ≥ float32


@with_hints
def lars(
    learning_rate: Hyperparameter = 1.0,
    momentum: Hyperparameter = 0.9,
    trust: Hyperparameter = 0.001,
    weight_decay: Hyperparameter = 1e-4,
) -> Optimizer:
    """LARS, v ← α v − η (τ ‖w‖ / (‖g‖ + λ ‖w‖)) (g + λ w), w ← w + v.

    Args:
        learning_rate: η, a factor on all layers' rates; finite, ≥ 0, or a schedule.
        momentum: α, what is kept of the velocity at a step; in [0, 1), or a schedule.
        trust: τ, by which share of its norm an array moves if η is 1 and α is 0; finite, ≥ 0, or a schedule.
        weight_decay: λ, how much of w is added to the gradient; finite, ≥ 0, or a schedule.

    Returns:
        An optax transform that is a pytree of its four hyperparameters. Its state is
        LarsState(count, velocity). Its update needs the parameters.

    Raises:
        TypeError: a hyperparameter is neither a number of shape () nor a schedule.
        ValueError: a hyperparameter is out of its range.

    >>> import jax.numpy as jnp, jaxopt_edu as jo, optax
    >>> opt = jo.lars(trust=0.1, weight_decay=0.0)
    >>> params = {"w": jnp.array([3.0, -4.0])}
    >>> gradients = {"w": jnp.array([30.0, 40.0])}
    >>> updates, state = opt.update(gradients, opt.init(params), params)
    >>> [round(float(u), 4) for u in updates["w"]]  # 0.1 of the parameter's length 5
    [-0.3, -0.4]

    References:
        You et al., Large Batch Training of Convolutional Networks, 2017, arXiv:1708.03888.
    """
    return build(
        lars,
        LarsState,
        init,
        update,
        LIMITS,
        learning_rate=learning_rate,
        momentum=momentum,
        trust=trust,
        weight_decay=weight_decay,
    )


def init(params: "chex.ArrayTree") -> LarsState:
    """Before the first step: at rest."""
    return LarsState(count=first_count(params), velocity=zeros_like(params))


def update(
    gradients: "chex.ArrayTree", state: LarsState, params: "chex.ArrayTree", **hyperparameters: ValueInForce
) -> tuple["chex.ArrayTree", LarsState]:
    """One step of the rule on every leaf."""
    return step_leaves(rule, gradients, state, params=params, **hyperparameters)


def rule(
    g: jax.Array,
    w: jax.Array,
    velocity: jax.Array,
    *,
    learning_rate: jax.Array,
    momentum: jax.Array,
    trust: jax.Array,
    weight_decay: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """The update and the new state for one array."""
    phi = ratio_or_one(trust * norm(w), norm(g) + weight_decay * norm(w))
    velocity = momentum * velocity - learning_rate * phi * (g + weight_decay * w)
    return velocity, velocity
