"""AdamW: Adam, and a decay of the weights that Adam's division does not touch.

A penalty ½λ‖w‖² adds λw to the gradient, and Adam divides it by √v̂ like everything else: parameters with
large gradients are hardly decayed, and λ must be tuned anew for each η. Here the decay is apart from the
gradient: every step takes the share ηλ of the parameter away, whatever the gradients are. It costs
nothing more than Adam: two arrays of memory.

    m ← β₁ m + (1 − β₁) g
    v ← β₂ v + (1 − β₂) g²
    m̂ = m / (1 − β₁ᵗ),  v̂ = v / (1 − β₂ᵗ)
    w ← w − η (m̂ / (√v̂ + ε) + λ w)

with t = 1 at the first step, η = learning_rate, β₁ = b1, β₂ = b2, ε = eps, λ = weight_decay, m₀ = v₀ = 0;
w on the right is the old parameter; |g|² for complex g.

`torch.optim.AdamW(lr, betas, eps, weight_decay)` and `optax.adamw(η, b1, b2, eps, weight_decay=λ)` are
the same formula; optax's default λ is 1e-4, torch's and ours 1e-2. The paper multiplies λ by the schedule
alone, not by η: its λ is our ηλ. All parameters are decayed, biases and norms too, as in torch and optax
by default: `weight_decay=where(["*/bias", "*/scale"], 0.0, otherwise=0.01)` leaves those out.

Loshchilov & Hutter 2019, Decoupled Weight Decay Regularization, arXiv:1711.05101, Algorithm 2.
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
    "weight_decay": NON_NEGATIVE,
}
SPACE: dict[str, Distribution] = {
    "learning_rate": loguniform(1e-4, 0.1),
    "b1": one_minus(loguniform(1e-2, 1.0)),
    "b2": one_minus(loguniform(1e-4, 0.1)),
    "weight_decay": loguniform(1e-4, 1.0),
}


class AdamWState(NamedTuple):
    """What AdamW remembers."""

    count: jax.Array  # t, the number of updates made; int32, shape ()
    m: "chex.ArrayTree"  # m, the moving average of gradients; as params, ≥ float32
    v: "chex.ArrayTree"  # v, the moving average of squared gradients; real, as params, ≥ float32


@with_hints
def adamw(
    learning_rate: Hyperparameter = 0.001,
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-8,
    weight_decay: Hyperparameter = 0.01,
) -> Optimizer:
    """Adam with decoupled weight decay, w ← w − η (m̂ / (√v̂ + ε) + λ w).

    Args:
        learning_rate: η, about the longest step in every coordinate; finite, ≥ 0, or a schedule.
        b1: β₁, what is kept of the average gradient at a step; in [0, 1), or a schedule.
        b2: β₂, what is kept of the average squared gradient at a step; in [0, 1), or a schedule.
        eps: ε, keeps the division finite where no gradient was seen; finite, ≥ 0, or a schedule.
        weight_decay: λ, of which ηλ is the share that a step takes away; finite, ≥ 0, or a schedule.

    Returns:
        An optax transform that is a pytree of its five hyperparameters. Its state is
        AdamWState(count, m, v). Its update needs the parameters.

    Raises:
        TypeError: a hyperparameter is neither a number of shape () nor a schedule.
        ValueError: a hyperparameter is out of its range.

    >>> import jax.numpy as jnp, jaxopt_edu as jo, optax
    >>> opt = jo.adamw(learning_rate=0.1)
    >>> params = {"w": jnp.array([1.0, -2.0])}
    >>> state = opt.init(params)
    >>> for _ in range(2):
    ...     gradients = params  # of f(w) = ½‖w‖²
    ...     updates, state = opt.update(gradients, state, params)
    ...     params = optax.apply_updates(params, updates)
    >>> [round(float(w), 4) for w in params["w"]]
    [0.7985, -1.7963]

    References:
        Loshchilov & Hutter, Decoupled Weight Decay Regularization, 2019, arXiv:1711.05101.
    """
    return build(
        adamw,
        AdamWState,
        init,
        update,
        LIMITS,
        learning_rate=learning_rate,
        b1=b1,
        b2=b2,
        eps=eps,
        weight_decay=weight_decay,
    )


def init(params: "chex.ArrayTree") -> AdamWState:
    """Before the first step: no gradient seen."""
    return AdamWState(
        count=first_count(params),
        m=zeros_like(params),
        v=zeros_like(params, real=True),
    )


def update(
    gradients: "chex.ArrayTree",
    state: AdamWState,
    params: "chex.ArrayTree",
    *,
    b1: ValueInForce,
    b2: ValueInForce,
    **hyperparameters: ValueInForce,
) -> tuple["chex.ArrayTree", AdamWState]:
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
    return -learning_rate * (divide(m_hat, squared_root(v_hat) + eps) + weight_decay * w), m, v
