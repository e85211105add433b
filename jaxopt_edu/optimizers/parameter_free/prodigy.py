"""Prodigy: Adam that finds its learning rate, from how far the gradients say the solution is.

For a convex loss ⟨g, w₀ − w⟩ summed over all steps is at most the distance D to the solution times the size
of the summed gradients, so the quotient of the two is a guess of D from below. Adam moves by about its
rate in every coordinate, and the right rate is about D in the largest coordinate. So d, the largest guess so
far, is the rate; sums that forget at √β₂, and gradients that are weighted by d, let it rise fast.

    r ← √β₂ r + (d / d₀) d η ⟨g, w₀ − w⟩
    s ← √β₂ s + (d / d₀) d η g
    d₊ = max(d, κ r / ‖s‖₁)
    m ← β₁ m + (1 − β₁) d g
    v ← β₂ v + (1 − β₂) d² g²
    w ← w − d η (m / (√v + d₊ ε) + λ w)
    d ← d₊

with η = learning_rate (1, or a schedule that starts there), β₁ = b1, β₂ = b2, ε = eps, d₀ = d0, κ = d_coef,
λ = weight_decay, r₀ = s₀ = m₀ = v₀ = 0, and d = d₀ at first; w₀ is what `init` was given, and w on the right
is the old parameter. ⟨·, ·⟩ and ‖·‖₁ are over all parameters; |g|² and the real part of ⟨·, ·⟩ for complex g.

What it repairs: the search for Adam's rate. What it costs: four arrays of memory, two more than Adam, and two
sums over all parameters of which the second comes before any of them can move. κ is what there is to tune,
between 0.5 and 2; d₀ only has to be too small. d never falls: a schedule η does that.

The official `prodigyopt.Prodigy(lr, (b1, b2), eps=eps, weight_decay=λ, d0=d0, d_coef=κ)` is the same formula.
`optax.contrib.prodigy(η, …)` always multiplies η by √(1 − β₂ᵗ) / (1 − β₁ᵗ), as the official code does with
use_bias_correction=True: its first step is d η long, and 3 d η here. It keeps r and d in the parameters'
lowest dtype, where bfloat16's d rises by jumps of 1/256. Where all gradients were 0 d stays, and a decay goes
on. `half_state` refuses it, since bfloat16 would round w₀, and `packed`, since its rule looks at all
parameters.

Mishchenko & Defazio 2023, Prodigy: An Expeditiously Adaptive Parameter-Free Learner, arXiv:2306.06101,
Algorithm 4.
"""

from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_edu.core.checks import FRACTION, NON_NEGATIVE, Limit
from jaxopt_edu.core.distributions import Distribution, loguniform, one_minus
from jaxopt_edu.core.hints import with_hints
from jaxopt_edu.core.numerics import divide, magnitude, squared_magnitude, squared_root
from jaxopt_edu.core.reductions import product, tree_sum, tree_zero
from jaxopt_edu.core.transform import Hyperparameter, Optimizer, build
from jaxopt_edu.core.trees import ValueInForce, copies, first_count, map_rule, next_count, zeros_like

if TYPE_CHECKING:
    import chex

LIMITS: dict[str, Limit] = {
    "learning_rate": NON_NEGATIVE,
    "b1": FRACTION,
    "b2": FRACTION,
    "eps": NON_NEGATIVE,
    "d0": NON_NEGATIVE,
    "d_coef": NON_NEGATIVE,
    "weight_decay": NON_NEGATIVE,
}
SPACE: dict[str, Distribution] = {
    "b1": one_minus(loguniform(1e-2, 1.0)),
    "b2": one_minus(loguniform(1e-4, 0.1)),
    "d_coef": loguniform(0.1, 10.0),
    "weight_decay": loguniform(1e-4, 1.0),
}


class ProdigyState(NamedTuple):
    """What Prodigy remembers."""

    count: jax.Array  # t, the number of updates made; int32, shape ()
    m: "chex.ArrayTree"  # m, the moving average of gradients times d; as params, ≥ float32
    v: "chex.ArrayTree"  # v, that of their squares; real, as params, ≥ float32
    s: "chex.ArrayTree"  # s, the weighted sum of gradients; as params, ≥ float32
    first: "chex.ArrayTree"  # w₀, where the parameters started; as params, ≥ float32
    r: jax.Array  # r, the weighted sum of ⟨g, w₀ − w⟩; ≥ float32, shape ()
    d: jax.Array  # d, the distance found so far; 0 before the first step, for d₀; ≥ float32, shape ()


