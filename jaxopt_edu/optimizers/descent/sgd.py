"""Stochastic gradient descent: take a step against the gradient.

The gradient g points where the loss rises fastest; going the other way, a little at a time, lowers it.
Every other method in this folder repairs something in this one. What it costs: nothing but the step.
What it lacks: on a surface that is steep in one direction and flat in another, one η must serve both,
so the path zig-zags across the valley (η is bounded by 2 / the steepest curvature) while it creeps
along it.

    w ← w − η g

with η = learning_rate.

In optax (`optax.sgd(η)`) and torch (`torch.optim.SGD(lr=η)`) without momentum: the same.

Robbins & Monro 1951, A Stochastic Approximation Method.
"""

from typing import TYPE_CHECKING, NamedTuple

import jax

from jaxopt_edu.core.checks import NON_NEGATIVE, Limit
from jaxopt_edu.core.distributions import Distribution, loguniform
from jaxopt_edu.core.hints import with_hints
from jaxopt_edu.core.stepping import step_leaves
from jaxopt_edu.core.transform import Hyperparameter, Optimizer, build
from jaxopt_edu.core.trees import ValueInForce, first_count

if TYPE_CHECKING:
    import chex

LIMITS: dict[str, Limit] = {"learning_rate": NON_NEGATIVE}
SPACE: dict[str, Distribution] = {
    "learning_rate": loguniform(1e-3, 10.0),
}


class SgdState(NamedTuple):
    """What plain gradient descent remembers: how many steps it has made (for schedules)."""

    count: jax.Array  # t, the number of updates made; int32, shape ()


@with_hints
def sgd(learning_rate: Hyperparameter = 0.01) -> Optimizer:
    """Stochastic gradient descent, w ← w − η g.

    Args:
        learning_rate: η, the length of a step in units of the gradient; finite, ≥ 0, or a schedule.

    Returns:
        An optax transform that is a pytree of its learning rate. Its state is SgdState(count).

    Raises:
        TypeError: a hyperparameter is neither a number of shape () nor a schedule.
        ValueError: a hyperparameter is out of its range.

    >>> import jax.numpy as jnp, jaxopt_edu as jo, optax
    >>> opt = jo.sgd(learning_rate=0.1)
    >>> params = {"w": jnp.array([1.0, -2.0])}
    >>> state = opt.init(params)
    >>> for _ in range(2):
    ...     gradients = params  # of f(w) = ½‖w‖²
    ...     updates, state = opt.update(gradients, state, params)
    ...     params = optax.apply_updates(params, updates)
    >>> [round(float(w), 4) for w in params["w"]]
    [0.81, -1.62]

    References:
        Robbins & Monro, A Stochastic Approximation Method, 1951.
    """
    return build(sgd, SgdState, init, update, LIMITS, learning_rate=learning_rate)


def init(params: "chex.ArrayTree") -> SgdState:
    """Before the first step: no step made."""
    return SgdState(count=first_count(params))


def update(
    gradients: "chex.ArrayTree", state: SgdState, **hyperparameters: ValueInForce
) -> tuple["chex.ArrayTree", SgdState]:
    """One step of the rule on every leaf."""
    return step_leaves(rule, gradients, state, **hyperparameters)


def rule(g: jax.Array, *, learning_rate: jax.Array) -> jax.Array:
    """The update for one array: −η g."""
    return -learning_rate * g
