"""Shampoo beside pytorch_optimizer's, and the roots that it takes."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_edu as jo
from jaxopt_edu.optimizers.matrices.inverse_root import inverse_root
from tests.optimizers.matrices.formulas import stream
from tests.optimizers.matrices.test_muon import ours


@pytest.mark.parametrize("shape", [(5, 4), (4, 4)])
def test_pytorch_optimizer(shape, x64):
    torch: Any = pytest.importorskip("torch")
    pytorch_optimizer: Any = pytest.importorskip("pytorch_optimizer")
    gradients, w = stream(40, shape), np.ones(shape)
    p = torch.nn.Parameter(torch.tensor(w))
    theirs = pytorch_optimizer.Shampoo([p], lr=0.1, matrix_eps=1e-3)
    expected = []
    for g in gradients:
        p.grad = torch.tensor(g)
        theirs.step()
        expected.append(p.detach().numpy().copy())
    opt = jo.shampoo(learning_rate=0.1, momentum=0.0, eps=1e-3, frequency=1)
    # It makes its ε I in float32.
    assert np.abs(ours(opt, gradients, w) - np.stack(expected)).max() < 1e-5 * 0.1


def test_the_roots_derivative_is_finite_and_right(x64):
    """Also where eigenvalues are equal, as all are of a unit matrix."""
    rng = np.random.default_rng(0)
    for values in ([1.0, 1.0, 1.0], [3.0, 1.0, 1.0], [3.0, 2.0, 0.5]):
        basis, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        matrix, change = basis * values @ basis.T, rng.normal(size=(3, 3))
        change, h = change + change.T, 1e-5
        _, found = jax.jvp(lambda a: inverse_root(a, 4), (jnp.asarray(matrix),), (jnp.asarray(change),))
        ends = [np.asarray(inverse_root(jnp.asarray(matrix + step * change), 4)) for step in (h, -h)]
        np.testing.assert_allclose(found, (ends[0] - ends[1]) / (2 * h), atol=1e-8)


def test_it_is_an_inverse_root(x64):
    rng = np.random.default_rng(0)
    half = rng.normal(size=(4, 6))
    matrix = half @ half.T
    root = np.asarray(inverse_root(jnp.asarray(matrix), 4))
    np.testing.assert_allclose(np.linalg.matrix_power(root, 4) @ matrix, np.eye(4), atol=1e-10)
