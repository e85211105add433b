"""How long an optimizer's step takes, beside optax's, torch's, and what memory allows.

    python -m tests.benchmarks --only step

A step is the whole of it: updates, new state, new parameters, compiled, with donated buffers. The gradients
are given. The textbook's seven against optax's on every tree; Adam against torch as well. All other pages are
in catalogue.py.
"""

import importlib.util
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxopt_edu as jo
from jaxopt_edu.core.packing import Layout
from tests.benchmarks import torch_models
from tests.benchmarks.output import Bars, Report, ratios_figure
from tests.benchmarks.shapes import TREES, Shape
from tests.benchmarks.timing import Rival, in_turns, ratio, spread
from tests.registry import OPTIMIZERS, Row, named

OURS, PACKED, CARRIED, OPTAX = "ours", "packed", "carried packed", "optax"
TORCH = {"torch fused": {"fused": True}, "torch foreach": {"foreach": True}}
CHECKED_STEPS = 2

NOTES = (
    "packed: jo.packed(optimizer), trees in and out, where a tree has small leaves to pack. carried packed: "
    "parameters and gradients are packed, too, as in jo.fit's loop.",
    "× optax: this time by optax's (above 1: slower than optax), the median over the turns, and between "
    "which ratios half of the turns lie: that much is noise.",
    "limit: bytes that must move (gradient, parameters and state read, parameters and state written) over "
    "the highest bandwidth measured in this run; a tree that fits in the processor's cache can be faster.",
    "XLA's bytes: what its cost analysis says the compiled step reads and writes, by those that must "
    "move; it counts a slice of a packed array as a reading of the whole.",
    "compile: tracing and compiling, without any cache.",
)


def run(quick: bool, bars: Bars) -> list[Report]:
    """Time every optimizer on every tree."""
    repeats = 3 if quick else 7
    rows = [named("adam")] if quick else [row for row in OPTIMIZERS if row.in_story]
    trees = {name: TREES[name] for name in ["100 × 10⁴"]} if quick else TREES
    speed = bandwidth(10**6 if quick else 3 * 10**7)
    measured = []
    with bars.task("step", len(rows) * len(trees)) as advance:
        for tree, shapes in trees.items():
            leaves = numbers(shapes, seed=0), numbers(shapes, seed=1)
            for row in rows:
                with bars.case(f"step, {row.name} on {tree}"):
                    measured += cell(row, tree, *leaves, speed, repeats)
                advance()
    return [beside_optax(measured), report(measured, speed)]


def bandwidth(size: int) -> float:
    """Bytes a second of the fastest of some kernels that do little else than move them."""
    a, b = jnp.zeros(size), jnp.ones(size)
    kernels = [
        (jax.jit(lambda a, b: a + b, donate_argnums=0), 3),
        (jax.jit(lambda a, b: a + jnp.max(b), donate_argnums=0), 3),
        (jax.jit(lambda a, b: a.at[0].set(jnp.sum(b)), donate_argnums=0), 1),
    ]
    best = 0.0
    for _ in range(30):
        for kernel, moved in kernels:
            begun = time.perf_counter()
            a = jax.block_until_ready(kernel(a, b))
            best = max(best, moved * a.nbytes / (time.perf_counter() - begun))
    return best


def numbers(shapes: Sequence[Shape], *, seed: int) -> list[jax.Array]:
    """Normal numbers for a tree."""
    rng = np.random.default_rng(seed)
    return [jnp.asarray(rng.standard_normal(shape, np.float32)) for shape in shapes]


def cell(
    row: Row,
    tree: str,
    params: list[jax.Array],
    gradients: list[jax.Array],
    speed: float,
    repeats: int,
) -> list[dict[str, Any]]:
    """Check and time all rivals with one optimizer on one tree."""
    layout = Layout.of(params)
    made = {OURS: Compiled(row.build(), params, gradients)}
    if row.optax is not None:
        made[OPTAX] = Compiled(row.optax(**row.hyperparameters), params, gradients)
    if layout.groups and row.name == "adam":
        made[PACKED] = Compiled(jo.packed(row.build()), params, gradients)
        made[CARRIED] = Compiled(row.build(), layout.pack(params), layout.pack(gradients), layout)
    rivals = {name: each.rival() for name, each in made.items()}
    expected = made[OURS].params()
    for name, each in made.items():
        check(f"{row.name}, {name}", each.params(), expected)
    if row.name == "adam" and importlib.util.find_spec("torch") is not None:
        for name, kind in TORCH.items():
            rivals[name], weights = torch_rival(row, params, gradients, kind)
            check(f"{row.name}, {name}", weights, expected)
    seconds = in_turns(rivals, repeats)
    must_move = 4 * sum(leaf.size for leaf in params) * (1 + 2 * (1 + len(row.memory)))
    return [
        {
            "optimizer": row.name,
            "tree": tree,
            "who": name,
            "seconds": seconds[name],
            "by_optax": ratio(seconds[name], seconds[OPTAX]) if OPTAX in seconds else None,
            "by_limit": statistics.median(seconds[name]) * speed / must_move,
            "bytes_that_must_move": must_move,
            "bytes_xla_moves": made[name].bytes_accessed() if name in made else None,
            "compile_seconds": rival.compile_seconds,
        }
        for name, rival in rivals.items()
    ]


