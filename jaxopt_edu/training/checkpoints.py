"""Checkpoints of a run: a folder of files that are each written whole, of which the last few are kept."""

import os
import re
import shutil
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from jaxopt_edu.core.arguments import checked_path
from jaxopt_edu.core.checks import checked_whole
from jaxopt_edu.files import FolderLock, make_folder
from jaxopt_edu.processes import Peers, done_by_all, done_by_the_first, on_this_host
from jaxopt_edu.training.history_log import HistoryLog, Reference, remove_unused
from jaxopt_edu.training.loop import Carry
from jaxopt_edu.training.npz_checkpoint import Checkpoint, Identity, read_npz, reference_in, write_npz

NAME = re.compile(r"step-(\d{10})(\.npz|\.orbax)")
WRITERS = {".npz": "CheckpointFolder", ".orbax": "OrbaxFolder"}


class Checkpoints(ABC):
    """The checkpoints of one run, in a folder; what one of them looks like on disk is up to the subclass.

    One process at a time writes there; of the processes of one distributed run it is the first. All of them
    read, so that the folder has to be on a disk that they share.

    Args:
        path: the folder; made if it is missing.
        keep: how many to keep; older ones are removed after a newer one is safely written.
    """

    suffix: ClassVar[str]

    def __init__(self, path: str | os.PathLike[str], *, keep: int = 3) -> None:
        owner = type(self).__name__
        # The program may change its folder on the way.
        self.path = checked_path(owner, "path", path, "a folder").absolute()
        self.keep = checked_whole(owner, "keep", keep)  # the newest one at least
        self._lock: FolderLock | None = None
        self._log = HistoryLog(self.path)
        self._peers = Peers(self.path, "fit")

    def steps(self) -> list[int]:
        """The steps of which there are files, in order."""
        return sorted(step for step, suffix in self._found() if suffix == self.suffix)

    def file(self, step: int) -> Path:
        """The file (or folder) of a step."""
        return self.path / f"step-{step:010d}{self.suffix}"

    def begin(self, like: Carry, identity: Identity, resume: bool | int) -> Checkpoint | None:
        """Become the folder's writer, and find where a run begins; `end` has to follow.

        Args:
            like: a carry of the structure that would be saved.
            identity: what the run is asked to be.
            resume: False for a new run, True for the newest checkpoint if there is one, or a step.

        Returns:
            The checkpoint to go on from; None for a new run.

        Raises:
            BlockingIOError: another run is writing there; says which, and what can be done.
            FileExistsError: it is to be a new run, but the folder holds checkpoints; or it holds those of
                another format.
            FileNotFoundError: there is no checkpoint of that step.
            OSError: the folder cannot be written to.
            ValueError: the checkpoint is damaged or of another run.
        """
        self._log = HistoryLog(self.path)
        done_by_the_first(f"begin a run in {self.path}", lambda: self._open(resume))
        self._peers.join()
        return done_by_all(
            f"read the checkpoints in {self.path}",
            lambda: (
                None if resume is False else self.read(like, identity, None if resume is True else resume)
            ),
            lambda found: 0 if found is None else found.step + 1,
        )

    def explain(self, error: Exception) -> None:
        """Say which process of the run has ended, if that is what an error comes from.

        Raises:
            LostProcessError: it does.
        """
        self._peers.explain(error)

    def end(self) -> None:
        """Let another run write into the folder."""
        self._peers.leave()
        if self._lock is not None:
            self._lock.release()
        self._lock = None

    def write(self, checkpoint: Checkpoint, identity: Identity) -> None:
        """Write a checkpoint whole, then remove those beyond the number to keep."""
        self._write(self.file(checkpoint.step), checkpoint, identity)

    def _begin_write(self, checkpoint: Checkpoint) -> Reference:
        # By the first process.
        if self._lock is not None:
            self._lock.check()
        return self._log.append(checkpoint.history)

    def _end_write(self, step: int) -> None:
        # By the first process.
        for draft in self.path.glob(f".step-*{self.suffix}[.-]*"):
            _remove(draft)  # of a write that a kill cut short
        # Later ones are left over from before a resume at an earlier step; they do not count.
        for each in [each for each in self.steps() if each <= step][: -self.keep]:
            _remove(self.file(each))

    def _open(self, resume: bool | int) -> None:
        for step, suffix in self._found():
            if suffix != self.suffix:
                raise FileExistsError(
                    f"{self.path} holds a checkpoint of another format, step-{step:010d}{suffix}: pass "
                    f"checkpoint={WRITERS[suffix]}(path) to go on with it, or choose another folder."
                )
        if resume is False and (steps := self.steps()):
            raise FileExistsError(
                f"{self.path} holds checkpoints of an earlier run (steps {steps}): "
                "pass resume=True to go on with it, or choose another folder."
            )
        if resume is not False and resume is not True and resume not in self.steps():
            raise self._without(resume)
        make_folder(self.path)
        self._lock = FolderLock(self.path, "fit")
        self._lock.take()
        try:
            references = [self._reference(step) for step in self.steps()]
        except (ValueError, FileNotFoundError):
            return  # one that is damaged does not tell what it needs, so all is kept
        remove_unused(self.path, {each.file for each in references if each is not None})

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
            raise self._without(wanted)
        try:
            return self._read(wanted, like, identity)
        except ValueError as error:
            raise ValueError(
                f"cannot go on from {self.file(wanted).name}: {error}\n"
                f"{self._way_out(wanted, like, identity)}"
            ) from error

    @abstractmethod
    def _write(self, path: Path, checkpoint: Checkpoint, identity: Identity) -> None:
        """Write a checkpoint whole or not at all; called by all processes."""

    @abstractmethod
    def _read(self, step: int, like: Carry, identity: Identity) -> Checkpoint:
        """Read a checkpoint; ValueError if it is damaged or of another run."""

    @abstractmethod
    def _reference(self, step: int) -> Reference | None:
        """Which part of which history file belongs to a checkpoint."""

    def _without(self, step: int) -> FileNotFoundError:
        return FileNotFoundError(
            f"{self.path} has no checkpoint of step {step}; it has {self.steps() or 'none'}."
        )

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

    It works in several processes too: the first one writes. (`OrbaxFolder` gathers nothing.)

    Args:
        path: the folder; made if it is missing.
        keep: how many to keep; older ones are removed after a newer one is safely written.
    """

    suffix = ".npz"

    def _write(self, path: Path, checkpoint: Checkpoint, identity: Identity) -> None:
        carry, best = on_this_host((checkpoint.carry, checkpoint.best))
        whole = checkpoint._replace(carry=carry, best=best)

        def on_disk() -> None:
            write_npz(path, whole, identity, self._begin_write(whole))
            self._end_write(whole.step)

        done_by_the_first(f"write {path.name}", on_disk)

    def _read(self, step: int, like: Carry, identity: Identity) -> Checkpoint:
        return read_npz(self.file(step), self.path, step, like, identity)

    def _reference(self, step: int) -> Reference | None:
        return reference_in(self.file(step))


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
