"""How fast a sweep is, beside the ways people write one, and how its cost grows.

    python -m tests.benchmarks.sweep [--out sweep.md]

Adam with 128 learning rates on the digits: an MLP 64-32-32-10, batches of 128, 500 steps. The sweep runs with
one device a core, as the command line does; its rivals in a process of their own, with the devices that JAX
has by default. They take turns. Then the cost of a run as their number grows, as devices are added, and as
the network widens, beside what the machine multiplies at most.
"""

import importlib.util
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxopt_edu as jo
from jaxopt_edu.cli.console import progress
from jaxopt_edu.problems import digits, mlp
from jaxopt_edu.sweeps import Halving
from jaxopt_edu.training.sources import make_source
from tests.benchmarks import torch_models
from tests.benchmarks.output import Bars, Report, arguments, publish
from tests.benchmarks.timing import ratio, spread

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BATCH = 128
SEED = 0


class Case(NamedTuple):
    """What is trained."""

    settings: int
    steps: int
    width: int

    @property
    def sizes(self) -> tuple[int, ...]:
        """The network's layers."""
        return (64, self.width, self.width, 10)

    @property
    def rates(self) -> list[float]:
        """The learning rates."""
        return np.geomspace(1e-4, 1e-2, self.settings).tolist()

    @property
    def operations(self) -> float:
        """Multiplications and additions of all matrix products: forward, and twice that backward."""
        first, middle, last = 64 * self.width, self.width**2, self.width * 10
        # No gradient is wanted by the inputs, so the first layer has one product less.
        return 2.0 * BATCH * (2 * first + 3 * middle + 3 * last) * self.steps * self.settings


def by_sweep(case: Case, prune: Halving | None = None) -> tuple[int, Callable[[], np.ndarray]]:
    """`jo.sweep`, whole: what a user waits for."""
    data = digits().train
    settings = jo.grid(jo.adam, learning_rate=case.rates)

    def init(key: jax.Array) -> Any:
        return mlp.init(key, case.sizes)

    def run() -> np.ndarray:
        result = jo.sweep(
            mlp.loss, init, settings, data, steps=case.steps, batch_size=BATCH, every=case.steps, prune=prune
        )
        return result.values()[:, 0]

    return case.settings, run


