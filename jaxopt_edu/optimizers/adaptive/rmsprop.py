"""RMSProp: AdaGrad that forgets.

h is a moving average of squared gradients instead of their sum, so old gradients fade (after about
1/(1−ρ) steps) and the steps do not run down. Each coordinate moves by about η whatever the size of its
gradient; that is its strength, and the reason why it never quite settles while η is constant. It costs
one array of memory.

    h ← ρ h + (1 − ρ) g²
    w ← w − η g / (√h + ε)

with ρ = decay, η = learning_rate, ε = eps, h₀ = 0; |g|² for complex g. h starts too small, so the first
step is η/√(1−ρ) (ten times η at ρ = 0.99); Adam repairs that.

`torch.optim.RMSprop(lr=η, alpha=ρ, eps=ε)` is the same (its default ε is 1e-8). `optax.rmsprop(η,
decay=ρ, eps=ε)` puts ε inside the root by default (`eps_in_sqrt=False` brings it here) and its default
ρ is 0.9.

Hinton 2012, Neural Networks for Machine Learning, lecture 6e.
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

LIMITS: dict[str, Limit] = {"learning_rate": NON_NEGATIVE, "decay": FRACTION, "eps": NON_NEGATIVE}
SPACE: dict[str, Distribution] = {
    "learning_rate": loguniform(1e-4, 0.1),
    "decay": one_minus(loguniform(1e-3, 0.3)),
}


class RmsPropState(NamedTuple):
    """What RMSProp remembers."""

    count: jax.Array  # t, the number of updates made; int32, shape ()
    h: "chex.ArrayTree"  # h, the moving average of squared gradients; real, as params, ≥ float32


@with_hints
def rmsprop(
    learning_rate: Hyperparameter = 0.01, decay: Hyperparameter = 0.99, eps: Hyperparameter = 1e-7
) -> Optimizer:
    """RMSProp, h ← ρ h + (1 − ρ) g², w ← w − η g / (√h + ε).

    Args:
        learning_rate: η, about the length of a step in every coordinate; finite, ≥ 0, or a schedule.
        decay: ρ, what is kept of the average at a step; in [0, 1), or a schedule.
        eps: ε, keeps the division finite where no gradient was seen; finite, ≥ 0, or a schedule.

    Returns:
        An optax transform that is a pytree of its three hyperparameters. Its state is RmsPropState(count, h).

    Raises:
        TypeError: a hyperparameter is neither a number of shape () nor a schedule.
        ValueError: a hyperparameter is out of its range.

    >>> import jax.numpy as jnp, jaxopt_edu as jo, optax
    >>> opt = jo.rmsprop(learning_rate=0.1, decay=0.75)
    >>> params = {"w": jnp.array([1.0, -2.0])}
    >>> state = opt.init(params)
    >>> for _ in range(2):
    ...     gradients = params  # of f(w) = ½‖w‖²
    ...     updates, state = opt.update(gradients, state, params)
    ...     params = optax.apply_updates(params, updates)
    >>> [round(float(w), 4) for w in params["w"]]
    [0.6643, -1.6559]

    References:
        Hinton, Neural Networks for Machine Learning, lecture 6e, 2012.
    """
    return build(
        rmsprop, RmsPropState, init, update, LIMITS, learning_rate=learning_rate, decay=decay, eps=eps
    )


def init(params: "chex.ArrayTree") -> RmsPropState:
    """Before the first step: no gradient seen."""
    return RmsPropState(count=first_count(params), h=zeros_like(params, real=True))


def update(
    gradients: "chex.ArrayTree", state: RmsPropState, **hyperparameters: ValueInForce
) -> tuple["chex.ArrayTree", RmsPropState]:
    """One step of the rule on every leaf."""
    return step_leaves(rule, gradients, state, **hyperparameters)


def rule(
    g: jax.Array, h: jax.Array, *, learning_rate: jax.Array, decay: jax.Array, eps: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The update and the new average of squares for one array."""
    h = decay * h + (1 - decay) * squared_magnitude(g)
    return -learning_rate * divide(g, squared_root(h) + eps), h
