"""LAMB: AdamW's step, made as long as its layer's weights are.

With a large batch there are few steps, and they have to be long. One η for all layers then breaks those
whose weights are small, in which a step of Adam's is large. Here every array of parameters, a layer's
kernel or bias, moves by η times its own norm, in AdamW's direction. It costs AdamW's two arrays of memory,
and two norms of each array.

    m ← β₁ m + (1 − β₁) g
    v ← β₂ v + (1 − β₂) g²
    m̂ = m / (1 − β₁ᵗ),  v̂ = v / (1 − β₂ᵗ)
    u = m̂ / (√v̂ + ε) + λ w
    w ← w − η φ u,  φ = ‖w‖ / ‖u‖, or 1 where one of the norms is 0

with t = 1 at the first step, η = learning_rate, β₁ = b1, β₂ = b2, ε = eps, λ = weight_decay, m₀ = v₀ = 0;
‖·‖ is over one array; w on the right is the old parameter; |g|² for complex g.

`optax.lamb(η, b1, b2, eps, weight_decay=λ)` is the same; its default λ is 0. `pytorch_optimizer.Lamb` divides
the whole step by 1 − β₁ᵗ, so that first steps are longer than η‖w‖, takes at most 10 for ‖w‖, and clips the
norm of all gradients to 1; torch has none. Later editions of the paper leave the bias corrections out.
Biases and norms are usually given to another optimizer, with `partition`. As its rule looks at whole
arrays, `packed` refuses it.

You et al. 2019, Large Batch Optimization for Deep Learning: Training BERT in 76 minutes, arXiv:1904.00962,
Algorithm 2.
"""

from typing import TYPE_CHECKING, NamedTuple

import jax

from jaxopt_edu.core.checks import FRACTION, NON_NEGATIVE, Limit
from jaxopt_edu.core.distributions import Distribution, loguniform, one_minus
from jaxopt_edu.core.hints import with_hints
from jaxopt_edu.core.numerics import divide, squared_magnitude, squared_root
from jaxopt_edu.core.reductions import norm, ratio_or_one
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
    "weight_decay": NON_NEGATIVE,
}
SPACE: dict[str, Distribution] = {
    "learning_rate": loguniform(1e-4, 0.1),
    "b1": one_minus(loguniform(1e-2, 1.0)),
    "b2": one_minus(loguniform(1e-4, 0.1)),
    "weight_decay": loguniform(1e-4, 1.0),
}


class LambState(NamedTuple):
    """What LAMB remembers."""

    count: jax.Array  # t, the number of updates made; int32, shape ()
    m: "chex.ArrayTree"  # m, the moving average of gradients; as params, ≥ float32
    v: "chex.ArrayTree"  # v, the moving average of squared gradients; real, as params, ≥ float32


@with_hints
def lamb(
    learning_rate: Hyperparameter = 0.001,
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-6,
    weight_decay: Hyperparameter = 0.01,
) -> Optimizer:
    """LAMB, w ← w − η (‖w‖ / ‖u‖) u with u = m̂ / (√v̂ + ε) + λ w.

    Args:
        learning_rate: η, by which share of its norm an array moves; finite, ≥ 0, or a schedule.
        b1: β₁, what is kept of the average gradient at a step; in [0, 1), or a schedule.
        b2: β₂, what is kept of the average squared gradient at a step; in [0, 1), or a schedule.
        eps: ε, keeps the division finite where no gradient was seen; finite, ≥ 0, or a schedule.
        weight_decay: λ, how much of w is in the direction of the step; finite, ≥ 0, or a schedule.

    Returns:
        An optax transform that is a pytree of its five hyperparameters. Its state is
        LambState(count, m, v). Its update needs the parameters.

    Raises:
        TypeError: a hyperparameter is neither a number of shape () nor a schedule.
        ValueError: a hyperparameter is out of its range.

    >>> import jax.numpy as jnp, jaxopt_edu as jo, optax
    >>> opt = jo.lamb(learning_rate=0.1, weight_decay=0.0)
    >>> params = {"w": jnp.array([3.0, -4.0])}
    >>> updates, state = opt.update(params, opt.init(params), params)  # the gradient of ½‖w‖²
    >>> [round(float(u), 4) for u in updates["w"]]  # 0.1 · 5 in all, equally far in both coordinates
    [-0.3536, 0.3536]

    References:
        You et al., Large Batch Optimization for Deep Learning: Training BERT in 76 minutes, 2019,
        arXiv:1904.00962.
    """
    return build(
        lamb,
        LambState,
        init,
        update,
        LIMITS,
        learning_rate=learning_rate,
        b1=b1,
        b2=b2,
        eps=eps,
        weight_decay=weight_decay,
    )


def init(params: "chex.ArrayTree") -> LambState:
    """Before the first step: no gradient seen."""
    return LambState(count=first_count(params), m=zeros_like(params), v=zeros_like(params, real=True))


def update(
    gradients: "chex.ArrayTree",
    state: LambState,
    params: "chex.ArrayTree",
    *,
    b1: ValueInForce,
    b2: ValueInForce,
    **hyperparameters: ValueInForce,
) -> tuple["chex.ArrayTree", LambState]:
    """One step of the rule on every leaf."""
    sums = weight_sums(next_count(state.count), b1=b1, b2=b2)
    return step_leaves(rule, gradients, state, params=params, b1=b1, b2=b2, **sums, **hyperparameters)


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
    one_minus_b1_t: jax.Array,
    one_minus_b2_t: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The update and the new states for one array."""
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * squared_magnitude(g)
    m_hat = m / one_minus_b1_t
    v_hat = v / one_minus_b2_t
    u = divide(m_hat, squared_root(v_hat) + eps) + weight_decay * w
    return -learning_rate * ratio_or_one(norm(w), norm(u)) * u, m, v
