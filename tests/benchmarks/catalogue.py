"""What a step of every page and every wrapper costs, in time and in bytes, beside optax's and torch's.

    python -m tests.benchmarks --only catalogue

Steps are those of step.py, on two trees: the leaves of a small GPT-2, and many small leaves.
"""

import importlib.util
import statistics
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib

import jaxopt_edu as jo
from tests.benchmarks.output import Bars, Report
from tests.benchmarks.shapes import SMALL_LEAVES, Tree, narrow_gpt2
from tests.benchmarks.step import CHECKED_STEPS, OURS, Compiled, check
from tests.benchmarks.timing import Rival, in_turns, ratio
from tests.registry import OPTIMIZERS, Row, named

OPTAX, NEAR, TORCH = "optax", "optax ≈", "torch"
TREES: dict[str, Tree] = {"narrow GPT-2": dict(narrow_gpt2()), "200 × 10³": SMALL_LEAVES}
# optax's of the same name where its formula is another one; what differs is on the page.
OTHER_FORMULAS: dict[str, Callable[[], Any]] = {
    "adan": lambda: optax.adan(0.01, weight_decay=0.1),
    "rprop": lambda: optax.rprop(0.01),
    "lars": lambda: optax.lars(1.0, weight_decay=0.1),
    "adafactor": lambda: optax.adafactor(0.01, momentum=None),
    "prodigy": lambda: optax.contrib.prodigy(1.0, weight_decay=0.1),
    "muon": lambda: optax.contrib.muon(
        0.01, weight_decay=0.1, muon_weight_dimension_numbers=matrices_of_muon
    ),
}
WRAPPERS: dict[str, Callable[[jo.Optimizer], jo.Optimizer]] = {
    "weight_decay": partial(jo.weight_decay, rate=0.1),
    "averaged": partial(jo.averaged, decay=0.99),
    "schedule_free": jo.schedule_free,
    "lookahead": jo.lookahead,
    "cautious": jo.cautious,
    "mars": jo.mars,
    "accumulated": partial(jo.accumulated, steps=1),
    "monitor": jo.monitor,
    "loss_scaling": jo.loss_scaling,
    "compensated": jo.compensated,
    "half_state": lambda opt: jo.half_state(opt, jax.random.key(0)),
    "packed": jo.packed,
}


def run(quick: bool, bars: Bars) -> list[Report]:
    """Time every page, then every wrapper around Adam."""
    repeats = 2 if quick else 5
    rows = [named("adam"), named("muon")] if quick else OPTIMIZERS
    trees = {"200 × 10³": {"one": (4, 3), "two": (3,)}} if quick else TREES
    wrappers = {"cautious": WRAPPERS["cautious"]} if quick else WRAPPERS
    pages: list[dict[str, Any]] = []
    around: list[dict[str, Any]] = []
    with bars.task("catalogue", len(trees) * (len(rows) + 1)) as advance:
        for tree, shapes in trees.items():
            leaves = numbers(shapes, seed=0), numbers(shapes, seed=1)
            for row in rows:
                with bars.case(f"catalogue, {row.name} on {tree}"):
                    pages += page(row, tree, *leaves, repeats)
                advance()
            with bars.case(f"catalogue, wrappers on {tree}"):
                around += wrapped(wrappers, tree, *leaves, repeats)
            advance()
    return [beside_others(pages), overhead(around)]


def numbers(shapes: Tree, *, seed: int) -> dict[str, jax.Array]:
    """Normal numbers for a tree of named leaves."""
    rng = np.random.default_rng(seed)
    return {name: jnp.asarray(rng.standard_normal(shape, np.float32)) for name, shape in shapes.items()}


def matrices_of_muon(params: Any) -> Any:
    """Those leaves that our page takes for matrices, as optax.contrib.muon wants them."""

    def dimensions(path: Any, leaf: Any) -> Any:
        known = jo.core.matrix_axes(jax.tree_util.keystr(path, simple=True, separator="/"), leaf)
        return None if known is None else optax.contrib.MuonDimensionNumbers()

    return jax.tree_util.tree_map_with_path(dimensions, params)


def page(row: Row, tree: str, params: Any, gradients: Any, repeats: int) -> list[dict[str, Any]]:
    """Check and time an optimizer, and others' of the same name."""
    made = {OURS: Compiled(row.factory(**row.hyperparameters), params, gradients)}
    if row.optax is not None:
        made[OPTAX] = Compiled(row.optax(**row.hyperparameters), params, gradients)
    elif row.name in OTHER_FORMULAS:
        made[NEAR] = Compiled(OTHER_FORMULAS[row.name](), params, gradients)
    rivals = {name: each.rival() for name, each in made.items()}
    expected = made[OURS].params()
    if OPTAX in made:
        check(f"{row.name}, {OPTAX}", made[OPTAX].params(), expected)
    if row.torch is not None and importlib.util.find_spec("torch") is not None:
        rivals[TORCH], weights = torch_rival(row, params, gradients)
        check(f"{row.name}, {TORCH}", weights, expected)
    seconds = in_turns(rivals, repeats)
    size = sum(leaf.size for leaf in params.values())
    return [
        {
            "optimizer": row.name,
            "tree": tree,
            "who": name,
            "seconds": seconds[name],
            "ratio": ratio(seconds[OURS], seconds[name]),
            "state_bytes": state_bytes(made[name]) / size if name in made else None,
        }
        for name in rivals
    ]


