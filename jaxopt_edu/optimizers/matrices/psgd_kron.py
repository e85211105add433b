"""PSGD-Kron: learned coordinates, in which all gradients are equally strong and none goes with another.

Whitening is what AdaGrad, Adam and Shampoo do by roots of averages: gradients are divided by how strong they
are. PSGD finds the transformation P = QᵀQ by descent. Of a layer's matrix Q is Q_R ⊗ Q_L, triangular on each
side, and each step makes Q m and noise V that was put through Q's inverse a little more alike. When both have
the same products on each side, P is the inverse root of the gradients' covariance, and P m is white. No
root, no eigenvector, no inverse is ever computed: two triangular solves and products do, stable in float32.

    m ← β m + (1 − β) G,  m̂ = m / (1 − βᵗ)
    at every 1/p-th step, with V ~ N(0, 1) and M = m̂ + δ mean|m̂| V:
        A = Q_L M Q_Rᵀ,  B = Q_L⁻ᵀ V Q_R⁻¹
        Q_L ← Q_L − μ triu(AAᵀ − BBᵀ) Q_L / ‖AAᵀ + BBᵀ‖
        Q_R ← Q_R − μ triu(AᵀA − BᵀB) Q_R / ‖AᵀA + BᵀB‖
    U = Q_LᵀQ_L m̂ Q_RᵀQ_R,  shortened to a root mean square of 1.1 if it is longer
    w ← w − η (U + λ w)

with η = learning_rate, β = momentum, μ = preconditioner_rate, p = probability, λ = weight_decay, δ = 2⁻¹¹,
Q_L = Q_R = I and m₀ = 0 at first, and ‖·‖ a lower bound of the spectral norm by one product. A side longer
than `largest` has a diagonal Q. After an update both Qs are scaled to equal size, which leaves their
product alone.

What it repairs: Shampoo's roots, which are slow and want float64. What it costs: for sides a and b, ab + a²
+ b² numbers of memory (Adam: 2ab), 4ab(a + b) operations at every step to whiten, and about as many again,
with two triangular solves, where Q learns. Usual is to learn at every step at first and seldom later: give
`probability` a schedule that falls to 0.03 within the first thousands. Under `jax.vmap` over optimizers
every step pays for learning; `sweep(…, chunk_size=1)` goes without.

The noise comes from `seed` and the count alone, so that a run can be repeated and resumed; a matrix that
has seen only zeros learns nothing (without that its Q would grow by μ at every step, as the official code's
does).

kron_torch and psgd_jax are this page but for the noise, which is drawn elsewhere, the balance, which they
restore at random, and p, which they anneal by default. pytorch_optimizer.Kron adds no δ.

Li 2015, Preconditioned Stochastic Gradient Descent, arXiv:1512.04202; Pooladzandi & Li 2024,
Curvature-Informed SGD via General Purpose Lie-Group Preconditioners, arXiv:2402.04553.
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
from jaxopt_edu.core.matrices import Axes, MatrixAxes, map_matrices, matrix_axes, matrix_state
from jaxopt_edu.core.numerics import divide
from jaxopt_edu.core.reductions import norm
from jaxopt_edu.core.transform import Hyperparameter, Optimizer
from jaxopt_edu.core.trees import ValueInForce, WeightSum, first_count, next_count, zeros_like
from jaxopt_edu.optimizers.matrices.others import OTHERS
from jaxopt_edu.optimizers.matrices.triangular import learned, solved, times

if TYPE_CHECKING:
    import chex

LIMITS: dict[str, Limit] = {
    "learning_rate": NON_NEGATIVE,
    "momentum": FRACTION,
    "preconditioner_rate": FRACTION,
    "probability": Limit(0.0, 1.0000001, "a number in [0, 1]"),
    "weight_decay": NON_NEGATIVE,
}
SPACE: dict[str, Distribution] = {
    "learning_rate": loguniform(1e-5, 0.1),
    "momentum": one_minus(loguniform(1e-2, 1.0)),
    "preconditioner_rate": loguniform(1e-2, 0.5),
}
DAMPING = 2.0**-11  # δ
LONGEST = 1.1  # the root mean square of a whitened gradient is 1


class PsgdKronState(NamedTuple):
    """What PSGD-Kron remembers; a and b are the sides of a matrix, … the axes that are mapped over."""

    count: jax.Array  # t, the number of updates made; int32, shape ()
    since: jax.Array  # how many since Q has learned; int32, shape ()
    m: "chex.ArrayTree"  # m, the moving average of gradients; as those params that are matrices, ≥ float32
    left: "chex.ArrayTree"  # Q_L, upper triangular; (…, a, a), or its diagonal (…, a) beyond `largest`
    right: "chex.ArrayTree"  # Q_R; (…, b, b)
    others: Any  # the state of the optimizer of what is no matrix


@with_hints
def psgd_kron(
    learning_rate: Hyperparameter = 0.001,
    momentum: Hyperparameter = 0.9,
    preconditioner_rate: Hyperparameter = 0.1,
    probability: Hyperparameter = 1.0,
    weight_decay: Hyperparameter = 0.0,
    *,
    others: optax.GradientTransformation = OTHERS,
    axes: Axes | Mapping[str, MatrixAxes | None] = matrix_axes,
    largest: int = 8192,
    seed: int = 0,
) -> Optimizer:
    """PSGD with Kronecker factors, w ← w − η QᵀQ m̂ where Q learns to make QᵀQ m̂ white.

    Args:
        learning_rate: η, about the length of a step along every coordinate; finite, ≥ 0, or a schedule.
        momentum: β, what is kept of the average gradient at a step; in [0, 1), or a schedule.
        preconditioner_rate: μ, how fast Q learns; in [0, 1), or a schedule.
        probability: p, Q learns at every 1/p-th step; in [0, 1], or a schedule, such as one that falls.
        weight_decay: λ, times η the part of a weight that decays at a step; finite, ≥ 0, or a schedule.
        others: the optimizer of what is no matrix; its numbers are called "others.learning_rate" and so on.
        axes: which leaves are matrices, and of which axes: a function of (name, leaf) such as `matrix_axes`,
            or a dict of patterns to a MatrixAxes or None (to others) for those leaves that it takes wrongly.
        largest: a side of a matrix that is longer has a diagonal Q; whole, ≥ 1.
        seed: of the noise; whole, ≥ 0.

    Returns:
        An optax transform that is a pytree of its five hyperparameters and of those of others. Its state is a
        PsgdKronState, and its update needs the parameters.

    Raises:
        TypeError: a hyperparameter is neither a number of shape () nor a schedule, or others is no optimizer.
        ValueError: a hyperparameter is out of its range.

    >>> import jax.numpy as jnp, jaxopt_edu as jo
    >>> opt = jo.psgd_kron(learning_rate=0.1)
    >>> params = {"kernel": jnp.array([[3.0, 0.0], [0.0, 0.1]])}
    >>> updates, _ = opt.update(params, opt.init(params), params)  # of f(w) = ½‖w‖²
    >>> bool(jnp.sum(updates["kernel"] * params["kernel"]) < 0)
    True

    References:
        Li, Preconditioned Stochastic Gradient Descent, 2015, arXiv:1512.04202.
        Pooladzandi & Li, Curvature-Informed SGD via General Purpose Lie-Group Preconditioners, 2024,
        arXiv:2402.04553.
    """
    return build_for_matrices(
        psgd_kron,
        PsgdKronState,
        init,
        update,
        LIMITS,
        others=others,
        axes=axes,
        static={
            "largest": checked_whole("psgd_kron", "largest", largest),
            "seed": checked_whole("psgd_kron", "seed", seed, lowest=0),
        },
        learning_rate=learning_rate,
        momentum=momentum,
        preconditioner_rate=preconditioner_rate,
        probability=probability,
        weight_decay=weight_decay,
    )


def init(params: "chex.ArrayTree", *, axes: Axes, largest: int) -> PsgdKronState:
    """Before the first step: nothing learned."""

    def first(n: int, dtype: Any) -> jax.Array:
        return jnp.eye(n, dtype=dtype) if n <= largest else jnp.ones(n, dtype)

    return PsgdKronState(
        first_count(params),
        since=jnp.zeros((), jnp.int32),
        m=zeros_like(params),
        left=matrix_state(params, lambda rows, _, dtype: first(rows, dtype), axes),
        right=matrix_state(params, lambda _, columns, dtype: first(columns, dtype), axes),
        others=None,
    )


def update(
    gradients: "chex.ArrayTree",
    state: PsgdKronState,
    params: "chex.ArrayTree",
    *,
    momentum: ValueInForce,
    probability: ValueInForce,
    axes: Axes,
    largest: int,
    seed: int,
    **values: ValueInForce,
) -> tuple["chex.ArrayTree", PsgdKronState]:
    """One step of the rule on every matrix."""
    del largest  # the shapes of Q_L and Q_R have it
    t, since = next_count(state.count), state.since + 1
    is_due = since.astype(jnp.float32) * probability.astype(jnp.float32) >= 1
    noise = normal_like(jax.random.fold_in(jax.random.key(seed), state.count), state.m)
    updates, m, _, left, right = map_matrices(
        rule,
        gradients,
        state.m,
        noise,
        own=(state.left, state.right),
        params=params,
        axes=axes,
        momentum=momentum,
        one_minus_momentum_t=WeightSum(momentum, t),
        is_due=is_due,
        **values,
    )
    return updates, PsgdKronState(t, jnp.where(is_due, 0, since), m, left, right, others=None)


def normal_like(key: jax.Array, tree: "chex.ArrayTree") -> "chex.ArrayTree":
    """Normal noise of a tree's shapes and dtypes, for each leaf another one."""
    leaves, treedef = jax.tree.flatten(tree)
    keys = jax.random.split(key, max(len(leaves), 1))
    return treedef.unflatten(
        [jax.random.normal(one, leaf.shape, leaf.dtype) for one, leaf in zip(keys, leaves, strict=False)]
    )


