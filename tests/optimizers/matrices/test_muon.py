"""Muon beside the other codes of it, and what its iteration does to singular values."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax.contrib
import pytest

import jaxopt_edu as jo
from jaxopt_edu.optimizers.matrices.newton_schulz import CLASSICAL, newton_schulz
from tests.optimizers.matrices.formulas import muon, stream, walk
from tests.optimizers.matrices.test_pages import path

STEPS = 40
SHAPES = {"tall": (12, 5), "wide": (5, 12), "square": (6, 6)}


def ours(opt: jo.Optimizer, gradients: np.ndarray, w: np.ndarray) -> np.ndarray:
    return np.asarray(path(opt, {"kernel": jnp.asarray(w)}, {"kernel": jnp.asarray(gradients)})["kernel"])


@pytest.mark.parametrize("scale", ["original", "rms", "spectral"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_scales(scale, shape, x64):
    rows, columns = shape
    factor = {
        "original": max(1, columns / rows) ** 0.5,
        "rms": 0.2 * max(shape) ** 0.5,
        "spectral": (columns / rows) ** 0.5,
    }[scale]
    settings: dict[str, Any] = {"learning_rate": 0.02, "momentum": 0.9, "weight_decay": 0.1}
    gradients, w = stream(STEPS, shape), np.ones(shape)
    expected = np.stack(list(walk(muon(shape, **settings, scale=factor), gradients, w)))
    np.testing.assert_allclose(ours(jo.muon(**settings, scale=scale), gradients, w), expected, atol=1e-13)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_optax_once_its_bias_corrections_are_ones(shape, x64):
    """After 1,000 steps of β = 0.5 nothing is left of them; before, its look-ahead is another one."""
    gradients, w = stream(100, shape), np.ones(shape)
    opt = jo.muon(learning_rate=0.02, momentum=0.5, weight_decay=0.0, eps=1e-8, scale="original")
    theirs = optax.contrib.muon(0.02, beta=0.5, weight_decay=0.0, eps=1e-8)
    with jax.numpy_dtype_promotion("standard"):
        params, state, expected = {"kernel": jnp.asarray(w)}, theirs.init({"kernel": jnp.asarray(w)}), []
        update = jax.jit(theirs.update)
        for g in gradients:
            updates, state = update({"kernel": jnp.asarray(g)}, state, params)
            expected.append(np.asarray(updates["kernel"]))  # type: ignore[index]
    found = np.diff(ours(opt, gradients, w), axis=0, prepend=w[None])
    distance = np.abs(found - np.stack(expected)).max(axis=(1, 2)) / 0.02
    assert distance[60:].max() < 1e-9
    assert distance[1] > 1e-3, "and this test can tell"


def torch_path(torch: Any, make: Any, gradients: np.ndarray, w: np.ndarray) -> np.ndarray:
    """The path of an optimizer whose matrices have a row for each output."""
    p = torch.nn.Parameter(torch.tensor(w.T.copy(), dtype=torch.float32))
    optimizer, found = make(p), []
    for g in gradients:
        p.grad = torch.tensor(g.T.copy(), dtype=torch.float32)
        optimizer.step()
        found.append(p.detach().numpy().T.copy())
    return np.stack(found)


SETTINGS: dict[str, Any] = {"learning_rate": 0.02, "momentum": 0.95, "weight_decay": 0.1}


def far(found: np.ndarray, expected: np.ndarray, w: np.ndarray) -> float:
    """The distance of the ends of two paths, in lengths of the path."""
    return float(np.linalg.norm(found[-1] - expected[-1]) / np.linalg.norm(expected[-1] - w))


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize(
    ("scale", "theirs"), [("original", "original"), ("rms", "match_rms_adamw")], ids=["original", "rms"]
)
def test_torch_up_to_its_bfloat16(shape, scale, theirs):
    torch = pytest.importorskip("torch")
    if not hasattr(torch.optim, "Muon"):
        pytest.skip("this torch has no Muon")
    gradients, w = stream(STEPS, shape), np.ones(shape)
    make = lambda p: torch.optim.Muon([p], lr=0.02, momentum=0.95, weight_decay=0.1, adjust_lr_fn=theirs)  # noqa: E731
    expected = torch_path(torch, make, gradients, w)
    found = ours(jo.muon(**SETTINGS, scale=scale), gradients.astype(np.float32), w.astype(np.float32))
    assert far(found, expected, w) < 0.05


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_official_code_up_to_its_bfloat16(shape):
    torch = pytest.importorskip("torch")
    official = pytest.importorskip("muon")
    if not hasattr(official, "SingleDeviceMuon"):
        pytest.skip("another package of that name")
    gradients, w = stream(STEPS, shape), np.ones(shape)
    make = lambda p: official.SingleDeviceMuon([p], lr=0.02, momentum=0.95, weight_decay=0.1)  # noqa: E731
    expected = torch_path(torch, make, gradients, w)
    opt = jo.muon(**SETTINGS, scale="original")
    found = ours(opt, gradients.astype(np.float32), w.astype(np.float32))
    assert far(found, expected, w) < 0.05


def test_singular_values_come_near_one(x64):
    """Jordan's five steps leave them in 0.68 … 1.21, if they were at least a hundredth of the norm."""
    rng = np.random.default_rng(0)
    u, _, v = np.linalg.svd(rng.normal(size=(30, 20)), full_matrices=False)
    strengths = np.geomspace(0.02, 1, 20)
    made = np.asarray(newton_schulz(jnp.asarray(u * strengths @ v), steps=5))
    values = np.diag(u.T @ made @ v.T)
    np.testing.assert_allclose(made, u * values @ v, atol=1e-10, err_msg="U and V are left alone")
    assert values.min() > 0.67
    assert values.max() < 1.22


def test_the_classical_coefficients_converge_to_the_polar_factor(x64):
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(6, 4))
    u, _, v = np.linalg.svd(matrix, full_matrices=False)
    found = newton_schulz(jnp.asarray(matrix), steps=20, coefficients=CLASSICAL)
    np.testing.assert_allclose(found, u @ v, atol=1e-6)


@pytest.mark.parametrize("size", [1e-30, 1e-18, 1e18, 1e30])
def test_the_size_of_a_gradient_says_nothing(size):
    """Its squares are no float32 numbers; without ε even the smallest gradient has a direction."""
    matrix = jnp.asarray(np.random.default_rng(0).normal(size=(4, 3)), jnp.float32)
    expected = newton_schulz(matrix, steps=5, eps=0.0)
    np.testing.assert_allclose(newton_schulz(size * matrix, steps=5, eps=0.0), expected, rtol=2e-5, atol=1e-6)


def test_what_is_refused():
    with pytest.raises(ValueError, match="scale = 'moonlight'; it is 'rms' or 'original' or 'spectral'"):
        jo.muon(scale="moonlight")
    with pytest.raises(ValueError, match="muon: steps = 0 must be a whole number"):
        jo.muon(steps=0)
    opt = jo.muon()
    with pytest.raises(ValueError, match=r"muon.update needs the parameters"):
        opt.update({"w": jnp.ones((2, 2))}, opt.init({"w": jnp.ones((2, 2))}))


def test_complex_matrices_are_turned_as_real_ones(x64):
    """Multiplied by i the problem is the same."""
    gradients, w = stream(5, (4, 3)), np.ones((4, 3))
    opt = jo.muon()
    real, turned = (ours(opt, factor * gradients, factor * w) for factor in (1.0, 1j))
    np.testing.assert_allclose(turned, 1j * real, atol=1e-12)
