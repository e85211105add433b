"""A root of the inverse of a symmetric matrix, with a derivative wherever the matrix is."""

import functools

import jax
import jax.numpy as jnp

from jaxopt_edu.optimizers.matrices.decompositions import eigh


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def inverse_root(matrix: jax.Array, order: int) -> jax.Array:
    """A^(−1/p) of a symmetric matrix without negative eigenvalues, by its eigenvectors.

    Eigenvalues that are 0, or that a rounding has made negative, count as having no inverse: they become 0.

    Args:
        matrix: A, symmetric (Hermitian); of shape (n, n).
        order: p, at least 1.

    Returns:
        An array of the same shape and dtype. Its derivative is finite where eigenvalues are equal, too, which
        that of the eigenvectors is not.

    >>> inverse_root(jnp.diag(jnp.array([16.0, 0.0])), 4).tolist()
    [[0.5, 0.0], [0.0, 0.0]]
    """
    values, vectors = eigh(matrix)
    return (vectors * _power(values, -1 / order)[None, :]) @ vectors.conj().T


@inverse_root.defjvp
def _(order, primals, tangents):
    # Daleckii and Krein: in A's eigenbasis the derivative is, entry by entry, a difference quotient of the
    # root; of equal eigenvalues it is the root's own derivative.
    (matrix,), (tangent,) = primals, tangents
    values, vectors = eigh(matrix)
    roots, slopes = _power(values, -1 / order), _power(values, -1 / order - 1) * (-1 / order)
    gap = values[:, None] - values[None, :]
    largest = jnp.maximum(jnp.abs(values)[:, None], jnp.abs(values)[None, :])
    near = jnp.abs(gap) <= 1e-3 * largest
    quotient = (roots[:, None] - roots[None, :]) / jnp.where(near, 1, gap)
    mean = (slopes[:, None] + slopes[None, :]) / 2
    turned = vectors.conj().T @ tangent @ vectors
    change = vectors @ (jnp.where(near, mean, quotient) * turned) @ vectors.conj().T
    return (vectors * roots[None, :]) @ vectors.conj().T, change


def _power(values: jax.Array, exponent: float) -> jax.Array:
    positive = values > 0
    return jnp.where(positive, jnp.where(positive, values, 1) ** exponent, 0)