def rule(
    g: jax.Array,
    w: jax.Array,
    m: jax.Array,
    noise: jax.Array,
    left: jax.Array,
    right: jax.Array,
    *,
    learning_rate: jax.Array,
    momentum: jax.Array,
    preconditioner_rate: jax.Array,
    weight_decay: jax.Array,
    one_minus_momentum_t: jax.Array,
    is_due: jax.Array,
) -> tuple[jax.Array, ...]:
    """The update and the new state for one matrix; the noise goes as it came."""
    if not g.size:
        return g, m, noise, left, right
    m = momentum * m + (1 - momentum) * g
    m_hat = m / one_minus_momentum_t
    left, right = jax.lax.cond(
        is_due != 0,
        learn,
        lambda left, right, *_: (left, right),
        left,
        right,
        m_hat,
        noise,
        preconditioner_rate,
    )
    turned = times(right, times(left, m_hat).T).T
    step = times(right, times(left, turned, transposed=True).T, transposed=True).T
    size = norm(step) / step.size**0.5
    step = step / jnp.maximum(size / LONGEST, 1)
    return -learning_rate * (step + weight_decay * w), m, noise, left, right


def learn(
    left: jax.Array, right: jax.Array, m_hat: jax.Array, noise: jax.Array, rate: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Both Qs a step further."""
    seen = jnp.any(m_hat != 0)
    m_hat = m_hat + DAMPING * jnp.mean(jnp.abs(m_hat)) * noise
    a = times(right, times(left, m_hat).T).T
    b = solved(right, solved(left, noise).T).T
    new_left, new_right = learned(left, a, b, rate), learned(right, a.T, b.T, rate)
    balance = jnp.sqrt(divide(jnp.max(jnp.abs(new_left)), jnp.max(jnp.abs(new_right))))
    new_left, new_right = divide(new_left, balance), new_right * balance
    return jnp.where(seen, new_left, left), jnp.where(seen, new_right, right)
