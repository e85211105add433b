"""A run's history on disk: appended to at every checkpoint, so that no row is written twice.

A record is a line of JSON, with the name, dtype and shape of each array, and then the arrays' bytes. A
checkpoint remembers how long the file was and what its checksum was then; what comes after is not its own.
Every run that begins or goes on writes a file of its own, with all of its history so far as the first record,
so that the checkpoints of an earlier run keep theirs.
"""

import json
import os
import re
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxopt_edu.files import explained, flush
from jaxopt_edu.training.history import History, Rows
from jaxopt_edu.wrappers import Readings

NAME = re.compile(r"history-(\d{6})\.log")
STEPS, EVALUATED_AT = "losses", "evaluated_at"
METRICS, EVALUATIONS = "metrics/", "evaluations/"
READ_AT, LAYERS, READINGS = "read_at", "layers", "readings/"


class Reference(NamedTuple):
    """The part of a history file that belongs to a checkpoint."""

    file: str
    size: int
    checksum: int


class Lengths(NamedTuple):
    """How much of a history is written."""

    steps: int = 0
    evaluations: int = 0
    readings: int = 0
    layers: int = 0

    @classmethod
    def of(cls, history: History) -> "Lengths":
        """All of it."""
        steps, evaluations = len(history.losses), len(history.evaluated_at)
        if history.readings is None:
            return cls(steps, evaluations)
        return cls(steps, evaluations, len(history.readings.steps), len(history.readings.layers))


class HistoryLog:
    """The file that one run's history goes into.

    Args:
        folder: the run's folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._at: Reference | None = None
        self._written = Lengths()

    def append(self, history: History) -> Reference:
        """Write what has been added since the last time; it is on the disk when this returns.

        Args:
            history: the whole history.

        Returns:
            Where it is.

        Raises:
            OSError: it cannot be written; names the file.
        """
        since, self._at = self._at, None  # after a write that failed, the next one begins a new file
        if since is None:
            since, self._written = Reference(self._unused(), 0, 0), Lengths()
        record = _record(_flat(history, self._written))
        path = self.folder / since.file
        try:
            with open(path, "ab" if since.size else "xb") as file:
                file.write(record)
                file.flush()
                os.fsync(file.fileno())
            if not since.size:
                flush(self.folder)
        except OSError as error:
            raise explained(error, path) from error
        self._at = Reference(since.file, since.size + len(record), zlib.crc32(record, since.checksum))
        self._written = Lengths.of(history)
        return self._at

    def _unused(self) -> str:
        numbers = [int(match.group(1)) for match in map(NAME.fullmatch, os.listdir(self.folder)) if match]
        return f"history-{max(numbers, default=0) + 1:06d}.log"


def read_history(folder: Path, reference: Reference) -> History:
    """Read the history that belongs to a checkpoint.

    Args:
        folder: the run's folder.
        reference: what the checkpoint remembers.

    Returns:
        The history, with "resumed" as the reason for its end.

    Raises:
        ValueError: the file is missing or damaged.
    """
    path = folder / reference.file
    if not path.is_file():
        raise ValueError(f"{path}, which holds the losses up to this checkpoint, is missing.")
    with open(path, "rb") as file:
        content = file.read(reference.size)
    if len(content) < reference.size or zlib.crc32(content) != reference.checksum:
        raise ValueError(f"{path}, which holds the losses up to this checkpoint, is damaged.")
    gathered: dict[str, Rows] = {}
    at = 0
    while at < len(content):
        end = content.index(b"\n", at)
        arrays, at = json.loads(content[at:end]), end + 1
        for name, dtype, shape in arrays:
            count = int(np.prod(shape))
            rows = np.frombuffer(content, np.dtype(dtype), count, at).reshape(shape)
            at += rows.nbytes
            if name not in gathered or len(gathered[name]) == 0:
                gathered[name] = Rows(rows)
            else:
                gathered[name].append(rows)
    return as_history({name: rows.array() for name, rows in gathered.items()})


def remove_unused(folder: Path, used: set[str]) -> None:
    """Remove the history files that belong to no checkpoint.

    Args:
        folder: the run's folder.
        used: the names of those that do.
    """
    for name in os.listdir(folder):
        if NAME.fullmatch(name) and name not in used:
            (folder / name).unlink(missing_ok=True)


def as_history(arrays: dict[str, np.ndarray]) -> History:
    """A history of its arrays by name, as they are stored."""

    def group(prefix: str) -> dict[str, np.ndarray]:
        return {
            name.removeprefix(prefix): values for name, values in arrays.items() if name.startswith(prefix)
        }

    readings = None
    if READ_AT in arrays:
        readings = Readings(arrays[READ_AT], tuple(arrays[LAYERS].tolist()), group(READINGS))
    return History(
        arrays[STEPS], group(METRICS), arrays[EVALUATED_AT], group(EVALUATIONS), "resumed", readings
    )


def _flat(history: History, since: Lengths) -> dict[str, np.ndarray]:
    arrays = {
        STEPS: history.losses[since.steps :],
        EVALUATED_AT: history.evaluated_at[since.evaluations :],
        **{f"{METRICS}{name}": values[since.steps :] for name, values in history.metrics.items()},
        **{
            f"{EVALUATIONS}{name}": values[since.evaluations :]
            for name, values in history.evaluations.items()
        },
    }
    if history.readings is not None:
        steps, layers, values = history.readings
        arrays |= {READ_AT: steps[since.readings :], LAYERS: np.array(layers, np.str_)[since.layers :]}
        arrays |= {f"{READINGS}{name}": each[since.readings :] for name, each in values.items()}
    return arrays


def _record(arrays: dict[str, np.ndarray]) -> bytes:
    head: list[Any] = [[name, values.dtype.str, values.shape] for name, values in arrays.items()]
    body = b"".join(np.ascontiguousarray(values).tobytes() for values in arrays.values())
    return json.dumps(head).encode() + b"\n" + body
