"""What trackers are told of a run, however it ends, and what becomes of the run when they fail."""

import os
import signal
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import pandas
import pytest

import jaxopt_edu as jo
from tests.crash import launch

X = np.arange(1, 9, dtype=np.float32)


def loss_fn(w, x):
    return (w - x.mean()) ** 2, {"error": w - x.mean(), "each": x - w, "distance": abs(w - x.mean())}


def evaluate(w):
    return {"distance": abs(w - X.mean()), "place": w}


def fit(optimizer=None, steps=10, every=4, **options):
    optimizer = jo.sgd(0.25) if optimizer is None else optimizer
    given = {"evaluate": evaluate, "batch_size": 4, "key": jax.random.key(0)} | options
    return jo.fit(loss_fn, jnp.zeros(()), optimizer, X, steps=steps, every=every, **given)


class Told:
    """Remembers what it is told."""

    def __init__(self, fails=""):
        self.calls, self.fails = [], fails

    def __repr__(self):
        return f"Told({self.fails!r})"

    def _told(self, method, *what):
        self.calls.append((method, *what))
        if method == self.fails:
            raise ConnectionError("the service is away")

    def start(self, hyperparameters, step=None):
        self._told("start", dict(hyperparameters), step)

    def log(self, step, numbers):
        self._told("log", step, numbers)

    def close(self, outcome="finished", reason=""):
        self._told("close", outcome, reason)


def test_trackers_are_told_what_the_history_has():
    first, second = Told(), Told()
    history = fit(tracker=[first, second]).history
    assert first.calls == second.calls
    start, *logs, close = first.calls
    assert start == ("start", {"optimizer": "sgd", "learning_rate": 0.25}, None)
    assert close == ("close", "finished", "completed")
    assert [step for _, step, _ in logs] == [4, 8, 10]
    for place, (begin, (_, end, numbers)) in enumerate(zip((0, 4, 8), logs, strict=True)):
        # "each" is no number, and "distance" is the name of two.
        assert numbers.keys() == {"training_loss", "error", "training_distance", "distance", "place"}
        assert {type(value) for value in numbers.values()} == {float}
        assert numbers["training_loss"] == history.losses[begin:end].mean(dtype=np.float64)
        assert numbers["error"] == history.metrics["error"][begin:end].mean(dtype=np.float64)
        assert numbers["training_distance"] == history.metrics["distance"][begin:end].mean(dtype=np.float64)
        assert numbers["distance"] == history.evaluations["distance"][place]


def test_a_tracker_changes_nothing():
    plain, told = fit(), fit(tracker=Told())
    np.testing.assert_array_equal(plain.history.losses, told.history.losses)


def test_what_follows_a_schedule_is_told_as_it_is_in_force():
    schedule = jo.schedules.cosine(peak=0.25, steps=10)
    tracker = Told()
    fit(jo.momentum(schedule), tracker=tracker, evaluate=None)
    (_, about, _), *logs, _ = tracker.calls
    assert about["learning_rate.peak"] == 0.25
    rates = [numbers["learning_rate"] for _, _, numbers in logs]
    np.testing.assert_allclose(rates, [schedule(step) for step in (4, 8, 10)], rtol=1e-6)


def test_what_monitors_measure_is_told_by_layer():
    tracker = Told()
    readings = fit(jo.monitor(jo.sgd(0.25)), tracker=tracker, evaluate=None).history.readings
    assert readings is not None
    (layer,) = readings.layers
    logs = tracker.calls[1:-1]
    assert [step for _, step, _ in logs] == readings.steps.tolist()
    for row, (_, _, numbers) in enumerate(logs):
        measured = {f"{name}/{layer}": values[row, 0] for name, values in readings.values.items()}
        known = {name: value for name, value in measured.items() if not np.isnan(value)}
        assert {name: value for name, value in numbers.items() if "/" in name} == known
        assert len(known) > 4
        assert f"below_eps/{layer}" not in known  # descent has no eps


@pytest.mark.parametrize("moment", ["log", "close"])
def test_a_tracker_that_fails_is_warned_about_once_and_the_run_goes_on(moment):
    broken, sound = Told(fails=moment), Told()
    where = "at step 4" if moment == "log" else "at the end"
    said = rf"^fit: the tracker Told\('{moment}'\) failed {where} \(ConnectionError: the service is away\)"
    with pytest.warns(RuntimeWarning, match=said) as found:
        result = fit(tracker=[broken, sound])
    assert len(found) == 1
    assert broken.calls[-1][0] == moment
    assert sound.calls[-1] == ("close", "finished", "completed")
    np.testing.assert_array_equal(result.history.losses, fit().history.losses)


