"""Decompositions side by side are those of each matrix, and on a CPU never wait for each other."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_edu.optimizers.matrices.decompositions import eigh, orthonormal_columns

MATRICES = jax.random.normal(jax.random.key(0), (3, 2, 8, 8))
SYMMETRIC = MATRICES + MATRICES.mT


def test_a_batch_has_the_decompositions_of_its_matrices():
    values, vectors = jax.jit(jax.vmap(jax.vmap(eigh)))(SYMMETRIC)
    expected, _ = jnp.linalg.eigh(SYMMETRIC)
    np.testing.assert_allclose(values, expected, atol=1e-5)
    np.testing.assert_allclose(SYMMETRIC @ vectors, vectors * values[..., None, :], atol=1e-5)
    q = jax.jit(jax.vmap(jax.vmap(orthonormal_columns)))(MATRICES)
    np.testing.assert_allclose(q, jnp.linalg.qr(MATRICES)[0], atol=1e-5)


@pytest.mark.parametrize("decompose", [eigh, orthonormal_columns])
def test_on_a_cpu_lapack_is_given_one_matrix_at_a_time(decompose):
    """A batch waits on a thread of the pool that is to work on it: where all threads wait, for ever."""
    side_by_side = jax.jit(jax.vmap(jax.vmap(decompose)))
    text = side_by_side.trace(MATRICES).lower(lowering_platforms=("cpu",)).as_text()
    shapes = re.findall(r"@lapack_\w+\(.*: \(tensor<([\dx]+)xf32>", text)
    assert shapes
    assert set(shapes) == {"8x8"}


def test_elsewhere_a_batch_is_one_call():
    traced = jax.jit(jax.vmap(eigh)).trace(SYMMETRIC[0])
    text = traced.lower(lowering_platforms=("cuda",)).as_text()
    assert "while" not in text