@with_hints
def prodigy(
    learning_rate: Hyperparameter = 1.0,
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-8,
    d0: Hyperparameter = 1e-6,
    d_coef: Hyperparameter = 1.0,
    weight_decay: Hyperparameter = 0.0,
) -> Optimizer:
    """Prodigy, w ← w − d η m / √v with a distance d to the solution that it finds itself.

    Args:
        learning_rate: η, times the rate that it finds; 1, or a schedule from 1; finite, ≥ 0, or a schedule.
        b1: β₁, what is kept of the average gradient at a step; in [0, 1), or a schedule.
        b2: β₂, what is kept of the average squared gradient at a step; in [0, 1), or a schedule.
        eps: ε, keeps the division finite where no gradient was seen; finite, ≥ 0, or a schedule.
        d0: d₀, the distance to begin with, which has to be small; with 0 nothing ever moves; finite, ≥ 0, or
            a schedule.
        d_coef: κ, times the distance that it finds; finite, ≥ 0, or a schedule.
        weight_decay: λ, times d η the share of a parameter that decays at a step; finite, ≥ 0, or a schedule.

    Returns:
        An optax transform that is a pytree of its seven hyperparameters. Its state is
        ProdigyState(count, m, v, s, first, r, d). Its update needs the parameters, and its init their
        numbers.

    Raises:
        TypeError: a hyperparameter is neither a number of shape () nor a schedule.
        ValueError: a hyperparameter is out of its range.

    >>> import jax.numpy as jnp, jaxopt_edu as jo, optax
    >>> opt, params = jo.prodigy(), {"w": jnp.array([3.0, -4.0])}
    >>> state = opt.init(params)
    >>> for _ in range(60):
    ...     updates, state = opt.update(params, state, params)  # the gradient of ½‖w‖²
    ...     params = optax.apply_updates(params, updates)
    >>> 0.1 < float(state.d) < 4.0  # from 1e-6, without a rate
    True

    References:
        Mishchenko & Defazio, Prodigy: An Expeditiously Adaptive Parameter-Free Learner, 2023,
        arXiv:2306.06101.
    """
    return build(
        prodigy,
        ProdigyState,
        init,
        update,
        LIMITS,
        traits=("measures_from_the_start",),
        learning_rate=learning_rate,
        b1=b1,
        b2=b2,
        eps=eps,
        d0=d0,
        d_coef=d_coef,
        weight_decay=weight_decay,
    )


def init(params: "chex.ArrayTree") -> ProdigyState:
    """At the start: no gradient seen, and no distance found."""
    return ProdigyState(
        count=first_count(params),
        m=zeros_like(params),
        v=zeros_like(params, real=True),
        s=zeros_like(params),
        first=copies("prodigy", params),
        r=tree_zero(params),
        d=tree_zero(params),
    )


def update(
    gradients: "chex.ArrayTree",
    state: ProdigyState,
    params: "chex.ArrayTree",
    *,
    learning_rate: ValueInForce,
    b2: ValueInForce,
    d0: ValueInForce,
    d_coef: ValueInForce,
    **hyperparameters: ValueInForce,
) -> tuple["chex.ArrayTree", ProdigyState]:
    """The distance from the whole tree, and one step of the rule on every leaf."""
    dtype = state.d.dtype
    # It is d₀ until it has grown.
    d = jnp.maximum(state.d, d0.astype(dtype))
    weight = divide(d, d0.astype(dtype)) * d * learning_rate.astype(dtype)
    ahead = tree_sum(towards_start, state.first, params, gradients)
    r = squared_root(b2.astype(dtype)) * state.r + weight * ahead
    _, s = map_rule(weighted_sum, gradients, state.s, b2=b2, weight=weight)
    d_next = jnp.maximum(d, d_coef.astype(dtype) * divide(r, tree_sum(magnitude, s)))
    updates, m, v = map_rule(
        rule,
        gradients,
        state.m,
        state.v,
        params=params,
        learning_rate=learning_rate,
        b2=b2,
        d=d,
        d_next=d_next,
        **hyperparameters,
    )
    return updates, ProdigyState(next_count(state.count), m, v, s, state.first, r, d_next)


def rule(
    g: jax.Array,
    w: jax.Array,
    m: jax.Array,
    v: jax.Array,
    *,
    learning_rate: jax.Array,
    b1: jax.Array,
    b2: jax.Array,
    eps: jax.Array,
    weight_decay: jax.Array,
    d: jax.Array,
    d_next: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The update and the new states for one array."""
    m = b1 * m + (1 - b1) * (d * g)
    v = b2 * v + (1 - b2) * squared_magnitude(d * g)
    u = divide(m, squared_root(v) + d_next * eps)
    return -d * learning_rate * (u + weight_decay * w), m, v


def weighted_sum(
    g: jax.Array, s: jax.Array, *, b2: jax.Array, weight: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The new s for one array, for an update too, which nobody reads."""
    s = squared_root(b2) * s + weight * g
    return s, s


def towards_start(first: jax.Array, w: jax.Array, g: jax.Array) -> jax.Array:
    """What ⟨g, w₀ − w⟩ sums up in one array."""
    return product(g.astype(first.dtype), first - w)
