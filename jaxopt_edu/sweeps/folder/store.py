"""A sweep on disk: a folder that survives a kill at any moment.

    spec.json       what is swept, with versions; written once
    journal.jsonl   what was done, a line each, appended and flushed; every line carries its checksum
    curves/         the recorded curves of each unit (some runs over some steps); never changed
    state/          parameters and states for going on, and of the best runs; removed when they are superseded
    partial.npz     where the unit that is being run stands

Every file but the journal is written whole. A line or a file that is damaged is named and left out, and what
it held is computed again.
"""

import json
import os
import warnings
import zlib
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from jaxopt_edu.files import whole_file
from jaxopt_edu.storage import load, read, save
from jaxopt_edu.sweeps.folder.identity import versions

SPEC, JOURNAL, PARTIAL = "spec.json", "journal.jsonl", "partial.npz"


class Store:
    """The folder of one sweep.

    Args:
        path: the folder.
        writes: whether this process writes; of several processes only one does.
    """

    def __init__(self, path: str | os.PathLike[str], *, writes: bool = True) -> None:
        self.path = Path(path)
        self.writes = writes
        self.events: list[dict[str, Any]] = []

    def begin(self, spec: dict[str, Any], resume: bool) -> None:
        """Make the folder, or go on with what it holds.

        Args:
            spec: what is to be swept; JSON.
            resume: whether the folder may hold an earlier part of the same sweep.

        Raises:
            FileExistsError: the folder holds a sweep, and resume is False; or it holds other things.
            ValueError: it holds another sweep; says in what they differ.
        """
        if (self.path / SPEC).is_file():
            if not resume:
                raise FileExistsError(
                    f"{self.path} holds a sweep already: pass resume=True to go on with it, or choose "
                    "another folder."
                )
            self._compare(spec)
            self.events = read_journal(self.path, mend=self.writes)
            wait_for_all("the journal is read")
            return
        if self.path.is_dir() and any(self.path.iterdir()):
            raise FileExistsError(
                f"{self.path} holds other things (there is no {SPEC} in it); choose another folder."
            )
        # Or a slow process would find what a fast one has just begun to write.
        wait_for_all("the folder is looked at")
        if self.writes:
            for folder in (self.path, self.path / "curves", self.path / "state"):
                folder.mkdir(parents=True, exist_ok=True)
            with whole_file(self.path / SPEC) as file:
                file.write(json.dumps({"spec": spec, "versions": versions()}, indent=1).encode())

    def append(self, event: dict[str, Any]) -> None:
        """Add a line to the journal; it is on the disk when this returns."""
        self.events.append(event)
        if not self.writes:
            return
        text = json.dumps(event, ensure_ascii=False)
        with open(self.path / JOURNAL, "ab") as file:
            file.write(f"{zlib.crc32(text.encode()):08x} {text}\n".encode())
            file.flush()
            os.fsync(file.fileno())

    def of_kind(self, kind: str, **fields: Any) -> list[dict[str, Any]]:
        """The journal's lines of one kind with these values, in order."""
        return [
            event
            for event in self.events
            if event["kind"] == kind and all(event[name] == value for name, value in fields.items())
        ]

    def write_curves(self, name: str, arrays: dict[str, np.ndarray]) -> None:
        """Write a unit's curves."""
        if self.writes:
            save(self.path / "curves" / f"{name}.npz", (), extra=arrays)

    def read_curves(self, name: str) -> dict[str, np.ndarray] | None:
        """A unit's curves; None, with a warning, where the file is missing or damaged."""
        return _or_warn(read, self.path / "curves" / f"{name}.npz")

    def write_state(self, name: str, tree: Any) -> None:
        """Write what a unit's runs go on from, or its best runs."""
        if self.writes:
            save(self.path / "state" / f"{name}.npz", tree)

    def read_state(self, name: str, like: Any) -> Any:
        """What a unit's runs go on from; None if it was removed, and, with a warning, if it is damaged."""
        path = self.path / "state" / f"{name}.npz"
        return _or_warn(load, path, like) if path.is_file() else None

    def forget_state(self, name: str) -> None:
        """Remove what no run goes on from any more."""
        if self.writes:
            (self.path / "state" / f"{name}.npz").unlink(missing_ok=True)

    def write_partial(self, tree: Any, arrays: dict[str, np.ndarray]) -> None:
        """Write where the running unit stands."""
        if self.writes:
            save(self.path / PARTIAL, tree, extra=arrays)

    def read_partial(self, like: Any) -> tuple[Any, dict[str, np.ndarray]] | None:
        """Where the unit stood that was running last; None if there is none that fits."""
        path = self.path / PARTIAL
        if not path.is_file():
            return None
        try:
            return load(path, like), read(path)
        except ValueError:
            # Of another unit, or damaged: all it saves is time.
            return None

    def forget_partial(self) -> None:
        """The unit is done."""
        if self.writes:
            (self.path / PARTIAL).unlink(missing_ok=True)

    def _compare(self, spec: dict[str, Any]) -> None:
        found = read_spec(self.path)
        asked = json.loads(json.dumps(spec))
        others = [
            f"{name}: {found['spec'].get(name)!r} there, {asked.get(name)!r} here"
            for name in sorted(found["spec"].keys() | asked.keys())
            if found["spec"].get(name) != asked.get(name)
        ]
        now = versions()
        changed = [
            f"{name} {then}, now {now.get(name)}"
            for name, then in found["versions"].items()
            if then != now.get(name)
        ]
        if others:
            since = f" (It was made with {'; '.join(changed)}.)" if changed else ""
            raise ValueError(
                f"{self.path} holds another sweep: {'; '.join(others)}. Choose another folder.{since}"
            )
        if changed:
            warnings.warn(
                f"{self.path} was made with {'; '.join(changed)}: runs from now on may differ in their last "
                "digits.",
                RuntimeWarning,
                stacklevel=4,
            )


