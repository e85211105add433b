"""What wandb wrote offline, read from its file with its own protocol."""

import json
import math
import time

import pytest

from jaxopt_edu.trackers import WandB
from tests.trackers.course import ADAM, LOSSES, killed, resumed
from tests.trackers.wandb_files import records

pytest.importorskip("wandb")


@pytest.fixture
def tracker(tmp_path, monkeypatch):
    """A way to make trackers that leave everything on this machine, each in a folder of its own."""
    monkeypatch.setenv("WANDB_SILENT", "true")

    def make(folder="first", **options):
        (tmp_path / folder).mkdir()
        return WandB("digits", mode="offline", dir=str(tmp_path / folder), **options)

    return make


def read(folder):
    """The run, its config, its history, its summary and its exit code."""
    (path,) = folder.glob("wandb/offline-run-*/*.wandb")
    found: list = []
    deadline = time.monotonic() + 20
    # The process that writes it may still do so when the run has been finished.
    while "exit" not in [kind for kind, _ in found]:
        assert time.monotonic() < deadline, found
        found = [
            (kind, getattr(record, kind))
            for record in records(path)
            if (kind := record.WhichOneof("record_type"))
        ]
        time.sleep(0.01)
    (run,) = (part for kind, part in found if kind == "run")
    history = [values(part.item) for kind, part in found if kind == "history"]
    summary = dict(pair for kind, part in found if kind == "summary" for pair in values(part.update).items())
    return run, values(run.config.update), history, summary, found[-1][1].exit_code


def values(items):
    return {item.key or item.nested_key[0]: json.loads(item.value_json) for item in items}


def test_config_history_and_outcome_of_a_run(tracker, tmp_path):
    killed(adam := tracker(name="adam", id="adam-1", group="optimizers"))
    adam.close("interrupted", "SIGTERM")
    run, config, history, summary, code = read(tmp_path / "first")
    told = (run.project, run.run_id, run.display_name, run.run_group)
    assert told == ("digits", "adam-1", "adam", "optimizers")
    assert config.items() >= ADAM.items()
    assert [one["_step"] for one in history] == [10, 20, 30]
    assert history[0]["training_loss"] == LOSSES[10]
    assert math.isnan(history[1]["training_loss"])
    assert (summary["outcome"], summary["reason"], code) == ("interrupted", "SIGTERM", 255)


def test_a_resumed_run_has_the_same_id(tracker, tmp_path):
    resumed(tracker(id="adam-1"))
    run, _, history, summary, code = read(tmp_path / "first")
    assert (run.run_id, run.resumed) == ("adam-1", False)
    # Offline nobody knows what was recorded before.
    assert [(one["_step"], one["accuracy"]) for one in history] == [(30, 0.3), (40, 0.4)]
    assert (summary["outcome"], code) == ("finished", 0)


def test_steps_that_are_there_already_are_not_told_again(tracker):
    class Run:
        starting_step = 31

        def __init__(self):
            self.told = []

        def log(self, numbers, step):
            self.told.append(step)

    adam = tracker(id="adam-1")
    adam._run = Run()
    for step in (20, 30, 40):
        adam.log(step, {"training_loss": 0.5})
    assert adam._run.told == [40]


def test_a_run_without_an_id_cannot_be_found_again(tracker):
    with pytest.raises(ValueError, match=r"^WandB: id = None, but this run of 'digits' is to go on"):
        tracker().start(ADAM, step=20)
