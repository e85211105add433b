"""How long until something is seen: imports, the first picture of `race`, compilations.

    python -m tests.benchmarks --only start

Each measurement is a process of its own, since a second import or compilation in the same one is free.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.benchmarks.output import Bars, Report
from tests.benchmarks.timing import orders

IMPORTS = {
    "import jax, optax": "import jax, optax",
    "import jaxopt_edu": "import jaxopt_edu",
    "import jaxopt_edu, plots": "import jaxopt_edu; jaxopt_edu.plots.drawing.style",
}
# What counts what a process compiles; the job's code follows.
COUNTED = """
import atexit, json, os, sys
import jax
seconds = {"trace": [], "backend_compile": [], "hit": []}
def note(event, duration, **_):
    for kind in ("trace", "backend_compile"):
        if event.endswith(f"{kind}_duration"):
            seconds[kind].append(duration)
def count(event, **_):
    if event.endswith("/cache_hits"):
        seconds["hit"].append(0.0)
jax.monitoring.register_event_duration_secs_listener(note)
jax.monitoring.register_event_listener(count)
"""
REPORTED = """
print("COUNTED " + json.dumps({
    "compilations": len(seconds["backend_compile"]) - len(seconds["hit"]),
    "compile_seconds": sum(seconds["backend_compile"]),
}))
"""
FIT = """
import jaxopt_edu as jo
from jaxopt_edu.problems import digits, mlp
params = mlp.init(jax.random.key(0), (64, 32, 32, 10))
jo.fit(mlp.loss, params, jo.adam(), digits().train, steps={steps}, batch_size=128, key=jax.random.key(1))
"""
COMMAND = """
from jaxopt_edu.cli import main
assert main({words}) == 0
"""


def run(quick: bool, bars: Bars) -> list[Report]:
    """Measure imports and jobs."""
    repeats = 1 if quick else 5
    small = "race --problem bowl --methods sgd --steps 5"
    sweep = "sweep digits adam learning_rate=loguniform(1e-4,1) --num 64 --seeds 1"
    commands = {"race, one method": small} if quick else {"race": "race", "sweep of 64 settings": sweep}
    jobs: dict[str, Callable[[Path], str]] = {
        name: lambda folder, words=words: COMMAND.format(words=[*words.split(), "--out", str(folder)])
        for name, words in commands.items()
    }
    jobs["fit on the digits"] = lambda folder: FIT.format(steps=10 if quick else 500)
    with bars.task("start", len(IMPORTS) * repeats + 2 * len(jobs)) as advance:
        seconds = timed_imports(repeats, advance)
        measured = [{"job": name, "cache": "", "seconds": times} for name, times in seconds.items()]
        for name, code in jobs.items():
            with bars.case(f"start, {name}"):
                measured += cold_and_warm(name, code, advance)
    return [report(measured)]


def timed_imports(repeats: int, advance: Callable[[], None]) -> dict[str, list[float]]:
    """Seconds from starting Python to the end of each import, in turns."""
    seconds: dict[str, list[float]] = {name: [] for name in IMPORTS}
    with tempfile.TemporaryDirectory() as place:
        # Bytecode is kept, as it is where packages are installed, from a first round that does not count.
        kept = {"PYTHONPYCACHEPREFIX": place, "PYTHONDONTWRITEBYTECODE": ""}
        for turn, order in enumerate(orders(IMPORTS, repeats + 1)):
            for name in order:
                begun = time.perf_counter()
                subprocess.run([sys.executable, "-c", IMPORTS[name]], check=True, env=os.environ | kept)
                if turn > 0:
                    seconds[name].append(time.perf_counter() - begun)
                    advance()
    return seconds


def cold_and_warm(job: str, code: Callable[[Path], str], advance: Callable[[], None]) -> list[dict[str, Any]]:
    """Run a job twice with one compilation cache, which is empty at first."""
    measured = []
    with tempfile.TemporaryDirectory() as place:
        environment = os.environ | {"XDG_CACHE_HOME": f"{place}/cache", "JAX_COMPILATION_CACHE_DIR": ""}
        if "fit" in job:
            environment["JAX_COMPILATION_CACHE_DIR"] = f"{place}/cache"
            environment["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
        else:
            # The command line keeps a cache by itself.
            del environment["JAX_COMPILATION_CACHE_DIR"]
        for cache in ("cold", "warm"):
            folder = Path(place) / cache
            begun = time.perf_counter()
            process = subprocess.Popen(
                [sys.executable, "-c", COUNTED + code(folder) + REPORTED],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            picture = first_picture(process, folder, begun)
            out, err = process.communicate()
            seconds = time.perf_counter() - begun
            if process.returncode:
                raise RuntimeError(f"{job} failed: {err[-2000:]}")
            counted = json.loads(out.rpartition("COUNTED ")[2])
            measured.append({"job": job, "cache": cache, "seconds": [seconds], "picture": picture} | counted)
            advance()
    return measured


def first_picture(process: "subprocess.Popen[str]", folder: Path, begun: float) -> float | None:
    """Seconds until a picture lies in the folder; None if the process ends without one."""
    while process.poll() is None:
        if any(folder.glob("*.png")):
            return time.perf_counter() - begun
        time.sleep(0.05)
    return time.perf_counter() - begun if any(folder.glob("*.png")) else None


def report(measured: list[dict[str, Any]]) -> Report:
    """The table."""
    rows = [
        (
            each["job"],
            each["cache"],
            f"{statistics.median(each['seconds']):.2f}",
            f"{min(each['seconds']):.2f}–{max(each['seconds']):.2f}" if len(each["seconds"]) > 1 else "",
            f"{each['picture']:.1f}" if each.get("picture") else "",
            str(each.get("compilations", "")),
            f"{each['compile_seconds']:.1f}" if "compile_seconds" in each else "",
        )
        for each in measured
    ]
    columns = ("job", "cache", "seconds", "range", "first picture, s", "compilations", "compile, s")
    notes = (
        "Each in a process of its own, from its start. cache: JAX's compilation cache, empty or as the cold "
        "run left it; the command line keeps one by itself.",
        "compilations: programs that XLA compiled, those found in the cache left out; compile: the seconds "
        "for both.",
    )
    return Report("Start", columns, rows, notes, measured)
