"""Adafactor: RMSProp that remembers a number for each row and each column, and not for each weight.

Adam keeps two numbers for every weight, twice the model. The squares of a layer's gradients are nearly a
row's size times a column's size: the means over rows and over columns, a + b numbers for a matrix of a by b,
stand in for all a · b. There is no average of gradients. What made that stable is here too: an average of
squares that forgets less and less and has no bias, a step that is cut where its root mean square is
too large, and a rate that is a share of the array's own size.

    β = 1 − t^(−c)
    R ← β R + (1 − β) mean over columns of (g² + ε),  C ← β C + (1 − β) mean over rows of (g² + ε)
    u = g / √(R Cᵀ / mean(R))
    α = max(s, rms(w)),  rms(x) = √mean(x²)
    w ← w − η (α u / max(1, rms(u) / d) + λ w)

with t = 1 at the first step, η = learning_rate, c = decay_exponent, ε = eps, d = clipping_threshold,
s = min_scale, λ = weight_decay, R₀ = C₀ = 0; w on the right is the old parameter; |g|² for complex g.
Rows and columns are the last two axes, and others are mapped over; what has one axis or none keeps a number
for each weight, V ← β V + (1 − β) (g² + ε), u = g / √V. rms(u) and rms(w) are over the whole array.

What it repairs: Adam's memory. A matrix of 1000 by 1000 takes 2000 numbers here, 2,000,000 there. What it
costs: four reductions of each array beside RMSProp's arithmetic, and what momentum is good for
(optax's trace before it in a chain brings that back, for one array).

`torch.optim.Adafactor(lr, beta2_decay=−c, eps=(√ε, s), d, weight_decay)` is the same as long as
η < 1/√t, by which it cuts the rate (the paper's relative step); it takes ε as the least V, and does not add
it. `optax.adafactor(η, min_dim_size_to_factor=2, decay_rate=c, …)` is the same, but by default it keeps
all numbers of matrices with a side below 128, factors the two longest axes, and does not multiply its decay
by η. `pytorch_optimizer.AdaFactor` goes by the paper's relative step and ignores its rate unless told
otherwise, and has a momentum in bfloat16. The paper's rate is min(0.01, 1/√t): a schedule.
As its rule looks at whole arrays, `packed` refuses it.

Shazeer & Stern 2018, Adafactor: Adaptive Learning Rates with Sublinear Memory Cost, arXiv:1804.04235,
Algorithms 4 and 5.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_edu.core.checks import NON_NEGATIVE, Limit
from jaxopt_edu.core.distributions import Distribution, loguniform
from jaxopt_edu.core.hints import with_hints
from jaxopt_edu.core.numerics import divide, squared_magnitude, squared_root
from jaxopt_edu.core.shardings import without_axis
from jaxopt_edu.core.transform import Hyperparameter, Optimizer, build
from jaxopt_edu.core.trees import ValueInForce, first_count, map_rule, next_count, zeros_like

if TYPE_CHECKING:
    import chex

LIMITS: dict[str, Limit] = {
    "learning_rate": NON_NEGATIVE,
    "decay_exponent": NON_NEGATIVE,
    "eps": NON_NEGATIVE,
    "clipping_threshold": NON_NEGATIVE,
    "min_scale": NON_NEGATIVE,
    "weight_decay": NON_NEGATIVE,
}
SPACE: dict[str, Distribution] = {
    "learning_rate": loguniform(1e-4, 0.3),
    "weight_decay": loguniform(1e-4, 1.0),
}


class AdafactorState(NamedTuple):
    """What Adafactor remembers; a and b are a matrix's sides, … the axes before them."""

    count: jax.Array  # t, the number of updates made; int32, shape ()
    v: "chex.ArrayTree"  # V, the average of squares of what is no matrix; real, as params, or (0,)
    rows: "chex.ArrayTree"  # R, the average of each row's mean square; (…, a), or (0,) for vectors; ≥ float32
    columns: "chex.ArrayTree"  # C, that of each column's; (…, b), or (0,)


