"""Nadam: Adam with Nesterov's look ahead.

Nesterov's momentum goes where the velocity will have taken it, and measures the gradient there. Seen from
that point the step is β₁ times the new average plus 1 − β₁ times the gradient just met: the newest
gradient counts twice. Here Adam's m̂ is replaced by that sum, each part divided by the weights that it
has gathered. It costs what Adam costs, two arrays of memory.

    m ← β₁ m + (1 − β₁) g
    v ← β₂ v + (1 − β₂) g²
    m̄ = β₁ m / (1 − β₁ᵗ⁺¹) + (1 − β₁) g / (1 − β₁ᵗ),  v̂ = v / (1 − β₂ᵗ)
    w ← w − η m̄ / (√v̂ + ε)

with t = 1 at the first step, η = learning_rate, β₁ = b1, β₂ = b2, ε = eps, m₀ = v₀ = 0; |g|² for complex
g.

`optax.nadam(η, b1, b2, eps)` is the same. `torch.optim.NAdam` lets β₁ grow from about β₁/2 by a schedule
of the paper's (`momentum_decay`, which 0 does not switch off); with `momentum_decay=1e9` it is this
formula, but for a product of β₁ that it keeps in float32. The paper's Algorithm 2 multiplies v̂ by β₂
once more, and nobody does.

Dozat 2016, Incorporating Nesterov Momentum into Adam, ICLR Workshop.
"""

from typing import TYPE_CHECKING, NamedTuple

import jax

from jaxopt_edu.core.checks import FRACTION, NON_NEGATIVE, Limit
from jaxopt_edu.core.distributions import Distribution, loguniform, one_minus
from jaxopt_edu.core.hints import with_hints
from jaxopt_edu.core.numerics import divide, squared_magnitude, squared_root
from jaxopt_edu.core.stepping import step_leaves, weight_sums
from jaxopt_edu.core.transform import Hyperparameter, Optimizer, build
from jaxopt_edu.core.trees import ValueInForce, WeightSum, first_count, next_count, zeros_like

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


class NadamState(NamedTuple):
    """What Nadam remembers."""

    count: jax.Array  # t, the number of updates made; int32, shape ()
    m: "chex.ArrayTree"  # m, the moving average of gradients; as params, ≥ float32
    v: "chex.ArrayTree"  # v, the moving average of squared gradients; real, as params, ≥ float32


@with_hints
def nadam(
    learning_rate: Hyperparameter = 0.002,
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-8,
) -> Optimizer:
    """Nadam, w ← w − η m̄ / (√v̂ + ε).

    Args:
        learning_rate: η, about the longest step in every coordinate; finite, ≥ 0, or a schedule.
        b1: β₁, what is kept of the average gradient at a step; in [0, 1), or a schedule.
        b2: β₂, what is kept of the average squared gradient at a step; in [0, 1), or a schedule.
        eps: ε, keeps the division finite where no gradient was seen; finite, ≥ 0, or a schedule.

    Returns:
        An optax transform that is a pytree of its four hyperparameters. Its state is
        NadamState(count, m, v).

    Raises:
        TypeError: a hyperparameter is neither a number of shape () nor a schedule.
        ValueError: a hyperparameter is out of its range.

    >>> import jax.numpy as jnp, jaxopt_edu as jo, optax
    >>> opt = jo.nadam(learning_rate=0.1)
    >>> params = {"w": jnp.array([1.0, -2.0])}
    >>> state = opt.init(params)
    >>> for _ in range(2):
    ...     gradients = params  # of f(w) = ½‖w‖²
    ...     updates, state = opt.update(gradients, state, params)
    ...     params = optax.apply_updates(params, updates)
    >>> [round(float(w), 4) for w in params["w"]]
    [0.7417, -1.7391]

    References:
        Dozat, Incorporating Nesterov Momentum into Adam, ICLR Workshop 2016.
    """
    return build(
        nadam,
        NadamState,
        init,
        update,
        LIMITS,
        learning_rate=learning_rate,
        b1=b1,
        b2=b2,
        eps=eps,
    )


def init(params: "chex.ArrayTree") -> NadamState:
    """Before the first step: no gradient seen."""
    return NadamState(
        count=first_count(params),
        m=zeros_like(params),
        v=zeros_like(params, real=True),
    )


def update(
    gradients: "chex.ArrayTree",
    state: NadamState,
    *,
    b1: ValueInForce,
    b2: ValueInForce,
    **hyperparameters: ValueInForce,
) -> tuple["chex.ArrayTree", NadamState]:
    """One step of the rule on every leaf."""
    t = next_count(state.count)
    sums = weight_sums(t, b1=b1, b2=b2)
    return step_leaves(
        rule,
        gradients,
        state,
        b1=b1,
        b2=b2,
        **sums,
        one_minus_b1_t_plus_1=WeightSum(b1, next_count(t)),
        **hyperparameters,
    )


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
    one_minus_b1_t_plus_1: jax.Array,
    one_minus_b2_t: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The update and the new states for one array."""
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * squared_magnitude(g)
    m_bar = b1 * m / one_minus_b1_t_plus_1 + (1 - b1) * g / one_minus_b1_t
    v_hat = v / one_minus_b2_t
    return -learning_rate * divide(m_bar, squared_root(v_hat) + eps), m, v
