"""Checkpoints of a run: a folder of files that are each written whole, of which the last few are kept."""

import json
import os
import re
import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

import jax
import numpy as np

from jaxopt_edu.storage import is_key, load, read, save
from jaxopt_edu.training.history import History
from jaxopt_edu.training.loop import Carry

NAME = re.compile(r"step-(\d{10})(\.npz|\.orbax)")
NOTES = "notes"
WRITERS = {".npz": "CheckpointFolder", ".orbax": "OrbaxFolder"}


class Identity(NamedTuple):
    """What must be the same for a resumed run to see the same data in the same order."""

    key: Any
    batch_size: int
    replacement: bool


class Best(NamedTuple):
    """The best moment of a run so far.

    Attributes:
        params: the parameters then.
        step: the number of steps made.
        value: what they were judged by.
        model_state: the model's own state then; None for a model without.
    """

    params: Any
    step: int
    value: float
    model_state: Any = None


class Checkpoint(NamedTuple):
    """One moment of a run, complete."""

    step: int
    carry: Carry
    history: History
    best: Best | None = None
    notes: Mapping[str, Any] = MappingProxyType({})  # JSON: what else must be known to go on


class Checkpoints(ABC):
    """The checkpoints of one run, in a folder; what one of them looks like on disk is up to the subclass.

    Args:
        path: the folder; made if it is missing.
        keep: how many to keep; older ones are removed after a newer one is safely written.
    """

    suffix: ClassVar[str]

    def __init__(self, path: str | os.PathLike[str], *, keep: int = 3) -> None:
        if keep < 1:
            raise ValueError(f"keep = {keep}: at least the newest checkpoint has to be kept.")
        self.path = Path(path).absolute()  # the program may change its folder on the way
        self.keep = keep

    def steps(self) -> list[int]:
        """The steps of which there are files, in order."""
        return sorted(step for step, suffix in self._found() if suffix == self.suffix)

    def file(self, step: int) -> Path:
        """The file (or folder) of a step."""
        return self.path / f"step-{step:010d}{self.suffix}"

    def begin(self, like: Carry, identity: Identity, resume: bool | int) -> Checkpoint | None:
        """Find where a run begins.

        Args:
            like: a carry of the structure that would be saved.
            identity: what the run is asked to be.
            resume: False for a new run, True for the newest checkpoint if there is one, or a step.

        Returns:
            The checkpoint to go on from; None for a new run.

        Raises:
            FileExistsError: it is to be a new run, but the folder holds checkpoints; or it holds those of
                another format.
            FileNotFoundError: there is no checkpoint of that step.
            ValueError: the checkpoint is damaged or of another run.
        """
        for step, suffix in self._found():
            if suffix != self.suffix:
                raise FileExistsError(
                    f"{self.path} holds a checkpoint of another format, step-{step:010d}{suffix}: pass "
                    f"checkpoint={WRITERS[suffix]}(path) to go on with it, or choose another folder."
                )
        if resume is False:
            if steps := self.steps():
                raise FileExistsError(
                    f"{self.path} holds checkpoints of an earlier run (steps {steps}): "
                    "pass resume=True to go on with it, or choose another folder."
                )
            return None
        return self.read(like, identity, None if resume is True else resume)

    def write(self, checkpoint: Checkpoint, identity: Identity) -> None:
        """Write a checkpoint whole, then remove those beyond the number to keep."""
        self.path.mkdir(parents=True, exist_ok=True)
        self._write(self.file(checkpoint.step), checkpoint, identity)
        for draft in self.path.glob(f".step-*{self.suffix}[.-]*"):
            _remove(draft)  # of a write that a kill cut short
        # Later ones are left over from before a resume at an earlier step; they do not count.
        for step in [each for each in self.steps() if each <= checkpoint.step][: -self.keep]:
            _remove(self.file(step))

    def read(self, like: Carry, identity: Identity, step: int | None = None) -> Checkpoint | None:
        """Read a checkpoint.

        Args:
            like: a carry of the structure that was saved.
            identity: what the run is asked to be.
            step: which; None for the newest.

        Returns:
            The checkpoint, or None if there is none at all.

        Raises:
            FileNotFoundError: there is none of that step.
            ValueError: it is damaged, or of another run. The message names the file and an earlier one
                that is good; nothing is deleted.
        """
        steps = self.steps()
        if not steps and step is None:
            return None
        wanted = steps[-1] if step is None else step
        if wanted not in steps:
            raise FileNotFoundError(
                f"{self.path} has no checkpoint of step {wanted}; it has {steps or 'none'}."
            )
        try:
            return self._read(wanted, like, identity)
        except ValueError as error:
            raise ValueError(
                f"cannot go on from {self.file(wanted).name}: {error}\n"
                f"{self._way_out(wanted, like, identity)}"
            ) from error

    @abstractmethod
    def _write(self, path: Path, checkpoint: Checkpoint, identity: Identity) -> None:
        """Write a checkpoint whole or not at all."""

    @abstractmethod
    def _read(self, step: int, like: Carry, identity: Identity) -> Checkpoint:
        """Read a checkpoint; ValueError if it is damaged or of another run."""

    def _found(self) -> list[tuple[int, str]]:
        if not self.path.is_dir():
            return []
        found = (NAME.fullmatch(entry.name) for entry in self.path.iterdir())
        return [(int(match.group(1)), match.group(2)) for match in found if match]

    def _way_out(self, bad: int, like: Carry, identity: Identity) -> str:
        for step in reversed([each for each in self.steps() if each < bad]):
            try:
                self._read(step, like, identity)
            except ValueError:
                continue
            return f"An earlier one, {self.file(step).name}, is good: resume={step} goes on from there."
        return "There is no earlier one that fits; begin anew in another folder."


