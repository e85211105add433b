"""What becomes of a sweep's time and memory as its runs become more, in a folder.

    python -m tests.benchmarks --only growth

A run is one step of one number, so that all else than training is what is measured. Each number of runs is a
process of its own, for the sake of its peak of memory.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

import jaxopt_edu as jo
from tests.benchmarks.memory import peak_bytes
from tests.benchmarks.output import Bars, Report

RUNS = (1_000, 10_000, 100_000)


def run(quick: bool, bars: Bars) -> list[Report]:
    """Measure each number of runs."""
    counts = RUNS[:1] if quick else RUNS
    measured = []
    with bars.task("growth", len(counts)) as advance:
        for count in counts:
            command = [sys.executable, "-m", "tests.benchmarks.growth", str(count)]
            with bars.case(f"growth, {count} runs"):
                output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
                measured.append(json.loads(output.splitlines()[-1]))
            advance()
    return [report(measured)]


def measure(count: int) -> dict[str, Any]:
    """Seconds of a sweep, of its resume when it is finished, of loading it and of a summary; peak bytes."""
    optimizers = jo.grid(jo.sgd, learning_rate=np.linspace(0.1, 1, count).tolist())
    before = peak_bytes()
    with tempfile.TemporaryDirectory() as folder:

        def sweep(resume: bool) -> jo.SweepResult:
            return jo.sweep(lambda w, _: w**2, jnp.ones(()), optimizers, steps=1, path=folder, resume=resume)

        _, first = timed(lambda: sweep(False))
        result, again = timed(lambda: sweep(True))
        _, summary = timed(result.summary)
        _, load = timed(lambda: jo.sweeps.load(folder))
    bytes_more = peak_bytes() - before
    seconds = {"sweep": first, "resume": again, "summary": summary, "load": load}
    return {"runs": count, "seconds": seconds, "peak": bytes_more}


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What it gives, and the seconds that it takes."""
    begun = time.perf_counter()
    given = work()
    return given, time.perf_counter() - begun


def report(measured: list[dict[str, Any]]) -> Report:
    """The table."""
    parts = ("sweep", "resume", "summary", "load")
    rows = [
        (
            f"{each['runs']:,}",
            *(f"{each['seconds'][part]:.2f}" for part in parts),
            f"{each['peak'] / 1e6:.0f}",
        )
        for each in measured
    ]
    columns = ("runs", "sweep, s", "resume, s", "summary, s", "load, s", "peak, MB")
    notes = (
        "Runs of one step on one number, in a folder; sweep: compiling included; resume: of the finished "
        "one; summary: its first after that; peak: above what the process had with its optimizers made.",
    )
    return Report("Growth of a sweep", columns, rows, notes, measured)


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))))
