"""What a run keeps on its way: its best moment, and checkpoints that know which run they are of."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from jaxopt_edu.core.transform import Optimizer
from jaxopt_edu.training.best import Judge
from jaxopt_edu.training.checkpoints import Checkpoints
from jaxopt_edu.training.history import Recorder
from jaxopt_edu.training.identity import differences, facts
from jaxopt_edu.training.loop import Carry
from jaxopt_edu.training.npz_checkpoint import Best, Checkpoint, Identity
from jaxopt_edu.training.sources import Source


class Keeper:
    """The best moment of a run, and its checkpoints.

    Args:
        folder: where checkpoints go; None for nowhere.
        identity: what must be the same after a resume.
        judge: which moment is the best.
    """

    def __init__(self, folder: Checkpoints | None, identity: Identity, judge: Judge) -> None:
        self.folder, self.identity, self.judge = folder, identity, judge
        self.best: Best | None = None
        self.facts: dict[str, Any] = {}
        self.written: int | None = None

    @property
    def judged_by(self) -> list[str | None]:
        """What the best moment is the best by."""
        return [self.judge.metric, self.judge.mode]

    def begin(self, carry: Carry, resume: bool | int, steps: int) -> Checkpoint | None:
        """Find the checkpoint to go on from.

        Raises:
            ValueError: it is of a step beyond the run's.
        """
        found = None if self.folder is None else self.folder.begin(carry, self.identity, resume)
        if found is not None:
            if found.step > steps:
                raise ValueError(
                    f"fit: the checkpoint is of step {found.step}, which is more than steps = {steps}: ask "
                    "for "
                    "more steps, or resume from an earlier checkpoint by its step."
                )
            self.written = found.step
            if found.notes.get("judged_by") == self.judged_by:
                self.best = found.best
            self.judge.restore(found.history)
        return found

    def compare(
        self,
        found: Checkpoint | None,
        optimizer: Optimizer,
        params: Any,
        source: Source,
        allow: bool,
        frozen: Sequence[Any] = (),
        loss_key: jax.Array | None = None,
    ) -> None:
        """Learn what this run is, and refuse to go on from another's checkpoint unless that is allowed.

        Raises:
            ValueError: the optimizer, its numbers, the data, the loss's key or what is not trained are
                others; says which.
        """
        if self.folder is None:
            return
        self.facts = facts(optimizer, params, source, frozen, loss_key)
        if found is None or allow or "run" not in found.notes:  # the first edition's checkpoints do not say
            return
        if told := differences(found.notes["run"], self.facts):
            raise ValueError(
                f"fit: {self.folder.file(found.step)} was written by another run: {'; '.join(told)}. Pass "
                "allow_changes=True to go on from it with what is asked for now, or choose another folder."
            )

    def judged(self, carry: Carry, step: int, evaluation: dict[str, Any], losses: np.ndarray) -> None:
        """Look whether this moment is the best."""
        if self.judge.add(evaluation, losses):
            params, model_state = copied((carry.params, carry.model_state))
            self.best = Best(params, step, self.judge.value(), model_state)

    def write(self, carry: Carry, recorder: Recorder, place: dict[str, Any] | None) -> None:
        """Write a checkpoint, if there is a folder."""
        if self.folder is None:
            return
        notes = {"run": self.facts, "judged_by": self.judged_by, "place": place}
        history = recorder.history("running")
        self.folder.write(Checkpoint(recorder.steps, carry, history, self.best, notes), self.identity)
        self.written = recorder.steps

    def end(self) -> None:
        """Let another run write into the folder."""
        if self.folder is not None:
            self.folder.end()

    def told(self) -> str:
        """What is kept, and how to go on."""
        if self.folder is None:
            return "without checkpoint= nothing is on disk"
        if self.written is None:
            return f"no checkpoint has been written into {self.folder.path} yet"
        return (
            f"the checkpoint of step {self.written} is in {self.folder.path}, and resume=True goes on from it"
        )


@jax.jit
def copied(tree: Any) -> Any:
    """A copy, in one program, whose buffers are nobody else's."""
    return jax.tree.map(lambda leaf: leaf.copy(), tree)
