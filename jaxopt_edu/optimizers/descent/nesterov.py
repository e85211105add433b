"""Nesterov momentum: take the step that the new velocity is about to make, too.

Momentum looks at the slope where it stands although it knows where it will roll. Nesterov's method asks
for the slope at the place ahead; in the form of Bengio et al. the parameters *are* that place, so no
second evaluation is needed: after the velocity has met the gradient it is applied once more. The ball
brakes before the valley's far side instead of on it. It costs what momentum costs.

    v ← α v − η g
    w ← w + α v − η g      (with the new v)

with α = momentum, η = learning_rate, v₀ = 0.

`optax.sgd(η, momentum=α, nesterov=True)` and `torch.optim.SGD(lr=η, momentum=α, nesterov=True)` keep η
outside the velocity, t ← α t + g, w ← w − η (α t + g): the same path while η is constant. For plain
momentum there is `momentum`.

Nesterov 1983; Bengio, Boulanger-Lewandowski & Pascanu 2013, Advances in Optimizing Recurrent Networks,
arXiv:1212.0901.
"""

from typing import TYPE_CHECKING, NamedTuple

import jax

from jaxopt_edu.core.checks import FRACTION, NON_NEGATIVE, Limit
from jaxopt_edu.core.distributions import Distribution, loguniform, one_minus
from jaxopt_edu.core.hints import with_hints
from jaxopt_edu.core.stepping import step_leaves
from jaxopt_edu.core.transform import Hyperparameter, Optimizer, build
from jaxopt_edu.core.trees import ValueInForce, first_count, zeros_like

if TYPE_CHECKING:
    import chex

LIMITS: dict[str, Limit] = {"learning_rate": NON_NEGATIVE, "momentum": FRACTION}
SPACE: dict[str, Distribution] = {
    "learning_rate": loguniform(1e-4, 1.0),
    "momentum": one_minus(loguniform(1e-2, 1.0)),
}


class NesterovState(NamedTuple):
    """What Nesterov momentum remembers."""

    count: jax.Array  # t, the number of updates made; int32, shape ()
    velocity: "chex.ArrayTree"  # v, the decaying sum of past steps; as params, ≥ float32


@with_hints
def nesterov(learning_rate: Hyperparameter = 0.01, momentum: Hyperparameter = 0.9) -> Optimizer:
    """Gradient descent with Nesterov momentum, v ← α v − η g, w ← w + α v − η g.

    Args:
        learning_rate: η, the weight of a gradient in the velocity; finite, ≥ 0, or a schedule.
        momentum: α, the part of the velocity that survives a step; in [0, 1), or a schedule.

    Returns:
        An optax transform that is a pytree of its two hyperparameters. Its state is
        NesterovState(count, velocity).

    Raises:
        TypeError: a hyperparameter is neither a number of shape () nor a schedule.
        ValueError: a hyperparameter is out of its range.

    >>> import jax.numpy as jnp, jaxopt_edu as jo, optax
    >>> opt = jo.nesterov(learning_rate=0.1, momentum=0.5)
    >>> params = {"w": jnp.array([1.0, -2.0])}
    >>> state = opt.init(params)
    >>> for _ in range(2):
    ...     gradients = params  # of f(w) = ½‖w‖²
    ...     updates, state = opt.update(gradients, state, params)
    ...     params = optax.apply_updates(params, updates)
    >>> [round(float(w), 4) for w in params["w"]]
    [0.6975, -1.395]

    References:
        Bengio, Boulanger-Lewandowski & Pascanu, Advances in Optimizing Recurrent Networks, 2013,
        arXiv:1212.0901.
    """
    return build(
        nesterov, NesterovState, init, update, LIMITS, learning_rate=learning_rate, momentum=momentum
    )


def init(params: "chex.ArrayTree") -> NesterovState:
    """Before the first step: at rest."""
    return NesterovState(count=first_count(params), velocity=zeros_like(params))


def update(
    gradients: "chex.ArrayTree", state: NesterovState, **hyperparameters: ValueInForce
) -> tuple["chex.ArrayTree", NesterovState]:
    """One step of the rule on every leaf."""
    return step_leaves(rule, gradients, state, **hyperparameters)


def rule(
    g: jax.Array, velocity: jax.Array, *, learning_rate: jax.Array, momentum: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The update and the new velocity for one array."""
    velocity = momentum * velocity - learning_rate * g
    return momentum * velocity - learning_rate * g, velocity
