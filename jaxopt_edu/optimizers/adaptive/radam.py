"""RAdam: Adam with a start that knows how little it knows.

v̂ of the first few gradients is a poor guess of their size, and dividing by it makes first steps at
random; a warm-up hides that. RAdam counts how many gradients v̂ is worth, ρ, and shortens the step by r,
the ratio of v̂'s reliability to what it will be in the end. While ρ ≤ 5 the guess is worth nothing: the
step is plain momentum. It costs what Adam costs, two arrays of memory.

    m ← β₁ m + (1 − β₁) g
    v ← β₂ v + (1 − β₂) g²
    m̂ = m / (1 − β₁ᵗ),  v̂ = v / (1 − β₂ᵗ)
    ρ∞ = 2/(1 − β₂) − 1,  ρ = ρ∞ − 2 t β₂ᵗ / (1 − β₂ᵗ)
    r = √((ρ − 4)(ρ − 2) ρ∞ / ((ρ∞ − 4)(ρ∞ − 2) ρ))
    w ← w − η r m̂ / (√v̂ + ε)   if ρ > 5, else  w ← w − η m̂

with t = 1 at the first step, η = learning_rate, β₁ = b1, β₂ = b2, ε = eps, m₀ = v₀ = 0; |g|² for complex
g. With β₂ = 0.999 the first five steps are momentum's, which are long where gradients are.

The paper's threshold is 4; the official code, torch and optax have 5. While ρ is below it,
`torch.optim.RAdam` and `optax.radam` take momentum's step, as here, and the official code by default
none. torch adds ε to √v before the correction. ρ as written subtracts two numbers near ρ∞ and loses three
digits of float32; here it does not.

Liu et al. 2020, On the Variance of the Adaptive Learning Rate and Beyond, arXiv:1908.03265, Algorithm 2.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

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


class RAdamState(NamedTuple):
    """What RAdam remembers."""

    count: jax.Array  # t, the number of updates made; int32, shape ()
    m: "chex.ArrayTree"  # m, the moving average of gradients; as params, ≥ float32
    v: "chex.ArrayTree"  # v, the moving average of squared gradients; real, as params, ≥ float32


@with_hints
def radam(
    learning_rate: Hyperparameter = 0.001,
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-8,
) -> Optimizer:
    """RAdam, w ← w − η r m̂ / (√v̂ + ε), once r is known.

    Args:
        learning_rate: η, about the longest step in every coordinate; finite, ≥ 0, or a schedule.
        b1: β₁, what is kept of the average gradient at a step; in [0, 1), or a schedule.
        b2: β₂, what is kept of the average squared gradient at a step; in [0, 1), or a schedule.
        eps: ε, keeps the division finite where no gradient was seen; finite, ≥ 0, or a schedule.

    Returns:
        An optax transform that is a pytree of its four hyperparameters. Its state is
        RAdamState(count, m, v).

    Raises:
        TypeError: a hyperparameter is neither a number of shape () nor a schedule.
        ValueError: a hyperparameter is out of its range.

    >>> import jax.numpy as jnp, jaxopt_edu as jo, optax
    >>> opt = jo.radam(learning_rate=0.1)
    >>> params = {"w": jnp.array([1.0, -2.0])}
    >>> state = opt.init(params)
    >>> for _ in range(2):
    ...     gradients = params  # of f(w) = ½‖w‖²
    ...     updates, state = opt.update(gradients, state, params)
    ...     params = optax.apply_updates(params, updates)
    >>> [round(float(w), 4) for w in params["w"]]
    [0.8053, -1.6105]

    References:
        Liu et al., On the Variance of the Adaptive Learning Rate and Beyond, 2020, arXiv:1908.03265.
    """
    return build(
        radam,
        RAdamState,
        init,
        update,
        LIMITS,
        learning_rate=learning_rate,
        b1=b1,
        b2=b2,
        eps=eps,
    )


def init(params: "chex.ArrayTree") -> RAdamState:
    """Before the first step: no gradient seen."""
    return RAdamState(
        count=first_count(params),
        m=zeros_like(params),
        v=zeros_like(params, real=True),
    )


def update(
    gradients: "chex.ArrayTree",
    state: RAdamState,
    *,
    b1: ValueInForce,
    b2: ValueInForce,
    **hyperparameters: ValueInForce,
) -> tuple["chex.ArrayTree", RAdamState]:
    """One step of the rule on every leaf."""
    t = next_count(state.count)
    sums = weight_sums(t, b1=b1, b2=b2)
    return step_leaves(
        rule, gradients, state, b1=b1, b2=b2, **sums, r=Rectification(b2, t), **hyperparameters
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
    one_minus_b2_t: jax.Array,
    r: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The update and the new states for one array."""
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * squared_magnitude(g)
    m_hat = m / one_minus_b1_t
    v_hat = v / one_minus_b2_t
    adaptive = divide(r * m_hat, squared_root(v_hat) + eps)
    return -learning_rate * jnp.where(r > 0, adaptive, m_hat), m, v


class Rectification(NamedTuple):
    """r, by how much a step is shorter than Adam's; 0 while there is too little to divide by."""

    b2: ValueInForce
    t: jax.Array

    def astype(self, dtype: Any) -> jax.Array:
        """r in a leaf's working dtype."""
        b2, t = self.b2.astype(dtype), self.t.astype(dtype)
        rho_inf = 2 / (1 - b2) - 1
        rho = worth_of_average(b2, t)
        enough = rho > 5
        rho, rho_inf = jnp.where(enough, rho, 6), jnp.where(enough, rho_inf, 6)
        squared = (rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho)
        return jnp.where(enough, jnp.sqrt(squared), 0)


def worth_of_average(b: jax.Array, t: jax.Array) -> jax.Array:
    """How many equally weighted numbers a moving average is worth, ρ = ρ∞ − 2 t bᵗ / (1 − bᵗ).

    With L = −log b it is coth(L/2) − 2t / expm1(tL), in which nothing cancels once tL > 2. Before that it is
    t + h(L/2) − t h(tL/2) with h(y) = coth y − 1/y, since both cotangents begin with 2/L.

    Args:
        b: decay of the average, in [0, 1); floating, shape ().
        t: number of steps, at least 1; of b's dtype, shape ().

    Returns:
        ρ, of b's dtype, shape ().

    >>> round(float(worth_of_average(jnp.float32(0.999), jnp.float32(6))), 4)
    5.9942
    """
    # With b = 0 it would be infinite; below 1e-6 it counts for nothing.
    length = -jnp.log1p(-(1 - jnp.maximum(b, 1e-6)))
    early = t * length < 2
    short = jnp.where(early, length, 1 / t)
    begun = t + _langevin(short / 2) - t * _langevin(t * short / 2)
    long = jnp.where(early, 2 / t, length)
    grown = 2 / (1 - b) - 1 - 2 * t / jnp.expm1(jnp.minimum(t * long, 80))
    return jnp.where(early, begun, grown)


def _langevin(y: jax.Array) -> jax.Array:
    # coth y − 1/y; nine terms are enough for y ≤ 1 in float64's last digits but two.
    terms = (1 / 3, -1 / 45, 2 / 945, -1 / 4725, 2 / 93555, -1382 / 638512875, 4 / 18243225)
    terms += (-3617 / 162820783125, 87734 / 38979295480125, -349222 / 1531329465290625)
    total = jnp.zeros_like(y)
    for term in reversed(terms):
        total = term + total * y * y
    return y * total
