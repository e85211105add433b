"""How far every optimizer's float32 update is from exact arithmetic, and how far optax's and torch's are.

    python -m tests.benchmarks.precision [--out precision.md]

16 coordinates meet 10,000 normal gradients for each of five scales. The exact update is the formula of
tests/registry.py in NumPy's float64, once with the hyperparameters as float32 holds them (an optimizer in
float32 cannot know others) and once with the numbers as they were written.
"""

import functools
import importlib.util
import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
import numpy as np

from tests.benchmarks import step
from tests.benchmarks.output import Bars, Report, alone
from tests.registry import HELD, OPTIMIZERS, Array, Row, formula_updates, named, scan_updates

SCALES = (1e-8, 1e-4, 1.0, 1e4, 1e8)
STEPS = 10_000
EARLY = 100
COORDINATES = 16
SPEED_SIZE = 10**6

NOTES = (
    "Largest |update − exact| of all steps, in units of the run's step: η, or the largest exact update where "
    "steps are not of length η (RMSProp starts with 10 η; SGD, Momentum and Nesterov follow the gradients' "
    "scale; Adadelta chooses its own).",
    "Exact: the formula in float64, with the hyperparameters as float32 holds them; in the columns "
    "“as written” with the unrounded ones, so that the rounding of 0.999 to float32 counts too.",
    f"{COORDINATES} coordinates, {STEPS:,} steps, normal gradients times the scale at the column's head, in "
    "float32; the other columns are the worst of all scales.",
    "Yogi's formula jumps where v passes g², and a rounding may settle to which side; see its page.",
    f"ms a step: of a whole step on one leaf of {SPEED_SIZE:,} numbers, the libraries in turns; of torch "
    "only the fused Adam was timed.",
)


class Error(NamedTuple):
    """The largest error of one run, in units of its step."""

    optimizer: str
    library: str
    scale: float
    every_step: float
    early: float  # in the first hundred steps, where bias corrections are small
    every_step_as_written: float  # against the formula with hyperparameters that were never rounded
    early_as_written: float


def gradients(steps: int = STEPS, seed: int = 0) -> Array:
    """Normal gradients; float32, shape (steps, len(SCALES), COORDINATES)."""
    normal = np.random.default_rng(seed).normal(size=(steps, len(SCALES), COORDINATES))
    return (normal * np.array(SCALES)[None, :, None]).astype(np.float32)


def jaxopt_edu_updates(row: Row, stream: Array) -> Array:
    """What this library makes of the gradients."""
    return np.asarray(scan_updates(row.build(), stream))


def optax_updates(row: Row, stream: Array) -> Array:
    """What optax makes of them; its optimizers are constants of the program and mix dtypes now and then."""
    transform = row.optax(**row.hyperparameters)
    with jax.numpy_dtype_promotion("standard"):
        return np.asarray(jax.jit(functools.partial(scan_updates.__wrapped__, transform))(stream))  # type: ignore[attr-defined]


def torch_updates(row: Row, stream: Array) -> Array:
    """What torch makes of them."""
    import torch

    start = HELD if row.reads_params else 0.0  # from 0 the parameter after the step is the update, unrounded
    w = torch.nn.Parameter(torch.zeros(stream.shape[1:]))
    optimizer = row.torch([w], **row.hyperparameters)
    updates = np.empty_like(stream)
    for i, g in enumerate(stream):
        w.grad = torch.from_numpy(g)
        w.data.fill_(start)
        optimizer.step()
        updates[i] = w.detach().numpy() - start
    return updates


LIBRARIES: dict[str, Callable[[Row, Array], Array]] = {
    "jaxopt_edu": jaxopt_edu_updates,
    "optax": optax_updates,
    "torch": torch_updates,
}


class Exact(NamedTuple):
    """The exact updates for both readings of the hyperparameters; float64, shape as the gradients."""

    rounded: Array
    as_written: Array


def exact_updates(row: Row, stream: Array) -> Exact:
    """The formula in float64."""
    rounded = {name: float(np.float32(value)) for name, value in row.hyperparameters.items()}
    return Exact(formula_updates(row, stream, **rounded), formula_updates(row, stream))


