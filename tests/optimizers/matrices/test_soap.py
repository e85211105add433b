"""SOAP beside pytorch_optimizer's, and the bases that it follows."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_edu as jo
from jaxopt_edu.optimizers.matrices.bases import power_iteration
from tests.optimizers.matrices.formulas import stream
from tests.optimizers.matrices.test_muon import ours


def test_pytorch_optimizer(x64):
    """It decays the weights after the step, and works in float64 but for the QR, which it does in float32."""
    torch: Any = pytest.importorskip("torch")
    pytorch_optimizer: Any = pytest.importorskip("pytorch_optimizer")
    gradients, w = stream(40, (5, 5)), np.ones((5, 5))
    p = torch.nn.Parameter(torch.tensor(w))
    theirs = pytorch_optimizer.SOAP(
        [p], lr=0.01, betas=(0.9, 0.95), weight_decay=0.0, precondition_frequency=5
    )
    expected = []
    for g in gradients:
        p.grad = torch.tensor(g)
        theirs.step()
        expected.append(p.detach().numpy().copy())
    opt = jo.soap(learning_rate=0.01, b1=0.9, b2=0.95, eps=1e-8, weight_decay=0.0, frequency=5)
    found = ours(opt, gradients, w)
    np.testing.assert_array_equal(found[0], w, err_msg="the first step only looks")
    assert np.abs(found - np.stack(expected)).max() < 1e-3 * 0.01


def test_power_iterations_converge_to_the_eigenbasis(x64):
    rng = np.random.default_rng(0)
    basis, _ = np.linalg.qr(rng.normal(size=(5, 5)))
    product = jnp.asarray(basis * 4.0 ** -np.arange(5) @ basis.T)
    found = jnp.asarray(np.linalg.qr(rng.normal(size=(5, 5)))[0])
    for _ in range(60):
        found, order = power_iteration(product, found)
    np.testing.assert_allclose(np.abs(basis.T @ found), np.eye(5), atol=1e-10)
    np.testing.assert_array_equal(order, np.arange(5))


@pytest.mark.parametrize("shape", [(5, 3), (3, 5)])
def test_a_side_that_is_too_long_keeps_its_axes(shape, x64):
    state: Any = jo.soap(largest=4).init({"kernel": jnp.zeros(shape)})
    sides = {"left": shape[0], "right": shape[1]}
    for name, size in sides.items():
        size = size if size <= 4 else 0
        assert getattr(state, name)["kernel"].shape == (size, size)
        assert getattr(state, f"{name}_basis")["kernel"].shape == (size, size)
    found = ours(jo.soap(largest=4), stream(5, shape), np.ones(shape))
    assert np.isfinite(found).all()
    assert (found[-1] != 1).all()