def state_bytes(step: Compiled) -> int:
    """Of the optimizer's state."""
    return sum(leaf.nbytes for leaf in jax.tree.leaves(step.carry[1]))


def torch_rival(row: Row, params: Any, gradients: Any) -> tuple[Rival, list[np.ndarray]]:
    """torch's of this name with its fastest variant, and its parameters after the steps that are checked."""
    import torch

    leaves = [torch.nn.Parameter(torch.tensor(np.asarray(params[name]))) for name in sorted(params)]
    for leaf, name in zip(leaves, sorted(params), strict=True):
        leaf.grad = torch.tensor(np.asarray(gradients[name]))
    optimizer = row.torch(leaves, **row.hyperparameters)
    for group in optimizer.param_groups:
        if group.get("fused", False) is None and row.name in ("adam", "adamw", "sgd", "momentum", "nesterov"):
            group["fused"] = True

    def steps(number: int) -> None:
        for _ in range(number):
            optimizer.step()

    steps(CHECKED_STEPS)
    return Rival(steps, 0.0), [leaf.detach().numpy() for leaf in leaves]


def wrapped(
    wrappers: dict[str, Callable[[jo.Optimizer], jo.Optimizer]],
    tree: str,
    params: Any,
    gradients: Any,
    repeats: int,
) -> list[dict[str, Any]]:
    """Time wrappers around Adam against Adam alone."""
    bare = jo.adam(0.01)
    made = {"": Compiled(bare, params, gradients)}
    made |= {name: Compiled(wrap(bare), params, gradients) for name, wrap in wrappers.items()}
    seconds = in_turns({name: each.rival() for name, each in made.items()}, repeats)
    size = sum(leaf.size for leaf in params.values())
    return [
        {
            "wrapper": name,
            "tree": tree,
            "seconds": seconds[name],
            "ratio": ratio(seconds[name], seconds[""]),
            "state_bytes": state_bytes(made[name]) / size,
        }
        for name in wrappers
    ]


def beside_others(measured: Sequence[dict[str, Any]]) -> Report:
    """A line for each page: its time by others' on each tree, and the state's bytes."""
    trees = list(dict.fromkeys(each["tree"] for each in measured))
    found = {(each["optimizer"], each["tree"], each["who"]): each for each in measured}
    rows = []
    for name in dict.fromkeys(each["optimizer"] for each in measured):
        cells: list[str] = []
        for tree in trees:
            ours = found.get((name, tree, OURS))
            cells.append(f"{1e3 * statistics.median(ours['seconds']):.3g}" if ours else "")
            theirs = found.get((name, tree, OPTAX)) or found.get((name, tree, NEAR))
            mark = "≈ " if theirs and theirs["who"] == NEAR else ""
            cells.append(f"{mark}{theirs['ratio']}" if theirs else "")
            torch = found.get((name, tree, TORCH))
            cells.append(str(torch["ratio"]) if torch else "")
        first = [found.get((name, trees[0], who)) for who in (OURS, OPTAX, NEAR)]
        sizes = [f"{each['state_bytes']:.1f}" for each in first if each]
        rows.append((name, *cells, *sizes, *[""] * (2 - len(sizes))))
    slower = [
        f"{each['optimizer']} on {each['tree']}"
        for each in measured
        if each["who"] == OPTAX and each["ratio"].lower > 1.05
    ]
    columns = [column for tree in trees for column in (f"{tree}: ms a step", "× optax", "× torch")]
    notes = (
        "×: our time by theirs (above 1: we are slower), the median over the turns, and between which ratios "
        "half of the turns lie; ≈ is an optimizer of the same name with another formula, as its page says.",
        f"More than 5 % slower than the same formula of optax in most turns: {', '.join(slower) or 'none'}.",
        "State: bytes for each parameter on the first tree, ours and optax's.",
    )
    return Report("Every page", ("", *columns, "state", "optax's"), rows, notes, measured)


def overhead(measured: Sequence[dict[str, Any]]) -> Report:
    """A line for each wrapper."""
    trees = list(dict.fromkeys(each["tree"] for each in measured))
    found = {(each["wrapper"], each["tree"]): each for each in measured}
    names = dict.fromkeys(each["wrapper"] for each in measured)
    rows = [
        (
            name,
            *(str(found[name, tree]["ratio"]) for tree in trees),
            f"{found[name, trees[0]]['state_bytes']:.1f}",
        )
        for name in names
    ]
    notes = ("A step of the wrapper around Adam by one of Adam alone; state in bytes for each parameter.",)
    return Report("Every wrapper", ("", *trees, "state"), rows, notes, measured)
