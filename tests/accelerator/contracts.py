"""The contract tests whose outcome may depend on the device, run by pytest in processes of their own."""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
HERE = "tests/accelerator/test_device.py"
CONTRACTS: dict[str, tuple[str, ...]] = {
    "on this device": (HERE,),
    "dtypes": ("tests/optimizers/test_low_precision.py", "tests/optimizers/test_complex.py"),
    "determinism": (
        "tests/optimizers/test_interop.py",
        "tests/optimizers/test_hyperparameter_kinds.py",
        "tests/training/test_order.py",
    ),
    "sharding": ("tests/optimizers/test_sharding.py", "tests/training/test_data_parallel.py"),
    "half_state": ("tests/wrappers/test_half_state.py", "tests/core/test_noise.py"),
    "compensated": ("tests/wrappers/test_compensated.py",),
    "packed": ("tests/wrappers/test_packed.py", "tests/training/test_packing.py"),
    "fit": ("tests/training/test_fit.py", "tests/training/test_run.py", "tests/training/test_checkpoints.py"),
    "sweep": ("tests/sweeps/test_sweep.py", "tests/sweeps/test_pruning.py"),
}
SMALL = {"on this device": (HERE,)}
# As pytest prints the end of a test, with its worker and without.
ENDED = re.compile(r"(?:\[gw\d+\] \[ *\d+%\] )?(PASSED|FAILED|ERROR|SKIPPED) (tests/\S+\.py)(?:::(.*))?$")


class Outcome(NamedTuple):
    """What became of a contract's tests."""

    contract: str
    passed: int
    skipped: int
    failed: tuple[str, ...]  # the tests, as pytest names them
    seconds: float
    finished: bool

    @property
    def holds(self) -> bool:
        """Whether everything ran, and nothing failed."""
        return self.finished and self.passed > 0 and not self.failed

    def row(self) -> tuple[str, ...]:
        """The table's line."""
        words = [f"{self.passed} passed"]
        words += [f"{self.skipped} skipped"] if self.skipped else []
        words += [f"{len(self.failed)} failed"] if self.failed else []
        words += [] if self.finished else [f"stopped after {self.seconds:.0f} s"]
        shown = [*self.failed[:5], *(["…"] if len(self.failed) > 5 else [])]
        return "contract", self.contract, ", ".join(words), "holds" if self.holds else "; ".join(shown) or "?"


def run(contracts: Mapping[str, Sequence[str]], seconds: float) -> list[Outcome]:
    """Run each contract's tests, all of them in so many seconds.

    Args:
        contracts: files of tests by the contract's name.
        seconds: after which what still runs is stopped.

    Returns:
        An outcome for each.
    """
    end = time.monotonic() + seconds
    return [outcome(name, files, end - time.monotonic()) for name, files in contracts.items()]


def outcome(contract: str, files: Sequence[str], seconds: float) -> Outcome:
    """Run some files of tests."""
    # Several processes share the accelerator's memory, and products are to be float32's as the tests expect.
    environment = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "JAX_DEFAULT_MATMUL_PRECISION": "highest"}
    marker = "slow or not slow" if HERE in files else "not slow"
    workers = min(8, max(1, (os.cpu_count() or 1) // 2))
    command = [sys.executable, "-m", "pytest", "-v", "-m", marker, "-n", str(workers), *files]
    begun, finished = time.monotonic(), True
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | environment, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            process.wait(max(seconds, 1))
        except subprocess.TimeoutExpired:
            finished = False
            process.terminate()
            process.wait()
        output.seek(0)
        lines = output.read().splitlines()
    ended = [match for line in lines if (match := ENDED.match(line.strip()))]
    if finished and process.returncode and not any(match[1] in ("FAILED", "ERROR") for match in ended):
        print("\n".join(lines[-30:]), file=sys.stderr)
        finished = False
    return read(contract, ended, time.monotonic() - begun, finished)


def read(contract: str, ended: Sequence[re.Match[str]], seconds: float, finished: bool) -> Outcome:
    """Count; a test that failed is printed twice, when it ends and in the summary."""
    words: dict[str, set[str]] = {word: set() for word in ("PASSED", "FAILED", "ERROR", "SKIPPED")}
    for match in ended:
        name = (match[3] or "").partition(" - ")[0]
        words[match[1]].add(f"{match[2]}::{name}" if name else match[2])
    failed = tuple(sorted(words["FAILED"] | words["ERROR"]))
    return Outcome(contract, len(words["PASSED"]), len(words["SKIPPED"]), failed, seconds, finished)
