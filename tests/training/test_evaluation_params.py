"""fit and sweep evaluate, show and return the point that the optimizer recommends, and keep the held one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_edu as jo
from tests.averaging import averaging

W = jnp.array([8.0])
RATES = (0.5, 0.25)


def loss_fn(w, batch):
    return jnp.sum(w**2) / 2


def value(w):
    return w[0]


def points(rate, steps, b=0.5):
    """Held and recommended after each step: w shrinks by 1 − η, and the point is a share of the way back."""
    held = 8.0 * (1 - rate) ** np.arange(steps + 1)
    return held, np.concatenate([held[:1], b * held[:-1] + (1 - b) * held[1:]])


def test_fit_evaluates_shows_and_returns_the_recommended_point():
    seen = []
    opt = averaging(0.5)
    result = jo.fit(
        loss_fn, W, opt, steps=4, every=1, evaluate=value, callback=lambda moment: seen.append(moment.params)
    )
    held, recommended = points(0.5, 4)
    np.testing.assert_allclose(result.params, recommended[-1:])
    np.testing.assert_allclose(result.held, held[-1:])
    np.testing.assert_allclose(np.ravel(seen)[-1], recommended[-1])
    np.testing.assert_allclose(jo.evaluation_params(opt, result.state, result.held), result.params)


def test_of_others_nothing_is_held_beside():
    result = jo.fit(loss_fn, W, jo.sgd(0.5), steps=2)
    assert result.held is None
    np.testing.assert_allclose(result.params, [2.0])


@pytest.mark.parametrize("folder", [False, True])
def test_a_sweep_evaluates_and_returns_it_too(folder, tmp_path):
    opts = [averaging(rate) for rate in RATES]
    path = tmp_path / "sweep"
    result = jo.sweep(
        loss_fn, W, opts, steps=4, every=1, evaluate=value, keep=2, path=path if folder else None
    )
    if folder:
        result = jo.sweeps.load(path, optimizers=opts)
    for row, rate in enumerate(RATES):
        np.testing.assert_allclose(result.curves["value"][row, 0], points(rate, 4)[1], rtol=1e-6)
    best = result.top[0]
    held, recommended = points(0.5, 4)
    np.testing.assert_allclose(jax.tree.leaves(best.params)[0], recommended[-1:], rtol=1e-6)
    np.testing.assert_allclose(jax.tree.leaves(best.held)[0], held[-1:], rtol=1e-6)


def test_of_others_a_sweep_holds_nothing_beside(tmp_path):
    jo.sweep(loss_fn, W, [jo.sgd(0.5)], steps=2, evaluate=value, path=tmp_path / "sweep")
    assert jo.sweeps.load(tmp_path / "sweep").top[0].held is None
