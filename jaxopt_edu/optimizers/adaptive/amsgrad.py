"""AMSGrad: Adam whose steps never grow because a large gradient was forgotten.

Adam's v forgets. Where rare large gradients matter, the many small ones between them make v small again,
and their steps add up to more than the large one's: there are convex problems on which Adam goes the
wrong way for ever. Here each coordinate keeps the largest v̂ that it has seen, so its step length only
falls, as AdaGrad's does. It costs one array more than Adam, three in all, and a step that was cut short
by one outlier stays short.

    m ← β₁ m + (1 − β₁) g
    v ← β₂ v + (1 − β₂) g²
    v_max ← max(v_max, v / (1 − β₂ᵗ))
    w ← w − η m̂ / (√v_max + ε)   with m̂ = m / (1 − β₁ᵗ)

with t = 1 at the first step, η = learning_rate, β₁ = b1, β₂ = b2, ε = eps, m₀ = v₀ = v_max₀ = 0; |g|² for
complex g.

There are three formulas of this name. `optax.amsgrad(η, b1, b2, eps)` is this one. The paper corrects
neither m nor v and has no ε (optax with `bias_correction_mu=False, bias_correction_nu=False`). torch's
`Adam(amsgrad=True)` keeps the largest uncorrected v and divides that by today's 1 − β₂ᵗ: its denominator
falls while t grows, 25-fold in 1,000 steps after one gradient of 1, and so its steps can grow after all.

In `half_state` v is right in the mean, but the largest of many v that were rounded at random is too large:
steps are 1 % shorter there (with a constant gradient, over 500 steps).

Reddi, Kale & Kumar 2018, On the Convergence of Adam and Beyond, arXiv:1904.09237, Algorithm 2.
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
}


class AmsGradState(NamedTuple):
    """What AMSGrad remembers."""

    count: jax.Array  # t, the number of updates made; int32, shape ()
    m: "chex.ArrayTree"  # m, the moving average of gradients; as params, ≥ float32
    v: "chex.ArrayTree"  # v, the moving average of squared gradients; real, as params, ≥ float32
    v_max: "chex.ArrayTree"  # v_max, the largest v / (1 − β₂ᵗ) so far; real, as params, ≥ float32


@with_hints
def amsgrad(
    learning_rate: Hyperparameter = 0.001,
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-8,
) -> Optimizer:
    """AMSGrad, w ← w − η m̂ / (√v_max + ε).

    Args:
        learning_rate: η, about the longest step in every coordinate; finite, ≥ 0, or a schedule.
        b1: β₁, what is kept of the average gradient at a step; in [0, 1), or a schedule.
        b2: β₂, what is kept of the average squared gradient at a step; in [0, 1), or a schedule.
        eps: ε, keeps the division finite where no gradient was seen; finite, ≥ 0, or a schedule.

    Returns:
        An optax transform that is a pytree of its four hyperparameters. Its state is
        AmsGradState(count, m, v, v_max).

    Raises:
        TypeError: a hyperparameter is neither a number of shape () nor a schedule.
        ValueError: a hyperparameter is out of its range.

    >>> import jax.numpy as jnp, jaxopt_edu as jo, optax
    >>> opt = jo.amsgrad(learning_rate=0.1)
    >>> params = {"w": jnp.array([1.0, -2.0])}
    >>> state = opt.init(params)
    >>> for _ in range(2):
    ...     gradients = params  # of f(w) = ½‖w‖²
    ...     updates, state = opt.update(gradients, state, params)
    ...     params = optax.apply_updates(params, updates)
    >>> [round(float(w), 4) for w in params["w"]]
    [0.8053, -1.8026]

    References:
        Reddi, Kale & Kumar, On the Convergence of Adam and Beyond, 2018, arXiv:1904.09237.
    """
    return build(
        amsgrad,
        AmsGradState,
        init,
        update,
        LIMITS,
        learning_rate=learning_rate,
        b1=b1,
        b2=b2,
        eps=eps,
    )


def init(params: "chex.ArrayTree") -> AmsGradState:
    """Before the first step: no gradient seen."""
    return AmsGradState(
        count=first_count(params),
        m=zeros_like(params),
        v=zeros_like(params, real=True),
        v_max=zeros_like(params, real=True),
    )


def update(
    gradients: "chex.ArrayTree",
    state: AmsGradState,
    *,
    b1: ValueInForce,
    b2: ValueInForce,
    **hyperparameters: ValueInForce,
) -> tuple["chex.ArrayTree", AmsGradState]:
    """One step of the rule on every leaf."""
    sums = weight_sums(next_count(state.count), b1=b1, b2=b2)
    return step_leaves(rule, gradients, state, b1=b1, b2=b2, **sums, **hyperparameters)


def rule(
    g: jax.Array,
    m: jax.Array,
    v: jax.Array,
    v_max: jax.Array,
    *,
    learning_rate: jax.Array,
    b1: jax.Array,
    b2: jax.Array,
    eps: jax.Array,
    one_minus_b1_t: jax.Array,
    one_minus_b2_t: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """The update and the new states for one array."""
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * squared_magnitude(g)
    v_max = jnp.maximum(v_max, v / one_minus_b2_t)
    m_hat = m / one_minus_b1_t
    return -learning_rate * divide(m_hat, squared_root(v_max) + eps), m, v, v_max
