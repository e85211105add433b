"""One unit of a sweep's work: some runs over some steps, and what they leave behind."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxopt_edu.core.editing import stack
from jaxopt_edu.core.transform import Optimizer
from jaxopt_edu.storage import is_key
from jaxopt_edu.sweeps.batches import PairedBatches
from jaxopt_edu.sweeps.host import HostTree, to_devices, to_host
from jaxopt_edu.sweeps.lanes import (
    SEEDS,
    SETTINGS,
    Lanes,
    Layout,
    Objective,
    Record,
    Rules,
    first_lanes,
)
from jaxopt_edu.sweeps.plan import Plan
from jaxopt_edu.sweeps.program import Program, place_entries
from jaxopt_edu.sweeps.store import Store
from jaxopt_edu.sweeps.tiling import Tile

SAVE_SECONDS = 20.0
CURVES = "curves/"


class Span(NamedTuple):
    """Which part of the runs: from one evaluation to another, as places in the plan's list."""

    begin: int
    end: int


class Unit(NamedTuple):
    """What a unit gave.

    Attributes:
        rows: its settings, as positions in the cohort.
        columns: its seeds, as positions in the list of seeds.
        curves: for each name an array of shape (rows, columns, evaluations), NaN after a run has diverged. A
            unit that begins at step 0 has the evaluation there too.
        diverged_at: the step at which each run diverged, −1 for none; shape (rows, columns).
        state: what its runs go on from (Lanes), or at the end the Carry of its best runs; None if it has to
            be read from the store.
        name: by which the store knows it; "" without a store.
    """

    rows: np.ndarray
    columns: np.ndarray
    curves: dict[str, np.ndarray]
    diverged_at: np.ndarray
    state: HostTree
    name: str = ""

    def arrays(self) -> dict[str, np.ndarray]:
        """What is stored of it, by name."""
        return {"diverged_at": self.diverged_at} | {
            CURVES + name: values for name, values in self.curves.items()
        }

    @classmethod
    def of_arrays(
        cls, rows: Sequence[int], columns: Sequence[int], arrays: dict[str, np.ndarray], name: str
    ) -> "Unit":
        """The unit that was stored."""
        curves = {key.removeprefix(CURVES): arrays[key] for key in arrays if key.startswith(CURVES)}
        return cls(np.array(rows), np.array(columns), curves, arrays["diverged_at"], None, name)


