"""Race on a problem that says what is trained and judged; all methods try the same learning rates."""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from jaxopt_edu.core.transform import Optimizer
from jaxopt_edu.problems import Problem
from jaxopt_edu.race.learning import steps_of_one
from jaxopt_edu.sweeps.results.result import SweepResult
from jaxopt_edu.sweeps.sweep import sweep


class ProblemResult(NamedTuple):
    """What one method did on a problem, for each of its settings and seeds.

    Attributes:
        method: the optimizer's name.
        found: the sweep over its settings.
        seconds: wall time of all runs together, compilation included.
    """

    method: str
    found: SweepResult
    seconds: float


def race_on_problem(
    problem: Problem,
    method: str,
    optimizers: Sequence[Optimizer],
    *,
    seeds: int,
    steps: int | None = None,
    every: int | None = None,
    advance: Callable[[int], None] = lambda steps: None,
) -> ProblemResult:
    """Train with every setting and seed of one method, all in one compiled program.

    Args:
        problem: what is trained, and judged.
        method: the name to show.
        optimizers: the settings to try; they differ in their numbers only.
        seeds: number of seeds; within one all settings and methods start alike and see the same batches.
        steps: of each run; None for the problem's own.
        every: number of steps from one evaluation to the next; None for a twentieth.
        advance: called with the number of steps just made by all runs, for a progress bar.

    Returns:
        The curves of all runs.
    """
    begun = time.perf_counter()
    report = steps_of_one(len(optimizers) * seeds, advance)
    found = sweep(problem, optimizers, steps=steps, seeds=seeds, every=every, keep=0, progress=report)
    return ProblemResult(method, found, time.perf_counter() - begun)