def unit(row: Row, exact: Array) -> Array:
    """The step in which errors are counted, one for each scale."""
    largest = np.abs(exact).max(axis=(0, 2))
    follows_own_scale = row.name in ("sgd", "momentum", "nesterov", "adadelta")
    return largest if follows_own_scale else np.maximum(largest, row.hyperparameters["learning_rate"])


def errors(row: Row, library: str, stream: Array, exact: Exact) -> list[Error]:
    """The errors of one library's optimizer, one for each scale."""
    updates = LIBRARIES[library](row, stream).astype(np.float64)
    columns = []
    for reference in exact:
        distance = np.abs(updates - reference) / unit(row, reference)[None, :, None]
        columns += [distance.max(axis=(0, 2)), distance[:EARLY].max(axis=(0, 2))]
    return [
        Error(row.name, library, scale, *map(float, values))
        for scale, *values in zip(SCALES, *columns, strict=True)
    ]


def measure(optimizers: Sequence[Row], libraries: list[str], steps: int) -> Iterator[list[Error]]:
    """All optimizers of all libraries, one at a time."""
    stream = gradients(steps)
    for row in optimizers:
        exact = exact_updates(row, stream)
        for library in libraries:
            if library == "jaxopt_edu" or getattr(row, library) is not None:
                yield errors(row, library, stream, exact)


def speed(row: Row, size: int, repeats: int) -> dict[tuple[str, str], float]:
    """Milliseconds of a whole step on one leaf, by optimizer and library."""
    measured = step.cell(
        row, f"1 × {size:,}", step.numbers([(size,)], seed=0), step.numbers([(size,)], seed=1), 1.0, repeats
    )
    names = {step.OURS: "jaxopt_edu", step.OPTAX: "optax", "torch fused": "torch"}
    return {
        (row.name, names[each["who"]]): 1e3 * statistics.median(each["seconds"])
        for each in measured
        if each["who"] in names
    }


def report(runs: list[list[Error]], notes: tuple[str, ...], speeds: dict[tuple[str, str], float]) -> Report:
    """The table: a row for each optimizer of each library."""

    def cell(value: float) -> str:
        return f"{value:.1e}"

    rows = [
        [
            run[0].optimizer,
            run[0].library,
            *(cell(error.every_step) for error in run),
            cell(max(error.early for error in run)),
            cell(max(error.every_step_as_written for error in run)),
            cell(max(error.early_as_written for error in run)),
            f"{speeds[run[0].optimizer, run[0].library]:.3g}"
            if (run[0].optimizer, run[0].library) in speeds
            else "",
        ]
        for run in runs
    ]
    columns = [
        "optimizer",
        "library",
        *(f"{scale:g}" for scale in SCALES),
        f"first {EARLY}",
        "as written",
        f"as written, first {EARLY}",
        "ms a step",
    ]
    measurements = [error._asdict() for run in runs for error in run]
    return Report("Error of an update in float32", columns, rows, notes, measurements)


def run(quick: bool, bars: Bars) -> list[Report]:
    """The errors, and what the accuracy costs in time; quickly only Adam's."""
    libraries, notes = list(LIBRARIES), NOTES
    if importlib.util.find_spec("torch") is None:
        libraries.remove("torch")
        notes = (*NOTES, "torch is not installed and was skipped.")
    rows = [named("adam")] if quick else OPTIMIZERS
    with bars.task("precision", len(rows) * len(libraries)) as advance:
        runs = []
        for each in measure(rows, libraries, 200 if quick else STEPS):
            runs.append(each)
            advance()
    with bars.task("precision: speed", len(rows)) as advance:
        speeds = {}
        for row in rows:
            with bars.case(f"precision, a step of {row.name}"):
                speeds |= speed(row, 10**4 if quick else SPEED_SIZE, 3 if quick else 7)
            advance()
    return [report(runs, notes, speeds)]


def main() -> None:
    """Measure, print and write."""
    alone(run, __doc__)


if __name__ == "__main__":
    main()