def wait_for_all(what: str) -> None:
    """Go on when all processes of the sweep have come here.

    Args:
        what: the place in the program; the same in all processes.
    """
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(what)


def read_spec(path: Path) -> dict[str, Any]:
    """The spec of a stored sweep, and the versions that it was made with.

    Raises:
        FileNotFoundError: there is no sweep in the folder.
        ValueError: the file is damaged.
    """
    file = path / SPEC
    if not file.is_file():
        raise FileNotFoundError(f"{path} holds no sweep: there is no {SPEC} in it.")
    try:
        content = json.loads(file.read_bytes())
        return {"spec": dict(content["spec"]), "versions": dict(content["versions"])}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file} is damaged ({error}); without it nothing can be resumed.") from error


def read_journal(path: Path, *, mend: bool = False) -> list[dict[str, Any]]:
    """The lines of a journal that are whole; others are named in a warning.

    Args:
        path: the sweep's folder.
        mend: cut off a last line that a kill left unfinished.

    Returns:
        The events, in order.
    """
    file = path / JOURNAL
    if not file.is_file():
        return []
    content = file.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if mend and len(whole) < len(content):
        with open(file, "r+b") as opened:
            opened.truncate(len(whole))
            os.fsync(opened.fileno())
    events = []
    for number, line in enumerate(whole.splitlines(), start=1):
        checksum, _, text = line.partition(b" ")
        if f"{zlib.crc32(text):08x}".encode() == checksum:
            events.append(json.loads(text))
        else:
            warnings.warn(
                f"{file}: line {number} is damaged; what it tells of is run again.",
                RuntimeWarning,
                stacklevel=3,
            )
    return events


def _or_warn(reader: Any, path: Path, *arguments: Any) -> Any:
    try:
        return reader(path, *arguments)
    except (FileNotFoundError, ValueError) as error:
        what = "is missing" if isinstance(error, FileNotFoundError) else "is damaged"
        warnings.warn(f"{path} {what}; its runs are computed again.", RuntimeWarning, stacklevel=4)
        return None
