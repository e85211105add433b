"""Adamax: Adam that measures a coordinate by its largest gradient, not by the mean of their squares.

u is a maximum that fades: it jumps to a gradient larger than itself at once and then falls by β₂ a step.
No average starts too small, so u needs no correction, and a step is never longer than about η/(1 − β₁ᵗ).
One outlier shortens the steps for about 1/(1−β₂) steps. It costs two arrays of memory, as Adam, and no
root.

    m ← β₁ m + (1 − β₁) g
    u ← max(β₂ u, |g| + ε)
    w ← w − η m̂ / u   with m̂ = m / (1 − β₁ᵗ)

with t = 1 at the first step, η = learning_rate, β₁ = b1, β₂ = b2, ε = eps, m₀ = u₀ = 0.

The paper has no ε. `torch.optim.Adamax(lr, betas, eps)` and `optax.adamax(η, b1, b2, eps)` put it into
the maximum, as here; optax has no default η, torch's is ours. Keras divides by u + ε.

Kingma & Ba 2015, Adam: A Method for Stochastic Optimization, arXiv:1412.6980, Algorithm 2.
"""

from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_edu.core.checks import FRACTION, NON_NEGATIVE, Limit
from jaxopt_edu.core.distributions import Distribution, loguniform, one_minus
from jaxopt_edu.core.hints import with_hints
from jaxopt_edu.core.numerics import divide, magnitude
from jaxopt_edu.core.stepping import step_leaves, weight_sums
from jaxopt_edu.core.transform import Hyperparameter, Optimizer, build
from jaxopt_edu.core.trees import ValueInForce, first_count, next_count, zeros_like

if TYPE_CHECKING:
    import chex

LIMITS: dict[str, Limit] = {
    "learning_rate": NON_NEGATIVE,
    "b1": FRACTION,
    "b2": FRACTION,
    "eps": NON_NEGATIVE,
}
SPACE: dict[str, Distribution] = {
    "learning_rate": loguniform(1e-4, 0.1),
    "b1": one_minus(loguniform(1e-2, 1.0)),
    "b2": one_minus(loguniform(1e-4, 0.1)),
}


class AdamaxState(NamedTuple):
    """What Adamax remembers."""

    count: jax.Array  # t, the number of updates made; int32, shape ()
    m: "chex.ArrayTree"  # m, the moving average of gradients; as params, ≥ float32
    u: "chex.ArrayTree"  # u, the fading maximum of |g|; real, as params, ≥ float32


@with_hints
def adamax(
    learning_rate: Hyperparameter = 0.002,
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-8,
) -> Optimizer:
    """Adamax, u ← max(β₂ u, |g| + ε), w ← w − η m̂ / u.

    Args:
        learning_rate: η, about the longest step in every coordinate; finite, ≥ 0, or a schedule.
        b1: β₁, what is kept of the average gradient at a step; in [0, 1), or a schedule.
        b2: β₂, what is kept of the largest gradient at a step; in [0, 1), or a schedule.
        eps: ε, keeps the division finite where no gradient was seen; finite, ≥ 0, or a schedule.

    Returns:
        An optax transform that is a pytree of its four hyperparameters. Its state is
        AdamaxState(count, m, u).

    Raises:
        TypeError: a hyperparameter is neither a number of shape () nor a schedule.
        ValueError: a hyperparameter is out of its range.

    >>> import jax.numpy as jnp, jaxopt_edu as jo, optax
    >>> opt = jo.adamax(learning_rate=0.1)
    >>> params = {"w": jnp.array([1.0, -2.0])}
    >>> state = opt.init(params)
    >>> for _ in range(2):
    ...     gradients = params  # of f(w) = ½‖w‖²
    ...     updates, state = opt.update(gradients, state, params)
    ...     params = optax.apply_updates(params, updates)
    >>> [round(float(w), 4) for w in params["w"]]
    [0.8052, -1.8025]

    References:
        Kingma & Ba, Adam: A Method for Stochastic Optimization, 2015, arXiv:1412.6980.
    """
    return build(
        adamax,
        AdamaxState,
        init,
        update,
        LIMITS,
        learning_rate=learning_rate,
        b1=b1,
        b2=b2,
        eps=eps,
    )


def init(params: "chex.ArrayTree") -> AdamaxState:
    """Before the first step: no gradient seen."""
    return AdamaxState(
        count=first_count(params),
        m=zeros_like(params),
        u=zeros_like(params, real=True),
    )


def update(
    gradients: "chex.ArrayTree", state: AdamaxState, *, b1: ValueInForce, **hyperparameters: ValueInForce
) -> tuple["chex.ArrayTree", AdamaxState]:
    """One step of the rule on every leaf."""
    sums = weight_sums(next_count(state.count), b1=b1)
    return step_leaves(rule, gradients, state, b1=b1, **sums, **hyperparameters)


def rule(
    g: jax.Array,
    m: jax.Array,
    u: jax.Array,
    *,
    learning_rate: jax.Array,
    b1: jax.Array,
    b2: jax.Array,
    eps: jax.Array,
    one_minus_b1_t: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The update and the new states for one array."""
    m = b1 * m + (1 - b1) * g
    u = jnp.maximum(b2 * u, magnitude(g) + eps)
    m_hat = m / one_minus_b1_t
    return -learning_rate * divide(m_hat, u), m, u
