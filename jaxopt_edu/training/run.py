"""The host's side of a run: compiled stretches of steps, and what happens between them."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import jax
import numpy as np

from jaxopt_edu.core.arguments import named
from jaxopt_edu.training.best import Judge
from jaxopt_edu.training.history import Recorder
from jaxopt_edu.training.loop import Carry
from jaxopt_edu.training.nonfinite import Held, go_back
from jaxopt_edu.training.objective import BEGINNINGS
from jaxopt_edu.training.program import Program, own_copy


@dataclass(frozen=True)
class Plan:
    """How long a run is, and what ends it early."""

    steps: int
    every: int
    judge: Judge
    allow_nonfinite: bool
    first_batch: int = 0  # where the data begins

    def ended_by(self, losses: np.ndarray) -> bool:
        """Whether the last of these losses ended the run, for being NaN or infinite."""
        return not self.allow_nonfinite and len(losses) > 0 and not np.isfinite(losses[-1])

    def stretch(self, step: int) -> int:
        """How many steps to make from here without touching the host; stretches end at multiples of every."""
        return min(self.every - step % self.every, self.steps - step)


def run(
    program: Program,
    plan: Plan,
    carry: Carry,
    recorder: Recorder,
    at_stop: Callable[[Carry, np.ndarray], str | None],
) -> tuple[Carry, str]:
    """Train from where the recorder stands to the plan's end.

    Args:
        program: what is run.
        plan: how long.
        carry: where to begin; its buffers are given away.
        recorder: the history so far; is added to.
        at_stop: called every `every` steps and at the end with the carry and the losses since; says why the
            run is to end here, or None.

    Returns:
        The last carry, and why the run ended.
    """
    held: list[Held] = []
    since: list[np.ndarray] = []  # losses that at_stop has not seen
    while (step := recorder.steps) < plan.steps:
        if plan.judge.out_of_patience:
            return carry, f"no improvement in {plan.judge.patience} evaluations, at step {step}"
        asked = plan.stretch(step)
        following = plan.stretch(step + asked) if step + asked < plan.steps else 0
        entries, steps = program.entries(plan.first_batch + step, asked, following)
        if steps == 0:
            said = _ended(step, plan.steps)
            if since:
                at_stop(carry, np.concatenate(since))
            return carry, said
        if program.placement is not None:
            entries = program.placement.on_all(entries)
        if not plan.allow_nonfinite:
            # The parameters that a stretch begins with are known to be good only when its first loss is;
            # until then the copy before is the one to go back to.
            held = [*held[-1:], Held(step, own_copy(carry), entries)]
        with named("fit", *BEGINNINGS):
            carry, losses, metrics = program.advance(carry, entries, steps)
        losses, metrics = jax.device_get((losses, metrics))
        recorder.add(losses, metrics)
        bad = np.flatnonzero(~np.isfinite(losses))
        if len(bad) and not plan.allow_nonfinite:
            recorder.cut(step + int(bad[0]) + 1)
            return go_back(program, held, recorder)
        since.append(losses)
        if recorder.steps % plan.every and recorder.steps < plan.steps:
            continue  # a stretch that a batch of another shape cut short
        since, told = [], np.concatenate(since)
        if ended := at_stop(carry, told):
            return carry, ended
    return carry, "completed"


def _ended(step: int, steps: int) -> str:
    if step == 0:
        raise ValueError(
            "fit: data gave no batch at all; an iterator that was read before is at its end: make a new "
            "one, or "
            "pass what can be iterated again."
        )
    warnings.warn(
        f"fit stopped: the data ended after {step} of {steps} steps; pass what can be iterated again (a "
        "list of "
        "batches, a loader) for further epochs.",
        RuntimeWarning,
        stacklevel=5,
    )
    return f"end of data at step {step}"
