"""Decompositions of matrices that JAX may run side by side.

On a CPU JAX hands the parts of a batch to a pool of threads and waits for them on one of its threads. Where
as many decompositions as threads wait at the same time, as those of several devices or of layers of several
shapes may, nobody is left to work, and the program hangs. There a batch is decomposed one after another.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def _one_after_another_on_cpus(decompose: Callable[[jax.Array], Any]) -> Callable[[jax.Array], Any]:
    @jax.custom_batching.custom_vmap
    def alone(matrix: jax.Array) -> Any:
        return decompose(matrix)

    @alone.def_vmap
    def _(axis_size: int, in_batched: list[bool], matrices: jax.Array) -> Any:
        del axis_size, in_batched  # the only argument: batched, or this is not called
        made = jax.lax.platform_dependent(
            matrices, cpu=functools.partial(jax.lax.map, alone), default=jax.vmap(decompose)
        )
        return made, jax.tree.map(lambda leaf: True, made)

    return alone


@_one_after_another_on_cpus
def eigh(matrix: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Eigenvalues and eigenvectors of a symmetric matrix.

    Args:
        matrix: symmetric (Hermitian); of shape (n, n).

    Returns:
        The eigenvalues, increasing, shape (n,), real; and the eigenvectors as columns, shape (n, n).

    >>> values, _ = eigh(jnp.diag(jnp.array([3.0, 1.0])))
    >>> values.tolist()
    [1.0, 3.0]
    """
    values, vectors = jnp.linalg.eigh(matrix)
    return values, vectors


@_one_after_another_on_cpus
def orthonormal_columns(matrix: jax.Array) -> jax.Array:
    """The first factor of the QR decomposition.

    Args:
        matrix: of shape (n, n).

    Returns:
        A matrix of the same shape whose columns are orthonormal, and of which the first k span what the
        first k of the one given span.

    >>> jnp.abs(orthonormal_columns(jnp.array([[3.0, 0.0], [4.0, 1.0]]))[:, 0]).round(3).tolist()
    [0.6, 0.8]
    """
    return jnp.linalg.qr(matrix)[0]
