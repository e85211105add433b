"""Disks that fill up, and folders that two runs want."""

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import jaxopt_edu as jo
from jaxopt_edu.training import CheckpointFolder
from tests.crash import launch
from tests.stress.outcome import Outcome
from tests.sweeps.regression import assert_same, run
from tests.training import test_crash as fit_crash

OPT = jo.adam(0.1)
# Steps, with a checkpoint at every second: long enough for the second process to come while the first writes.
WRITTEN = 1000


def reason_for_no_disk() -> str | None:
    """Why no small file system can be made here; None if one can."""
    if os.name != "posix" or os.geteuid() != 0:
        return "only root may mount a small file system"
    if shutil.which("mount") is None:
        return "there is no mount"
    return None


@contextmanager
def small_disk(place: Path, kilobytes: int) -> Iterator[Path]:
    """A file system of so many kilobytes.

    Raises:
        CalledProcessError: it cannot be mounted, as in most containers.
    """
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", place]
    subprocess.run(command, check=True, capture_output=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def full_disk(place: Path, moments: random.Random, times: int) -> Outcome:
    """A fit and a sweep until the disk is full, and then the same on a larger one, from what was left."""
    wrong, what = [], "a disk that fills up under a fit or a sweep"
    expected = _fit(place / "whole", 60)
    swept = run(chunk_size=2)
    for number in range(times):
        rescued = place / f"rescued-{number}"
        with small_disk(place / f"disk-{number}", 4 * moments.randrange(8, 18)) as disk:
            try:
                if number % 2:
                    run(path=disk / "run", chunk_size=2)
                else:
                    _fit(disk / "run", 60, keep=100)
                wrong.append(f"{number}: the disk was not full")
            except OSError as error:
                if "the disk is full: make room on it" not in str(error):
                    wrong.append(f"{number}: {error}")
            if (disk / "run").is_dir():
                shutil.copytree(disk / "run", rescued)
        try:
            if number % 2:
                assert_same(run(path=rescued, chunk_size=2, resume=True), swept)
            else:
                _assert_same_fit(_fit(rescued, 60, keep=100), expected)
        except (AssertionError, ValueError, OSError) as error:
            wrong.append(f"{number}: {error}")
    return Outcome(what, times, times - len(wrong), tuple(wrong))


def two_writers(place: Path, moments: random.Random, times: int) -> Outcome:
    """Two processes fit into one folder: one is refused by name, the other's run is as if alone."""
    wrong = []
    alone = launch(fit_crash.__file__, place, place / "alone", place / "alone.npz", WRITTEN)
    alone.communicate(timeout=600)
    for number in range(times):
        folder = place / f"run-{number}"
        both = [
            launch(fit_crash.__file__, place, folder, place / f"{number}-{i}.npz", WRITTEN) for i in range(2)
        ]
        errors = [process.communicate(timeout=600)[1] for process in both]
        ended = [process.returncode for process in both]
        good = ended.index(0) if 0 in ended else None
        if good is None:
            wrong.append(f"{number}: {errors}")
        elif ended[1 - good] == 0:
            # The second came after the first had ended, and found it finished.
            continue
        elif "is being written to by process" not in errors[1 - good]:
            wrong.append(f"{number}: {errors[1 - good][-500:]}")
        else:
            fit_crash.assert_same_files(place / f"{number}-{good}.npz", place / "alone.npz")
    return Outcome("two processes with one folder", times, times - len(wrong), tuple(wrong))


def _fit(folder: Path, steps: int, keep: int = 3) -> jo.FitResult:
    return jo.fit(
        lambda w, _: jnp.sum((w - 1) ** 2),
        jnp.zeros(100),
        OPT,
        steps=steps,
        every=2,
        checkpoint=CheckpointFolder(folder, keep=keep),
        resume=True,
    )


def _assert_same_fit(found: jo.FitResult, expected: jo.FitResult) -> None:
    jax.tree.map(np.testing.assert_array_equal, found[:2], expected[:2])
    np.testing.assert_array_equal(found.history.losses, expected.history.losses)
