"""Adan: Adam with Nesterov's look ahead, made of the differences of gradients.

Nesterov's momentum measures the gradient at a point ahead. Where it will be there is foretold here from how
it has changed: d, the difference of the last two gradients, has an average v of its own, and both the step
and its divisor are made of gradients carried on by β₂ d. The decay is by division, as if it were taken at
the point arrived at. It costs four arrays of memory, twice Adam's, as the last gradient is remembered too.

    d = g − g₋₁
    m ← β₁ m + (1 − β₁) g
    v ← β₂ v + (1 − β₂) d
    n ← β₃ n + (1 − β₃) (g + β₂ d)²
    m̂ = m / (1 − β₁ᵗ),  v̂ = v / (1 − β₂ᵗ),  n̂ = n / (1 − β₃ᵗ)
    w ← (w − η (m̂ + β₂ v̂) / (√n̂ + ε)) / (1 + η λ)

with t = 1 at the first step, whose d is 0, η = learning_rate, β₁ = b1, β₂ = b2, β₃ = b3, ε = eps,
λ = weight_decay, g₋₁ = last, m₀ = v₀ = n₀ = 0; |·|² for complex g. The paper's β are 1 minus these.

The authors' code (without `no_prox` and its clipping of all gradients) and `pytorch_optimizer.Adan` are the
same; optax 0.2.8's `adan` has 1 − β₂ = 0.08 in both places where the paper has β₂ = 0.92, and decays as
AdamW does. torch has none.

Xie et al. 2022, Adan: Adaptive Nesterov Momentum Algorithm for Faster Optimizing Deep Models,
arXiv:2208.06677, Algorithm 1.
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
    "b3": FRACTION,
    "eps": NON_NEGATIVE,
    "weight_decay": NON_NEGATIVE,
}
SPACE: dict[str, Distribution] = {
    "learning_rate": loguniform(1e-4, 0.1),
    "b1": one_minus(loguniform(5e-3, 0.3)),
    "b2": one_minus(loguniform(1e-2, 0.5)),
    "b3": one_minus(loguniform(1e-4, 0.1)),
    "weight_decay": loguniform(1e-4, 1.0),
}


class AdanState(NamedTuple):
    """What Adan remembers."""

    count: jax.Array  # t, the number of updates made; int32, shape ()
    m: "chex.ArrayTree"  # m, the moving average of gradients; as params, ≥ float32
    v: "chex.ArrayTree"  # v, the moving average of their differences d; as params, ≥ float32
    n: "chex.ArrayTree"  # n, the moving average of (g + β₂ d)²; real, as params, ≥ float32
    last: "chex.ArrayTree"  # g₋₁, the last gradient; as params, ≥ float32


@with_hints
def adan(
    learning_rate: Hyperparameter = 0.001,
    b1: Hyperparameter = 0.98,
    b2: Hyperparameter = 0.92,
    b3: Hyperparameter = 0.99,
    eps: Hyperparameter = 1e-8,
    weight_decay: Hyperparameter = 0.01,
) -> Optimizer:
    """Adan, w ← (w − η (m̂ + β₂ v̂) / (√n̂ + ε)) / (1 + η λ).

    Args:
        learning_rate: η, about the longest step in every coordinate; finite, ≥ 0, or a schedule.
        b1: β₁, what is kept of the average gradient at a step; in [0, 1), or a schedule.
        b2: β₂, what is kept of the average difference, and how far g is carried on; in [0, 1), or a schedule.
        b3: β₃, what is kept of the average square at a step; in [0, 1), or a schedule.
        eps: ε, keeps the division finite where no gradient was seen; finite, ≥ 0, or a schedule.
        weight_decay: λ, of which about ηλ is the share that a step takes away; finite, ≥ 0, or a schedule.

    Returns:
        An optax transform that is a pytree of its six hyperparameters. Its state is
        AdanState(count, m, v, n, last). Its update needs the parameters.

    Raises:
        TypeError: a hyperparameter is neither a number of shape () nor a schedule.
        ValueError: a hyperparameter is out of its range.

    >>> import jax.numpy as jnp, jaxopt_edu as jo, optax
    >>> opt = jo.adan(learning_rate=0.1)
    >>> params = {"w": jnp.array([1.0, -2.0])}
    >>> state = opt.init(params)
    >>> for _ in range(2):
    ...     gradients = params  # of f(w) = ½‖w‖²
    ...     updates, state = opt.update(gradients, state, params)
    ...     params = optax.apply_updates(params, updates)
    >>> [round(float(w), 4) for w in params["w"]]
    [0.7991, -1.7965]

    References:
        Xie et al., Adan: Adaptive Nesterov Momentum Algorithm for Faster Optimizing Deep Models, 2022,
        arXiv:2208.06677.
    """
    return build(
        adan,
        AdanState,
        init,
        update,
        LIMITS,
        learning_rate=learning_rate,
        b1=b1,
        b2=b2,
        b3=b3,
        eps=eps,
        weight_decay=weight_decay,
    )


def init(params: "chex.ArrayTree") -> AdanState:
    """Before the first step: no gradient seen."""
    return AdanState(
        count=first_count(params),
        m=zeros_like(params),
        v=zeros_like(params),
        n=zeros_like(params, real=True),
        last=zeros_like(params),
    )


def update(
    gradients: "chex.ArrayTree",
    state: AdanState,
    params: "chex.ArrayTree",
    *,
    b1: ValueInForce,
    b2: ValueInForce,
    b3: ValueInForce,
    **hyperparameters: ValueInForce,
) -> tuple["chex.ArrayTree", AdanState]:
    """One step of the rule on every leaf."""
    t = next_count(state.count)
    sums = weight_sums(t, b1=b1, b2=b2, b3=b3)
    return step_leaves(
        rule, gradients, state, params=params, b1=b1, b2=b2, b3=b3, **sums, t=t, **hyperparameters
    )


def rule(
    g: jax.Array,
    w: jax.Array,
    m: jax.Array,
    v: jax.Array,
    n: jax.Array,
    last: jax.Array,
    *,
    learning_rate: jax.Array,
    b1: jax.Array,
    b2: jax.Array,
    b3: jax.Array,
    eps: jax.Array,
    weight_decay: jax.Array,
    t: jax.Array,
    one_minus_b1_t: jax.Array,
    one_minus_b2_t: jax.Array,
    one_minus_b3_t: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array, jax.Array]:
    """The update and the new states for one array."""
    d = jnp.where(t == 1, 0, g - last)
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * d
    n = b3 * n + (1 - b3) * squared_magnitude(g + b2 * d)
    m_hat = m / one_minus_b1_t
    v_hat = v / one_minus_b2_t
    n_hat = n / one_minus_b3_t
    step = divide(m_hat + b2 * v_hat, squared_root(n_hat) + eps)
    return -learning_rate * (step + weight_decay * w) / (1 + learning_rate * weight_decay), m, v, n, g
