"""AdaGrad: every coordinate has a step of its own, shorter the more it has moved.

h sums up the squares of a coordinate's gradients, and the step is divided by √h: steep coordinates are
slowed, flat or rarely seen ones keep long steps, so one η can serve them all. It costs one array of
memory, and it runs down: h only grows, so every step is shorter than it could be, and training on and
on comes to a halt.

    h ← h + g²
    w ← w − η g / (√h + ε)

with η = learning_rate, ε = eps, h₀ = 0; |g|² for complex g. The first step is η in every coordinate.

`optax.adagrad(η)` starts h at 0.1 and puts ε inside the root, η g / √(h + ε): its first steps are
shorter (`initial_accumulator_value=0.0` brings it here, but for ε). `torch.optim.Adagrad(lr=η, eps=ε)`
is the same with its lr_decay = 0; torch's default ε is 1e-10.

Duchi, Hazan & Singer 2011, Adaptive Subgradient Methods for Online Learning and Stochastic
Optimization.
"""

from typing import TYPE_CHECKING, NamedTuple

import jax

from jaxopt_edu.core.checks import NON_NEGATIVE, Limit
from jaxopt_edu.core.distributions import Distribution, loguniform
from jaxopt_edu.core.hints import with_hints
from jaxopt_edu.core.numerics import divide, squared_magnitude, squared_root
from jaxopt_edu.core.stepping import step_leaves
from jaxopt_edu.core.transform import Hyperparameter, Optimizer, build
from jaxopt_edu.core.trees import ValueInForce, first_count, zeros_like

if TYPE_CHECKING:
    import chex

LIMITS: dict[str, Limit] = {"learning_rate": NON_NEGATIVE, "eps": NON_NEGATIVE}
SPACE: dict[str, Distribution] = {
    "learning_rate": loguniform(1e-3, 1.0),
}


class AdaGradState(NamedTuple):
    """What AdaGrad remembers."""

    count: jax.Array  # t, the number of updates made; int32, shape ()
    h: "chex.ArrayTree"  # h, the sum of squared gradients; real, as params, ≥ float32


@with_hints
def adagrad(learning_rate: Hyperparameter = 0.01, eps: Hyperparameter = 1e-7) -> Optimizer:
    """AdaGrad, h ← h + g², w ← w − η g / (√h + ε).

    Args:
        learning_rate: η, the length of the first step in every coordinate; finite, ≥ 0, or a schedule.
        eps: ε, keeps the division finite where no gradient was seen; finite, ≥ 0, or a schedule.

    Returns:
        An optax transform that is a pytree of its two hyperparameters. Its state is AdaGradState(count, h).

    Raises:
        TypeError: a hyperparameter is neither a number of shape () nor a schedule.
        ValueError: a hyperparameter is out of its range.

    >>> import jax.numpy as jnp, jaxopt_edu as jo, optax
    >>> opt = jo.adagrad(learning_rate=0.5)
    >>> params = {"w": jnp.array([1.0, -2.0])}
    >>> state = opt.init(params)
    >>> for _ in range(2):
    ...     gradients = params  # of f(w) = ½‖w‖²
    ...     updates, state = opt.update(gradients, state, params)
    ...     params = optax.apply_updates(params, updates)
    >>> [round(float(w), 4) for w in params["w"]]
    [0.2764, -1.2]

    References:
        Duchi, Hazan & Singer, Adaptive Subgradient Methods for Online Learning and Stochastic
        Optimization, 2011.
    """
    return build(adagrad, AdaGradState, init, update, LIMITS, learning_rate=learning_rate, eps=eps)


def init(params: "chex.ArrayTree") -> AdaGradState:
    """Before the first step: no gradient seen."""
    return AdaGradState(count=first_count(params), h=zeros_like(params, real=True))


def update(
    gradients: "chex.ArrayTree", state: AdaGradState, **hyperparameters: ValueInForce
) -> tuple["chex.ArrayTree", AdaGradState]:
    """One step of the rule on every leaf."""
    return step_leaves(rule, gradients, state, **hyperparameters)


def rule(
    g: jax.Array, h: jax.Array, *, learning_rate: jax.Array, eps: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The update and the new sum of squares for one array."""
    h = h + squared_magnitude(g)
    return -learning_rate * divide(g, squared_root(h) + eps), h