@with_hints
def adafactor(
    learning_rate: Hyperparameter = 0.01,
    decay_exponent: Hyperparameter = 0.8,
    eps: Hyperparameter = 1e-30,
    clipping_threshold: Hyperparameter = 1.0,
    min_scale: Hyperparameter = 1e-3,
    weight_decay: Hyperparameter = 0.0,
) -> Optimizer:
    """Adafactor, w ← w − η rms(w) g / √V with V from a number for each row and each column.

    Args:
        learning_rate: η, by which share of its size an array moves; finite, ≥ 0, or a schedule.
        decay_exponent: c, how fast the average of squares stops forgetting; finite, ≥ 0, or a schedule.
        eps: ε, added to squares of gradients; finite, ≥ 0, or a schedule.
        clipping_threshold: d, the largest root mean square of u, beyond which it is cut; at 0 nothing moves;
            finite, ≥ 0, or a schedule.
        min_scale: s, the least that an array's size is taken for, so that zeros can move; finite, ≥ 0, or a
            schedule.
        weight_decay: λ, times η the share of a parameter that decays at a step; finite, ≥ 0, or a schedule.

    Returns:
        An optax transform that is a pytree of its six hyperparameters. Its state is
        AdafactorState(count, v, rows, columns). Its update needs the parameters.

    Raises:
        TypeError: a hyperparameter is neither a number of shape () nor a schedule.
        ValueError: a hyperparameter is out of its range.

    >>> import jax, jax.numpy as jnp, jaxopt_edu as jo
    >>> opt = jo.adafactor(learning_rate=0.1)
    >>> params = {"kernel": jnp.array([[2.0, 2.0], [2.0, 2.0]])}
    >>> gradients = {"kernel": jnp.array([[1.0, 10.0], [10.0, 100.0]])}
    >>> state = opt.init(params)
    >>> jax.tree.map(jnp.shape, (state.v, state.rows, state.columns))
    ({'kernel': (0,)}, {'kernel': (2,)}, {'kernel': (2,)})
    >>> updates, state = opt.update(gradients, state, params)
    >>> [[round(float(u), 4) for u in row] for row in updates["kernel"]]  # 0.1 · 2, whatever g is
    [[-0.2, -0.2], [-0.2, -0.2]]

    References:
        Shazeer & Stern, Adafactor: Adaptive Learning Rates with Sublinear Memory Cost, 2018,
        arXiv:1804.04235.
    """
    return build(
        adafactor,
        AdafactorState,
        init,
        update,
        LIMITS,
        learning_rate=learning_rate,
        decay_exponent=decay_exponent,
        eps=eps,
        clipping_threshold=clipping_threshold,
        min_scale=min_scale,
        weight_decay=weight_decay,
    )


def init(params: "chex.ArrayTree") -> AdafactorState:
    """Before the first step: no gradient seen."""
    return AdafactorState(
        count=first_count(params),
        v=jax.tree.map(lambda w: _nothing(w) if is_factored(w) else zeros_like(w, real=True), params),
        rows=jax.tree.map(lambda w: _sums(w, axis=-1) if is_factored(w) else _nothing(w), params),
        columns=jax.tree.map(lambda w: _sums(w, axis=-2) if is_factored(w) else _nothing(w), params),
    )


def update(
    gradients: "chex.ArrayTree",
    state: AdafactorState,
    params: "chex.ArrayTree",
    **hyperparameters: ValueInForce,
) -> tuple["chex.ArrayTree", AdafactorState]:
    """One step of the rule on every leaf."""
    t = next_count(state.count)
    updates, v, rows, columns = map_rule(
        rule,
        gradients,
        own=(state.v, state.rows, state.columns),
        params=params,
        t=t,
        **hyperparameters,
    )
    return updates, AdafactorState(t, v, rows, columns)


def rule(
    g: jax.Array,
    w: jax.Array,
    v: jax.Array,
    rows: jax.Array,
    columns: jax.Array,
    *,
    learning_rate: jax.Array,
    decay_exponent: jax.Array,
    eps: jax.Array,
    clipping_threshold: jax.Array,
    min_scale: jax.Array,
    weight_decay: jax.Array,
    t: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """The update and the new states for one array."""
    one_minus_beta = t**-decay_exponent
    beta = 1 - one_minus_beta
    squares = squared_magnitude(g) + eps
    if is_factored(g):
        rows = beta * rows + one_minus_beta * jnp.mean(squares, axis=-1)
        columns = beta * columns + one_minus_beta * jnp.mean(squares, axis=-2)
        shares = divide(rows, jnp.mean(rows, axis=-1, keepdims=True))
        # The product of the roots does not underflow where that of small squares does.
        root = squared_root(shares)[..., :, None] * squared_root(columns)[..., None, :]
    else:
        v = beta * v + one_minus_beta * squares
        root = squared_root(v)
    u = divide(g, root)
    cut = divide(clipping_threshold, jnp.maximum(clipping_threshold, root_mean_square(u)))
    alpha = jnp.maximum(min_scale, root_mean_square(w))
    return -learning_rate * (alpha * cut * u + weight_decay * w), v, rows, columns


def is_factored(array: Any) -> bool:
    """Whether an array is remembered by its rows and columns: it has two axes, and is not empty."""
    return np.ndim(array) >= 2 and np.size(array) > 0


def root_mean_square(x: jax.Array) -> jax.Array:
    """√mean(|x|²) of one array, with derivative 0 where all is 0; shape ()."""
    return squared_root(jnp.mean(squared_magnitude(x)))


def _sums(leaf: Any, axis: int) -> Any:
    shape = np.delete(np.shape(leaf), axis)
    sums: Any = jax.ShapeDtypeStruct(shape, jnp.result_type(leaf), sharding=without_axis(leaf, axis))
    return zeros_like(sums, real=True)


def _nothing(leaf: Any) -> Any:
    nothing: Any = jax.ShapeDtypeStruct((0,), jnp.result_type(leaf))
    return zeros_like(nothing, real=True)
