"""AdaBelief: Adam that takes long steps where the gradient is as expected.

m says which gradient is expected. Where gradients keep coming as expected, however large, there is no
reason for short steps; where they surprise, there is. So s averages the squared surprise (g − m)² in
place of g². It costs what Adam costs, two arrays of memory. In the first steps m is small, the surprise
is β₁ g, and steps are about 1/β₁ of Adam's.

    m ← β₁ m + (1 − β₁) g
    s ← β₂ s + (1 − β₂) (g − m)²
    m̂ = m / (1 − β₁ᵗ),  ŝ = s / (1 − β₂ᵗ) + ε / (1 − β₂)
    w ← w − η m̂ / (√ŝ + ε)

with t = 1 at the first step, η = learning_rate, β₁ = b1, β₂ = b2, ε = eps, m₀ = s₀ = 0, and the new m in
g − m; |g − m|² for complex g.

ε stands in both places, as in the paper, which adds it to s at every step. There it gathers to
ε (1 + β₂ + β₂² + …) = ε (1 − β₂ᵗ)/(1 − β₂), and ŝ has ε/(1 − β₂) of it at every t; 1e-8 acts like an ε of
3e-3 in Adam, hence the default 1e-16. Added where it is used it keeps its digits: 1e-16 is below the last
one of a float32 s of 1e-8, and a sum made step by step makes updates wrong by 5e-6 η, against 8e-7 here.
Where β₂ or ε is scheduled, its value at this step stands for all steps, as in 1 − β₂ᵗ.

`optax.adabelief(η, b1, b2, eps, eps_root=eps)` is the same formula. `adabelief_pytorch.AdaBelief` is too
with `rectify=False`; since version 0.1 it rectifies as RAdam does and decouples the decay by default. torch
has none.

Zhuang et al. 2020, AdaBelief Optimizer, arXiv:2010.07468, Algorithm 2.
"""

from typing import TYPE_CHECKING, NamedTuple

import jax

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
    "eps": loguniform(1e-18, 1e-8),
}


class AdaBeliefState(NamedTuple):
    """What AdaBelief remembers."""

    count: jax.Array  # t, the number of updates made; int32, shape ()
    m: "chex.ArrayTree"  # m, the moving average of gradients; as params, ≥ float32
    s: "chex.ArrayTree"  # s, the moving average of (g − m)²; real, as params, ≥ float32


@with_hints
def adabelief(
    learning_rate: Hyperparameter = 0.001,
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-16,
) -> Optimizer:
    """AdaBelief, w ← w − η m̂ / (√ŝ + ε).

    Args:
        learning_rate: η, about the longest step in every coordinate; finite, ≥ 0, or a schedule.
        b1: β₁, what is kept of the average gradient at a step; in [0, 1), or a schedule.
        b2: β₂, what is kept of the average squared surprise at a step; in [0, 1), or a schedule.
        eps: ε, is added to the root, and ε/(1 − β₂) under it; finite, ≥ 0, or a schedule.

    Returns:
        An optax transform that is a pytree of its four hyperparameters. Its state is
        AdaBeliefState(count, m, s).

    Raises:
        TypeError: a hyperparameter is neither a number of shape () nor a schedule.
        ValueError: a hyperparameter is out of its range.

    >>> import jax.numpy as jnp, jaxopt_edu as jo, optax
    >>> opt = jo.adabelief(learning_rate=0.1)
    >>> params = {"w": jnp.array([1.0, -2.0])}
    >>> state = opt.init(params)
    >>> for _ in range(2):
    ...     gradients = params  # of f(w) = ½‖w‖²
    ...     updates, state = opt.update(gradients, state, params)
    ...     params = optax.apply_updates(params, updates)
    >>> [round(float(w), 4) for w in params["w"]]
    [0.7727, -1.7723]

    References:
        Zhuang et al., AdaBelief Optimizer, 2020, arXiv:2010.07468.
    """
    return build(
        adabelief,
        AdaBeliefState,
        init,
        update,
        LIMITS,
        learning_rate=learning_rate,
        b1=b1,
        b2=b2,
        eps=eps,
    )


def init(params: "chex.ArrayTree") -> AdaBeliefState:
    """Before the first step: no gradient seen."""
    return AdaBeliefState(
        count=first_count(params),
        m=zeros_like(params),
        s=zeros_like(params, real=True),
    )


def update(
    gradients: "chex.ArrayTree",
    state: AdaBeliefState,
    *,
    b1: ValueInForce,
    b2: ValueInForce,
    **hyperparameters: ValueInForce,
) -> tuple["chex.ArrayTree", AdaBeliefState]:
    """One step of the rule on every leaf."""
    sums = weight_sums(next_count(state.count), b1=b1, b2=b2)
    return step_leaves(rule, gradients, state, b1=b1, b2=b2, **sums, **hyperparameters)


def rule(
    g: jax.Array,
    m: jax.Array,
    s: jax.Array,
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
    s = b2 * s + (1 - b2) * squared_magnitude(g - m)
    m_hat = m / one_minus_b1_t
    s_hat = s / one_minus_b2_t + eps / (1 - b2)
    return -learning_rate * divide(m_hat, squared_root(s_hat) + eps), m, s
