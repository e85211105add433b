"""Each run of a sweep in a tracker of its own."""

import json
from typing import Any, cast

import jax.numpy as jnp
import numpy as np
import pandas
import pytest

import jaxopt_edu as jo
from jaxopt_edu.sweeps.space.settings import grid
from jaxopt_edu.trackers import CSV, JSONLines
from jaxopt_edu.trackers.protocol import described
from tests.sweeps.quadratic import STEPS, sweep


def test_each_run_has_its_numbers_its_curve_and_its_outcome(tmp_path):
    result = sweep([*grid(jo.sgd, learning_rate=[0.5, 3.0]), *[jo.adam(0.1)] * 3], seeds=3)
    result.states[0, 1], result.made[0, 1] = "PRUNED", 10
    result.track(lambda name: JSONLines(tmp_path / f"{name}.jsonl"))
    names = sorted(path.stem for path in tmp_path.iterdir())
    assert names[0] == "00-sgd-seed-0"
    assert names[-1] == "14-adam-seed-2"
    assert len(names) == 15
    for number, name in enumerate(names):
        run = setting, place = divmod(number, 3)
        head, *points, end = map(json.loads, (tmp_path / f"{name}.jsonl").read_text().splitlines())
        assert head["hyperparameters"] == described(result.optimizers[setting]) | {"seed": place}
        made, state = result.made[run], result.states[run]
        at = result.evaluated_at[result.evaluated_at <= made]
        assert [point["step"] for point in points] == at.tolist()
        for metric in ("loss", "nearness"):
            told = np.array([float(point[metric]) for point in points], np.float32)
            np.testing.assert_array_equal(told, result.curves[metric][run][: len(at)])
        outcome = {"COMPLETE": "finished", "PRUNED": "interrupted", "DIVERGED": "failed"}[state]
        assert end["outcome"] == outcome
        assert end["reason"] == f"{state} after {made} of {STEPS} steps"
    assert {*result.states.ravel().tolist()} == {"COMPLETE", "PRUNED", "DIVERGED"}


def test_a_stored_sweep_is_tracked_as_the_sweep_was(tmp_path):
    stored = tmp_path / "sweep"
    first = jo.sweep(lambda w, _: w**2, jnp.ones(()), [jo.sgd(0.1)], steps=4, every=2, path=stored)
    for folder, result in (("first", first), ("again", jo.sweeps.load(stored))):
        result.track(lambda name, folder=folder: CSV(tmp_path / folder / f"{name}.csv"))
    table, again = (pandas.read_csv(tmp_path / folder / "0-sgd-seed-0.csv") for folder in ("first", "again"))
    pandas.testing.assert_frame_equal(table, again)
    assert table["step"].tolist() == [0, 2, 4]
    losses = table["training_loss"].astype(np.float32)
    np.testing.assert_array_equal(losses, first.curves["training_loss"][0, 0])


def test_what_makes_no_tracker_is_named():
    result = sweep([jo.sgd(0.1)], seeds=1)
    makes_none, one = cast(Any, lambda name: None), cast(Any, CSV("run.csv"))
    said = r"^track: tracker\('0-sgd-seed-0'\) = None is NoneType; it must return a tracker"
    with pytest.raises(TypeError, match=said):
        result.track(makes_none)
    with pytest.raises(TypeError, match=r"^track: tracker = CSV\('run.csv'\) is CSV, not a function"):
        result.track(one)
