"""AdEMAMix: AdamW with a second average of gradients, that remembers ten thousand steps.

One average cannot both follow the newest gradient and remember old ones. Here the step is a sum of two:
m₁ as in Adam, and α times m₂, whose β₃ is so close to 1 that gradients count for ten thousands of steps.
Long runs end lower, and forget more slowly what they have learned. It costs a third array of memory, and a
short run gets nothing of it. As m₂ starts at 0 and is not corrected, it comes in by itself.

    m₁ ← β₁ m₁ + (1 − β₁) g
    m₂ ← β₃ m₂ + (1 − β₃) g
    v ← β₂ v + (1 − β₂) g²
    m̂₁ = m₁ / (1 − β₁ᵗ),  v̂ = v / (1 − β₂ᵗ)
    w ← w − η ((m̂₁ + α m₂) / (√v̂ + ε) + λ w)

with t = 1 at the first step, η = learning_rate, β₁ = b1, β₂ = b2, β₃ = b3, α = alpha, ε = eps,
λ = weight_decay, m₀ = v₀ = 0; w on the right is the old parameter; |g|² for complex g.

`optax.contrib.ademamix(η, b1, b2, b3, alpha, eps, weight_decay=λ)`, `pytorch_optimizer.AdEMAMix` and the
authors' code are the same while α and β₃ are numbers; the authors' default α is 2, ours the 5 of the
others. The paper lets α and β₃ grow during the first T steps, which large α need: here both may be
schedules, as `alpha=schedules.warmup(peak=5.0, steps=10_000)`. The authors' code reads them at t, ours and
optax's at t − 1. torch has none. In float32 a β₃ of 0.9999 is 0.99990004, so m₂ is 4e-4 smaller than
written; no correction divides that away.

Pagliardini et al. 2024, The AdEMAMix Optimizer: Better, Faster, Older, arXiv:2409.03137, Algorithm 1.
"""

from typing import TYPE_CHECKING, NamedTuple

import jax

from jaxopt_edu.core.checks import FRACTION, NON_NEGATIVE, Limit
from jaxopt_edu.core.distributions import Distribution, loguniform, one_minus, uniform
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
    "alpha": NON_NEGATIVE,
    "eps": NON_NEGATIVE,
    "weight_decay": NON_NEGATIVE,
}
SPACE: dict[str, Distribution] = {
    "learning_rate": loguniform(1e-4, 0.1),
    "b1": one_minus(loguniform(1e-2, 1.0)),
    "b2": one_minus(loguniform(1e-4, 0.1)),
    "b3": one_minus(loguniform(1e-5, 1e-2)),
    "alpha": uniform(0.0, 10.0),
    "weight_decay": loguniform(1e-4, 1.0),
}


class AdemamixState(NamedTuple):
    """What AdEMAMix remembers."""

    count: jax.Array  # t, the number of updates made; int32, shape ()
    m1: "chex.ArrayTree"  # m₁, the moving average of gradients; as params, ≥ float32
    m2: "chex.ArrayTree"  # m₂, the same with a longer memory; as params, ≥ float32
    v: "chex.ArrayTree"  # v, the moving average of squared gradients; real, as params, ≥ float32


@with_hints
def ademamix(
    learning_rate: Hyperparameter = 0.001,
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    b3: Hyperparameter = 0.9999,
    alpha: Hyperparameter = 5.0,
    eps: Hyperparameter = 1e-8,
    weight_decay: Hyperparameter = 0.01,
) -> Optimizer:
    """AdEMAMix, w ← w − η ((m̂₁ + α m₂) / (√v̂ + ε) + λ w).

    Args:
        learning_rate: η, about the longest step of m̂₁ in every coordinate; finite, ≥ 0, or a schedule.
        b1: β₁, what is kept of the average gradient m₁ at a step; in [0, 1), or a schedule.
        b2: β₂, what is kept of the average squared gradient at a step; in [0, 1), or a schedule.
        b3: β₃, what is kept of the long average m₂ at a step; in [0, 1), or a schedule.
        alpha: α, how much m₂ counts beside m̂₁; finite, ≥ 0, or a schedule.
        eps: ε, keeps the division finite where no gradient was seen; finite, ≥ 0, or a schedule.
        weight_decay: λ, of which ηλ is the share that a step takes away; finite, ≥ 0, or a schedule.

    Returns:
        An optax transform that is a pytree of its seven hyperparameters. Its state is
        AdemamixState(count, m1, m2, v). Its update needs the parameters.

    Raises:
        TypeError: a hyperparameter is neither a number of shape () nor a schedule.
        ValueError: a hyperparameter is out of its range.

    >>> import jax.numpy as jnp, jaxopt_edu as jo, optax
    >>> opt = jo.ademamix(learning_rate=0.1)
    >>> params = {"w": jnp.array([1.0, -2.0])}
    >>> state = opt.init(params)
    >>> for _ in range(2):
    ...     gradients = params  # of f(w) = ½‖w‖²
    ...     updates, state = opt.update(gradients, state, params)
    ...     params = optax.apply_updates(params, updates)
    >>> [round(float(w), 4) for w in params["w"]]
    [0.7984, -1.7961]

    References:
        Pagliardini et al., The AdEMAMix Optimizer: Better, Faster, Older, 2024, arXiv:2409.03137.
    """
    return build(
        ademamix,
        AdemamixState,
        init,
        update,
        LIMITS,
        learning_rate=learning_rate,
        b1=b1,
        b2=b2,
        b3=b3,
        alpha=alpha,
        eps=eps,
        weight_decay=weight_decay,
    )


def init(params: "chex.ArrayTree") -> AdemamixState:
    """Before the first step: no gradient seen."""
    return AdemamixState(
        count=first_count(params),
        m1=zeros_like(params),
        m2=zeros_like(params),
        v=zeros_like(params, real=True),
    )


def update(
    gradients: "chex.ArrayTree",
    state: AdemamixState,
    params: "chex.ArrayTree",
    *,
    b1: ValueInForce,
    b2: ValueInForce,
    **hyperparameters: ValueInForce,
) -> tuple["chex.ArrayTree", AdemamixState]:
    """One step of the rule on every leaf."""
    sums = weight_sums(next_count(state.count), b1=b1, b2=b2)
    return step_leaves(rule, gradients, state, params=params, b1=b1, b2=b2, **sums, **hyperparameters)


def rule(
    g: jax.Array,
    w: jax.Array,
    m1: jax.Array,
    m2: jax.Array,
    v: jax.Array,
    *,
    learning_rate: jax.Array,
    b1: jax.Array,
    b2: jax.Array,
    b3: jax.Array,
    alpha: jax.Array,
    eps: jax.Array,
    weight_decay: jax.Array,
    one_minus_b1_t: jax.Array,
    one_minus_b2_t: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """The update and the new states for one array."""
    m1 = b1 * m1 + (1 - b1) * g
    m2 = b3 * m2 + (1 - b3) * g
    v = b2 * v + (1 - b2) * squared_magnitude(g)
    m1_hat = m1 / one_minus_b1_t
    v_hat = v / one_minus_b2_t
    step = divide(m1_hat + alpha * m2, squared_root(v_hat) + eps)
    return -learning_rate * (step + weight_decay * w), m1, m2, v
