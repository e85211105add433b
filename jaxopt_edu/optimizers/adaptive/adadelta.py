"""Adadelta: steps in the units of the parameters, from the steps made before.

RMSProp divides the gradient by its recent size and is left with a number without units, to which η must
give a scale. Adadelta takes the scale from the recent size of its own steps. No learning rate is
needed, the paper says; but ε now decides how small the first steps are, and they grow from there: it
starts slowly. It costs two arrays of memory.

    h ← ρ h + (1 − ρ) g²
    Δ = √(u + ε) / √(h + ε) · g
    u ← ρ u + (1 − ρ) Δ²
    w ← w − η Δ

with ρ = rho, ε = eps, η = learning_rate (1 in the paper), h₀ = u₀ = 0; |·|² for complex arrays.

`torch.optim.Adadelta(lr=η, rho=ρ, eps=ε)` is the same (its default ρ is 0.9). `optax.adadelta(η, rho=ρ,
eps=ε)` too, with default ρ = 0.9 and no default η.

Zeiler 2012, ADADELTA: An Adaptive Learning Rate Method, arXiv:1212.5701, Algorithm 1.
"""

from typing import TYPE_CHECKING, NamedTuple

import jax

from jaxopt_edu.core.checks import FRACTION, NON_NEGATIVE, Limit
from jaxopt_edu.core.distributions import Distribution, loguniform, one_minus
from jaxopt_edu.core.hints import with_hints
from jaxopt_edu.core.numerics import divide, squared_magnitude, squared_root
from jaxopt_edu.core.stepping import step_leaves
from jaxopt_edu.core.transform import Hyperparameter, Optimizer, build
from jaxopt_edu.core.trees import ValueInForce, first_count, zeros_like

if TYPE_CHECKING:
    import chex

LIMITS: dict[str, Limit] = {"learning_rate": NON_NEGATIVE, "rho": FRACTION, "eps": NON_NEGATIVE}
SPACE: dict[str, Distribution] = {
    "learning_rate": loguniform(0.1, 100.0),
    "rho": one_minus(loguniform(1e-3, 0.3)),
    "eps": loguniform(1e-8, 1e-2),
}


class AdadeltaState(NamedTuple):
    """What Adadelta remembers."""

    count: jax.Array  # t, the number of updates made; int32, shape ()
    h: "chex.ArrayTree"  # h, the moving average of squared gradients; real, as params, ≥ float32
    u: "chex.ArrayTree"  # u, the moving average of squared steps Δ; real, as params, ≥ float32


@with_hints
def adadelta(
    learning_rate: Hyperparameter = 1.0, rho: Hyperparameter = 0.95, eps: Hyperparameter = 1e-6
) -> Optimizer:
    """Adadelta, w ← w − η √(u + ε) / √(h + ε) · g.

    Args:
        learning_rate: η, a factor on the steps that the method chooses; finite, ≥ 0, or a schedule.
        rho: ρ, what is kept of both averages at a step; in [0, 1), or a schedule.
        eps: ε, sets how long the first steps are; finite, ≥ 0 (0 never leaves the start), or a
            schedule.

    Returns:
        An optax transform that is a pytree of its three hyperparameters. Its state is
        AdadeltaState(count, h, u).

    Raises:
        TypeError: a hyperparameter is neither a number of shape () nor a schedule.
        ValueError: a hyperparameter is out of its range.

    >>> import jax.numpy as jnp, jaxopt_edu as jo, optax
    >>> opt = jo.adadelta(rho=0.75, eps=0.01)
    >>> params = {"w": jnp.array([1.0, -2.0])}
    >>> state = opt.init(params)
    >>> for _ in range(2):
    ...     gradients = params  # of f(w) = ½‖w‖²
    ...     updates, state = opt.update(gradients, state, params)
    ...     params = optax.apply_updates(params, updates)
    >>> [round(float(w), 4) for w in params["w"]]
    [0.616, -1.5983]

    References:
        Zeiler, ADADELTA: An Adaptive Learning Rate Method, 2012, arXiv:1212.5701.
    """
    return build(adadelta, AdadeltaState, init, update, LIMITS, learning_rate=learning_rate, rho=rho, eps=eps)


def init(params: "chex.ArrayTree") -> AdadeltaState:
    """Before the first step: no gradient seen, no step made."""
    return AdadeltaState(
        count=first_count(params), h=zeros_like(params, real=True), u=zeros_like(params, real=True)
    )


def update(
    gradients: "chex.ArrayTree", state: AdadeltaState, **hyperparameters: ValueInForce
) -> tuple["chex.ArrayTree", AdadeltaState]:
    """One step of the rule on every leaf."""
    return step_leaves(rule, gradients, state, **hyperparameters)


def rule(
    g: jax.Array, h: jax.Array, u: jax.Array, *, learning_rate: jax.Array, rho: jax.Array, eps: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The update and the two new averages for one array."""
    h = rho * h + (1 - rho) * squared_magnitude(g)
    # One root of the quotient: XLA makes of √a / √b a √a · rsqrt(b), which a CPU takes twice as long for.
    delta = squared_root(divide(u + eps, h + eps)) * g
    u = rho * u + (1 - rho) * squared_magnitude(delta)
    return -learning_rate * delta, h, u
