"""Steps of the matrix methods beside one large product of matrices, in operations a second.

    python -m tests.benchmarks --only products

The operations are those of the products that the pages name; decompositions, sums and all else are time
without operations. The peak is the fastest `jnp.dot` of two large matrices that was
seen in the run, in turns with the optimizers.
"""

import statistics
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import jaxopt_edu as jo
from tests.benchmarks.output import Bars, Report
from tests.benchmarks.step import Compiled
from tests.benchmarks.timing import Rival, in_turns

PEAK, SIDE = "one product", 2048
PERIOD = 10  # steps, of which SOAP and Shampoo decompose in one
SHAPES = [(256, 256), (256, 1024)]


class Method(NamedTuple):
    """An optimizer, and how many operations the products of a step take, by the sides of a matrix."""

    name: str
    optimizer: jo.Optimizer
    operations: Callable[[int, int], int]
    products: str


def muon(a: int, b: int) -> int:
    """Five iterations, each on the shorter side a: X Xᵀ, its square, and a product with X."""
    return 5 * 2 * (2 * a * a * b + a**3)


def turns(a: int, b: int) -> int:
    """One turn of a matrix into two bases."""
    return 2 * a * b * (a + b)


METHODS = (
    Method("muon", jo.muon(), muon, "5 iterations"),
    Method("soap", jo.soap(), lambda a, b: 4 * turns(a, b), "3 turns, GGᵀ and GᵀG"),
    Method("soap, no QR", jo.soap(frequency=10**6), lambda a, b: 4 * turns(a, b), "3 turns, GGᵀ and GᵀG"),
    Method("shampoo", jo.shampoo(), lambda a, b: 2 * turns(a, b), "1 turn, GGᵀ and GᵀG"),
    Method("psgd_kron", jo.psgd_kron(), lambda a, b: 4 * turns(a, b), "whitening and learning"),
)


def run(quick: bool, bars: Bars) -> list[Report]:
    """Time every method on matrices of several shapes."""
    shapes = [(16, 32)] if quick else SHAPES
    measured: list[dict[str, Any]] = []
    with bars.task("products", len(shapes)) as advance:
        for shape in shapes:
            with bars.case(f"products, {shape}"):
                measured += measure(shape, 2 if quick else 5, 64 if quick else SIDE)
            advance()
    return [report(measured)]


def measure(shape: tuple[int, int], repeats: int, side: int) -> list[dict[str, Any]]:
    """Time every method on one matrix."""
    params, gradients = (jax.random.normal(jax.random.key(seed), shape) for seed in range(2))
    made = {
        each.name: Compiled(each.optimizer, {"kernel": params}, {"kernel": gradients}) for each in METHODS
    }
    rivals = {name: Rival(periods(each), each.compile_seconds) for name, each in made.items()}
    rivals[PEAK] = Rival(large_product(side), 0.0)
    seconds = in_turns(rivals, repeats)
    peak = 2 * side**3 / min(seconds[PEAK])
    return [
        {
            "method": each.name,
            "shape": shape,
            "products": each.products,
            "seconds": [time / PERIOD for time in seconds[each.name]],
            "operations": each.operations(*shape),
            "peak": peak,
        }
        for each in METHODS
    ]


def periods(step: Compiled) -> Callable[[int], None]:
    """Steps in tens, so that each turn has as many with a decomposition."""
    step.steps(PERIOD)  # the first one is another: SOAP finds its bases
    return lambda number: step.steps(PERIOD * number)


def large_product(side: int) -> Callable[[int], None]:
    """The product of two square matrices."""
    matrix = jax.random.normal(jax.random.key(0), (side, side))
    product = jax.jit(jnp.dot)

    def run(number: int) -> None:
        for _ in range(number):
            jax.block_until_ready(product(matrix, matrix))

    return run


def report(measured: list[dict[str, Any]]) -> Report:
    """The table."""
    peak = max((each["peak"] for each in measured), default=float("nan"))
    rates = [each["operations"] / statistics.median(each["seconds"]) for each in measured]
    rows = [
        (
            each["method"],
            "{} × {}".format(*each["shape"]),
            each["products"],
            f"{1e3 * statistics.median(each['seconds']):.3g}",
            f"{rate / 1e9:.3g}",
            f"{rate / peak:.0%}",
        )
        for each, rate in zip(measured, rates, strict=True)
    ]
    columns = ("", "matrix", "products", "ms a step", "GFLOP/s", "of the peak")
    notes = (
        f"Peak: {peak / 1e9:.0f} GFLOP/s, a product of {SIDE} × {SIDE} matrices in float32.",
        "A step is the mean of ten, of which one has SOAP's QRs or Shampoo's eigendecompositions.",
    )
    return Report("Matrix methods beside one large product", columns, rows, notes, measured)
