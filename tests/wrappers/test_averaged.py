"""averaged: the mean of the parameters, to the last digit, and the training as it was."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_edu as jo
from tests.wrappers.descent import START, assert_close, by_torch, descended, each, stacked

SGD = jo.sgd(0.1)


@pytest.mark.parametrize("decay", [None, 0.95])
def test_it_is_the_weighted_mean_of_all_points_and_training_is_not_changed(decay, x64):
    _, held, evaluated = descended(jo.averaged(SGD, decay))
    assert_close(held, descended(SGD)[1], 0.0)
    rows = []
    for t in (1, 2, 10, 300):
        weights = np.ones(t) if decay is None else decay ** np.arange(t)[::-1]
        rows.append(each(lambda w: np.tensordot(weights / weights.sum(), np.asarray(w)[:t], 1), held))  # noqa: B023
    assert_close({name: leaf[np.array([0, 1, 9, 299])] for name, leaf in evaluated.items()}, stacked(rows))


def test_the_moving_average_is_optaxs_ema_of_the_parameters(x64):
    _, held, evaluated = descended(jo.averaged(SGD, 0.9), steps=20)
    ema = optax.ema(0.9, debias=True, accumulator_dtype=jnp.float64)
    state, rows = ema.init(START), []
    with jax.numpy_dtype_promotion("standard"):
        for t in range(20):
            average, state = ema.update({name: leaf[t] for name, leaf in held.items()}, state)
            rows.append(average)
    assert_close(evaluated, stacked(rows))


@pytest.mark.parametrize("kind", ["swa", "ema"])
def test_the_mean_is_torchs_and_its_moving_average_is_biased_to_the_first_point(kind, x64):
    torch = pytest.importorskip("torch")
    utils = pytest.importorskip("torch.optim.swa_utils")
    models = []

    def average(params, _):
        if not models:
            function = utils.get_ema_multi_avg_fn(0.9) if kind == "ema" else utils.get_swa_multi_avg_fn()
            models.append(utils.AveragedModel(torch.nn.ParameterDict(params), multi_avg_fn=function))
        models[0].update_parameters(torch.nn.ParameterDict(params))
        return {name: p.detach().numpy().copy() for name, p in models[0].module.items()}

    expected = stacked(by_torch(lambda params: torch.optim.SGD(params, lr=0.1), 30, average))
    _, held, evaluated = descended(jo.averaged(SGD, 0.9 if kind == "ema" else None), steps=30)
    if kind == "ema":
        # 0.9ᵗ⁻¹ of the first point is in it, of which a mean without bias has (1 − 0.9) 0.9ᵗ⁻¹ / (1 − 0.9ᵗ).
        t = np.arange(1, 31)
        kept = {name: (1 - 0.9**t).reshape(-1, *[1] * (leaf.ndim - 1)) for name, leaf in held.items()}
        evaluated = each(lambda x, w, kept: x * kept + (1 - kept) * np.asarray(w)[:1], evaluated, held, kept)
    assert_close(evaluated, expected, 1e-6 if kind == "swa" else 1e-12)


def test_before_the_first_step_it_is_where_training_starts():
    opt: Any = jo.averaged(SGD, 0.9)
    w: Any = {"w": jnp.ones(2, jnp.bfloat16)}
    state = opt.init(w)
    found = jo.evaluation_params(opt, state, w)["w"]
    assert (found.tolist(), found.dtype) == ([1, 1], jnp.bfloat16)
    assert state.average["w"].dtype == jnp.float32


def test_in_bfloat16_the_average_goes_on_moving():
    """A thousand points, half of them at 1 and half at 1.0078: a bfloat16 mean stops at one of them."""
    opt: Any = jo.averaged(jo.sgd(1.0))
    w: Any = jnp.ones(1, jnp.bfloat16)
    state = opt.init(w)
    for sign in (-1, 1) * 20:
        updates, state = opt.update(jnp.full(1, sign * 2.0**-7, jnp.bfloat16), state, w)
        w = optax.apply_updates(w, updates)
    np.testing.assert_allclose(state.average, [1 + 2.0**-8], rtol=1e-6)
