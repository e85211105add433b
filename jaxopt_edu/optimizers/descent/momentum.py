"""Momentum: a ball that rolls down the surface and keeps part of its speed.

The velocity v sums up past gradients, each worth α of the next. Along a valley they point the same way
and add up (to 1/(1−α) times one gradient); across it they alternate and cancel. It repairs the zig-zag
of plain descent; it costs one array of memory and a ball that overshoots.

    v ← α v − η g
    w ← w + v

with α = momentum, η = learning_rate, v₀ = 0.

optax and torch keep the learning rate *outside* the velocity: `optax.sgd(η, momentum=α)` and
`torch.optim.SGD(lr=η, momentum=α)` compute t ← α t + g and w ← w − η t. While η is constant, v = −η t
and the paths agree; when η changes, here it weighs the gradient that it met, there the whole past.
torch's `dampening` is 0 here.

Polyak 1964, Some methods of speeding up the convergence of iteration methods.
"""

from collections.abc import Callable
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


class MomentumState(NamedTuple):
    """What momentum remembers."""

    count: jax.Array  # t, the number of updates made; int32, shape ()
    velocity: "chex.ArrayTree"  # v, the decaying sum of past steps; as params, ≥ float32


@with_hints
def momentum(learning_rate: Hyperparameter = 0.01, momentum: Hyperparameter = 0.9) -> Optimizer:
    """Gradient descent with momentum (the heavy ball), v ← α v − η g, w ← w + v.

    Args:
        learning_rate: η, the weight of a gradient in the velocity; finite, ≥ 0, or a schedule.
        momentum: α, the part of the velocity that survives a step; in [0, 1), or a schedule.

    Returns:
        An optax transform that is a pytree of its two hyperparameters. Its state is
        MomentumState(count, velocity).

    Raises:
        TypeError: a hyperparameter is neither a number of shape () nor a schedule.
        ValueError: a hyperparameter is out of its range.

    >>> import jax.numpy as jnp, jaxopt_edu as jo, optax
    >>> opt = jo.momentum(learning_rate=0.1, momentum=0.5)
    >>> params = {"w": jnp.array([1.0, -2.0])}
    >>> state = opt.init(params)
    >>> for _ in range(2):
    ...     gradients = params  # of f(w) = ½‖w‖²
    ...     updates, state = opt.update(gradients, state, params)
    ...     params = optax.apply_updates(params, updates)
    >>> [round(float(w), 4) for w in params["w"]]
    [0.76, -1.52]

    References:
        Polyak, Some methods of speeding up the convergence of iteration methods, 1964.
    """
    return build(
        _factory(), MomentumState, init, update, LIMITS, learning_rate=learning_rate, momentum=momentum
    )


def _factory() -> Callable[..., Optimizer]:
    # Inside the factory its argument of the same name hides it.
    return momentum


def init(params: "chex.ArrayTree") -> MomentumState:
    """Before the first step: at rest."""
    return MomentumState(count=first_count(params), velocity=zeros_like(params))


def update(
    gradients: "chex.ArrayTree", state: MomentumState, **hyperparameters: ValueInForce
) -> tuple["chex.ArrayTree", MomentumState]:
    """One step of the rule on every leaf."""
    return step_leaves(rule, gradients, state, **hyperparameters)


def rule(
    g: jax.Array, velocity: jax.Array, *, learning_rate: jax.Array, momentum: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The update and the new velocity for one array."""
    velocity = momentum * velocity - learning_rate * g
    return velocity, velocity
