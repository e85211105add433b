"""How fast step, fit and sweep are on a device, beside optax and torch there."""

import importlib.util
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tests.benchmarks import fit, step
from tests.benchmarks.output import Bars
from tests.benchmarks.shapes import TREES
from tests.benchmarks.sweep_rivals import RIVALS, Case, by_sweep
from tests.benchmarks.timing import orders, ratio
from tests.registry import named

Row = tuple[str, ...]
Part = tuple[str, Callable[[], list[Row]]]


def parts(small: bool) -> Iterator[Part]:
    """What is measured, the most telling first: names, and functions that give the table's lines."""
    trees = ["100 × 10⁴"] if small else ["ResNet-50", "100 × 10⁴", "1 × 10⁷", "GPT-2 small"]
    speed = step.bandwidth(10**6 if small else 10**8)
    for name in ["adam"] if small else ["adam", "momentum"]:
        for tree in trees:
            yield f"step: {name}, {tree}", lambda name=name, tree=tree: steps(name, tree, speed, small)
    case = Case(8, 20, 32) if small else Case(128, 500, 32)
    tasks = [fit.digits_task()._replace(steps=100 if small else 1000)]
    tasks += [] if small else [fit.transformer_task()._replace(steps=50)]
    for task in tasks:
        yield f"fit: {task.name}", lambda task=task: fits(task, 2 if small else 5)
    yield f"sweep: {case.settings} runs of {case.steps} steps", lambda: sweeps(case, 2 if small else 5)


def run(small: bool, seconds: float, bars: Bars) -> list[Row]:
    """Measure what there is time for.

    Args:
        small: a part of it, to see that it works.
        seconds: after which nothing further is begun.
        bars: where failures are kept.

    Returns:
        The table's lines; one that says so for what was left out.
    """
    end, rows = time.monotonic() + seconds, []
    for name, measure in parts(small):
        if time.monotonic() > end:
            rows.append((*name.split(": "), "left out", "no time was left"))
            continue
        with bars.case(name):
            rows += measure()
    return rows


def steps(optimizer: str, tree: str, speed: float, small: bool) -> list[Row]:
    """One optimizer's step on one tree."""
    params, gradients = (step.numbers(TREES[tree], seed=seed) for seed in (0, 1))
    measured = step.cell(named(optimizer), tree, params, gradients, speed, 3 if small else 7)
    return [
        (
            "step",
            f"{optimizer}, {tree}, {each['who']}",
            f"{1e3 * statistics.median(each['seconds']):.3g} ms",
            f"{each['by_optax']} × optax; {each['by_limit']:.2f} × the limit by bandwidth",
        )
        for each in measured
    ]


def fits(task: fit.Task, repeats: int) -> list[Row]:
    """`jo.fit` beside a Python loop, torch and the bare gradient."""
    measured = fit.measure(task, repeats, lambda: None)
    return [
        (
            "fit",
            f"{task.name}, {name}",
            f"{1e6 * statistics.median(times) / task.steps:,.0f} µs a step",
            f"{ratio(times, measured['seconds']['fit'])} × fit; "
            f"first run {measured['first_run'][name]:.1f} s",
        )
        for name, times in measured["seconds"].items()
    ]


def sweeps(case: Case, repeats: int) -> list[Row]:
    """`jo.sweep` beside the ways people write one, all in this process, on the device that there is."""
    names = [name for name in RIVALS if name != "torch" or importlib.util.find_spec("torch") is not None]
    made: dict[str, tuple[int, Callable[[], np.ndarray]]] = {"sweep": by_sweep(case)}
    made |= {name: RIVALS[name](case) for name in names}
    first, losses = {}, {}
    for name, (_, train) in made.items():
        begun = time.perf_counter()
        losses[name] = train()
        first[name] = time.perf_counter() - begun
    for name in ("expert", "scans", "loop"):
        # Where products are made in less than float32, another order of sums shows.
        np.testing.assert_allclose(
            losses[name], losses["sweep"][: len(losses[name])], rtol=0.05, err_msg=name
        )
    seconds: dict[str, list[float]] = {name: [] for name in made}
    for order in orders(made, repeats):
        for name in order:
            begun = time.perf_counter()
            made[name][1]()
            seconds[name].append((time.perf_counter() - begun) / made[name][0])
    return [
        (
            "sweep",
            f"{case.settings} runs of {case.steps} steps, {name}",
            f"{1e3 * statistics.median(times):,.3g} ms a run",
            f"{ratio(times, seconds['sweep'])} × sweep; first result {first[name]:.1f} s",
        )
        for name, times in seconds.items()
    ]


def found() -> dict[str, Any]:
    """The device that JAX works on."""
    import jax

    device = jax.devices()[0]
    return {"platform": device.platform, "kind": device.device_kind, "devices": len(jax.devices())}
