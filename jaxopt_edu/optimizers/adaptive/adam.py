"""Adam: momentum's direction, RMSProp's step length, and an honest start.

m is a moving average of gradients (where to), v one of their squares (how far, coordinate by
coordinate). Both start at 0 and would be too small for the first 1/(1−β) steps, so each is divided by
the sum of the weights it has gathered, 1 − βᵗ. Each coordinate then moves by at most about η a step. It
costs two arrays of memory; it depends on the axes (rotate them and the path changes), and there are
convex problems on which it does not converge (Reddi et al. 2018, arXiv:1904.09237).

    m ← β₁ m + (1 − β₁) g
    v ← β₂ v + (1 − β₂) g²
    m̂ = m / (1 − β₁ᵗ),  v̂ = v / (1 − β₂ᵗ)
    w ← w − η m̂ / (√v̂ + ε)

with t = 1 at the first step, η = learning_rate, β₁ = b1, β₂ = b2, ε = eps, m₀ = v₀ = 0; |g|² for
complex g. A scheduled β enters 1 − βᵗ with its value at this step.

`optax.adam(η, b1, b2, eps)` and `torch.optim.Adam(lr, betas, eps)` are the same formula, ε added to
√v̂. They lose digits where this page does not: optax in 1 − βᵗ, and torch in weights β and 1 − β that
do not add up to 1 once rounded to float32. With bfloat16 parameters `optax.inject_hyperparams` rounds
b2 = 0.999 to 1; here no harm comes of it (v̂ becomes the plain mean), but the wrapper is not needed:
the optimizer is data already, `replace(opt, learning_rate=…)` or pass it to the compiled function.

Kingma & Ba 2015, Adam: A Method for Stochastic Optimization, arXiv:1412.6980, Algorithm 1.
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
}


class AdamState(NamedTuple):
    """What Adam remembers."""

    count: jax.Array  # t, the number of updates made; int32, shape ()
    m: "chex.ArrayTree"  # m, the moving average of gradients; as params, ≥ float32
    v: "chex.ArrayTree"  # v, the moving average of squared gradients; real, as params, ≥ float32


@with_hints
def adam(
    learning_rate: Hyperparameter = 0.001,
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-8,
) -> Optimizer:
    """Adam, w ← w − η m̂ / (√v̂ + ε).

    Args:
        learning_rate: η, about the longest step in every coordinate; finite, ≥ 0, or a schedule.
        b1: β₁, what is kept of the average gradient at a step; in [0, 1), or a schedule.
        b2: β₂, what is kept of the average squared gradient at a step; in [0, 1), or a schedule.
        eps: ε, keeps the division finite where no gradient was seen; finite, ≥ 0, or a schedule.

    Returns:
        An optax transform that is a pytree of its four hyperparameters. Its state is AdamState(count, m, v).

    Raises:
        TypeError: a hyperparameter is neither a number of shape () nor a schedule.
        ValueError: a hyperparameter is out of its range.

    >>> import jax.numpy as jnp, jaxopt_edu as jo, optax
    >>> opt = jo.adam(learning_rate=0.1)
    >>> params = {"w": jnp.array([1.0, -2.0])}
    >>> state = opt.init(params)
    >>> for _ in range(2):
    ...     gradients = params  # of f(w) = ½‖w‖²
    ...     updates, state = opt.update(gradients, state, params)
    ...     params = optax.apply_updates(params, updates)
    >>> [round(float(w), 4) for w in params["w"]]
    [0.8004, -1.8002]

    References:
        Kingma & Ba, Adam: A Method for Stochastic Optimization, 2015, arXiv:1412.6980.
    """
    return build(adam, AdamState, init, update, LIMITS, learning_rate=learning_rate, b1=b1, b2=b2, eps=eps)


def init(params: "chex.ArrayTree") -> AdamState:
    """Before the first step: no gradient seen."""
    return AdamState(count=first_count(params), m=zeros_like(params), v=zeros_like(params, real=True))


def update(
    gradients: "chex.ArrayTree",
    state: AdamState,
    *,
    b1: ValueInForce,
    b2: ValueInForce,
    **hyperparameters: ValueInForce,
) -> tuple["chex.ArrayTree", AdamState]:
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
    """The update and the two new averages for one array."""
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * squared_magnitude(g)
    m_hat = m / one_minus_b1_t
    v_hat = v / one_minus_b2_t
    return -learning_rate * divide(m_hat, squared_root(v_hat) + eps), m, v
