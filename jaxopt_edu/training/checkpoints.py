"""Checkpoints of a run: a folder of files that are each written whole, of which the last few are kept."""

import os
import re
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxopt_edu.storage import load, read, save
from jaxopt_edu.training.history import History
from jaxopt_edu.training.loop import Carry

NAME = re.compile(r"step-(\d{10})\.npz")


class Identity(NamedTuple):
    """What must be the same for a resumed run to see the same data in the same order."""

    key: Any
    batch_size: int
    replacement: bool


class Checkpoint(NamedTuple):
    """One moment of a run, complete."""

    step: int
    carry: Carry
    history: History


class CheckpointFolder:
    """The checkpoints of one run.

    Args:
        path: the folder; made if it is missing.
        keep: how many to keep; older ones are removed after a newer one is safely written.
    """

    def __init__(self, path: str | os.PathLike[str], *, keep: int = 3) -> None:
        if keep < 1:
            raise ValueError(f"keep = {keep}: at least the newest checkpoint has to be kept.")
        self.path = Path(path)
        self.keep = keep

    def steps(self) -> list[int]:
        """The steps of which there are files, in order."""
        if not self.path.is_dir():
            return []
        found = (NAME.fullmatch(entry.name) for entry in self.path.iterdir())
        return sorted(int(match.group(1)) for match in found if match)

    def file(self, step: int) -> Path:
        """The file of a step."""
        return self.path / f"step-{step:010d}.npz"

    def begin(self, like: Carry, identity: Identity, resume: bool | int) -> Checkpoint | None:
        """Find where a run begins.

        Args:
            like: a carry of the structure that would be saved.
            identity: what the run is asked to be.
            resume: False for a new run, True for the newest checkpoint if there is one, or a step.

        Returns:
            The checkpoint to go on from; None for a new run.

        Raises:
            FileExistsError: it is to be a new run, but the folder holds checkpoints.
            FileNotFoundError: there is no checkpoint of that step.
            ValueError: the checkpoint is damaged or of another run.
        """
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
        content = {"identity": identity._asdict(), "carry": checkpoint.carry, "step": checkpoint.step}
        save(self.file(checkpoint.step), content, extra=_flat(checkpoint.history))
        for draft in self.path.glob(".step-*.npz.*"):
            draft.unlink()  # of a write that a kill cut short
        # Later ones are left over from before a resume at an earlier step; they do not count.
        for step in [each for each in self.steps() if each <= checkpoint.step][: -self.keep]:
            self.file(step).unlink()

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

    def _read(self, step: int, like: Carry, identity: Identity) -> Checkpoint:
        path = self.file(step)
        content = {"identity": identity._asdict(), "carry": like, "step": step}
        content = load(path, content)
        stored = Identity(**content["identity"])
        for field, asked in identity._asdict().items():
            if not np.array_equal(_plain(getattr(stored, field)), _plain(asked)):
                raise ValueError(
                    f"{path} is of another run: its {field} is {_plain(getattr(stored, field))}, "
                    f"but {_plain(asked)} was asked for."
                )
        return Checkpoint(step, content["carry"], _history(read(path)))

    def _way_out(self, bad: int, like: Carry, identity: Identity) -> str:
        for step in reversed([each for each in self.steps() if each < bad]):
            try:
                self._read(step, like, identity)
            except ValueError:
                continue
            return f"An earlier one, {self.file(step).name}, is good: resume={step} goes on from there."
        return "There is no earlier one that fits; begin anew in another folder."


def _plain(value: Any) -> np.ndarray:
    if isinstance(value, jax.Array) and jax.numpy.issubdtype(value.dtype, jax.dtypes.prng_key):
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
