"""How fast a sweep is, beside the ways people write one, and how its cost grows.

    python -m tests.benchmarks.sweep [--out sweep.md]

Adam with 128 learning rates on the digits: an MLP 64-32-32-10, batches of 128, 500 steps. The sweep runs with
one device a core, as the command line does; its rivals in a process of their own, with the devices that JAX
has by default. They take turns. Then the cost of a run as their number grows, as devices are added, and as
the network widens, beside what the machine multiplies at most.
"""

import importlib.util
import os
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tests.benchmarks.output import Bars, Report, alone
from tests.benchmarks.sweep_rivals import RIVALS, Case, Server
from tests.benchmarks.timing import orders, ratio, spread

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def measure_rivals(
    ours: Server, theirs: Server, case: Case, repeats: int, advance: Callable[[], None]
) -> dict[str, Any]:
    """Seconds a run of everybody, in turns, and the time to everybody's first result."""
    names = [name for name in RIVALS if name != "torch" or importlib.util.find_spec("torch") is not None]
    servers = {"sweep": ours} | dict.fromkeys(names, theirs)
    first, losses = {}, {}
    for name, server in servers.items():
        runs, seconds, losses[name] = server.run(name, case)
        first[name] = seconds / runs if name == "loop" else seconds
        advance()
    for name in ("expert", "scans", "loop"):
        np.testing.assert_allclose(losses[name], losses["sweep"][: len(losses[name])], rtol=0.02)
    each: dict[str, list[float]] = {name: [] for name in servers}
    for order in orders(servers, repeats):
        for name in order:
            runs, seconds, _ = servers[name].run(name, case)
            each[name].append(seconds / runs)
            advance()
    return {"seconds_a_run": each, "first_result": first}


def measure_cases(server: Server, cases: Sequence[Case], advance: Callable[[], None]) -> list[float]:
    """Seconds of each case's sweep, compiled before."""
    seconds = []
    for case in cases:
        server.run("sweep", case)
        times = [server.run("sweep", case)[1] for _ in range(3 if case.settings <= 1000 else 1)]
        seconds.append(statistics.median(times))
        advance()
    return seconds


def measure_pruning(server: Server, case: Case, repeats: int, advance: Callable[[], None]) -> dict[str, Any]:
    """Seconds of a whole sweep and of a pruned one, in turns, and the best loss that each finds."""
    best = {name: float(np.nanmin(server.run(name, case)[2])) for name in ("whole", "halving")}
    seconds: dict[str, list[float]] = {name: [] for name in best}
    for order in orders(seconds, repeats):
        for name in order:
            seconds[name].append(server.run(name, case)[1])
    advance()
    return {"seconds": seconds, "best": best}


def peak() -> float:
    """Multiplications and additions a second of a large matrix product, on all cores."""
    square = jnp.ones((2048, 2048), jnp.float32)
    product = jax.jit(lambda a: a @ a)
    product(square).block_until_ready()
    times = []
    for _ in range(7):
        begun = time.perf_counter()
        product(square).block_until_ready()
        times.append(time.perf_counter() - begun)
    return 2 * 2048**3 / min(times)


class Extent(NamedTuple):
    """How much is measured."""

    case: Case
    repeats: int
    growth: tuple[int, ...]  # numbers of runs
    devices: tuple[int, ...]
    widths: tuple[int, ...]


WHOLE = Extent(Case(128, 500, 32), 5, (1, 10, 100, 1000, 10_000), (1, 2, 4, 8), (8, 32, 128, 512))
QUICK = Extent(Case(8, 20, 32), 1, (1, 10), (2,), (8,))
GROWTH_STEPS = 50


