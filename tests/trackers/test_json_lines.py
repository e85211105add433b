"""The lines: legal JSON whatever the numbers are."""

import json
import math

import numpy as np
import pandas
import pytest

from jaxopt_edu.trackers import JSONLines
from tests.trackers.course import ADAM, LOSSES, killed, resumed


def refuse(constant):
    raise AssertionError(f"{constant} is no JSON")


def objects(path):
    return [json.loads(line, parse_constant=refuse) for line in path.read_text("utf-8").splitlines()]


def test_a_resumed_run_without_doubles(tmp_path):
    path = tmp_path / "runs" / "adam.jsonl"
    killed(JSONLines(path))
    resumed(JSONLines(path))
    head, *rest = objects(path)
    assert head == {"step": 0, "hyperparameters": ADAM}
    assert {"step": 20, "hyperparameters": ADAM} in rest
    assert rest[-1] == {"step": 40, "outcome": "finished", "reason": "completed"}
    numbers = [one for one in rest if "training_loss" in one]
    assert [one["step"] for one in numbers] == list(LOSSES)
    assert [one["training_loss"] for one in numbers] == [0.1, "NaN", 0.3, "Infinity"]
    np.testing.assert_array_equal([float(one["training_loss"]) for one in numbers], list(LOSSES.values()))


def test_pandas_makes_numbers_of_what_json_has_none_for(tmp_path):
    path = tmp_path / "run.jsonl"
    killed(JSONLines(path))
    resumed(JSONLines(path))
    table = pandas.read_json(path, lines=True, precise_float=True)
    losses = table["training_loss"][[1, 2, 4, 5]]
    assert losses.dtype == np.float64
    np.testing.assert_array_equal(losses, list(LOSSES.values()))


def test_names_of_its_own_are_set_apart(tmp_path):
    tracker = JSONLines(tmp_path / "run.jsonl")
    tracker.start({"optimizer": "mine", "rate": -math.inf, "nesterov": True, "λ": 3})
    tracker.log(1, {"step": 2.0, "outcome": 3.0, "self": 0.5, "loss": math.nan})
    head, numbers = objects(tracker.path)
    assert head["hyperparameters"] == {"optimizer": "mine", "rate": "-Infinity", "nesterov": True, "λ": 3}
    assert numbers == {"step": 1, "metric.step": 2.0, "metric.outcome": 3.0, "self": 0.5, "loss": "NaN"}


def test_files_of_others_are_left_alone(tmp_path):
    path = tmp_path / "run.jsonl"
    killed(JSONLines(path))
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match=r"^JSONLines: .*run.jsonl holds a run already"):
        JSONLines(path).start(ADAM)
    path.write_bytes(b"[1]\n" + before)
    with pytest.raises(ValueError, match=r"^JSONLines: .*run.jsonl holds something else than a run: '\[1\]'"):
        JSONLines(path).start(ADAM, step=10)
    assert path.read_bytes() == b"[1]\n" + before


def test_a_run_that_lost_its_checkpoint_begins_anew_in_its_file(tmp_path):
    path = tmp_path / "run.jsonl"
    killed(JSONLines(path))
    JSONLines(path).start(ADAM, step=0)
    assert objects(path) == [{"step": 0, "hyperparameters": ADAM}]
