"""A sweep on disk: a folder that survives a kill at any moment.

    spec.json       what is swept, with versions; written once
    journal.jsonl   what was done, a line each, appended and flushed; every line carries its checksum
    curves/         the recorded curves of each unit (some runs over some steps); never changed
    state/          parameters and states for going on, and of the best runs; removed when they are superseded
    partial.npz     where the unit that is being run stands

Every file but the journal is written whole. A line or a file that is damaged is named and left out, and what
it held is computed again.
"""

import os
import re
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from jaxopt_edu.files import LOCK, FolderLock, make_folder
from jaxopt_edu.processes import Peers, done_by_all, done_by_the_first, is_first
from jaxopt_edu.storage import load, load_with_extra, read, save
from jaxopt_edu.sweeps.folder.journal import append, mend, read_journal
from jaxopt_edu.sweeps.folder.spec import SPEC, compare, longer, read_spec, write_spec

PARTIAL = "partial.npz"


class Store:
    """The folder of one sweep.

    One process at a time writes there; of the processes of one distributed sweep it is the first. All of them
    read, so that the folder has to be on a disk that they share.

    Args:
        path: the folder.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).absolute()  # the program may change its folder on the way
        self._events: dict[str, list[dict[str, Any]]] = {}
        self._units: dict[tuple[int, int, int, int], list[dict[str, Any]]] = {}
        self._first_steps = 0
        self._next = 0
        self._lock: FolderLock | None = None
        self._peers = Peers(self.path, "sweep")

    def begin(self, spec: dict[str, Any], resume: bool) -> None:
        """Make the folder, or go on with what it holds, and become its writer; `end` has to follow.

        Args:
            spec: what is to be swept; JSON.
            resume: whether the folder may hold an earlier part of the same sweep.

        Raises:
            BlockingIOError: another sweep is writing there; says which, and what can be done.
            FileExistsError: the folder holds a sweep, and resume is False; or it holds other things.
            OSError: the folder cannot be written to.
            ValueError: it holds another sweep; says in what they differ.
        """
        done_by_the_first(f"begin a sweep in {self.path}", lambda: self._open(spec, resume))
        self._peers.join()

        def read_all() -> list[dict[str, Any]]:
            compare(self.path, spec)
            self._first_steps = read_spec(self.path)["first_steps"]
            return read_journal(self.path)

        for event in done_by_all(f"read {self.path}", read_all, lambda events: _number_of(events)):
            self._note(event)

    def explain(self, error: Exception) -> None:
        """Say which process of the sweep has ended, if that is what an error comes from.

        Raises:
            LostProcessError: it does.
        """
        self._peers.explain(error)

    def end(self) -> None:
        """Let another sweep write into the folder."""
        self._peers.leave()
        if self._lock is not None:
            self._lock.release()
        self._lock = None

    def append(self, event: dict[str, Any]) -> None:
        """Add a line to the journal; it is on the disk when this returns."""
        self._note(event)
        if self.writes():
            append(self.path, event)

    def writes(self) -> bool:
        """Whether this process writes; of several only one does.

        Raises:
            FileNotFoundError: it would, but the folder was deleted.
        """
        if not is_first():
            return False
        if self._lock is not None:
            self._lock.check()
        return True

    def of_kind(self, kind: str, **fields: Any) -> list[dict[str, Any]]:
        """The journal's lines of one kind with these values, in order."""
        return [
            event
            for event in self._events.get(kind, ())
            if all(event[name] == value for name, value in fields.items())
        ]

    def units(self, group: int, cohort: int, stage: int, steps: int) -> list[dict[str, Any]]:
        """The journal's lines of the units of a stage, in order, of runs of so many steps."""
        return self._units.get((group, cohort, stage, steps), [])

    def shorter(self, steps: int) -> list[dict[str, Any]]:
        """The journal's lines of units of runs of fewer steps, from before the sweep was made longer."""
        return [unit for unit in self.of_kind("unit") if unit.get("steps", self._first_steps) < steps]

    def forget_shorter(self, steps: int) -> None:
        """Remove the curves and states that those of longer runs stand for."""
        for unit in self.shorter(steps):
            self.forget_state(unit["name"])
            if self.writes():
                (self.path / "curves" / f"{unit['name']}.npz").unlink(missing_ok=True)

    def new_name(self) -> str:
        """What the next unit is called."""
        return f"{self._next:06}"

    def _note(self, event: dict[str, Any]) -> None:
        # Looked up for every unit: to pass through the whole journal each time would take its square.
        self._events.setdefault(event["kind"], []).append(event)
        if event["kind"] == "unit":
            steps = event.get("steps", self._first_steps)
            place = event["group"], event["cohort"], event["stage"], steps
            self._units.setdefault(place, []).append(event)
            self._next = max(self._next, int(event["name"]) + 1)

    def write_curves(self, name: str, arrays: dict[str, np.ndarray]) -> None:
        """Write a unit's curves."""
        if self.writes():
            save(self.path / "curves" / f"{name}.npz", (), extra=arrays)

    def read_curves(self, name: str) -> dict[str, np.ndarray] | None:
        """A unit's curves; None, with a warning, where the file is missing or damaged."""
        return _or_warn(read, self.path / "curves" / f"{name}.npz")

    def write_state(self, name: str, tree: Any) -> None:
        """Write what a unit's runs go on from, or its best runs."""
        if self.writes():
            save(self.path / "state" / f"{name}.npz", tree)

    def read_state(self, name: str, like: Any) -> Any:
        """What a unit's runs go on from; None if it was removed, and, with a warning, if it is damaged."""
        path = self.path / "state" / f"{name}.npz"
        return _or_warn(load, path, like) if path.is_file() else None

    def forget_state(self, name: str) -> None:
        """Remove what no run goes on from any more."""
        if self.writes():
            (self.path / "state" / f"{name}.npz").unlink(missing_ok=True)

    def write_partial(self, tree: Any, arrays: dict[str, np.ndarray]) -> None:
        """Write where the running unit stands."""
        if self.writes():
            save(self.path / PARTIAL, tree, extra=arrays)

    def read_partial(self, like: Any) -> tuple[Any, dict[str, np.ndarray]] | None:
        """Where the unit stood that was running last; None if there is none that fits."""
        path = self.path / PARTIAL
        if not path.is_file():
            return None
        try:
            return load_with_extra(path, like)
        except ValueError:
            # Of another unit, or damaged: all it saves is time.
            return None

    def forget_partial(self) -> None:
        """The unit is done."""
        if self.writes():
            (self.path / PARTIAL).unlink(missing_ok=True)

    def _open(self, spec: dict[str, Any], resume: bool) -> None:
        self._refuse_others(resume)
        make_folder(self.path)
        self._lock = FolderLock(self.path, "sweep")
        self._lock.take()
        # Another may have begun one while this process waited for its turn.
        self._refuse_others(resume)
        if (self.path / SPEC).is_file():
            mend(self.path)
            if longer(self.path, spec) is not None:
                write_spec(self.path, spec, read_spec(self.path)["first_steps"])
            return
        for folder in (self.path / "curves", self.path / "state"):
            make_folder(folder)
        write_spec(self.path, spec)

    def _refuse_others(self, resume: bool) -> None:
        if (self.path / SPEC).is_file():
            if not resume:
                raise FileExistsError(
                    f"{self.path} holds a sweep already: pass resume=True to go on with it, or choose "
                    "another folder."
                )
        # What a sweep that was killed before its spec was written may have left.
        elif self.path.is_dir() and any(not OWN.fullmatch(each.name) for each in self.path.iterdir()):
            raise FileExistsError(
                f"{self.path} holds other things (there is no {SPEC} in it); choose another folder."
            )


OWN = re.compile(rf"{re.escape(LOCK)}|\.process-\d+\.lock|curves|state")


def _number_of(events: list[dict[str, Any]]) -> int:
    return zlib.crc32(repr(events).encode()) >> 1


def _or_warn(reader: Any, path: Path, *arguments: Any) -> Any:
    try:
        return reader(path, *arguments)
    except (FileNotFoundError, ValueError) as error:
        what = "is missing" if isinstance(error, FileNotFoundError) else "is damaged"
        warnings.warn(f"{path} {what}; its runs are computed again.", RuntimeWarning, stacklevel=4)
        return None
