"""One unit of a sweep's work: some runs over some steps, and what they leave behind."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np

from jaxopt_edu.sweeps.engine.host import HostTree, to_host
from jaxopt_edu.sweeps.engine.lanes import Record
from jaxopt_edu.sweeps.engine.plan import Plan
from jaxopt_edu.sweeps.engine.tiling import Tile

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


class Tape:
    """What the runs of a tile recorded, stretch after stretch between two evaluations.

    Args:
        plan: what all runs have in common.
        tile: which runs.
        report: called with the number of steps made by all runs of a stretch together, and the best value
            among them.
        recorded: the curves so far, of a unit that goes on.
    """

    def __init__(
        self,
        plan: Plan,
        tile: Tile,
        report: Callable[[int, float], None],
        recorded: dict[str, np.ndarray] | None = None,
    ) -> None:
        self.plan, self.tile, self.report = plan, tile, report
        self.pieces = [recorded] if recorded else []
        self.unread: tuple[Record, int] | None = None

    def begin(self, evaluation: dict[str, jax.Array]) -> None:
        """Note the evaluation before the first step."""
        self.pieces.append(self._piece(evaluation))

    def take(self, record: Record, at: int) -> None:
        """Take what the stretch gives that begins at an evaluation; the devices may still be at it."""
        self.unread = record, at

    def read(self) -> None:
        """Read what was taken last, and report it; waits for the devices."""
        if self.unread is None:
            return
        record, at = self.unread
        self.unread = None
        if at == 0:
            self.pieces.append(self._piece(record.first))
        self.pieces.append(self._piece(record.means | record.evaluation))
        steps = self.plan.evaluated_at[at + 1] - self.plan.evaluated_at[at]
        self.report(steps * self.tile.runs, self._best(self.pieces[-1][self.plan.metric]))

    def curves(self) -> dict[str, np.ndarray]:
        """All that was read, by name; shape (rows, columns, evaluations)."""
        names = dict.fromkeys(name for piece in self.pieces for name in piece)
        return {
            name: np.concatenate([piece[name] for piece in self.pieces if name in piece], axis=-1)
            for name in names
        }

    def unit(self, span: Span, state: HostTree) -> Unit:
        """The finished unit, of which the runs ended in this state."""
        diverged_at = state.diverged_at
        ends = np.array(self.plan.evaluated_at[0 if span.begin == 0 else span.begin + 1 : span.end + 1])
        over = (diverged_at >= 0)[..., None] & (ends >= diverged_at[..., None])
        curves = {name: np.where(over, np.float32(np.nan), values) for name, values in self.curves().items()}
        return Unit(self.tile.rows, self.tile.columns, curves, diverged_at, state)

    def _piece(self, values: dict[str, jax.Array]) -> dict[str, np.ndarray]:
        return {name: value[..., None] for name, value in self.tile.unpadded(to_host(values)).items()}

    def _best(self, values: np.ndarray) -> float:
        finite = values[np.isfinite(values)]
        if not len(finite):
            return float("nan")
        return float(finite.min() if self.plan.mode == "min" else finite.max())
