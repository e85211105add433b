"""Triangular factors that learn, or diagonal ones, which are kept as vectors."""

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular

from jaxopt_edu.core.numerics import divide, squared_magnitude
from jaxopt_edu.core.reductions import norm


def times(factor: jax.Array, matrix: jax.Array, *, transposed: bool = False) -> jax.Array:
    """QM, or QᵀM.

    Args:
        factor: Q, of shape (n, n), or its diagonal, of shape (n,).
        matrix: M, of shape (n, columns).
        transposed: take Qᵀ.

    Returns:
        An array of M's shape.

    >>> times(jnp.array([2.0]), jnp.ones((1, 2))).tolist()
    [[2.0, 2.0]]
    """
    if factor.ndim == 1:
        return (factor.conj() if transposed else factor)[:, None] * matrix
    return (factor.conj().T if transposed else factor) @ matrix


def solved(factor: jax.Array, matrix: jax.Array) -> jax.Array:
    """Q⁻ᵀM, the solution X of QᵀX = M.

    Args:
        factor: Q, upper triangular, of shape (n, n), or its diagonal, of shape (n,).
        matrix: M, of shape (n, columns).

    Returns:
        An array of M's shape.

    >>> solved(jnp.array([[2.0, 0.0], [0.0, 4.0]]), jnp.ones((2, 1))).tolist()
    [[0.5], [0.25]]
    """
    if factor.ndim == 1:
        return matrix / factor.conj()[:, None]
    return solve_triangular(factor, matrix, trans="C", lower=False)


def learned(factor: jax.Array, a: jax.Array, b: jax.Array, rate: jax.Array) -> jax.Array:
    """Q − μ triu(AAᵀ − BBᵀ) Q / ‖AAᵀ + BBᵀ‖: a step after which AAᵀ and BBᵀ are more alike.

    Args:
        factor: Q, upper triangular, of shape (n, n), or its diagonal, of shape (n,).
        a: A, of shape (n, columns).
        b: B, of the same shape.
        rate: μ, shape ().

    Returns:
        An array of Q's shape, triangular again.

    >>> learned(jnp.ones(1), jnp.ones((1, 1)), jnp.zeros((1, 1)), jnp.float32(0.25)).tolist()
    [0.75]
    """
    if factor.ndim == 1:
        a, b = jnp.sum(squared_magnitude(a), axis=1), jnp.sum(squared_magnitude(b), axis=1)
        return factor - rate * divide((a - b) * factor, jnp.max(a + b))
    a, b = a @ a.conj().T, b @ b.conj().T
    return factor - rate * divide(jnp.triu(a - b) @ factor, spectral_norm_from_below(a + b))


def spectral_norm_from_below(matrix: jax.Array) -> jax.Array:
    """A lower bound of a symmetric matrix's largest eigenvalue: one product with its longest column.

    Args:
        matrix: symmetric, without negative eigenvalues; of shape (n, n).

    Returns:
        At least 1/√n of the largest eigenvalue, mostly nearly all of it; shape ().

    >>> float(spectral_norm_from_below(jnp.diag(jnp.array([1.0, 3.0]))))
    3.0
    """
    largest = jnp.max(jnp.abs(matrix), initial=0.0)
    scaled = divide(matrix, jnp.broadcast_to(largest, matrix.shape))
    column = scaled[:, jnp.argmax(jnp.sum(squared_magnitude(scaled), axis=0))]
    return largest * divide(norm(scaled @ column), norm(column))
