"""Muon: momentum whose singular values are all made 1, so that no direction of a layer is left behind.

The gradient of a layer's matrix is dominated by a few directions, and so is a moving average of it: a step
along it moves the layer where it moves already. Muon keeps the directions of the average and makes all their
lengths equal: of M = USVᵀ it takes about UVᵀ, the steepest descent where a step is measured by how much it
can change the layer's output. Newton–Schulz iteration does that with products of matrices alone.

    m ← β m + (1 − β) G
    u = β m + (1 − β) G              (Nesterov's look-ahead, as in the official code)
    O = newton_schulz(u / (‖u‖ + ε))
    w ← w − η (s O + λ w)

with η = learning_rate, β = momentum, λ = weight_decay, ε = eps, m₀ = 0, ‖·‖ the root of the sum of squares,
and s by the matrix's shape, (rows, columns) = (inputs, outputs) of the layer:

    scale="rms"        s = 0.2 √max(inputs, outputs)    Moonlight's: entries as large as AdamW's
    scale="original"   s = √max(1, outputs / inputs)    Jordan's
    scale="spectral"   s = √(outputs / inputs)          Bernstein's and Scion's

What it repairs: Adam's step depends on the axes, and for a matrix these mean nothing. What it costs: one
array of memory (Adam: two), and 5 steps of 4a²b + 2a³ multiplications and additions for a matrix with sides
a ≤ b, which beside those of the gradient from T rows of data are about 5a/T: little for large batches, most
of the time for small ones. It is for hidden layers only. Embeddings and heads, whose rows are single
tokens, and vectors go to another optimizer, `others`; which leaves those are is for `axes` to say, by
default `matrix_axes`.

O is not quite UVᵀ: Jordan's coefficients bring singular values into 0.68 … 1.2 in 5 steps (those below a
hundredth of ‖u‖ less far), which trains as well; `coefficients` takes others. m is not divided by 1 − βᵗ: a
factor changes nothing here.

torch.optim.Muon and the official code do all this in bfloat16, and are up to 0.2 η from this page at a
step; here it is float32 (float64 for such leaves). torch's "match_rms_adamw" is "rms", and its default
"original" with λ = 0.1; it refuses all but two axes. Both know rows as outputs, as torch's layers store
them, where JAX's store inputs first; a leaf named `weight` is taken as torch's. optax.contrib.muon divides
m by 1 − βᵗ⁺¹ and the gradient by 1 − βᵗ before it adds them, so that it looks ahead by less in the first
steps (0.1 η apart), shares ε with Adam, and takes embeddings and heads as matrices unless told otherwise.

Jordan et al. 2024, Muon: An optimizer for hidden layers in neural networks,
kellerjordan.github.io/posts/muon; Liu et al. 2025, Muon is Scalable for LLM Training, arXiv:2502.16982 (λ
and "rms", with which AdamW's η and λ fit); Bernstein & Newhouse 2024, Old Optimizer, New Norm: An
Anthology, arXiv:2409.20325.
"""

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import optax

from jaxopt_edu.core.arguments import checked_option
from jaxopt_edu.core.checks import FRACTION, NON_NEGATIVE, Limit, checked_whole
from jaxopt_edu.core.companion import build_for_matrices
from jaxopt_edu.core.distributions import Distribution, loguniform, one_minus
from jaxopt_edu.core.hints import with_hints
from jaxopt_edu.core.matrices import Axes, MatrixAxes, map_matrices, matrix_axes
from jaxopt_edu.core.transform import Hyperparameter, Optimizer
from jaxopt_edu.core.trees import ValueInForce, first_count, next_count, zeros_like
from jaxopt_edu.optimizers.matrices.newton_schulz import (
    JORDAN,
    Coefficients,
    checked_coefficients,
    newton_schulz,
)
from jaxopt_edu.optimizers.matrices.others import OTHERS

if TYPE_CHECKING:
    import chex

LIMITS: dict[str, Limit] = {
    "learning_rate": NON_NEGATIVE,
    "momentum": FRACTION,
    "weight_decay": NON_NEGATIVE,
    "eps": NON_NEGATIVE,
}
SPACE: dict[str, Distribution] = {
    "learning_rate": loguniform(1e-4, 0.1),
    "momentum": one_minus(loguniform(1e-2, 0.3)),
    "weight_decay": loguniform(1e-3, 1.0),
}
# s, by the inputs and outputs of the layer.
SCALES: dict[str, Callable[[int, int], float]] = {
    "rms": lambda inputs, outputs: 0.2 * max(inputs, outputs) ** 0.5,
    "original": lambda inputs, outputs: max(1.0, outputs / inputs) ** 0.5,
    "spectral": lambda inputs, outputs: (outputs / inputs) ** 0.5,
}


class MuonState(NamedTuple):
    """What Muon remembers."""

    count: jax.Array  # t, the number of updates made; int32, shape ()
    m: "chex.ArrayTree"  # m, the moving average of gradients; as those params that are matrices, ≥ float32
    others: Any  # the state of the optimizer of what is no matrix


