"""What computes: the programs and arrays that all units of a group share."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np

from jaxopt_edu.core.editing import stack
from jaxopt_edu.core.transform import Optimizer
from jaxopt_edu.sweeps.engine.host import HostTree, host_like, to_devices, to_host
from jaxopt_edu.sweeps.engine.lanes import (
    SEEDS,
    SETTINGS,
    Lanes,
    Layout,
    Objective,
    Record,
    Rules,
    first_lanes,
)
from jaxopt_edu.sweeps.engine.plan import Plan
from jaxopt_edu.sweeps.engine.program import Program, place_entries
from jaxopt_edu.sweeps.engine.tiling import Tile
from jaxopt_edu.sweeps.engine.units import Span, Tape, Unit
from jaxopt_edu.sweeps.folder.store import Store
from jaxopt_edu.training.signals import Pending

SAVE_SECONDS = 20.0
AT = "at"


class StoppedError(Exception):
    """A signal has come, and nothing is half done: what was computed is in the store, if there is one."""


class Worker:
    """Runs the units of one group: all that stays the same from one to the next.

    Args:
        plan: what all runs have in common.
        seeds: the group's seeds.
        store: where a unit that takes long is saved now and then; None for nowhere.
        report: called with the number of steps made by all runs of a unit together, and the best value so
            far.
        pending: whether a signal waits for a safe point, such as the end of a stretch.
    """

    def __init__(
        self,
        plan: Plan,
        seeds: Sequence[int],
        store: Store | None,
        report: Callable[[int, float], None],
        pending: Pending,
    ) -> None:
        self.plan, self.store, self.report, self.pending = plan, store, report, pending
        self.seeds = len(seeds)
        self.batches = plan.batches(seeds)
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

        Raises:
            StoppedError: a signal has come.
        """
        if self.pending.number is not None:
            raise StoppedError
        chosen = [optimizers[row] for row in tile.padded_rows()]
        settings, objective = self._settings(chosen, layout), self._objective(layout)
        program, columns = self.program(chosen[0], tile.shape, layout), tile.padded_columns()
        like = self.shapes(chosen[0], (len(tile.rows), len(tile.columns)), layout)
        host, at, tape = self._begun(tile, span, state, label, like)
        lanes, stops = self._lanes(host, like, tile, settings, layout), self.plan.evaluated_at

        def advanced(lanes: Lanes, first: int, last: int) -> tuple[Lanes, Record]:
            return program(
                lanes, settings, objective, self._entries(first, columns, layout), first, last - first
            )

        if at == 0 and self.plan.evaluate is not None:
            lanes, record = advanced(lanes, 0, 0)
            tape.begin(record.evaluation)
        saved = time.monotonic()
        while at < span.end:
            lanes, record = advanced(lanes, stops[at], stops[at + 1])
            # The stretch before is read while the devices are at this one.
            tape.read()
            tape.take(record, at)
            at += 1
            stopping = self.pending.number is not None and at < span.end
            late = time.monotonic() - saved > SAVE_SECONDS and at < span.end
            if self.store is not None and (stopping or late):
                tape.read()
                whole = {label: tile.unpadded(to_host(lanes))}
                self.store.write_partial(whole, {AT: np.array(at), **tape.curves()})
                saved = time.monotonic()
            if stopping:
                raise StoppedError
        tape.read()
        return tape.unit(span, tile.unpadded(to_host(lanes)))

    def _begun(
        self, tile: Tile, span: Span, state: Callable[[], HostTree] | None, label: str, like: Lanes
    ) -> tuple[HostTree | None, int, Tape]:
        """Where a unit stands: its runs (None for the beginning), the evaluation, and what was recorded."""
        found = None if self.store is None else self.store.read_partial({label: host_like(like)})
        if found is None:
            return None if state is None else state(), span.begin, Tape(self.plan, tile, self.report)
        tree, arrays = found
        at = int(arrays.pop(AT))
        return tree[label], at, Tape(self.plan, tile, self.report, arrays)

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
