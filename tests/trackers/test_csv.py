"""The table: what pandas reads, and what no crash and no later name may lose."""

import csv
import errno
import os

import numpy as np
import pandas
import pytest

from jaxopt_edu.trackers import CSV
from tests.trackers.course import ADAM, LOSSES, killed, resumed


def test_pandas_reads_a_resumed_run_without_doubles(tmp_path):
    path = tmp_path / "runs" / "adam.csv"
    killed(CSV(path))
    resumed(CSV(path))
    table = pandas.read_csv(path)
    assert dict(table.dtypes) == {"step": np.int64, "training_loss": np.float64, "accuracy": np.float64}
    assert list(table["step"]) == list(LOSSES)
    np.testing.assert_array_equal(table["training_loss"], list(LOSSES.values()))
    np.testing.assert_array_equal(table["accuracy"], [np.nan, np.nan, 0.3, 0.4])


def test_digits_and_names_come_back_as_they_were(tmp_path):
    numbers = {'a "quoted", name': 0.1 + 0.2, "step": 1e-300, "λ": float(np.float32(0.1))}
    tracker = CSV(tmp_path / "run.csv")
    tracker.start(ADAM)
    tracker.log(1, numbers)
    tracker.close()
    with open(tracker.path, newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    found = {name: float(cell) for name, cell in row.items()}
    assert found == {"metric.step": numbers.pop("step"), "step": 1.0} | numbers


def test_a_line_that_was_cut_off_is_dropped(tmp_path):
    path = tmp_path / "run.csv"
    killed(CSV(path))
    os.truncate(path, path.stat().st_size - 2)
    CSV(path).start(ADAM, step=30)
    assert path.read_text() == "step,training_loss\n10,0.1\n20,nan\n"


def test_on_a_full_disk_a_line_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    tracker = CSV(tmp_path / "run.csv")
    killed(tracker)
    before = tracker.path.read_text()

    class Full:
        """A file that takes three bytes of each write, and after the second none."""

        def __init__(self, file):
            self.file, self.writes = file, 0

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.file.close()

        def __getattr__(self, name):
            return getattr(self.file, name)

        def write(self, data):
            self.writes += 1
            if self.writes > 2:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return self.file.write(data[:3])

    real = open
    monkeypatch.setattr("builtins.open", lambda *a, **k: Full(real(*a, **k)))
    with pytest.raises(OSError, match=r"cannot write 'run.csv' .*the disk is full: make room"):
        tracker.log(40, {"training_loss": 0.4})
    monkeypatch.undo()
    assert tracker.path.read_text() == before
    tracker.log(50, {"training_loss": 0.5})
    assert tracker.path.read_text() == before + "50,0.5\n"


def test_files_of_others_are_left_alone(tmp_path):
    path = tmp_path / "run.csv"
    killed(CSV(path))
    with pytest.raises(FileExistsError, match=r"^CSV: .*run.csv holds a run already: choose another path"):
        CSV(path).start(ADAM)
    path.write_text("name,value\na,1\n")
    with pytest.raises(
        ValueError, match=r"^CSV: .*run.csv is no table of a run: its first line is 'name,value'"
    ):
        CSV(path).start(ADAM, step=10)
    assert path.read_text() == "name,value\na,1\n"