@with_hints
def muon(
    learning_rate: Hyperparameter = 0.001,
    momentum: Hyperparameter = 0.95,
    weight_decay: Hyperparameter = 0.1,
    eps: Hyperparameter = 1e-7,
    *,
    others: optax.GradientTransformation = OTHERS,
    axes: Axes | Mapping[str, MatrixAxes | None] = matrix_axes,
    scale: str = "rms",
    steps: int = 5,
    coefficients: Coefficients = JORDAN,
) -> Optimizer:
    """Muon, w ← w − η (s UVᵀ + λ w) where USVᵀ is about the average gradient of a layer.

    Args:
        learning_rate: η, for scale="rms" as large as AdamW's; finite, ≥ 0, or a schedule.
        momentum: β, what is kept of the average gradient at a step; in [0, 1), or a schedule.
        weight_decay: λ, times η the part of a weight that decays at a step; finite, ≥ 0, or a schedule.
        eps: ε, keeps the division finite where no gradient was seen; finite, ≥ 0, or a schedule.
        others: the optimizer of what is no matrix; its numbers are called "others.learning_rate" and so on.
        axes: which leaves are matrices, and of which axes: a function of (name, leaf) such as
            `matrix_axes`, or a dict of patterns to a MatrixAxes or None (to others) for those leaves that
            it takes wrongly.
        scale: "rms", "original" or "spectral", how a step grows with the matrix.
        steps: iterations of Newton and Schulz; whole, ≥ 1.
        coefficients: (a, b, c) of each iteration; the last ones are those of all that follow.

    Returns:
        An optax transform that is a pytree of its four hyperparameters and of those of others. Its state is
        MuonState(count, m, others), and its update needs the parameters.

    Raises:
        TypeError: a hyperparameter is neither a number of shape () nor a schedule, or others is no optimizer.
        ValueError: a hyperparameter is out of its range, or scale is unknown.

    >>> import jax.numpy as jnp, jaxopt_edu as jo, optax
    >>> opt = jo.muon(learning_rate=0.1, weight_decay=0.0, scale="original")
    >>> params = {"kernel": jnp.array([[3.0, 0.0], [0.0, 0.1]]), "bias": jnp.ones(2)}
    >>> state = opt.init(params)
    >>> updates, state = opt.update(params, state, params)  # of f(w) = ½‖w‖²
    >>> [round(float(u), 2) for u in jnp.diagonal(updates["kernel"])]  # about 0.1 each, not 30 : 1
    [-0.07, -0.11]
    >>> jo.hyperparameters(opt)["others.b2"]
    0.95

    References:
        Jordan et al., Muon: An optimizer for hidden layers in neural networks, 2024.
        Liu et al., Muon is Scalable for LLM Training, 2025, arXiv:2502.16982.
    """
    scale = checked_option("muon", "scale", scale, tuple(SCALES))
    return build_for_matrices(
        muon,
        MuonState,
        init,
        update,
        LIMITS,
        others=others,
        axes=axes,
        static={
            "scale": scale,
            "steps": checked_whole("muon", "steps", steps),
            "coefficients": checked_coefficients("muon", coefficients),
        },
        learning_rate=learning_rate,
        momentum=momentum,
        weight_decay=weight_decay,
        eps=eps,
    )


def init(params: "chex.ArrayTree") -> MuonState:
    """Before the first step: no gradient seen."""
    return MuonState(count=first_count(params), m=zeros_like(params), others=None)


def update(
    gradients: "chex.ArrayTree",
    state: MuonState,
    params: "chex.ArrayTree",
    *,
    learning_rate: ValueInForce,
    momentum: ValueInForce,
    weight_decay: ValueInForce,
    eps: ValueInForce,
    axes: Axes,
    scale: str,
    steps: int,
    coefficients: Coefficients,
) -> tuple["chex.ArrayTree", MuonState]:
    """One step of the rule on every matrix."""
    updates, m = map_matrices(
        functools.partial(rule, scale=SCALES[scale], steps=steps, coefficients=coefficients),
        gradients,
        state.m,
        params=params,
        axes=axes,
        learning_rate=learning_rate,
        momentum=momentum,
        weight_decay=weight_decay,
        eps=eps,
    )
    return updates, state._replace(count=next_count(state.count), m=m)


def rule(
    g: jax.Array,
    w: jax.Array,
    m: jax.Array,
    *,
    learning_rate: jax.Array,
    momentum: jax.Array,
    weight_decay: jax.Array,
    eps: jax.Array,
    scale: Callable[[int, int], float],
    steps: int,
    coefficients: Coefficients,
) -> tuple[jax.Array, jax.Array]:
    """The update and the new average for one matrix, a row for each input."""
    m = momentum * m + (1 - momentum) * g
    u = momentum * m + (1 - momentum) * g
    orthogonal = newton_schulz(u, steps=steps, coefficients=coefficients, eps=eps)
    return -learning_rate * (scale(*w.shape) * orthogonal + weight_decay * w), m