def by_halving(case: Case) -> tuple[int, Callable[[], np.ndarray]]:
    """The same, pruned: after a 27th of the steps one in three goes on, three times as long, and so on."""
    return by_sweep(case, Halving(min_steps=max(1, case.steps // 27), factor=3))


def start(case: Case) -> tuple[Any, Any, Any]:
    """Parameters, indices of the batches, and data of the sweep's seed 0."""
    keys = [jax.random.fold_in(jax.random.key(SEED), purpose) for purpose in (0, 1)]
    data = digits().train
    source = make_source(data, key=keys[1], batch_size=BATCH, replacement=False, first=0)
    return mlp.init(keys[0], case.sizes), source.entries(0, case.steps, 0)[0], data


def one_step(optimizer: optax.GradientTransformation, data: Any) -> Callable[[Any, Any], Any]:
    """A step of training as everybody writes it with optax."""

    def step(carry: Any, rows: Any) -> Any:
        params, state = carry
        loss, gradients = jax.value_and_grad(mlp.loss)(params, jax.tree.map(lambda leaf: leaf[rows], data))
        updates, state = optimizer.update(gradients, state, params)
        return (optax.apply_updates(params, updates), state), loss

    return step


def by_expert(case: Case) -> tuple[int, Callable[[], np.ndarray]]:
    """jit(vmap(scan)) over learning rates with optax: all runs in one program."""
    params, rows, data = start(case)

    def train(rate: jax.Array, params: Any, rows: Any, data: Any) -> jax.Array:
        optimizer = optax.adam(rate)
        return jax.lax.scan(one_step(optimizer, data), (params, optimizer.init(params)), rows)[1].mean()

    compiled = jax.jit(jax.vmap(train, in_axes=(0, None, None, None)))
    return case.settings, lambda: np.asarray(compiled(jnp.asarray(case.rates), params, rows, data))


def by_scans(case: Case) -> tuple[int, Callable[[], np.ndarray]]:
    """One jitted scan, called for each learning rate."""
    params, rows, data = start(case)

    @jax.jit
    def train(rate: jax.Array, params: Any, rows: Any, data: Any) -> jax.Array:
        optimizer = optax.adam(rate)
        return jax.lax.scan(one_step(optimizer, data), (params, optimizer.init(params)), rows)[1].mean()

    rates = case.rates[:8]
    return len(rates), lambda: np.array([float(train(rate, params, rows, data)) for rate in rates])


def by_loop(case: Case) -> tuple[int, Callable[[], np.ndarray]]:
    """A Python loop over a jitted step, which is built, and so compiled, for each learning rate."""
    params, rows, data = start(case)
    each = list(np.asarray(rows))

    def train(rate: float) -> float:
        optimizer = optax.adam(rate)
        step = jax.jit(one_step(optimizer, data))
        carry, losses = (params, optimizer.init(params)), []
        for row in each:
            carry, loss = step(carry, row)
            losses.append(loss)
        return float(np.mean(jax.device_get(losses)))

    rates = case.rates[:2]
    return len(rates), lambda: np.array([train(rate) for rate in rates])


def by_torch(case: Case) -> tuple[int, Callable[[], np.ndarray]]:
    """torch with its fused Adam, eager, on batches made beforehand."""
    params, rows, data = start(case)
    batches = [jax.tree.map(lambda leaf, row=row: np.asarray(leaf[row]), data) for row in np.asarray(rows)]
    params = jax.tree.map(np.asarray, params)
    # The loop of the other benchmark has a learning rate of its own; the time does not depend on it.
    return 2, lambda: np.array([torch_models.train_mlp(params, batches) for _ in range(2)])


RIVALS = {"torch": by_torch, "loop": by_loop, "scans": by_scans, "expert": by_expert}


def serve(pipe: Connection) -> None:
    """Run what the parent asks for, one thing at a time: (name, case) in, (runs, seconds, losses) out."""
    made: dict[Any, tuple[int, Callable[[], np.ndarray]]] = {}
    while (asked := pipe.recv()) is not None:
        name, case = asked
        begun = time.perf_counter()
        if asked not in made:
            made[asked] = {"sweep": by_sweep, "halving": by_halving, **RIVALS}[name](case)
        runs, run = made[asked]
        losses = run()
        pipe.send((runs, time.perf_counter() - begun, losses))


class Server:
    """A process with a number of devices of its own."""

    def __init__(self, devices: int | None) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        before = os.environ.get("XLA_FLAGS")
        if devices is not None:
            os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={devices}"
        self.process = context.Process(target=serve, args=(theirs,))
        self.process.start()
        if before is None:
            os.environ.pop("XLA_FLAGS", None)
        else:
            os.environ["XLA_FLAGS"] = before

    def run(self, name: str, case: Case) -> tuple[int, float, np.ndarray]:
        """Number of runs, seconds, and each run's mean loss."""
        self.pipe.send((name, case))
        return self.pipe.recv()

    def close(self) -> None:
        """End the process."""
        self.pipe.send(None)
        self.process.join()


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
    for _ in range(repeats):
        for name, server in servers.items():
            runs, seconds, _ = server.run(name, case)
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
    best = {name: float(np.nanmin(server.run(name, case)[2])) for name in ("sweep", "halving")}
    seconds: dict[str, list[float]] = {name: [] for name in best}
    for _ in range(repeats):
        for name, times in seconds.items():
            times.append(server.run(name, case)[1])
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
    ours, theirs = Server(cores), Server(None)
    rivals = measure_rivals(ours, theirs, case, extent.repeats, advance)
    theirs.close()
    growth = [Case(settings, GROWTH_STEPS, case.width) for settings in extent.growth]
    grown = measure_cases(ours, growth, advance)
    wide = [Case(min(32, case.settings), max(10, 4000 // width), width) for width in extent.widths]
    widened = measure_cases(ours, wide, advance)
    pruned = measure_pruning(ours, case, extent.repeats, advance)
    ours.close()
    devices = []
    for number in extent.devices:
        server = Server(number)
        devices += measure_cases(server, [case._replace(steps=min(case.steps, 100))], advance)
        server.close()
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
            f"{ratio(times, seconds['sweep']):.1f}",
            f"{first[name]:.1f}",
        )
        for name, times in seconds.items()
    ]

    def listed(pairs: Sequence[tuple[int, float]]) -> str:
        return ", ".join(f"{number:,}: {1e6 * value:.0f}" for number, value in pairs)

    pruning = measured["pruning"]
    widths = ", ".join(f"{width}: {100 * part:.0f} %" for width, part in measured["widths"])
    notes = [
        f"Adam with {measured['settings']} learning rates on the digits, {measured['steps']} steps, "
        f"{measured['cores']} cores; median and range of {len(seconds['sweep'])} turns",
        "first result: seconds to everybody's first result, tracing and compiling included ((b): of one run)",
        f"matrix products at {measured['peak'] / 1e9:.0f} GFLOP/s at most; those of the sweep are "
        f"{100 * measured['share_of_peak']:.0f} % of that, with everything else in its time",
        f"µs a step of a run, by the number of runs: {listed(measured['growth'])}",
        f"µs a step of a run, by the number of virtual devices: {listed(measured['devices'])}",
        f"share of the peak, by the network's width: {widths}",
        "successive halving by 3 from a 27th of the steps on: the whole sweep takes "
        f"{ratio(pruning['seconds']['sweep'], pruning['seconds']['halving']):.1f} times as long; lowest loss "
        f"{pruning['best']['halving']:.2g} pruned, {pruning['best']['sweep']:.2g} whole",
    ]
    if "torch" not in seconds:
        notes.append("torch is not installed: its row is missing")
    columns = ("who", "ms a run", "range", "× sweep", "first result, s")
    title = f"sweep beside other ways to try {measured['settings']} learning rates"
    figures = {"sweep-growth": lambda: growth_figure(measured["growth"])}
    return Report(title, columns, lines, notes, [measured], figures)


def growth_figure(growth: Sequence[tuple[int, float]]) -> "Figure":
    """The cost of a run as their number grows."""
    from jaxopt_edu.plots.style import dress, new_figure, sample, styles

    figure = new_figure(5.0)
    axes = figure.add_subplot()
    dress(axes, xlabel="runs in one sweep", ylabel="µs a step of a run", grid=True)
    runs, seconds = zip(*growth, strict=True)
    axes.add_line(sample(styles(["jo.sweep"])["jo.sweep"], data=(runs, np.multiply(seconds, 1e6))))
    axes.set(xscale="log", yscale="log")
    axes.autoscale_view()
    return figure


def run(quick: bool, bars: Bars) -> list[Report]:
    """Measure; quickly only a small part."""
    extent = QUICK if quick else WHOLE
    turns = 1 + 5 * (extent.repeats + 1) + len(extent.growth) + len(extent.widths) + len(extent.devices)
    with bars.task("sweep", turns) as advance:
        return [report(measure(extent, advance))]


def main() -> None:
    """Measure, print, write."""
    out = arguments((__doc__ or "").splitlines()[0]).out
    with progress() as screen:
        (result,) = run(False, Bars(screen))
    publish(result, out)


if __name__ == "__main__":
    main()
