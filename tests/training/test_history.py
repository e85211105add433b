"""Gathering a history, piece by piece."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_edu.training import History
from jaxopt_edu.training.history import Recorder


def recorded():
    recorder = Recorder()
    recorder.add(np.array([4.0, 3.0], np.float32), {"accuracy": np.array([[0.1, 0.2], [0.3, 0.4]])})
    recorder.add_evaluation(2, {"loss": 2.5})
    recorder.add(np.array([2.0], np.float32), {"accuracy": np.array([[0.5, 0.6]])})
    recorder.add_evaluation(3, {"loss": 1.5})
    return recorder


def test_nothing_yet():
    history = Recorder().history("completed")
    assert history.losses.shape == (0,)
    assert history.evaluated_at.shape == (0,)
    assert (history.metrics, history.evaluations, history.stopped) == ({}, {}, "completed")


def test_pieces_become_arrays():
    recorder = recorded()
    assert recorder.steps == 3
    history = recorder.history("completed")
    assert history.losses.tolist() == [4.0, 3.0, 2.0]
    assert history.metrics["accuracy"].tolist() == [[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]]
    assert history.evaluated_at.tolist() == [2, 3]
    assert history.evaluations["loss"].tolist() == [2.5, 1.5]


def test_cut_keeps_the_first_steps():
    recorder = recorded()
    recorder.cut(1)
    history = recorder.history("")
    assert history.losses.tolist() == [4.0]
    assert history.metrics["accuracy"].tolist() == [[0.1, 0.2]]


def test_restore_goes_on_where_it_stopped():
    recorder = Recorder()
    recorder.restore(recorded().history("resumed"))
    recorder.add(np.array([1.0], np.float32), {"accuracy": np.array([[0.7, 0.8]])})
    recorder.add_evaluation(4, {"loss": 0.5})
    history = recorder.history("completed")
    assert history.losses.tolist() == [4.0, 3.0, 2.0, 1.0]
    assert history.losses.dtype == np.float32
    assert history.metrics["accuracy"].shape == (4, 2)
    assert history.evaluated_at.tolist() == [2, 3, 4]
    assert history.evaluations["loss"].tolist() == [2.5, 1.5, 0.5]


def test_bfloat16_becomes_float32_without_loss():
    recorder = Recorder()
    values = jnp.array([1.0078125, 3.0], jnp.bfloat16)
    recorder.add(np.asarray(values), {"metric": values})
    history = recorder.history("")
    for found in (history.losses, history.metrics["metric"]):
        assert found.dtype == np.float32
        assert found.tolist() == [1.0078125, 3.0]


def test_a_refused_evaluation_leaves_no_trace():
    recorder = recorded()
    with pytest.raises(TypeError, match="evaluate gave 'high' for 'loss'"):
        recorder.add_evaluation(4, {"loss": "high"})
    history = recorder.history("")
    assert history.evaluated_at.tolist() == [2, 3]
    assert len(history.evaluations["loss"]) == 2
    assert isinstance(history, History)
