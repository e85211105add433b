"""The runs of a cohort between two rungs: tile after tile, out of the store or computed."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxopt_edu.core.transform import Optimizer
from jaxopt_edu.sweeps.engine.host import HostTree, gathered, host_like
from jaxopt_edu.sweeps.engine.lanes import Layout
from jaxopt_edu.sweeps.engine.plan import Plan
from jaxopt_edu.sweeps.engine.tiling import Tile, one_tile, tiling
from jaxopt_edu.sweeps.engine.units import Span, Unit, best_runs
from jaxopt_edu.sweeps.engine.worker import Worker
from jaxopt_edu.sweeps.folder.store import Store

# Enough to fill the devices of any machine; more would only take memory.
MOST_RUNS = 1024


class Stage(NamedTuple):
    """The runs of a cohort between two rungs.

    Attributes:
        cohort: its number in the group.
        index: the stage's number in the cohort.
        span: the steps.
        rows: the settings that run, as positions in the cohort, increasing.
        sources: whose parameters and state each of them goes on from.
        optimizers: of the whole cohort, at this stage.
        units: what was run.
    """

    cohort: int
    index: int
    span: Span
    rows: np.ndarray
    sources: np.ndarray
    optimizers: list[Optimizer]
    units: list[Unit]


class Stages:
    """Runs the stages of one group's cohorts.

    Args:
        plan: what all runs have in common.
        group: by which the store knows the group.
        worker: computes.
        seeds: number of seeds.
        store: where everything is kept; None for nowhere.
        report: called with the number of steps just made by runs together, and the best value among them.
    """

    def __init__(
        self,
        plan: Plan,
        group: int,
        worker: Worker,
        seeds: int,
        store: Store | None,
        report: Callable[[int, float], None],
    ) -> None:
        self.plan, self.group, self.worker, self.seeds = plan, group, worker, seeds
        self.store, self.report = store, report
        self.chunk_size = plan.chunk_size or self._stored_chunk_size()

    def run(self, stage: Stage, earlier: Sequence[Stage]) -> None:
        """Run all tiles of a stage that the store does not have; the units are added to the stage.

        Args:
            stage: what to run.
            earlier: the cohort's stages before it, in order.
        """
        covered = np.zeros((len(stage.optimizers), self.seeds), bool)
        for unit in self._stored(stage):
            stage.units.append(unit)
            covered[np.ix_(unit.rows, unit.columns)] = True
            self.report(unit.diverged_at.size * self._steps(stage.span), float("nan"))
        if self.chunk_size is None:
            self._choose_chunk_size(stage)
        while not covered[stage.rows].all():
            cut = tiling(stage.rows, self.seeds, self.plan.mesh, self.chunk_size or 1)
            try:
                for tile in cut.tiles:
                    if not covered[np.ix_(tile.rows, tile.columns)].all():
                        stage.units.append(self._run_unit(stage, earlier, tile, cut.layout))
                        covered[np.ix_(tile.rows, tile.columns)] = True
            except jax.errors.JaxRuntimeError as error:
                self._take_smaller_tiles(error, stage)
        for unit in earlier[-1].units if earlier else ():
            if self.store is not None:
                self.store.forget_state(unit.name)
        # Nobody goes on from them any more; a damaged file that asks for one is computed from its own
        # beginning.
        for before in earlier:
            before.units[:] = [unit._replace(state=None) for unit in before.units]

    def best_state(self, stage: Stage, earlier: Sequence[Stage], unit: Unit) -> HostTree:
        """Carries of a last stage's unit's best runs; leading axis as `best_runs` orders them."""
        if unit.state is not None:
            return unit.state
        like = host_like(self._like(stage, unit))
        count = len(best_runs(self.plan, unit)[0])
        like = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct((count, *leaf.shape[2:]), leaf.dtype), like.carry
        )
        found = None if self.store is None else self.store.read_state(unit.name, like)
        if found is not None:
            return jax.tree.map(np.asarray, found)
        return self._again(stage, earlier, unit).state

    def _run_unit(self, stage: Stage, earlier: Sequence[Stage], tile: Tile, layout: Layout) -> Unit:
        state = (lambda: self._state(earlier, stage, tile)) if earlier else None
        label = f"{self.group}-{stage.cohort}-{stage.index}-{tile.rows.tolist()}-{tile.columns.tolist()}"
        unit = self.worker.run(tile, layout, stage.optimizers, stage.span, state, label)
        if self.plan.evaluated_at[stage.span.end] == self.plan.steps:
            _, rows, columns = best_runs(self.plan, unit)
            kept = jax.tree.map(lambda leaf: leaf[rows, columns], unit.state.carry)
            unit = unit._replace(state=kept)
        if self.store is None:
            return unit
        unit = unit._replace(name=self.store.new_name())
        self.store.write_state(unit.name, unit.state)
        self.store.write_curves(unit.name, unit.arrays())
        place = {"group": self.group, "cohort": stage.cohort, "stage": stage.index, "steps": self.plan.steps}
        runs = {"rows": unit.rows.tolist(), "columns": unit.columns.tolist()}
        self.store.append({"kind": "unit", **place, "name": unit.name, **runs})
        self.store.forget_partial()
        return unit

    def _stored(self, stage: Stage) -> list[Unit]:
        if self.store is None:
            return []
        found: dict[str, Unit] = {}
        # The newest first: it was computed again because the one before it is damaged.
        for event in reversed(self.store.units(self.group, stage.cohort, stage.index, self.plan.steps)):
            runs = str((event["rows"], event["columns"]))
            if runs not in found and (arrays := self.store.read_curves(event["name"])) is not None:
                found[runs] = Unit.of_arrays(event["rows"], event["columns"], arrays, event["name"])
        return list(found.values())

    def _state(self, earlier: Sequence[Stage], stage: Stage, tile: Tile) -> HostTree:
        """What a tile goes on from, gathered out of the units of the stage before."""
        before = earlier[-1]
        wanted = stage.sources[np.searchsorted(stage.rows, tile.rows)]
        left = np.ones((len(wanted), len(tile.columns)), bool)
        pieces = []
        for unit in before.units:
            rows, columns = _places(unit.rows, wanted), _places(unit.columns, tile.columns)
            here = left & (rows[:, None] >= 0) & (columns[None, :] >= 0)
            if here.any():
                left &= ~here
                targets = np.array(np.nonzero(here))
                origins = np.stack([rows[targets[0]], columns[targets[1]]])
                pieces.append((self._unit_state(before, earlier[:-1], unit), targets, origins))
        return gathered(pieces, left.shape)

    def _unit_state(self, stage: Stage, earlier: Sequence[Stage], unit: Unit) -> HostTree:
        if unit.state is not None:
            return unit.state
        found = None
        if self.store is not None:
            found = self.store.read_state(unit.name, host_like(self._like(stage, unit)))
        if found is not None:
            return jax.tree.map(np.asarray, found)
        return self._again(stage, earlier, unit).state

    def _again(self, stage: Stage, earlier: Sequence[Stage], unit: Unit) -> Unit:
        tile, layout = one_tile(unit.rows, unit.columns, self.plan.mesh)
        return self._run_unit(stage, earlier, tile, layout)

    def _like(self, stage: Stage, unit: Unit) -> Any:
        shape = (len(unit.rows), len(unit.columns))
        _, layout = one_tile(unit.rows, unit.columns, self.plan.mesh)
        return self.worker.shapes(stage.optimizers[unit.rows[0]], shape, layout)

    def _steps(self, span: Span) -> int:
        return self.plan.evaluated_at[span.end] - self.plan.evaluated_at[span.begin]

    def _stored_chunk_size(self) -> int | None:
        events = [] if self.store is None else self.store.of_kind("chunk size", group=self.group)
        return events[-1]["runs"] if events else None

    def _choose_chunk_size(self, stage: Stage) -> None:
        size = MOST_RUNS
        while not self._fits(stage, size) and size > self.plan.mesh.size:
            size = max(size // 2, self.plan.mesh.size)
        self._set_chunk_size(size)

    def _fits(self, stage: Stage, size: int) -> bool:
        cut = tiling(stage.rows, self.seeds, self.plan.mesh, size)
        return self.worker.program(stage.optimizers[0], cut.tiles[0].shape, cut.layout).fits

    def _set_chunk_size(self, size: int) -> None:
        self.chunk_size = size
        if self.store is not None:
            # A resumed sweep takes the same, whatever memory is free then: other tiles may round otherwise.
            self.store.append({"kind": "chunk size", "group": self.group, "runs": size})

    def _take_smaller_tiles(self, error: Exception, stage: Stage) -> None:
        largest = max(
            tile.runs for tile in tiling(stage.rows, self.seeds, self.plan.mesh, self.chunk_size or 1).tiles
        )
        if "RESOURCE_EXHAUSTED" not in str(error) or largest <= self.plan.mesh.size:
            raise error
        warnings.warn(
            f"sweep: {largest} runs at once do not fit into memory; going on with half as many.",
            RuntimeWarning,
            stacklevel=2,
        )
        self._set_chunk_size(max(largest // 2, 1))


def _places(among: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Where each wanted number stands among others; −1 where it does not."""
    order = np.argsort(among, kind="stable")
    place = order[np.searchsorted(among, wanted, sorter=order).clip(max=len(among) - 1)]
    return np.where(among[place] == wanted, place, -1)
