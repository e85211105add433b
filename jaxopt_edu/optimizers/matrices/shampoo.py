"""Shampoo: AdaGrad with a whole matrix for each side of a layer, in place of a number for each weight.

AdaGrad divides each coordinate by the root of its own sum of squares, and cannot see that coordinates move
together. With the full matrix of all products of coordinates it could, but that is far too large. A layer's
matrix has two sides, and Shampoo keeps the products of its rows and those of its columns: their Kronecker
product stands in for the full matrix, and a quarter of a root from each side makes AdaGrad's root of it.

    m ← β m + (1 − β) G,  m̂ = m / (1 − βᵗ)
    L ← (1 − φ) L + GGᵀ,  R ← (1 − φ) R + GᵀG
    at the first step and every f steps from then on: A ← (L + ε I)^(−1/4),  B ← (R + ε I)^(−1/4)
    w ← w − η (A m̂ B + λ w)

with t = 1 at the first step, η = learning_rate, β = momentum, φ = forgetting, λ = weight_decay, ε = eps, f
= frequency, m₀ = L₀ = R₀ = 0. With momentum = 0, φ = 0 and f = 1 it is the paper's Algorithm 1; φ > 0
forgets, as RMSProp does beside AdaGrad (with averages φ L in place of L a step would be 1/√φ times as long,
which is the learning rate's business). A side longer than `largest` has no matrix, and the other one then
counts for both: exponent −1/2.

What it repairs: AdaGrad's (and Adam's) blindness to directions that are no axes. What it costs: for sides a
and b, ab + 2a² + 2b² numbers of memory (Adam: 2ab), two products and two turns of 2ab(a + b) operations in
all at every step, and two eigendecompositions (some 10a³ each) every f-th. Those are slow on accelerators,
and a large f makes old roots: SOAP bears it better. Under `jax.vmap` over optimizers each has its own
count, and an eigendecomposition is paid at every step (but not by `sweep(…, chunk_size=1)`). With φ = 0
steps fade as AdaGrad's do.

In float32 an eigenvalue that is 1e-7 of the largest is a rounding, and its quarter root is 50 times the
largest's: ε should not be far below that part of L. Where an eigenvalue is 0 and ε too, nothing moves.

pytorch_optimizer.Shampoo is this page with φ = 0 and momentum = 0 (its momentum averages steps into
gradients, and with f > 1 it does not move before step f). Google's and Meta's Distributed Shampoo add
blocks, grafting (the step's length from another optimizer) and moving averages; it won the AlgoPerf
competition of 2024 so.

Gupta et al. 2018, Shampoo: Preconditioned Stochastic Tensor Optimization, arXiv:1802.09568, Algorithm 1;
Anil et al. 2020, Scalable Second Order Optimization for Deep Learning, arXiv:2002.09018 (f).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_edu.core.checks import FRACTION, NON_NEGATIVE, Limit, checked_whole
from jaxopt_edu.core.companion import build_for_matrices
from jaxopt_edu.core.distributions import Distribution, loguniform, one_minus
from jaxopt_edu.core.hints import with_hints
from jaxopt_edu.core.matrices import Axes, MatrixAxes, map_matrices, matrix_axes
from jaxopt_edu.core.transform import Hyperparameter, Optimizer
from jaxopt_edu.core.trees import ValueInForce, WeightSum, first_count, next_count, zeros_like
from jaxopt_edu.optimizers.matrices.bases import product_of_rows
from jaxopt_edu.optimizers.matrices.inverse_root import inverse_root
from jaxopt_edu.optimizers.matrices.others import OTHERS
from jaxopt_edu.optimizers.matrices.sides import identities, square_zeros

if TYPE_CHECKING:
    import chex

LIMITS: dict[str, Limit] = {
    "learning_rate": NON_NEGATIVE,
    "momentum": FRACTION,
    "forgetting": FRACTION,
    "eps": NON_NEGATIVE,
    "weight_decay": NON_NEGATIVE,
}
SPACE: dict[str, Distribution] = {
    "learning_rate": loguniform(1e-3, 10.0),
    "momentum": one_minus(loguniform(1e-2, 1.0)),
    "eps": loguniform(1e-8, 1e-2),
}


class ShampooState(NamedTuple):
    """What Shampoo remembers; a and b are the sides of a matrix, … the axes that are mapped over."""

    count: jax.Array  # t, the number of updates made; int32, shape ()
    m: "chex.ArrayTree"  # m, the moving average of gradients; as those params that are matrices, ≥ float32
    left: "chex.ArrayTree"  # L, the sum of GGᵀ; (…, a, a), or (…, 0, 0) beyond `largest`
    right: "chex.ArrayTree"  # R, that of GᵀG; (…, b, b)
    left_root: "chex.ArrayTree"  # A, a root of L's inverse; of L's shapes
    right_root: "chex.ArrayTree"  # B, one of R's; of R's shapes
    others: Any  # the state of the optimizer of what is no matrix


@with_hints
def shampoo(
    learning_rate: Hyperparameter = 0.1,
    momentum: Hyperparameter = 0.9,
    forgetting: Hyperparameter = 0.0,
    eps: Hyperparameter = 1e-6,
    weight_decay: Hyperparameter = 0.0,
    *,
    others: optax.GradientTransformation = OTHERS,
    axes: Axes | Mapping[str, MatrixAxes | None] = matrix_axes,
    frequency: int = 10,
    largest: int = 10_000,
) -> Optimizer:
    """Shampoo, w ← w − η L^(−1/4) G R^(−1/4) with the sums L of GGᵀ and R of GᵀG.

    Args:
        learning_rate: η, about the longest first step along any direction; finite, ≥ 0, or a schedule.
        momentum: β, what is kept of the average gradient at a step; in [0, 1), or a schedule.
        forgetting: φ, what is lost of the sums of products at a step; in [0, 1), or a schedule.
        eps: ε, added to every eigenvalue of the sums; finite, ≥ 0, or a schedule.
        weight_decay: λ, times η the part of a weight that decays at a step; finite, ≥ 0, or a schedule.
        others: the optimizer of what is no matrix; its numbers are called "others.learning_rate" and so on.
        axes: which leaves are matrices, and of which axes: a function of (name, leaf) such as `matrix_axes`,
            or a dict of patterns to a MatrixAxes or None (to others) for those leaves that it takes wrongly.
        frequency: f, the roots are found anew every so many steps; whole, ≥ 1.
        largest: a side of a matrix that is longer has no products; whole, ≥ 1.

    Returns:
        An optax transform that is a pytree of its five hyperparameters and of those of others. Its state is a
        ShampooState, and its update needs the parameters.

    Raises:
        TypeError: a hyperparameter is neither a number of shape () nor a schedule, or others is no optimizer.
        ValueError: a hyperparameter is out of its range.

    >>> import jax.numpy as jnp, jaxopt_edu as jo
    >>> opt = jo.shampoo(learning_rate=0.1, eps=0.0)
    >>> params = {"kernel": jnp.array([[3.0, 0.0], [0.0, 0.1]])}
    >>> updates, _ = opt.update(params, opt.init(params), params)  # of f(w) = ½‖w‖²
    >>> [round(float(u), 4) for u in jnp.diagonal(updates["kernel"])]  # 0.1 each, not 30 : 1
    [-0.1, -0.1]

    References:
        Gupta et al., Shampoo: Preconditioned Stochastic Tensor Optimization, 2018, arXiv:1802.09568.
    """
    return build_for_matrices(
        shampoo,
        ShampooState,
        init,
        update,
        LIMITS,
        others=others,
        axes=axes,
        static={
            "frequency": checked_whole("shampoo", "frequency", frequency),
            "largest": checked_whole("shampoo", "largest", largest),
        },
        learning_rate=learning_rate,
        momentum=momentum,
        forgetting=forgetting,
        eps=eps,
        weight_decay=weight_decay,
    )


def init(params: "chex.ArrayTree", *, axes: Axes, largest: int) -> ShampooState:
    """Before the first step: no gradient seen."""
    left, right = square_zeros(params, axes, largest)
    left_root, right_root = identities(params, axes, largest)
    return ShampooState(
        first_count(params),
        m=zeros_like(params),
        left=left,
        right=right,
        left_root=left_root,
        right_root=right_root,
        others=None,
    )


def update(
    gradients: "chex.ArrayTree",
    state: ShampooState,
    params: "chex.ArrayTree",
    *,
    momentum: ValueInForce,
    axes: Axes,
    frequency: int,
    largest: int,
    **values: ValueInForce,
) -> tuple["chex.ArrayTree", ShampooState]:
    """One step of the rule on every matrix."""
    del largest  # the shapes of L and R have it
    t = next_count(state.count)
    updates, m, *sides = map_matrices(
        rule,
        gradients,
        state.m,
        own=(state.left, state.right, state.left_root, state.right_root),
        params=params,
        axes=axes,
        momentum=momentum,
        one_minus_momentum_t=WeightSum(momentum, t),
        is_due=state.count % frequency == 0,
        **values,
    )
    return updates, ShampooState(t, m, *sides, others=None)


def rule(
    g: jax.Array,
    w: jax.Array,
    m: jax.Array,
    left: jax.Array,
    right: jax.Array,
    left_root: jax.Array,
    right_root: jax.Array,
    *,
    learning_rate: jax.Array,
    momentum: jax.Array,
    forgetting: jax.Array,
    eps: jax.Array,
    weight_decay: jax.Array,
    one_minus_momentum_t: jax.Array,
    is_due: jax.Array,
) -> tuple[jax.Array, ...]:
    """The update and the new state for one matrix."""
    m = momentum * m + (1 - momentum) * g
    if left.size:
        left = (1 - forgetting) * left + product_of_rows(g)
    if right.size:
        right = (1 - forgetting) * right + product_of_rows(g.conj().T)
    left_root, right_root = jax.lax.cond(
        is_due != 0, found, lambda left, right, eps: (left_root, right_root), left, right, eps
    )
    step = m / one_minus_momentum_t
    if left.size:
        step = left_root @ step
    if right.size:
        step = step @ right_root
    return -learning_rate * (step + weight_decay * w), m, left, right, left_root, right_root


def found(left: jax.Array, right: jax.Array, eps: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The roots; with one side alone, the square root in place of the fourth."""
    order = 4 if left.size and right.size else 2
    roots = [
        inverse_root(product + eps * jnp.eye(len(product), dtype=product.dtype), order)
        if product.size
        else product
        for product in (left, right)
    ]
    return roots[0], roots[1]
