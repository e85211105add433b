"""Signum: momentum of which only the sign counts.

Every coordinate moves by η, to the side on which the average gradient is. Steps do not depend on the size
of the gradients, as Adam's do not, at the cost of one array of memory; and a sign is one bit, which is
why it was proposed: workers that train together can vote. With β = 0 it is signSGD. Since steps never get
shorter by themselves, it rests only when η goes to 0.

    m ← β m + (1 − β) g
    w ← w − η sign(m)

with η = learning_rate, β = momentum, m₀ = 0, and sign(0) = 0. For complex g, sign(z) is z/|z|.

A NaN shows at once, but an ∞ does not: it stays in m, and its coordinate moves by η to one side for ever
(`optax.apply_if_finite` passes such a step over).

`optax.signum(η, beta=β)` is the same. torch has none.

Bernstein et al. 2018, signSGD: Compressed Optimisation for Non-Convex Problems, arXiv:1802.04434,
Algorithm 2.
"""

from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_edu.core.checks import FRACTION, NON_NEGATIVE, Limit
from jaxopt_edu.core.distributions import Distribution, loguniform, one_minus
from jaxopt_edu.core.hints import with_hints
from jaxopt_edu.core.stepping import step_leaves
from jaxopt_edu.core.transform import Hyperparameter, Optimizer, build
from jaxopt_edu.core.trees import ValueInForce, first_count, zeros_like

if TYPE_CHECKING:
    import chex

LIMITS: dict[str, Limit] = {
    "learning_rate": NON_NEGATIVE,
    "momentum": FRACTION,
}
SPACE: dict[str, Distribution] = {
    "learning_rate": loguniform(1e-5, 1e-1),
    "momentum": one_minus(loguniform(1e-2, 1.0)),
}


class SignumState(NamedTuple):
    """What Signum remembers."""

    count: jax.Array  # t, the number of updates made; int32, shape ()
    m: "chex.ArrayTree"  # m, the moving average of gradients; as params, ≥ float32


@with_hints
def signum(
    learning_rate: Hyperparameter = 1e-3,
    momentum: Hyperparameter = 0.9,
) -> Optimizer:
    """Signum, m ← β m + (1 − β) g, w ← w − η sign(m).

    Args:
        learning_rate: η, the length of a step in every coordinate; finite, ≥ 0, or a schedule.
        momentum: β, what is kept of the average gradient at a step; in [0, 1), or a schedule.

    Returns:
        An optax transform that is a pytree of its two hyperparameters. Its state is
        SignumState(count, m).

    Raises:
        TypeError: a hyperparameter is neither a number of shape () nor a schedule.
        ValueError: a hyperparameter is out of its range.

    >>> import jax.numpy as jnp, jaxopt_edu as jo, optax
    >>> opt = jo.signum(learning_rate=0.1)
    >>> params = {"w": jnp.array([1.0, -2.0])}
    >>> state = opt.init(params)
    >>> for _ in range(2):
    ...     gradients = params  # of f(w) = ½‖w‖²
    ...     updates, state = opt.update(gradients, state, params)
    ...     params = optax.apply_updates(params, updates)
    >>> [round(float(w), 4) for w in params["w"]]
    [0.8, -1.8]

    References:
        Bernstein et al., signSGD, 2018, arXiv:1802.04434.
    """
    return build(
        signum,
        SignumState,
        init,
        update,
        LIMITS,
        learning_rate=learning_rate,
        momentum=momentum,
    )


def init(params: "chex.ArrayTree") -> SignumState:
    """Before the first step: no gradient seen."""
    return SignumState(count=first_count(params), m=zeros_like(params))


def update(
    gradients: "chex.ArrayTree", state: SignumState, **hyperparameters: ValueInForce
) -> tuple["chex.ArrayTree", SignumState]:
    """One step of the rule on every leaf."""
    return step_leaves(rule, gradients, state, **hyperparameters)


def rule(
    g: jax.Array,
    m: jax.Array,
    *,
    learning_rate: jax.Array,
    momentum: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """The update and the new state for one array."""
    m = momentum * m + (1 - momentum) * g
    return -learning_rate * jnp.sign(m), m
