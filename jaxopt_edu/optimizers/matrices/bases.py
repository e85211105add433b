"""Eigenbases of products such as GGᵀ: found once, and then followed by a power iteration and a QR."""

import jax
import jax.numpy as jnp

from jaxopt_edu.optimizers.matrices.decompositions import eigh, orthonormal_columns


def eigenbasis(product: jax.Array) -> jax.Array:
    """The eigenvectors of a symmetric matrix, those of the largest eigenvalues first.

    Args:
        product: symmetric (Hermitian) and without negative eigenvalues; of shape (n, n).

    Returns:
        The eigenvectors as columns; of the same shape and dtype, a constant for derivatives (eigenvectors of
        equal eigenvalues have none).

    >>> eigenbasis(jnp.diag(jnp.array([1.0, 3.0]))).tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    _, vectors = eigh(jax.lax.stop_gradient(product))
    return vectors[:, ::-1]


def power_iteration(product: jax.Array, basis: jax.Array) -> tuple[jax.Array, jax.Array]:
    """One step of orthogonal iteration: a basis that is nearer to the eigenbasis than the one given.

    Q ← the first factor of the QR decomposition of P Q, whose columns were sorted by qᵀPq first. Repeated
    on a matrix that stays, it converges to the eigenbasis; on one that changes slowly it follows.

    Args:
        product: P, symmetric (Hermitian) and without negative eigenvalues; of shape (n, n).
        basis: Q, orthonormal columns; of shape (n, n).

    Returns:
        The new basis, a constant for derivatives; and the order, shape (n,): column i of the new basis
            comes from
        column order[i] of the old one.

    >>> q, order = power_iteration(jnp.diag(jnp.array([1.0, 3.0])), jnp.eye(2))
    >>> jnp.abs(q).tolist(), order.tolist()
    ([[0.0, 1.0], [1.0, 0.0]], [1, 0])
    """
    product, basis = jax.lax.stop_gradient((product, basis))
    turned = product @ basis
    lengths = jnp.sum(basis.conj() * turned, axis=0).real
    order = jnp.argsort(lengths, descending=True)
    return orthonormal_columns(turned[:, order]), order


def turned(left: jax.Array, matrix: jax.Array, right: jax.Array) -> jax.Array:
    """A matrix as seen in two bases, QᵀMR; one of shape (0, 0) stands for the axes as they are.

    Args:
        left: Q, of shape (rows, rows) or (0, 0).
        matrix: M, of shape (rows, columns).
        right: R, of shape (columns, columns) or (0, 0).

    Returns:
        An array of M's shape.

    >>> turned(jnp.zeros((0, 0)), jnp.ones((2, 1)), -jnp.ones((1, 1))).tolist()
    [[-1.0], [-1.0]]
    """
    matrix = left.conj().T @ matrix if left.size else matrix
    return matrix @ right if right.size else matrix


def turned_back(left: jax.Array, matrix: jax.Array, right: jax.Array) -> jax.Array:
    """What `turned` turned, as it was: QMRᵀ.

    Args:
        left: Q, of shape (rows, rows) or (0, 0).
        matrix: M, of shape (rows, columns).
        right: R, of shape (columns, columns) or (0, 0).

    Returns:
        An array of M's shape.

    >>> turned_back(jnp.zeros((0, 0)), jnp.ones((2, 1)), -jnp.ones((1, 1))).tolist()
    [[-1.0], [-1.0]]
    """
    matrix = left @ matrix if left.size else matrix
    return matrix @ right.conj().T if right.size else matrix


def product_of_rows(matrix: jax.Array) -> jax.Array:
    """MMᵀ, all inner products of a matrix's rows.

    Args:
        matrix: M, of shape (rows, columns).

    Returns:
        A symmetric (Hermitian) matrix of shape (rows, rows).

    >>> product_of_rows(jnp.array([[1.0, 2.0]])).tolist()
    [[5.0]]
    """
    return matrix @ matrix.conj().T
