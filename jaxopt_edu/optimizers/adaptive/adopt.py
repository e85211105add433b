"""ADOPT: Adam whose divisor has not seen the gradient that it divides.

In Adam the newest gradient stands in the numerator and, squared, in the divisor: the two are not
independent, and for some β₂ and some rare large gradients the method goes the wrong way. Here g is divided
by the root of the v before it, and the average is taken of what is divided already; it converges for every
β₂. The first gradient only starts v, and no step is made. As an old v may be far too small, the quotient
is clipped at c, which grows. It costs what Adam costs, two arrays of memory, and needs no bias correction.

    c = (t − 1)^¼
    u = clip(g / max(√v, ε), −c, c)
    m ← β₁ m + (1 − β₁) u
    w ← w − η m
    v ← g² at t = 1, else β₂ v + (1 − β₂) g²

with t = 1 at the first step (so that its c, u and m are 0), η = learning_rate, β₁ = b1, β₂ = b2, ε = eps,
m₀ = v₀ = 0; |·|² for complex g, whose u keeps its angle where it is clipped. A coordinate that has seen no
gradient yet waits if ε = 0.

`optax.contrib.adopt(η, b1, b2, eps)` and the authors' code since November 2024 are the same; the paper's
first edition did not clip. `pytorch_optimizer.ADOPT` clips at t^¼. torch has none. In float32 a β₂ of
0.9999 is 0.99990004, and v the average of that one; a correction that would divide the difference away
there is none.

Taniguchi et al. 2024, ADOPT: Modified Adam Can Converge with Any β₂ with the Optimal Rate,
arXiv:2411.02853, Algorithm 2.
"""

from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_edu.core.checks import FRACTION, NON_NEGATIVE, Limit
from jaxopt_edu.core.distributions import Distribution, loguniform, one_minus
from jaxopt_edu.core.hints import with_hints
from jaxopt_edu.core.numerics import clip_magnitude, divide, squared_magnitude, squared_root
from jaxopt_edu.core.stepping import step_leaves
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
    "b2": one_minus(loguniform(1e-5, 0.1)),
}


class AdoptState(NamedTuple):
    """What ADOPT remembers."""

    count: jax.Array  # t, the number of updates made; int32, shape ()
    m: "chex.ArrayTree"  # m, the moving average of divided gradients; as params, ≥ float32
    v: "chex.ArrayTree"  # v, the moving average of squared gradients; real, as params, ≥ float32


@with_hints
def adopt(
    learning_rate: Hyperparameter = 0.001,
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.9999,
    eps: Hyperparameter = 1e-6,
) -> Optimizer:
    """ADOPT, m ← β₁ m + (1 − β₁) clip(g / max(√v, ε), ±(t − 1)^¼), w ← w − η m.

    Args:
        learning_rate: η, about the longest step in every coordinate; finite, ≥ 0, or a schedule.
        b1: β₁, what is kept of the average divided gradient at a step; in [0, 1), or a schedule.
        b2: β₂, what is kept of the average squared gradient at a step; in [0, 1), or a schedule.
        eps: ε, the smallest divisor; finite, ≥ 0, or a schedule.

    Returns:
        An optax transform that is a pytree of its four hyperparameters. Its state is
        AdoptState(count, m, v). Its first update is 0.

    Raises:
        TypeError: a hyperparameter is neither a number of shape () nor a schedule.
        ValueError: a hyperparameter is out of its range.

    >>> import jax.numpy as jnp, jaxopt_edu as jo, optax
    >>> opt = jo.adopt(learning_rate=0.1)
    >>> params = {"w": jnp.array([1.0, -2.0])}
    >>> state = opt.init(params)
    >>> for _ in range(3):
    ...     gradients = params  # of f(w) = ½‖w‖²
    ...     updates, state = opt.update(gradients, state, params)
    ...     params = optax.apply_updates(params, updates)
    >>> [round(float(w), 4) for w in params["w"]]
    [0.9711, -1.9711]

    References:
        Taniguchi et al., ADOPT: Modified Adam Can Converge with Any β₂ with the Optimal Rate, 2024,
        arXiv:2411.02853.
    """
    return build(adopt, AdoptState, init, update, LIMITS, learning_rate=learning_rate, b1=b1, b2=b2, eps=eps)


def init(params: "chex.ArrayTree") -> AdoptState:
    """Before the first step: no gradient seen."""
    return AdoptState(count=first_count(params), m=zeros_like(params), v=zeros_like(params, real=True))


def update(
    gradients: "chex.ArrayTree", state: AdoptState, **hyperparameters: ValueInForce
) -> tuple["chex.ArrayTree", AdoptState]:
    """One step of the rule on every leaf."""
    return step_leaves(rule, gradients, state, t=next_count(state.count), **hyperparameters)


def rule(
    g: jax.Array,
    m: jax.Array,
    v: jax.Array,
    *,
    learning_rate: jax.Array,
    b1: jax.Array,
    b2: jax.Array,
    eps: jax.Array,
    t: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The update and the new states for one array."""
    u = clip_magnitude(divide(g, jnp.maximum(squared_root(v), eps)), (t - 1) ** 0.25)
    m = b1 * m + (1 - b1) * u
    g_squared = squared_magnitude(g)
    v = jnp.where(t == 1, g_squared, b2 * v + (1 - b2) * g_squared)
    return -learning_rate * m, m, v
