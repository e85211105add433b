"""fit of an optimizer with a monitor: its readings are curves of the history, to the bit after a resume."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_edu as jo
from jaxopt_edu.training import OrbaxFolder
from jaxopt_edu.training.history import Recorder
from tests.draws import normal

X = normal(64, 3)
DATA = {"x": X, "y": X @ jnp.array([1.0, -2.0, 0.5])}
PARAMS = {"bias": jnp.zeros(()), "kernel": jnp.ones(3)}
OPT = jo.monitor(jo.adam(0.1), every=2, window=10)


def loss_fn(params, batch):
    return jnp.mean((batch["x"] @ params["kernel"] + params["bias"] - batch["y"]) ** 2)


def fit(steps=30, every=10, optimizer=OPT, **options):
    asked = {"batch_size": 8, "key": jax.random.key(0), "progress": False} | options
    return jo.fit(loss_fn, PARAMS, optimizer, DATA, steps=steps, every=every, **asked)


def readings(result):
    assert result.history.readings is not None
    return result.history.readings


def assert_same(found, expected):
    assert found.layers == expected.layers
    np.testing.assert_array_equal(found.steps, expected.steps)
    assert found.values.keys() == expected.values.keys()
    for name, values in expected.values.items():
        np.testing.assert_array_equal(found.values[name], values, err_msg=name)


@pytest.fixture(scope="module")
def whole():
    return fit()


def test_curves_are_what_is_read_at_every_stop(whole):
    seen = []

    def callback(moment):
        seen.append(jo.readings(OPT, moment.state, moment.params))

    found = readings(fit(callback=callback))
    assert found.steps.tolist() == [10, 20, 30]
    assert found.layers == ("bias", "kernel")
    for name, values in found.values.items():
        np.testing.assert_array_equal(values, np.concatenate([each.values[name] for each in seen]))
    assert_same(readings(whole), found)


def test_readings_of_a_step_do_not_depend_on_the_stretches(whole):
    found, expected = readings(fit(every=15)), readings(whole)
    assert found.steps.tolist() == [15, 30]
    np.testing.assert_array_equal(found.values["update"][-1], expected.values["update"][-1])


def test_without_a_monitor_there_are_none():
    assert fit(optimizer=jo.adam(0.1)).history.readings is None


@pytest.mark.parametrize("kind", ["npz", "orbax"])
def test_after_a_resume_they_are_those_of_one_run(kind, whole, tmp_path):
    if kind == "orbax":
        pytest.importorskip("orbax.checkpoint")
    folder = (lambda: OrbaxFolder(tmp_path)) if kind == "orbax" else (lambda: tmp_path)
    fit(steps=20, checkpoint=folder())
    resumed = fit(checkpoint=folder(), resume=True)
    assert_same(readings(resumed), readings(whole))
    again = fit(checkpoint=folder(), resume=True)
    assert_same(readings(again), readings(whole))


def test_a_run_that_diverges_is_read_to_its_last_finite_loss():
    with pytest.warns(RuntimeWarning, match="fit stopped: the loss is"):
        result = fit(optimizer=jo.monitor(jo.sgd(1e4), every=1))
    found = readings(result)
    (step,) = found.steps
    assert step == len(result.history.losses) - 2
    assert np.isfinite(found.values["update"]).all()


def test_what_cannot_be_read_is_told_before_the_first_step():
    two = jo.chain(jo.monitor(jo.sgd()), jo.monitor(jo.sgd()))
    with pytest.raises(ValueError, match="fit: readings: two monitors have a layer 'bias'"):
        fit(optimizer=two, callback=lambda moment: pytest.fail("it began"))


def test_other_layers_than_before_are_refused(whole):
    recorder = Recorder()
    recorder.add_readings(readings(whole))
    with pytest.raises(
        ValueError, match=r"fit: the monitor's layers are \('a', 'b'\), but \('bias', 'kernel'\) b"
    ):
        recorder.add_readings(readings(whole)._replace(layers=("a", "b")))


def test_a_step_that_is_there_already_is_not_read_again(whole):
    recorder = Recorder()
    for _ in range(2):
        recorder.add_readings(readings(whole))
    assert_same(recorder.history("").readings, readings(whole))