def measure(extent: Extent, advance: Callable[[], None]) -> dict[str, Any]:
    """Everything."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    highest = peak()
    case = extent.case
    growth = [Case(settings, GROWTH_STEPS, case.width) for settings in extent.growth]
    wide = [Case(min(32, case.settings), max(10, 4000 // width), width) for width in extent.widths]
    grown, peaks = [], []
    with closing(Server(cores)) as ours:
        with closing(Server(None)) as theirs:
            rivals = measure_rivals(ours, theirs, case, extent.repeats, advance)
        for each in growth:
            grown += measure_cases(ours, [each], advance)
            peaks.append((each.settings, ours.peak_bytes))
        widened = measure_cases(ours, wide, advance)
        pruned = measure_pruning(ours, case, extent.repeats, advance)
    devices = []
    for number in extent.devices:
        with closing(Server(number)) as server:
            devices += measure_cases(server, [case._replace(steps=min(case.steps, 100))], advance)
    return {
        "cores": cores,
        "peak": highest,
        "settings": case.settings,
        "steps": case.steps,
        "share_of_peak": case.operations
        / case.settings
        / statistics.median(rivals["seconds_a_run"]["sweep"])
        / highest,
        "rivals": rivals,
        "pruning": pruned,
        "peak_bytes": peaks,
        "growth": [
            (each.settings, seconds / each.settings / each.steps)
            for each, seconds in zip(growth, grown, strict=True)
        ],
        "devices": [
            (number, seconds / case.settings / min(case.steps, 100))
            for number, seconds in zip(extent.devices, devices, strict=True)
        ],
        "widths": [
            (each.width, each.operations / seconds / highest)
            for each, seconds in zip(wide, widened, strict=True)
        ],
    }


WORDS = {
    "sweep": "jo.sweep",
    "torch": "(a) torch loop, fused Adam",
    "loop": "(b) Python loop, optax step compiled for each",
    "scans": "(c) one jitted scan, called for each",
    "expert": "(d) jit(vmap(scan)) with optax",
}


def report(measured: dict[str, Any]) -> Report:
    """The table."""
    seconds, first = measured["rivals"]["seconds_a_run"], measured["rivals"]["first_result"]
    lines = [
        (
            WORDS[name],
            f"{1e3 * statistics.median(times):,.2f}",
            spread(times, 1e-3),
            f"{ratio(times, seconds['sweep']).median:.1f}",
            f"{first[name]:.1f}",
        )
        for name, times in seconds.items()
    ]

    def listed(pairs: Sequence[tuple[int, float]]) -> str:
        return ", ".join(f"{number:,}: {1e6 * value:.0f}" for number, value in pairs)

    pruned, best = measured["pruning"]["seconds"], measured["pruning"]["best"]
    saved = ratio(pruned["whole"], pruned["halving"]).median
    megabytes = ", ".join(f"{runs:,}: {peak / 1e6:,.0f}" for runs, peak in measured["peak_bytes"])
    widths = ", ".join(f"{width}: {100 * part:.0f} %" for width, part in measured["widths"])
    notes = [
        f"Adam with {measured['settings']} learning rates on the digits, {measured['steps']} steps, "
        f"{measured['cores']} cores; median and range of {len(seconds['sweep'])} turns",
        "first result: seconds to everybody's first result, tracing and compiling included ((b): of one run)",
        f"matrix products at {measured['peak'] / 1e9:.0f} GFLOP/s at most; those of the sweep are "
        f"{100 * measured['share_of_peak']:.0f} % of that, with everything else in its time",
        f"µs a step of a run, by the number of runs: {listed(measured['growth'])}",
        f"MB that the process had at most, by the number of runs: {megabytes}",
        f"µs a step of a run, by the number of virtual devices: {listed(measured['devices'])}",
        f"share of the peak, by the network's width: {widths}",
        "successive halving by 3 from a 27th of the steps on: the whole sweep takes "
        f"{saved:.1f} times as long; lowest loss {best['halving']:.2g} pruned, {best['whole']:.2g} whole",
    ]
    if "torch" not in seconds:
        notes.append("torch is not installed: its row is missing")
    columns = ("who", "ms a run", "range", "× sweep", "first result, s")
    title = f"sweep beside other ways to try {measured['settings']} learning rates"
    figures = {"sweep": lambda: scaling_figure(measured)}
    return Report(title, columns, lines, notes, [measured], figures)


def scaling_figure(measured: dict[str, Any]) -> "Figure":
    """What a run costs as runs and devices become more, and how much of the peak wider networks reach."""
    from matplotlib.ticker import LogLocator

    from jaxopt_edu.plots.drawing.style import INK, LABEL, dress, new_figure, sample, styles

    style = styles(["jo.sweep"])["jo.sweep"]
    figure = new_figure(5.4)
    cost = "time of one step of one run, µs"
    cores = f"virtual devices (on {measured['cores']} cores)"
    panels = [
        ("growth", "More runs", "runs in one sweep", cost, 1e6),
        ("devices", "More devices", cores, cost, 1e6),
        (
            "widths",
            "Wider networks",
            "numbers in a hidden layer",
            "share of what the cores can multiply, %",
            100,
        ),
    ]
    for axes, panel in zip(figure.subplots(1, len(panels)), panels, strict=True):
        name, title, xlabel, ylabel, unit = panel
        dress(axes, xlabel=xlabel, ylabel=ylabel, grid=True)
        axes.set_title(title, fontsize=LABEL, color=INK, loc="left")
        places, values = zip(*measured[name], strict=True)
        axes.add_line(sample(style, data=(places, np.multiply(values, unit))))
        axes.set_xscale("log", base=10 if name == "growth" else 2)
        axes.xaxis.set_major_formatter("{x:,g}")
        if name == "growth":
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter("{x:,g}")
            axes.yaxis.set_minor_formatter("")
        axes.autoscale_view()
        if name != "growth":
            axes.set_ylim(bottom=0)
    return figure


def run(quick: bool, bars: Bars) -> list[Report]:
    """Measure; quickly only a small part."""
    extent = QUICK if quick else WHOLE
    turns = 1 + 5 * (extent.repeats + 1) + len(extent.growth) + len(extent.widths) + len(extent.devices)
    with bars.task("sweep", turns) as advance:
        return [report(measure(extent, advance))]


def main() -> None:
    """Measure, print, write."""
    alone(run, __doc__)


if __name__ == "__main__":
    main()
