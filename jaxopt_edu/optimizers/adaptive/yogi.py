"""Yogi: Adam whose step lengths change slowly, whatever gradients come.

Adam's v moves towards g² by a share of the distance: where g² is suddenly much smaller, v falls fast and
the steps grow fast. Yogi moves v by (1 − β₂) g² up or down, by which side g² is on: never more than the
gradient itself is worth, so steps grow slowly and still shrink at once. It costs what Adam costs, two
arrays of memory.

    m ← β₁ m + (1 − β₁) g
    v ← v − (1 − β₂) sign(v − g²) g²
    m̂ = m / (1 − β₁ᵗ),  v̂ = v / (1 − β₂ᵗ)
    w ← w − η m̂ / (√v̂ + ε)

with t = 1 at the first step, η = learning_rate, β₁ = b1, β₂ = b2, ε = eps, m₀ = 0, v₀ = 1e-6; |g|² for
complex g.

The formula jumps where v passes g²: up or down is 2 (1 − β₂) g², and where the two agree to the last digits
a rounding settles it. v remembers, since nothing in it fades. In float32 that befell 2 of 800,000 signs and
made a later update wrong by 4.5e-4 η; by the signs that it took, no update is wrong by more than 1.3e-6 η.

`optax.yogi(η, b1, b2, eps)` is the same but for its m₀, which is 1e-6 too (TensorFlow's are). The paper
corrects neither m nor v and starts v from a first batch. ε is large, 1e-3, by the paper's advice. torch
has none.

Zaheer et al. 2018, Adaptive Methods for Nonconvex Optimization, NeurIPS, Algorithm 2.
"""

from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_edu.core.checks import FRACTION, NON_NEGATIVE, Limit
from jaxopt_edu.core.distributions import Distribution, loguniform, one_minus
from jaxopt_edu.core.hints import with_hints
from jaxopt_edu.core.numerics import divide, squared_magnitude, squared_root
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
    "eps": loguniform(1e-5, 0.1),
}

# So that the first root is not of 0.
FIRST_V = 1e-6


class YogiState(NamedTuple):
    """What Yogi remembers."""

    count: jax.Array  # t, the number of updates made; int32, shape ()
    m: "chex.ArrayTree"  # m, the moving average of gradients; as params, ≥ float32
    v: "chex.ArrayTree"  # v, the estimate of squared gradients; real, as params, ≥ float32


@with_hints
def yogi(
    learning_rate: Hyperparameter = 0.01,
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-3,
) -> Optimizer:
    """Yogi, v ← v − (1 − β₂) sign(v − g²) g², w ← w − η m̂ / (√v̂ + ε).

    Args:
        learning_rate: η, about the longest step in every coordinate; finite, ≥ 0, or a schedule.
        b1: β₁, what is kept of the average gradient at a step; in [0, 1), or a schedule.
        b2: β₂, 1 − β₂ is by which share of g² its estimate moves at a step; in [0, 1), or a schedule.
        eps: ε, keeps the division finite where no gradient was seen; finite, ≥ 0, or a schedule.

    Returns:
        An optax transform that is a pytree of its four hyperparameters. Its state is
        YogiState(count, m, v).

    Raises:
        TypeError: a hyperparameter is neither a number of shape () nor a schedule.
        ValueError: a hyperparameter is out of its range.

    >>> import jax.numpy as jnp, jaxopt_edu as jo, optax
    >>> opt = jo.yogi(learning_rate=0.1)
    >>> params = {"w": jnp.array([1.0, -2.0])}
    >>> state = opt.init(params)
    >>> for _ in range(2):
    ...     gradients = params  # of f(w) = ½‖w‖²
    ...     updates, state = opt.update(gradients, state, params)
    ...     params = optax.apply_updates(params, updates)
    >>> [round(float(w), 4) for w in params["w"]]
    [0.8007, -1.8003]

    References:
        Zaheer et al., Adaptive Methods for Nonconvex Optimization, NeurIPS 2018.
    """
    return build(
        yogi,
        YogiState,
        init,
        update,
        LIMITS,
        learning_rate=learning_rate,
        b1=b1,
        b2=b2,
        eps=eps,
    )


def init(params: "chex.ArrayTree") -> YogiState:
    """Before the first step: no gradient seen, and v a little above 0."""
    v = jax.tree.map(lambda zeros: zeros + FIRST_V, zeros_like(params, real=True))
    return YogiState(count=first_count(params), m=zeros_like(params), v=v)


def update(
    gradients: "chex.ArrayTree",
    state: YogiState,
    *,
    b1: ValueInForce,
    b2: ValueInForce,
    **hyperparameters: ValueInForce,
) -> tuple["chex.ArrayTree", YogiState]:
    """One step of the rule on every leaf."""
    sums = weight_sums(next_count(state.count), b1=b1, b2=b2)
    return step_leaves(rule, gradients, state, b1=b1, b2=b2, **sums, **hyperparameters)


def rule(
    g: jax.Array,
    m: jax.Array,
    v: jax.Array,
    *,
    learning_rate: jax.Array,
    b1: jax.Array,
    b2: jax.Array,
    eps: jax.Array,
    one_minus_b1_t: jax.Array,
    one_minus_b2_t: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The update and the new states for one array."""
    m = b1 * m + (1 - b1) * g
    g_squared = squared_magnitude(g)
    v = v - (1 - b2) * jnp.sign(v - g_squared) * g_squared
    m_hat = m / one_minus_b1_t
    v_hat = v / one_minus_b2_t
    return -learning_rate * divide(m_hat, squared_root(v_hat) + eps), m, v
