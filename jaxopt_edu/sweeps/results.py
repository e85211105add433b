"""What a sweep found: every run's curve and end, and the settings ranked by them."""

import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import jax
import numpy as np

from jaxopt_edu.core.composition import as_pytree
from jaxopt_edu.core.reading import kind
from jaxopt_edu.core.transform import Optimizer
from jaxopt_edu.sweeps import summary, tables
from jaxopt_edu.sweeps.lanes import TRAINING_LOSS

if TYPE_CHECKING:
    import pandas
    import xarray

Mode = Literal["min", "max"]


class TopRun(NamedTuple):
    """One of the best runs, with what it trained."""

    number: int  # setting · seeds + place of the seed
    optimizer: Optimizer
    seed: int
    value: float  # of the metric that runs are ranked by, at the run's end
    params: Any
    state: Any


class Best(NamedTuple):
    """The best of some settings."""

    index: int  # which of the sweep's optimizers
    optimizer: Optimizer  # as it was at the end
    mean: float  # over the seeds; NaN if one of them diverged
    standard_error: float  # of the mean; NaN with one seed
    values: np.ndarray  # (seeds,), float64: each seed's last value


# Compared by identity, as arrays have no single answer to ==.
@dataclass(frozen=True, eq=False)
class SweepResult:
    """What a sweep found. Run number i · s + j is setting i with seed j, of n settings and s seeds.

    Attributes:
        optimizers: the n settings, as they were given.
        seeds: the s seeds.
        steps: the budget of a run.
        evaluated_at: the steps at which runs were evaluated, from 0 to `steps`; int, shape (k,).
        curves: from each metric's name to its values, float32, shape (n, s, k), NaN after a run has ended.
            "training_loss" is the mean over the steps since the evaluation before (at 0, of the first
            batch), as are the loss function's own metrics; the others are what `evaluate` gave.
        made: steps made by each run; int, shape (n, s).
        states: "COMPLETE", "PRUNED" or "DIVERGED"; str, shape (n, s).
        metric: the metric that runs are ranked by.
        mode: whether it is better "min" or "max".
        top: the best runs with what they trained, best first.
        final_optimizers: the n settings at the end; other ones only after population-based training.
    """

    optimizers: tuple[Optimizer, ...]
    seeds: tuple[int, ...]
    steps: int
    evaluated_at: np.ndarray
    curves: dict[str, np.ndarray]
    made: np.ndarray
    states: np.ndarray
    metric: str
    mode: Mode
    top: tuple[TopRun, ...]
    final_optimizers: tuple[Optimizer, ...]

    @cached_property
    def groups(self) -> dict[str, np.ndarray]:
        """From each kind of optimizer to the places of its settings; int, shape (settings of that kind,)."""
        places: dict[Any, list[int]] = {}
        for place, optimizer in enumerate(self.optimizers):
            places.setdefault(jax.tree.structure(as_pytree(optimizer)), []).append(place)
        groups: dict[str, np.ndarray] = {}
        for members in places.values():
            name = kind(self.optimizers[members[0]])
            same = [label for label in groups if label.partition(" #")[0] == name]
            groups[f"{name} #{len(same) + 1}" if same else name] = np.array(members)
        return groups

    def values(self, metric: str | None = None) -> np.ndarray:
        """Each run's last value.

        Args:
            metric: a name in `curves`; None for the one that runs are ranked by.

        Returns:
            float64, shape (n, s): the value when the run was last evaluated; NaN if it diverged.

        Raises:
            ValueError: there is no such metric.
        """
        curves = self.curve_of(metric)
        last = np.searchsorted(self.evaluated_at, self.made, side="right") - 1
        ends = np.take_along_axis(curves, last[:, :, np.newaxis], axis=2)[:, :, 0]
        return np.where(self.states == "DIVERGED", np.nan, ends.astype(np.float64))

    def ranking(self, metric: str | None = None, mode: Mode | None = None) -> np.ndarray:
        """The settings, best first, by the mean over their seeds.

        A setting with a pruned seed comes after all complete ones, the one that got further before the other,
        and one with a diverged seed comes last, whether low or high values are better.

        Args:
            metric: a name in `curves`; None for the one that runs are ranked by.
            mode: "min" or "max"; None for the sweep's own, or "min" for losses.

        Returns:
            Places in `optimizers`; int, shape (n,).

        Raises:
            ValueError: there is no such metric, or it is not known whether low or high values are better.
        """
        values = self.values(metric)
        sign = 1 if self.mode_of(metric, mode) == "min" else -1
        missing = self.steps - self.made.mean(axis=1)
        # The last key is the first to be looked at.
        return np.lexsort((sign * values.mean(axis=1), missing, np.isnan(values).sum(axis=1)))

    def best(self, metric: str | None = None, mode: Mode | None = None, *, of: str | None = None) -> Best:
        """The best setting by the mean over its seeds.

        Args:
            metric: a name in `curves`; None for the one that runs are ranked by.
            mode: "min" or "max"; None for the sweep's own, or "min" for losses.
            of: a name in `groups`, to look among that kind of optimizer only.

        Returns:
            The setting, ranked as `ranking` says, with mean and standard error over the seeds.

        Raises:
            ValueError: there is no such metric or kind, or it is not known whether low or high values are
                better.
        """
        order = self.ranking(metric, mode)
        if of is not None:
            if of not in self.groups:
                raise ValueError(f"there is no {of!r} in this sweep; it has {', '.join(self.groups)}.")
            order = order[np.isin(order, self.groups[of])]
        index = int(order[0])
        values = self.values(metric)[index]
        error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")
        return Best(index, self.final_optimizers[index], float(values.mean()), error, values)

    def summary(self) -> str:
        """The sweep as text: a line for each kind of optimizer, best first.

        Each line has the best setting with its mean ± standard error over the seeds, and how easy the
        optimizer is to tune: the share of its settings that make at least 90 % of the best one's improvement
        over the start (wherever zero is, and whether low or high values are better). A best setting on the
        edge of what was tried is pointed out.

        Returns:
            Text of several lines.
        """
        return summary.text(self)

    def table(self) -> list[dict[str, Any]]:
        """One row a run, for any library of tables.

        Returns:
            Dicts with number, state, value (None if it diverged), optimizer, each hyperparameter (None where
            the optimizer has none of that name), seed, steps, and the last values of the other metrics.
        """
        return tables.rows(self)

    def to_pandas(self) -> "pandas.DataFrame":
        """The table as a pandas DataFrame; null where there is no value.

        Returns:
            One row a run; the columns are those of `table`.

        Raises:
            ImportError: pandas is not installed.
        """
        return tables.to_pandas(self)

    def to_xarray(self) -> "xarray.Dataset":
        """The curves as an xarray Dataset.

        Returns:
            A variable for each metric, over the dimensions setting, seed and step, with state and made; the
            optimizers' kinds and hyperparameters are coordinates of the settings.

        Raises:
            ImportError: xarray is not installed.
        """
        return tables.to_xarray(self)

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the table as CSV, whole. A missing value is an empty cell; numbers keep all their digits.

        Args:
            path: the file to write.

        Raises:
            OSError: the folder is missing or cannot be written to.
        """
        tables.to_csv(self, path)

    def to_parquet(self, path: str | os.PathLike[str]) -> None:
        """Write the table as parquet, whole.

        Args:
            path: the file to write.

        Raises:
            ImportError: pyarrow is not installed.
            OSError: the folder is missing or cannot be written to.
        """
        tables.to_parquet(self, path)

    def curve_of(self, metric: str | None = None) -> np.ndarray:
        """The values of a metric over the steps.

        Args:
            metric: a name in `curves`; None for the one that runs are ranked by.

        Returns:
            float32, shape (n, s, k); NaN after a run has ended.

        Raises:
            ValueError: there is no such metric.
        """
        name = self.metric if metric is None else metric
        if name not in self.curves:
            raise ValueError(f"there is no metric {name!r} in this sweep; it has {', '.join(self.curves)}.")
        return self.curves[name]

    def mode_of(self, metric: str | None = None, mode: Mode | None = None) -> Mode:
        """Whether low or high values of a metric are better.

        Args:
            metric: a name in `curves`; None for the one that runs are ranked by.
            mode: what the caller says; None if nothing.

        Returns:
            "min" or "max".

        Raises:
            ValueError: it is neither said nor known.
        """
        if mode in ("min", "max"):
            return mode
        if mode is None and metric in (None, self.metric):
            return self.mode
        if mode is None and metric in ("loss", TRAINING_LOSS):
            return "min"
        raise ValueError(f"mode = {mode!r} for {metric!r}; say mode='min' or mode='max'.")