def check(name: str, params: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> None:
    """Refuse to time what arrives somewhere else."""
    for mine, ours in zip(params, expected, strict=True):
        np.testing.assert_allclose(mine, ours, rtol=1e-4, atol=1e-5, err_msg=name)


class Compiled:
    """A compiled step, and the parameters and state that it works on."""

    def __init__(self, opt: Any, params: Any, gradients: Any, layout: Layout | None = None) -> None:
        self.gradients = gradients
        self.layout = layout
        fresh = jax.tree.map(lambda leaf: jnp.array(leaf, copy=True), params)
        # Some of optax's keep the parameters themselves, which cannot be given away twice.
        self.carry = fresh, jax.tree.map(jnp.copy, opt.init(fresh))

        def step(params: Any, state: Any, gradients: Any) -> tuple[Any, Any]:
            updates, state = opt.update(gradients, state, params)
            return optax.apply_updates(params, updates), state

        with jax.numpy_dtype_promotion("standard"):
            begun = time.perf_counter()
            lowered = jax.jit(step, donate_argnums=(0, 1)).lower(*self.carry, self.gradients)
            self.compiled = lowered.compile()
            self.compile_seconds = time.perf_counter() - begun

    def steps(self, number: int) -> None:
        """Make some steps."""
        for _ in range(number):
            self.carry = self.compiled(*self.carry, self.gradients)
        jax.block_until_ready(self.carry)

    def rival(self) -> Rival:
        """To be timed, after the steps that are checked."""
        self.steps(CHECKED_STEPS)
        return Rival(self.steps, self.compile_seconds, self.renew)

    def renew(self) -> None:
        """Move everything that a step changes."""
        self.carry = jax.block_until_ready(jax.tree.map(jnp.copy, self.carry))

    def params(self) -> list[np.ndarray]:
        """The parameters now."""
        params = self.carry[0]
        tree = params if self.layout is None else self.layout.unpack(params, jnp.zeros((), jnp.int32))
        return [np.array(leaf) for leaf in jax.tree.leaves(tree)]

    def bytes_accessed(self) -> float | None:
        """What XLA's cost analysis says."""
        analysis = self.compiled.cost_analysis()
        return analysis.get("bytes accessed") if analysis else None


def torch_rival(
    row: Row, params: list[jax.Array], gradients: list[jax.Array], kind: dict[str, bool]
) -> tuple[Rival, list[np.ndarray]]:
    """torch's Adam, and its parameters after the steps that are checked."""
    import torch

    h = row.hyperparameters
    device = torch_models.device()
    weights = [torch.nn.Parameter(torch.tensor(np.asarray(leaf), device=device)) for leaf in params]
    for weight, gradient in zip(weights, gradients, strict=True):
        weight.grad = torch.tensor(np.asarray(gradient), device=device)
    optimizer = torch.optim.Adam(weights, h["learning_rate"], (h["b1"], h["b2"]), h["eps"], **kind)

    def steps(number: int) -> None:
        for _ in range(number):
            optimizer.step()
        torch_models.wait()

    steps(CHECKED_STEPS)
    return Rival(steps, 0.0), [weight.detach().cpu().numpy() for weight in weights]


def beside_optax(measured: list[dict[str, Any]]) -> Report:
    """The question in short: is any optimizer slower than optax's on any tree?"""
    ratios = {
        (each["optimizer"], each["tree"]): each["by_optax"]
        for each in measured
        if each["who"] == OURS and each["by_optax"] is not None
    }
    trees = list(dict.fromkeys(tree for _, tree in ratios))
    names = dict.fromkeys(name for name, _ in ratios)
    rows = [(name, *(str(ratios[name, tree]) for tree in trees)) for name in names]
    slower = [f"{name} on {tree}" for (name, tree), each in ratios.items() if each.lower > 1.05]
    notes = (
        "Our time by optax's: the median over the turns, and between which ratios half of the turns lie.",
        f"More than 5 % slower in three of four turns: {', '.join(slower) or 'none'}.",
    )
    return Report("An optimizer's step, in times of optax's", ("", *trees), rows, notes, [])


def in_words(tree: str) -> str:
    """What a tree of equal leaves is, for who does not know our names of trees."""
    count, found, size = tree.partition(" × ")
    return f"{count} {'array' if count == '1' else 'arrays'} of {size} numbers" if found else tree


def report(measured: list[dict[str, Any]], speed: float) -> Report:
    """The table, and Adam's picture."""
    rows = []
    for each in measured:
        moved = each["bytes_xla_moves"]
        rows.append(
            (
                each["optimizer"],
                each["tree"],
                each["who"],
                f"{1e3 * statistics.median(each['seconds']):,.3g}",
                spread(each["seconds"], 1e-3),
                "" if each["who"] == OPTAX else str(each["by_optax"] or ""),
                f"{each['by_limit']:.2f}",
                f"{moved / each['bytes_that_must_move']:.2f}" if moved else "",
                f"{each['compile_seconds']:.2f}" if each["compile_seconds"] else "",
            )
        )
    columns = (
        "optimizer",
        "leaves",
        "who",
        "ms a step",
        "range",
        "× optax",
        "× limit",
        "XLA's bytes",
        "compile, s",
    )
    notes = (f"bandwidth: {speed / 1e9:.1f} GB/s", *NOTES)
    if importlib.util.find_spec("torch") is None:
        notes = (*notes, "torch is not installed: its rows are missing.")
    adam = {
        (in_words(each["tree"]), each["who"]): each["by_limit"]
        for each in measured
        if each["optimizer"] == "adam"
    }
    figures: dict[str, Callable[[], Any]] = {
        "step": lambda: ratios_figure(
            "How long a step of Adam takes",
            "time of a step, over the time in which memory could move its bytes",
            adam,
            best="memory's limit",
        )
    }
    return Report("An optimizer's step", columns, rows, notes, measured, figures)
