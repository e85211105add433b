"""A loss that stops being finite stops the run, and what was good is given back."""

import warnings
from itertools import count

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import jaxopt_edu as jo

EVERY = 4
KEY = jax.random.key(5)
# Under a constant gradient Adam goes on by the learning rate: the clock shows minus the step.
OPT = jo.adam(learning_rate=1.0)
PARAMS = {"clock": jnp.zeros(()), "w": jnp.ones(3)}


def breaks_down(limit, instead, params, batch):
    mean = jnp.float32(0.5) if batch is None else jnp.mean(batch)
    loss = params["clock"] + jnp.sum((params["w"] - mean) ** 2)
    return jnp.where(params["clock"] > limit, loss, instead)


def breaking_at(step, instead=np.nan):
    """A loss that is not finite from this step on; the number of the step is an argument of one program."""
    return Partial(breaks_down, np.float32(0.5 - step), np.float32(instead))


DATA = {
    "arrays": (lambda: np.arange(12, dtype=np.float32), {"batch_size": 2, "key": KEY}),
    "sample": (lambda: sample, {"key": KEY}),
    "iterator": (lambda: (np.full(2, step, np.float32) for step in count()), {}),
    "none": (lambda: None, {}),
}


def sample(key):
    return jax.random.normal(key, (2,))


def fit(kind, loss, steps, **options):
    data, with_data = DATA[kind]
    return jo.fit(loss, PARAMS, OPT, data(), steps=steps, every=EVERY, **with_data, **options)


def assert_same_bits(found, expected):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    jax.tree.map(np.testing.assert_array_equal, found, expected)


@pytest.mark.parametrize("kind", DATA)
def test_goes_back_to_the_last_finite_loss(kind):
    # First step of all, second, first of a stretch, within a stretch.
    for step in (0, 1, 8, 10):
        with pytest.warns(RuntimeWarning, match="fit stopped") as caught:
            result = fit(kind, breaking_at(step), 40)
        assert caught[0].filename == __file__
        losses = result.history.losses
        assert losses.shape == (step + 1,)
        assert np.isfinite(losses[:-1]).all()
        assert np.isnan(losses[-1])
        # The last finite loss is that of the parameters after one update less than there were losses.
        shorter = fit(kind, breaking_at(1000), max(step - 1, 0))
        assert_same_bits((result.params, result.state), (shorter.params, shorter.state))
        assert int(result.state.count) == max(step - 1, 0)
        if step:
            assert f"the loss is nan at step {step}" in result.history.stopped
            assert f"{losses[-2]:g} at step {step - 1}" in result.history.stopped
        else:
            assert "the first loss is nan; the parameters are those given" in result.history.stopped


def test_infinity_stops_as_well():
    with pytest.warns(RuntimeWarning, match="the loss is -inf at step 6"):
        result = fit("none", breaking_at(6, -np.inf), 40)
    assert result.history.losses[-1] == -np.inf
    assert len(result.history.losses) == 7


@pytest.mark.parametrize("kind", ["arrays", "iterator"])
def test_goes_on_if_allowed(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = fit(kind, breaking_at(6), 12, allow_nonfinite=True)
    assert result.history.stopped == "completed"
    np.testing.assert_array_equal(np.isnan(result.history.losses), np.arange(12) >= 6)
    shorter = fit(kind, breaking_at(1000), 4, allow_nonfinite=True)
    np.testing.assert_array_equal(result.history.losses[:4], shorter.history.losses)


def test_metrics_are_cut_and_the_bad_stretch_is_not_evaluated(tmp_path):
    def with_metric(loss, params, batch):
        return loss(params, batch), {"clock": params["clock"]}

    moments = []
    with pytest.warns(RuntimeWarning, match="fit stopped"):
        result = fit(
            "none",
            Partial(with_metric, breaking_at(6)),
            40,
            evaluate=lambda params: float(params["clock"]),
            callback=lambda moment: moments.append(moment.step),
            checkpoint=tmp_path,
        )
    np.testing.assert_allclose(result.history.metrics["clock"], -np.arange(7), atol=1e-4)
    np.testing.assert_array_equal(result.history.evaluated_at, [4])
    assert moments == [4]
    assert [file.name for file in tmp_path.glob("*.npz")] == ["step-0000000004.npz"]


def test_a_state_of_the_model_is_that_of_the_parameters():
    def stateful(loss, params, seen, batch):
        return loss(params, batch), seen + jnp.int32(1)

    with pytest.warns(RuntimeWarning, match="fit stopped"):
        result = fit("none", Partial(stateful, breaking_at(6)), 40, model_state=jnp.zeros((), jnp.int32))
    assert int(result.model_state) == int(result.state.count) == 5


def test_a_checkpoint_whose_parameters_are_bad_says_so(tmp_path):
    with pytest.warns(RuntimeWarning, match="the loss is nan at step 8"):
        fit("none", breaking_at(8), 40, checkpoint=tmp_path)
    # The eighth update made the parameters bad, which only the next loss could have shown.
    with pytest.warns(RuntimeWarning, match="the first after the checkpoint.*resume from an earlier"):
        result = fit("none", breaking_at(8), 40, checkpoint=tmp_path, resume=True)
    assert len(result.history.losses) == 9
    assert int(result.state.count) == 8
    with pytest.warns(RuntimeWarning, match="the last finite one was"):
        earlier = fit("none", breaking_at(8), 40, checkpoint=tmp_path, resume=4)
    assert int(earlier.state.count) == 7
    np.testing.assert_array_equal(earlier.history.losses, result.history.losses)


def test_half_precision_losses_are_judged_too():
    def overflows(w, _):
        return jnp.sum(w * w * w)

    with pytest.warns(RuntimeWarning, match="the loss is (nan|-inf)"):
        result = jo.fit(
            overflows, jnp.full(2, -2.0, jnp.float16), jo.sgd(learning_rate=1.0), steps=20, every=EVERY
        )
    assert result.params.dtype == jnp.float16
    assert np.isfinite(result.params).all()
