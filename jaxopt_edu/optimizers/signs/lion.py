"""Lion: every coordinate moves by η; the gradients only say to which side.

The step is the sign of an average of gradients, so all coordinates move equally far, as in Adam where
gradients are steady. The sign is taken of one average (β₁, more of the newest gradient) and another is
remembered (β₂, a longer memory). It costs one array of memory, half of Adam's, and no division and no
root. It was found by a search over programs. As each step is as long as it can be, η wants to be 3 to 10
times smaller than AdamW's, and λ as many times larger.

    u = sign(β₁ m + (1 − β₁) g)
    w ← w − η (u + λ w)
    m ← β₂ m + (1 − β₂) g

with η = learning_rate, β₁ = b1, β₂ = b2, λ = weight_decay, m₀ = 0, and sign(0) = 0; w on the right is the
old parameter. For complex g, sign(z) is z/|z|. An ∞ stays in m and its coordinate moves by η to one side
for ever, as in `signum`.

`optax.lion(η, b1, b2, weight_decay=λ)` and the authors' code are the same; their default λ is 1e-3 and 0,
ours 0. torch has none; `lion_pytorch.Lion(lr, betas, weight_decay)` is the same unless
`decoupled_weight_decay=True`.

Chen et al. 2023, Symbolic Discovery of Optimization Algorithms, arXiv:2302.06675, Program 1.
"""

from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_edu.core.checks import FRACTION, NON_NEGATIVE, Limit
from jaxopt_edu.core.distributions import Distribution, loguniform, one_minus
from jaxopt_edu.core.hints import with_hints
from jaxopt_edu.core.stepping import step_leaves
from jaxopt_edu.core.transform import Hyperparameter, Optimizer, build
from jaxopt_edu.core.trees import ValueInForce, first_count, zeros_like

if TYPE_CHECKING:
    import chex

LIMITS: dict[str, Limit] = {
    "learning_rate": NON_NEGATIVE,
    "b1": FRACTION,
    "b2": FRACTION,
    "weight_decay": NON_NEGATIVE,
}
SPACE: dict[str, Distribution] = {
    "learning_rate": loguniform(1e-5, 1e-2),
    "b1": one_minus(loguniform(1e-2, 1.0)),
    "b2": one_minus(loguniform(1e-3, 0.3)),
    "weight_decay": loguniform(1e-3, 10.0),
}


class LionState(NamedTuple):
    """What Lion remembers."""

    count: jax.Array  # t, the number of updates made; int32, shape ()
    m: "chex.ArrayTree"  # m, the moving average of gradients; as params, ≥ float32


@with_hints
def lion(
    learning_rate: Hyperparameter = 1e-4,
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.99,
    weight_decay: Hyperparameter = 0.0,
) -> Optimizer:
    """Lion, w ← w − η (sign(β₁ m + (1 − β₁) g) + λ w).

    Args:
        learning_rate: η, the length of a step in every coordinate; finite, ≥ 0, or a schedule.
        b1: β₁, what the step takes of the average gradient, beside 1 − β₁ of g; in [0, 1), or a schedule.
        b2: β₂, what is kept of the average gradient at a step; in [0, 1), or a schedule.
        weight_decay: λ, of which ηλ is the share that a step takes away; finite, ≥ 0, or a schedule.

    Returns:
        An optax transform that is a pytree of its four hyperparameters. Its state is
        LionState(count, m). Its update needs the parameters.

    Raises:
        TypeError: a hyperparameter is neither a number of shape () nor a schedule.
        ValueError: a hyperparameter is out of its range.

    >>> import jax.numpy as jnp, jaxopt_edu as jo, optax
    >>> opt = jo.lion(learning_rate=0.1)
    >>> params = {"w": jnp.array([1.0, -2.0])}
    >>> state = opt.init(params)
    >>> for _ in range(2):
    ...     gradients = params  # of f(w) = ½‖w‖²
    ...     updates, state = opt.update(gradients, state, params)
    ...     params = optax.apply_updates(params, updates)
    >>> [round(float(w), 4) for w in params["w"]]
    [0.8, -1.8]

    References:
        Chen et al., Symbolic Discovery of Optimization Algorithms, 2023, arXiv:2302.06675.
    """
    return build(
        lion,
        LionState,
        init,
        update,
        LIMITS,
        learning_rate=learning_rate,
        b1=b1,
        b2=b2,
        weight_decay=weight_decay,
    )


def init(params: "chex.ArrayTree") -> LionState:
    """Before the first step: no gradient seen."""
    return LionState(count=first_count(params), m=zeros_like(params))


def update(
    gradients: "chex.ArrayTree", state: LionState, params: "chex.ArrayTree", **hyperparameters: ValueInForce
) -> tuple["chex.ArrayTree", LionState]:
    """One step of the rule on every leaf."""
    return step_leaves(rule, gradients, state, params=params, **hyperparameters)


def rule(
    g: jax.Array,
    w: jax.Array,
    m: jax.Array,
    *,
    learning_rate: jax.Array,
    b1: jax.Array,
    b2: jax.Array,
    weight_decay: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """The update and the new state for one array."""
    update = -learning_rate * (jnp.sign(b1 * m + (1 - b1) * g) + weight_decay * w)
    return update, b2 * m + (1 - b2) * g