def test_one_that_cannot_begin_ends_the_run_before_its_first_step():
    sound, broken = Told(), Told(fails="start")
    with pytest.raises(ConnectionError, match="the service is away"):
        fit(tracker=[sound, broken], evaluate=None)
    assert [call[0] for call in sound.calls] == ["start", "close"]
    assert sound.calls[-1] == ("close", "failed", "ConnectionError: the service is away")
    assert len(broken.calls) == 1


def test_a_run_that_diverges_has_failed():
    tracker = Told()
    with pytest.warns(RuntimeWarning, match="fit stopped"):
        result = fit(jo.sgd(1e30), tracker=tracker, evaluate=None)
    assert tracker.calls[-1] == ("close", "failed", result.history.stopped)
    tracker = Told()
    fit(jo.sgd(1e30), tracker=tracker, evaluate=None, allow_nonfinite=True)
    assert tracker.calls[-1] == ("close", "finished", "completed")
    assert np.isnan(tracker.calls[-2][2]["training_loss"])


def test_errors_and_signals_are_outcomes():
    tracker = Told()

    def raises(moment):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        fit(tracker=tracker, callback=raises, evaluate=None)
    assert tracker.calls[-1] == ("close", "failed", "KeyError: 'mine'")
    tracker = Told()
    with pytest.raises(KeyboardInterrupt):
        fit(tracker=tracker, callback=lambda moment: os.kill(os.getpid(), signal.SIGINT), evaluate=None)
    method, outcome, reason = tracker.calls[-1]
    assert (method, outcome) == ("close", "interrupted")
    assert reason.startswith("KeyboardInterrupt: fit stopped at step 4: ")


def test_a_resumed_run_says_where_it_goes_on(tmp_path):
    first, again, whole = Told(), Told(), Told()
    fit(tracker=whole)
    fit(steps=8, tracker=first, checkpoint=tmp_path)
    fit(tracker=again, checkpoint=tmp_path, resume=True)
    assert again.calls[0] == ("start", {"optimizer": "sgd", "learning_rate": 0.25}, 8)
    assert first.calls[1:-1] + again.calls[1:-1] == whole.calls[1:-1]
    empty = Told()
    fit(tracker=empty, checkpoint=tmp_path / "empty", resume=True)
    assert empty.calls[0][2] == 0
    assert empty.calls[1:] == whole.calls[1:]


def test_what_is_no_tracker_is_named():
    number, kind = cast(Any, 3), cast(Any, jo.trackers.CSV)
    with pytest.raises(TypeError, match=r"^fit: tracker = 3 is int; it must be a tracker, such as jo"):
        fit(tracker=[Told(), number])
    with pytest.raises(TypeError, match=r"is a class; it must be a tracker"):
        fit(tracker=kind)


SCRIPT = """
import os, pathlib, signal, sys
import jax, jax.numpy as jnp, jaxopt_edu as jo

folder, kill = pathlib.Path(sys.argv[1]), sys.argv[2:] == ["kill"]

class Lines(jo.trackers.JSONLines):
    def log(self, step, numbers):
        super().log(step, numbers)
        if kill and step == 8:
            os.kill(os.getpid(), signal.SIGKILL)

jo.fit(
    lambda w, x: (w - x.mean()) ** 2, jnp.zeros(()), jo.sgd(0.25), jnp.arange(1.0, 9.0), steps=12, every=4,
    batch_size=4, key=jax.random.key(0), checkpoint=folder / "run", resume=True,
    tracker=[jo.trackers.CSV(folder / "run.csv"), Lines(folder / "run.jsonl")],
)
"""


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_in_its_files_without_doubles_and_gaps(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    for place, words, status in (("once", [], 0), ("twice", ["kill"], -signal.SIGKILL), ("twice", [], 0)):
        process = launch(str(tmp_path / "script.py"), tmp_path, tmp_path / place, *words)
        _, said = process.communicate(timeout=200)
        assert process.returncode == status, said
    once, twice = tmp_path / "once", tmp_path / "twice"
    assert (once / "run.csv").read_text() == (twice / "run.csv").read_text()
    assert list(pandas.read_csv(once / "run.csv")["step"]) == [4, 8, 12]
    told = [(place / "run.jsonl").read_text().splitlines() for place in (once, twice)]
    straight, resumed = ([line for line in lines if "training_loss" in line] for lines in told)
    assert resumed == straight
    assert len(straight) == 3
