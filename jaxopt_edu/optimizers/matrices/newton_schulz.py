"""Newton–Schulz iteration: the nearest matrix with orthonormal rows or columns, by products alone."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_edu.core.checks import short
from jaxopt_edu.core.matrices import with_fewer_rows
from jaxopt_edu.core.numerics import divide
from jaxopt_edu.core.reductions import norm

Coefficients = tuple[tuple[float, float, float], ...]

# Keller Jordan's: the steepest start at 0, for which singular values end anywhere in 0.68 … 1.2 and not at 1.
JORDAN: Coefficients = ((3.4445, -4.7750, 2.0315),)
# The classical iteration of degree five: it converges to 1, slowly from small singular values.
CLASSICAL: Coefficients = ((15 / 8, -10 / 8, 3 / 8),)


def checked_coefficients(owner: str, coefficients: Any) -> Coefficients:
    """The coefficients of an iteration, as Python numbers.

    Args:
        owner: the optimizer's name, for the error.
        coefficients: rows of three numbers.

    Returns:
        The rows, a tuple of tuples.

    Raises:
        TypeError: they are something else.

    >>> checked_coefficients("muon", [[2, -1.5, 0.5]])
    ((2.0, -1.5, 0.5),)
    """
    try:
        rows: Any = np.asarray(coefficients, np.float64)
    except (TypeError, ValueError):
        rows = np.zeros(())
    if rows.ndim != 2 or rows.shape[1] != 3 or not len(rows) or not np.isfinite(rows).all():
        raise TypeError(
            f"{owner}: coefficients = {short(coefficients)} are no rows (a, b, c) of finite numbers, one for "
            "each iteration."
        )
    return tuple((a, b, c) for a, b, c in rows.tolist())


def newton_schulz(
    matrix: jax.Array, *, steps: int, coefficients: Coefficients = JORDAN, eps: jax.Array | float = 1e-7
) -> jax.Array:
    """An approximation of UVᵀ, where USVᵀ is the matrix: each singular value is brought near 1.

    X ← M / (‖M‖ + ε), then X ← a X + b (XXᵀ) X + c (XXᵀ)² X a number of times, which maps each singular value
    σ to a σ + b σ³ + c σ⁵ and leaves U and V alone. Products only, on the side that is shorter: no
    decomposition, so an accelerator does it at full speed, and zero or equal singular values are no trouble.

    Args:
        matrix: M; real or complex, of shape (rows, columns).
        steps: how many iterations; at least 1.
        coefficients: (a, b, c) of each iteration; the last ones are those of all that follow.
        eps: ε, keeps the division finite where M is 0; shape ().

    Returns:
        An array of M's shape and dtype; 0 where M is 0.

    >>> x = newton_schulz(jnp.array([[3.0, 0.0], [0.0, 1.0]]), steps=30, coefficients=CLASSICAL)
    >>> bool(jnp.allclose(x, jnp.eye(2), atol=1e-6))
    True

    References:
        Björck & Bowie, An iterative algorithm for computing the best estimate of an orthogonal matrix, 1971.
        Jordan et al., Muon: An optimizer for hidden layers in neural networks, 2024.
    """

    def iterate(x: jax.Array) -> jax.Array:
        for step in range(steps):
            a, b, c = coefficients[min(step, len(coefficients) - 1)]
            square = x @ x.conj().T
            x = a * x + (b * square + c * (square @ square)) @ x
        return x

    # The squares of numbers beyond 1e19, or below 1e-23, are none that float32 holds.
    largest = jax.lax.stop_gradient(jnp.max(jnp.abs(matrix), initial=0.0))
    largest = jnp.where(jnp.isfinite(largest) & (largest > 0), largest, 1)
    length = largest * norm(matrix / largest)
    return with_fewer_rows(iterate, divide(matrix, length + eps))
