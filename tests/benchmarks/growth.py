"""What becomes of time and memory as runs, structures and steps become more, in a folder.

    python -m tests.benchmarks --only growth

A run is one step of one number, so that all else than training is what is measured. Each measurement of
memory is a process of its own, for the sake of its peak.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax

import jaxopt_edu as jo
from tests.benchmarks.memory import peak_bytes
from tests.benchmarks.output import Bars, Report

RUNS = (1_000, 10_000, 100_000)
STRUCTURES = (20, 50, 100, 200)
STEPS = (10_000, 100_000, 1_000_000)
EVERY = 1_000
BLOCKS = 5  # of EVERY steps, of which the median is shown


def run(quick: bool, bars: Bars) -> list[Report]:
    """Measure all three."""
    runs, structures, steps = (each[:1] if quick else each for each in (RUNS, STRUCTURES, STEPS))
    swept, kinds, fitted = [], [], []
    with bars.task("growth", len(runs) + 2) as advance:
        for count in runs:
            with bars.case(f"growth, {count} runs"):
                swept.append(_in_a_process("measure_runs", count))
            advance()
        with bars.case("growth, structures"):
            kinds = _in_a_process("measure_structures", structures)
        advance()
        with bars.case("growth, steps of fit"):
            fitted = _in_a_process("measure_steps", steps)
        advance()
    reports = [(report_runs, swept), (report_structures, kinds), (report_steps, fitted)]
    return [shown(measured) for shown, measured in reports if measured]


def _in_a_process(function: str, argument: Any) -> Any:
    command = [sys.executable, "-m", "tests.benchmarks.growth", function, json.dumps(argument)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(output.splitlines()[-1])


def measure_runs(count: int) -> dict[str, Any]:
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


def measure_structures(counts: tuple[int, ...]) -> list[dict[str, Any]]:
    """The peak of memory, and the seconds passed, when so many structures have been swept."""
    kinds = [jo.chain(optax.clip(1.0 + kind), jo.sgd(0.1)) for kind in range(max(counts))]
    measured = []
    begun = time.perf_counter()

    def note(steps: int, best: float) -> None:
        if steps in counts and steps not in [each["structures"] for each in measured]:
            passed = time.perf_counter() - begun
            measured.append({"structures": steps, "seconds": passed, "peak": peak_bytes()})

    with tempfile.TemporaryDirectory() as folder:
        jo.sweep(lambda w, _: w**2, jnp.ones(()), kinds, steps=1, path=folder, progress=note)
    return measured


def measure_steps(counts: tuple[int, ...]) -> list[dict[str, Any]]:
    """The seconds from one checkpoint to the next after so many steps, and the bytes that one writes."""
    measured: list[dict[str, Any]] = []
    moments: list[float] = []

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sizes: list[int] = []

        def note(moment: jo.training.Moment) -> None:
            moments.append(time.perf_counter())
            sizes.append(sum(each.stat().st_size for each in folder.glob("history-*.log")))
            if moment.step in counts:
                (checkpoint,) = folder.glob(f"step-{moment.step - EVERY:010}.npz")
                seconds = np.diff(moments[-BLOCKS - 1 :])
                bytes_written = checkpoint.stat().st_size + sizes[-1] - sizes[-2]
                measured.append(
                    {"steps": moment.step, "seconds": float(np.median(seconds)), "bytes": bytes_written}
                )

        jo.fit(
            lambda w, _: w**2,
            jnp.ones(()),
            jo.sgd(0.1),
            steps=max(counts),
            every=EVERY,
            callback=note,
            checkpoint=folder,
        )
    return measured


def report_runs(measured: list[dict[str, Any]]) -> Report:
    """The table of sweeps."""
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


def report_structures(measured: list[dict[str, Any]]) -> Report:
    """The table of structures."""
    rows = [
        (f"{each['structures']}", f"{each['seconds']:.1f}", f"{each['peak'] / 1e6:.0f}") for each in measured
    ]
    notes = (
        "One sweep, of a run for each structure; each is compiled, 32 are kept; peak: of the whole process.",
    )
    return Report("Growth with structures", ("structures", "so far, s", "peak, MB"), rows, notes, measured)


def report_steps(measured: list[dict[str, Any]]) -> Report:
    """The table of a fit's checkpoints."""
    rows = [
        (f"{each['steps']:,}", f"{1e3 * each['seconds']:.1f}", f"{each['bytes'] / 1e3:.1f}")
        for each in measured
    ]
    columns = ("steps so far", "to the next checkpoint, ms", "written, kB")
    notes = (
        f"`fit` on one number, a checkpoint every {EVERY:,} steps; the time is that of these steps and of "
        f"the checkpoint, the median of the last {BLOCKS}.",
    )
    return Report("Growth of a fit's history", columns, rows, notes, measured)


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](json.loads(sys.argv[2]))))
