"""Processes killed with kill -9 at random moments, and resumed; to hold is to end with the same bits."""

import random
from pathlib import Path

import numpy as np

from tests.crash import launch
from tests.stress.outcome import Outcome
from tests.sweeps.folder import test_crash as sweep_crash
from tests.training import test_crash as fit_crash
from tests.training import test_distributed as together

STEPS = 24
# What the audit hooks of Python tell of before it happens, and how often it does in one short run.
EVENTS = (("open", 20), ("os.rename", 10), ("os.remove", 8))


def fits(place: Path, moments: random.Random, kills: int, kind: str) -> Outcome:
    """A fit that is killed again and again, each time somewhere in its writing.

    Args:
        place: an empty folder.
        moments: where the moments come from.
        kills: how many.
        kind: of checkpoints, "npz" or "orbax".
    """
    what = f"kill -9 of a fit that writes {kind} checkpoints"
    words = []
    for _ in range(kills):
        event, most = moments.choice(EVENTS[:2] if kind == "orbax" else EVENTS)
        # The first few times at the most, for a run that resumes near its end has no more.
        words.append(f"{event}:{moments.randrange(1, 4 if most < 10 else 6)}")
    result = place / "result.npz"
    # Each kill is a process of its own that goes on from the one before, with so many more steps to go.
    process = launch(
        fit_crash.__file__, place, place / "run", result, STEPS * kills, *words, CHECKPOINTS=kind
    )
    output, errors = process.communicate(timeout=1800)
    if process.returncode:
        return Outcome(what, kills, 0, (f"{' '.join(words)}: {errors[-1500:]}", output))
    return Outcome(what, kills, kills if same(result, Path(f"{result}-whole.npz")) else 0)


def sweeps(place: Path, moments: random.Random, kills: int) -> Outcome:
    """A successive halving and a population-based training, killed again and again."""
    what = "kill -9 of sweeps with Halving and PopulationBased"
    result = place / "result.npz"
    process = launch(sweep_crash.__file__, place, place / "run", result, moments.randrange(10**6), kills)
    _, errors = process.communicate(timeout=1800)
    if process.returncode:
        return Outcome(what, kills, 0, (errors[-1500:],))
    return Outcome(what, kills, kills if same(result, Path(f"{result}-whole.npz")) else 0)


def processes(place: Path, moments: random.Random, kills: int, count: int) -> Outcome:
    """One of the several processes of a fit is killed."""
    what = f"kill -9 of one of {count} processes of a fit"
    expected = together.finished(place, place / "whole", count, "npz")
    wrong = []
    for number in range(kills):
        folder, victim = place / f"run-{number}", moments.randrange(count)
        moment = f"step:{2 * moments.randrange(1, 6)}"
        if victim == 0 and moments.random() < 0.5:
            moment = f"os.rename:{moments.randrange(2, 5)}"
        running = together.together(place, folder, count, "npz", [(victim, moment)])
        running[victim].wait(timeout=300)
        for process in running:
            process.kill()
            process.communicate()
        if together.finished(place, folder, count, "npz") != expected:
            wrong.append(f"process {victim} at {moment}")
    return Outcome(what, kills, kills - len(wrong), tuple(wrong))


def same(found: Path, expected: Path) -> bool:
    """Whether two npz files hold the same bytes under the same names."""
    with np.load(found) as one, np.load(expected) as other:
        return one.files == other.files and all(
            np.array_equal(one[name], other[name]) for name in other.files
        )