class CheckpointFolder(Checkpoints):
    """The checkpoints of one run, an npz file each; sharded arrays are gathered on the host.

    Args:
        path: the folder; made if it is missing.
        keep: how many to keep; older ones are removed after a newer one is safely written.
    """

    suffix = ".npz"

    def _write(self, path: Path, checkpoint: Checkpoint, identity: Identity) -> None:
        write_npz(path, checkpoint, identity)

    def _read(self, step: int, like: Carry, identity: Identity) -> Checkpoint:
        return read_npz(self.file(step), step, like, identity)


def write_npz(
    path: Path, checkpoint: Checkpoint, identity: Identity, extra: dict[str, np.ndarray] | None = None
) -> None:
    """Write a checkpoint into an npz file, whole or not at all.

    Args:
        path: the file.
        checkpoint: what is written.
        identity: what the run was asked to be.
        extra: further arrays by name.
    """
    content: dict[str, Any] = {
        "identity": identity._asdict(),
        "carry": checkpoint.carry,
        "step": checkpoint.step,
    }
    notes = {"has_best": checkpoint.best is not None} | dict(checkpoint.notes)
    if checkpoint.best is not None:
        content["best"] = checkpoint.best
    written = {NOTES: np.frombuffer(json.dumps(notes).encode(), np.uint8)}
    save(path, content, extra=_flat(checkpoint.history) | written | (extra or {}))


def read_npz(path: Path, step: int, like: Carry, identity: Identity) -> Checkpoint:
    """Read a file that `write_npz` wrote.

    Args:
        path: the file.
        step: the checkpoint's step.
        like: a carry of the structure that was saved.
        identity: what the run is asked to be.

    Returns:
        The checkpoint.

    Raises:
        ValueError: the file is damaged, or of another run.
    """
    extra = read(path)
    # There were none in the first edition.
    notes = json.loads(extra[NOTES].tobytes()) if NOTES in extra else {}
    content: dict[str, Any] = {"carry": like, "step": step}
    if notes.pop("has_best", False):
        content["best"] = best_like(like)
    content = _load(path, content, identity)
    stored = Identity(**content["identity"])
    for field, asked in identity._asdict().items():
        if not np.array_equal(_plain(getattr(stored, field)), _plain(asked)):
            raise ValueError(
                f"{path} is of another run: its {field} is {_plain(getattr(stored, field))}, "
                f"but {_plain(asked)} was asked for."
            )
    return Checkpoint(step, content["carry"], _history(extra), content.get("best"), notes)


def _load(path: Path, content: dict[str, Any], identity: Identity) -> dict[str, Any]:
    try:
        return load(path, content | {"identity": identity._asdict()})
    except ValueError as error:
        if not is_key(identity.key):
            raise
        # The first edition kept a key of the older kind as the integers that it is.
        older = identity._replace(key=jax.random.key_data(identity.key))
        try:
            return load(path, content | {"identity": older._asdict()})
        except ValueError:
            raise error from None


def best_like(like: Carry) -> Best:
    """What the best moment of a run of such a carry looks like."""
    return Best(like.params, 0, 0.0, like.model_state)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def _plain(value: Any) -> np.ndarray:
    if is_key(value):
        value = jax.random.key_data(value)
    return np.asarray(value)


def _flat(history: History) -> dict[str, np.ndarray]:
    return {
        "losses": history.losses,
        "evaluated_at": history.evaluated_at,
        **{f"metrics/{name}": values for name, values in history.metrics.items()},
        **{f"evaluations/{name}": values for name, values in history.evaluations.items()},
    }


def _history(extra: dict[str, np.ndarray]) -> History:
    def group(prefix: str) -> dict[str, np.ndarray]:
        return {
            name.removeprefix(prefix): values for name, values in extra.items() if name.startswith(prefix)
        }

    return History(
        extra["losses"], group("metrics/"), extra["evaluated_at"], group("evaluations/"), stopped="resumed"
    )
