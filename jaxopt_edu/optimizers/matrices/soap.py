"""SOAP: Adam in the axes in which a layer's gradients are least entangled.

Adam measures each coordinate by itself, and for a layer's matrix the coordinates are an accident. Shampoo
finds better ones: the eigenvectors of GGᵀ and GᵀG, averaged over steps. SOAP keeps an average of both
products, turns the gradient into their eigenbases, runs Adam there, and turns the step back. The bases are
found anew only every so many steps, by one power iteration and a QR decomposition; Adam's v, which is kept
in the bases, goes on adapting between, so that an old basis does little harm (Shampoo's roots of an old
average do more).

    G' = Q_Lᵀ G Q_R
    m ← β₁ m + (1 − β₁) G                    (in the layer's own axes)
    v ← β₂ v + (1 − β₂) G'²                  (in the bases)
    U = √(1 − β₂ᵗ) / (1 − β₁ᵗ) · Q_L [Q_Lᵀ m Q_R / (√v + ε)] Q_Rᵀ
    w ← w − η (U + λ w)
    L ← β₂ L + (1 − β₂) GGᵀ,  R ← β₂ R + (1 − β₂) GᵀG
    every f steps: sort the columns of Q_L by qᵀLq, and v's rows with them; Q_L ← QR(L Q_L); Q_R likewise

with η = learning_rate, β₁ = b1, β₂ = b2, ε = eps, λ = weight_decay, f = frequency, m₀ = v₀ = L₀ = R₀ = 0.
The very first step only looks: it sets L and R, and Q_L and Q_R to their eigenvectors, and moves nothing,
so that no gradient is turned into a basis that it has made itself; t counts from the second. A side longer
than `largest` keeps its own axes (no product, no basis).

What it repairs: Adam's dependence on the axes, at Adam's robustness: one number more than Adam, f, and it
matters little. What it costs: for a matrix with sides a and b, 2ab + 2a² + 2b² numbers of memory (Adam:
2ab; three times as much for a square), 3 turns of 2ab(a + b) operations and two products of as many
together at every step, and two QRs of (4/3)a³ every f-th. QRs are slow on accelerators; f = 10 hides them,
but under `jax.vmap` over optimizers, where each has its own count, the compiler cannot know that all of
them skip the QR together, and both a QR and an eigendecomposition are paid at every step: give `sweep`
chunk_size=1, which runs one after another.

Derivatives of a training run by SOAP's hyperparameters take the bases for constants: where eigenvalues are
equal they have no derivative. The step itself and its averages are differentiated exactly.

What is no matrix goes to another optimizer, `others`. The official code runs Adam without bases on vectors
instead, and flattens nothing by default (a convolution has four bases there, and two here). It decays the
weights after the step, by η λ of the new ones; here the old ones decay, as in AdamW. ε is added to √v
before v is corrected, as there. heavyball's and optax's drafts of SOAP differ from it (in the first step
and in when v is turned); pytorch-optimizer's is the same.

Vyas et al. 2024, SOAP: Improving and Stabilizing Shampoo using Adam, arXiv:2409.11321, Algorithm 3.
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
from jaxopt_edu.core.numerics import divide, squared_magnitude, squared_root
from jaxopt_edu.core.transform import Hyperparameter, Optimizer
from jaxopt_edu.core.trees import ValueInForce, WeightSum, first_count, next_count, zeros_like
from jaxopt_edu.optimizers.matrices.bases import (
    eigenbasis,
    power_iteration,
    product_of_rows,
    turned,
    turned_back,
)
from jaxopt_edu.optimizers.matrices.others import OTHERS
from jaxopt_edu.optimizers.matrices.sides import identities, square_zeros

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
    "b1": one_minus(loguniform(1e-2, 0.3)),
    "b2": one_minus(loguniform(1e-3, 0.1)),
    "weight_decay": loguniform(1e-3, 1.0),
}
KEEP, FOLLOW, FIND = range(3)


class SoapState(NamedTuple):
    """What SOAP remembers; a and b are the sides of a matrix, …  the axes that are mapped over."""

    count: jax.Array  # the number of updates made, t + 1; int32, shape ()
    m: "chex.ArrayTree"  # m, the moving average of gradients; as those params that are matrices, ≥ float32
    v: "chex.ArrayTree"  # v, that of squared gradients, seen in the bases; real, of the same shapes
    left: "chex.ArrayTree"  # L, the moving average of GGᵀ; (…, a, a), or (…, 0, 0) beyond `largest`
    right: "chex.ArrayTree"  # R, that of GᵀG; (…, b, b)
    left_basis: "chex.ArrayTree"  # Q_L, near L's eigenvectors, as columns; of L's shapes
    right_basis: "chex.ArrayTree"  # Q_R, near R's; of R's shapes
    others: Any  # the state of the optimizer of what is no matrix


@with_hints
def soap(
    learning_rate: Hyperparameter = 0.003,
    b1: Hyperparameter = 0.95,
    b2: Hyperparameter = 0.95,
    eps: Hyperparameter = 1e-8,
    weight_decay: Hyperparameter = 0.01,
    *,
    others: optax.GradientTransformation = OTHERS,
    axes: Axes | Mapping[str, MatrixAxes | None] = matrix_axes,
    frequency: int = 10,
    largest: int = 10_000,
) -> Optimizer:
    """SOAP, Adam in the eigenbases of the averages of GGᵀ and GᵀG.

    Args:
        learning_rate: η, about the longest step along every axis of the bases; finite, ≥ 0, or a schedule.
        b1: β₁, what is kept of the average gradient at a step; in [0, 1), or a schedule.
        b2: β₂, what is kept of the averages of squares and products; in [0, 1), or a schedule.
        eps: ε, keeps the division finite where no gradient was seen; finite, ≥ 0, or a schedule.
        weight_decay: λ, times η the part of a weight that decays at a step; finite, ≥ 0, or a schedule.
        others: the optimizer of what is no matrix; its numbers are called "others.learning_rate" and so on.
        axes: which leaves are matrices, and of which axes: a function of (name, leaf) such as `matrix_axes`,
            or a dict of patterns to a MatrixAxes or None (to others) for those leaves that it takes wrongly.
        frequency: f, the bases follow every so many steps; whole, ≥ 1.
        largest: a side of a matrix that is longer keeps its own axes; whole, ≥ 1.

    Returns:
        An optax transform that is a pytree of its five hyperparameters and of those of others. Its state is a
        SoapState, and its update needs the parameters.

    Raises:
        TypeError: a hyperparameter is neither a number of shape () nor a schedule, or others is no optimizer.
        ValueError: a hyperparameter is out of its range.

    >>> import jax.numpy as jnp, jaxopt_edu as jo, optax
    >>> opt = jo.soap(learning_rate=0.1, weight_decay=0.0)
    >>> params = {"kernel": jnp.array([[1.0, 1.0], [1.0, -1.0]])}
    >>> state = opt.init(params)
    >>> for _ in range(2):
    ...     gradients = params  # of f(w) = ½‖w‖²
    ...     updates, state = opt.update(gradients, state, params)
    ...     params = optax.apply_updates(params, updates)
    >>> bool(jnp.all(updates["kernel"] * gradients["kernel"] <= 1e-6))  # the first step only looked
    True

    References:
        Vyas et al., SOAP: Improving and Stabilizing Shampoo using Adam, 2024, arXiv:2409.11321.
    """
    return build_for_matrices(
        soap,
        SoapState,
        init,
        update,
        LIMITS,
        others=others,
        axes=axes,
        static={
            "frequency": checked_whole("soap", "frequency", frequency),
            "largest": checked_whole("soap", "largest", largest),
        },
        learning_rate=learning_rate,
        b1=b1,
        b2=b2,
        eps=eps,
        weight_decay=weight_decay,
    )


def init(params: "chex.ArrayTree", *, axes: Axes, largest: int) -> SoapState:
    """Before the first step: no gradient seen, and the axes as they are."""
    left, right = square_zeros(params, axes, largest)
    left_basis, right_basis = identities(params, axes, largest)
    return SoapState(
        first_count(params),
        m=zeros_like(params),
        v=zeros_like(params, real=True),
        left=left,
        right=right,
        left_basis=left_basis,
        right_basis=right_basis,
        others=None,
    )


def update(
    gradients: "chex.ArrayTree",
    state: SoapState,
    params: "chex.ArrayTree",
    *,
    b1: ValueInForce,
    b2: ValueInForce,
    axes: Axes,
    frequency: int,
    largest: int,
    **values: ValueInForce,
) -> tuple["chex.ArrayTree", SoapState]:
    """One step of the rule on every matrix."""
    del largest  # the shapes of L and R have it
    t = state.count
    is_first = t == 0
    stage = jnp.where(is_first, FIND, jnp.where(t % frequency == 0, FOLLOW, KEEP))
    updates, m, v, *sides = map_matrices(
        rule,
        gradients,
        state.m,
        state.v,
        own=(state.left, state.right, state.left_basis, state.right_basis),
        params=params,
        axes=axes,
        b1=b1,
        b2=b2,
        one_minus_b1_t=WeightSum(b1, jnp.maximum(t, 1)),
        one_minus_b2_t=WeightSum(b2, jnp.maximum(t, 1)),
        stage=stage,
        **values,
    )
    return updates, SoapState(next_count(t), m, v, *sides, others=None)


def rule(
    g: jax.Array,
    w: jax.Array,
    m: jax.Array,
    v: jax.Array,
    left: jax.Array,
    right: jax.Array,
    left_basis: jax.Array,
    right_basis: jax.Array,
    *,
    learning_rate: jax.Array,
    b1: jax.Array,
    b2: jax.Array,
    eps: jax.Array,
    weight_decay: jax.Array,
    one_minus_b1_t: jax.Array,
    one_minus_b2_t: jax.Array,
    stage: jax.Array,
) -> tuple[jax.Array, ...]:
    """The update and the new state for one matrix; the first step only looks."""
    moves = stage != FIND
    seen = squared_magnitude(turned(left_basis, g, right_basis))
    m = jnp.where(moves, b1 * m + (1 - b1) * g, m)
    v = jnp.where(moves, b2 * v + (1 - b2) * seen, v)
    adam = divide(turned(left_basis, m, right_basis), squared_root(v) + eps)
    step = squared_root(one_minus_b2_t) / one_minus_b1_t * turned_back(left_basis, adam, right_basis)
    update = jnp.where(moves, -learning_rate * (step + weight_decay * w), 0)
    if left.size:
        left = b2 * left + (1 - b2) * product_of_rows(g)
    if right.size:
        right = b2 * right + (1 - b2) * product_of_rows(g.conj().T)
    bases = (left_basis, right_basis)
    v, left_basis, right_basis = jax.lax.switch(
        stage.astype(jnp.int32), (kept, followed, found), v, left, right, *bases
    )
    return update, m, v, left, right, left_basis, right_basis


def kept(
    v: jax.Array, left: jax.Array, right: jax.Array, left_basis: jax.Array, right_basis: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The bases as they are."""
    del left, right
    return v, left_basis, right_basis


def followed(
    v: jax.Array, left: jax.Array, right: jax.Array, left_basis: jax.Array, right_basis: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The bases a power iteration nearer to the eigenvectors; v's rows and columns go where theirs went."""
    if left.size:
        left_basis, order = power_iteration(left, left_basis)
        v = v[order]
    if right.size:
        right_basis, order = power_iteration(right, right_basis)
        v = v[:, order]
    return v, left_basis, right_basis


def found(
    v: jax.Array, left: jax.Array, right: jax.Array, left_basis: jax.Array, right_basis: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The eigenvectors themselves."""
    left_basis = eigenbasis(left) if left.size else left_basis
    right_basis = eigenbasis(right) if right.size else right_basis
    return v, left_basis, right_basis