def best_runs(plan: Plan, unit: Unit) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The best runs of a unit that reached the end.

    Args:
        plan: says how many are kept, and by which metric.
        unit: one of a last stage.

    Returns:
        Their values, best first, and their places in the unit: rows and columns. Diverged runs are not among
        them.
    """
    values = unit.curves[plan.metric][..., -1]
    order = np.argsort(plan.oriented(values), axis=None, kind="stable")
    rows, columns = np.unravel_index(order, values.shape)
    finite = np.isfinite(values[rows, columns])
    rows, columns = rows[finite][: plan.keep], columns[finite][: plan.keep]
    return values[rows, columns], rows, columns


class Worker:
    """Runs the units of one group: all that stays the same from one to the next.

    Args:
        plan: what all runs have in common.
        seeds: the group's seeds.
        store: where a unit that takes long is saved now and then; None for nowhere.
        report: called with the number of steps made by all runs of a unit together, and the best value so
            far.
    """

    def __init__(
        self, plan: Plan, seeds: Sequence[int], store: Store | None, report: Callable[[int, float], None]
    ) -> None:
        self.plan, self.store, self.report = plan, store, report
        self.seeds = len(seeds)
        self.batches = PairedBatches(plan.data, seeds, plan.batch_size, plan.replacement, plan.longest)
        self.params, self.model_state = plan.first(seeds)
        self.objective = Objective(plan.loss_fn, self.batches.draw, plan.evaluate)
        self.placed: dict[Layout, Objective] = {}

    def rules(self, layout: Layout) -> Rules:
        """How programs are compiled for a layout."""
        return Rules(layout, self.plan.stateful, self.plan.metric)

    def shapes(self, optimizer: Optimizer, shape: tuple[int, int], layout: Layout) -> Lanes:
        """The shapes of the arrays of a tile's runs."""
        settings = stack([optimizer] * shape[SETTINGS])
        first = self._first(self._any_columns(shape))
        begin = partial(first_lanes, count=shape[SETTINGS], rules=self.rules(layout))
        return jax.eval_shape(begin, settings, *first)

    def program(self, optimizer: Optimizer, shape: tuple[int, int], layout: Layout) -> Program:
        """The compiled program for tiles of a shape."""
        placed = layout.sharding((SETTINGS, SEEDS))
        lanes = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=placed),
            self.shapes(optimizer, shape, layout),
        )
        settings = self._settings([optimizer] * shape[SETTINGS], layout)
        entries = self._entries(0, self._any_columns(shape), layout)
        return Program(lanes, settings, self._objective(layout), entries, self.rules(layout))

    def run(
        self,
        tile: Tile,
        layout: Layout,
        optimizers: Sequence[Optimizer],
        span: Span,
        state: Callable[[], HostTree] | None,
        label: str,
    ) -> Unit:
        """Run a tile over a span.

        Args:
            tile: which runs.
            layout: over which devices.
            optimizers: the cohort's settings.
            span: which steps.
            state: gives what the runs go on from, leading axes (rows, columns) without padding; None for the
                beginning.
            label: by which a half-finished unit is known in the store.

        Returns:
            The unit.
        """
        chosen = [optimizers[row] for row in tile.padded_rows()]
        settings, objective = self._settings(chosen, layout), self._objective(layout)
        program = self.program(chosen[0], tile.shape, layout)
        padded = tile.padded_columns()
        like = self.shapes(chosen[0], (len(tile.rows), len(tile.columns)), layout)
        found = None if self.store is None else self.store.read_partial({label: host_like(like)})
        if found is not None:
            host, arrays = found[0][label], found[1]
            at = int(arrays["at"])
            pieces = [{name: arrays[name] for name in arrays if name != "at"}]
        else:
            host, at, pieces = None if state is None else state(), span.begin, []
        lanes = self._lanes(host, like, tile, settings, layout)
        if at == 0 and self.plan.evaluate is not None:
            lanes, record = program(lanes, settings, objective, self._entries(0, padded, layout), 0, 0)
            pieces.append(self._piece(record.evaluation, tile))
        saved, stops = time.monotonic(), self.plan.evaluated_at
        unread: Record | None = None
        while at < span.end:
            steps = stops[at + 1] - stops[at]
            entries = self._entries(stops[at], padded, layout)
            lanes, record = program(lanes, settings, objective, entries, stops[at], steps)
            # The stretch before is read while the devices are at this one.
            pieces += self._read(unread, tile, stops[at - 1 : at + 1])
            at, unread = at + 1, record
            if self.store is not None and at < span.end and time.monotonic() - saved > SAVE_SECONDS:
                pieces += self._read(unread, tile, stops[at - 1 : at + 1])
                unread = None
                whole = {label: unpadded(to_host(lanes), tile)}
                self.store.write_partial(whole, {"at": np.array(at), **_joined(pieces)})
                saved = time.monotonic()
        pieces += self._read(unread, tile, stops[at - 1 : at + 1])
        host = unpadded(to_host(lanes), tile)
        diverged_at = host.diverged_at
        ends = np.array(stops[0 if span.begin == 0 else span.begin + 1 : span.end + 1])
        over = (diverged_at >= 0)[..., None] & (ends >= diverged_at[..., None])
        curves = {
            name: np.where(over, np.float32(np.nan), values) for name, values in _joined(pieces).items()
        }
        return Unit(tile.rows, tile.columns, curves, diverged_at, host)

    def _read(self, record: Record | None, tile: Tile, ends: Sequence[int]) -> list[dict[str, np.ndarray]]:
        """What a stretch recorded, reported as well; nothing for none."""
        if record is None:
            return []
        first, last = ends
        pieces = [self._piece(record.means | record.evaluation, tile)]
        if first == 0:
            pieces.insert(0, self._piece(record.first, tile))
        self.report((last - first) * tile.runs, self._best(pieces[-1]))
        return pieces

    def _piece(self, values: dict[str, jax.Array], tile: Tile) -> dict[str, np.ndarray]:
        return {name: value[..., None] for name, value in unpadded(to_host(values), tile).items()}

    def _best(self, piece: dict[str, np.ndarray]) -> float:
        values = piece[self.plan.metric]
        finite = values[np.isfinite(values)]
        if not len(finite):
            return float("nan")
        return float(finite.min() if self.plan.mode == "min" else finite.max())

    def _any_columns(self, shape: tuple[int, int]) -> np.ndarray:
        return np.arange(shape[SEEDS]) % self.seeds

    def _first(self, columns: np.ndarray) -> tuple[Any, Any]:
        return self._of_seeds((self.params, self.model_state), columns, axis=0)

    def _entries(self, first: int, columns: np.ndarray, layout: Layout) -> Any:
        return place_entries(self._of_seeds(self.batches.entries(first), columns, axis=1), layout)

    def _of_seeds(self, tree: Any, columns: np.ndarray, axis: int) -> Any:
        if np.array_equal(columns, np.arange(self.seeds)):
            return tree  # the usual case; to pick from an array, JAX compiles a program for each shape
        return jax.tree.map(lambda leaf: leaf[columns] if axis == 0 else leaf[:, columns], tree)

    def _settings(self, optimizers: Sequence[Optimizer], layout: Layout) -> Optimizer:
        stacked = stack(optimizers)
        return to_devices(to_host(stacked), stacked, layout.sharding((SETTINGS,)))

    def _objective(self, layout: Layout) -> Objective:
        if layout not in self.placed:
            arrays = jax.tree.map(jax.numpy.asarray, self.objective)
            self.placed[layout] = to_devices(to_host(arrays), arrays, layout.sharding())
        return self.placed[layout]

    def _lanes(
        self, host: HostTree | None, like: Any, tile: Tile, settings: Optimizer, layout: Layout
    ) -> Lanes:
        if host is None:
            first = self._first(tile.padded_columns())
            placed = to_devices(to_host(first), first, layout.sharding((SEEDS,)))
            return first_lanes(settings, *placed, count=tile.shape[SETTINGS], rules=self.rules(layout))
        rows = np.arange(tile.shape[SETTINGS]).clip(max=len(tile.rows) - 1)
        columns = np.arange(tile.shape[SEEDS]).clip(max=len(tile.columns) - 1)
        padded = jax.tree.map(lambda leaf: leaf[rows][:, columns], host)
        return to_devices(padded, like, layout.sharding((SETTINGS, SEEDS)))


def unpadded(tree: HostTree, tile: Tile) -> HostTree:
    """The runs of a tile without its padding."""
    return jax.tree.map(lambda leaf: leaf[: len(tile.rows), : len(tile.columns)], tree)


def host_like(shapes: Any) -> HostTree:
    """The shapes that a tree has on the host, where random keys are integers.

    Args:
        shapes: pytree of ShapeDtypeStructs.

    Returns:
        The same, keys replaced.
    """
    return jax.eval_shape(
        lambda tree: jax.tree.map(lambda leaf: jax.random.key_data(leaf) if is_key(leaf) else leaf, tree),
        shapes,
    )


def _joined(pieces: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    names = dict.fromkeys(name for piece in pieces for name in piece)
    return {
        name: np.concatenate([piece[name] for piece in pieces if name in piece], axis=-1) for name in names
    }
