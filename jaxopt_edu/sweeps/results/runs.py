"""The runs of a sweep as plain data, and the settings ranked by them."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

import jax
import numpy as np

from jaxopt_edu.core.composition import members
from jaxopt_edu.core.foreign import as_pytree
from jaxopt_edu.core.naming import settings
from jaxopt_edu.core.reading import kind
from jaxopt_edu.core.transform import Optimizer
from jaxopt_edu.storage import is_key

# What a curve of the loss itself is called, beside those of metrics.
TRAINING_LOSS = "training_loss"
Mode = Literal["min", "max"]


class TopRun(NamedTuple):
    """One of the best runs, with what it trained."""

    number: int  # setting · seeds + place of the seed
    optimizer: Optimizer
    seed: int
    value: float  # of the metric that runs are ranked by, at the run's end
    params: Any  # the point that the optimizer recommends; see `evaluation_params`
    state: Any  # the optimizer's, from which held goes on, or params
    step: int = 0  # how many steps it made
    model_state: Any = None  # None for a model without
    held: Any = None  # the parameters to train on from, where they are others than params; else None


class Best(NamedTuple):
    """The best of some settings."""

    index: int  # which of the sweep's optimizers
    optimizer: Optimizer  # as it was at the end
    mean: float  # over the seeds; NaN if one of them diverged
    standard_error: float  # of the mean; NaN with one seed
    values: np.ndarray  # (seeds,), float64: each seed's last value


# Compared by identity, as arrays have no single answer to ==.
@dataclass(frozen=True, eq=False)
class Runs:
    """All runs of a sweep, n settings with s seeds each; `SweepResult` says what each field is."""

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
        return {name: places for name, (places, _) in self._kinds.items()}

    @cached_property
    def hyperparameters(self) -> dict[str, np.ndarray]:
        """From each hyperparameter to its values; float64, shape (n,), NaN where an optimizer has none.

        Those that are arrays themselves are left out.
        """
        columns: dict[str, np.ndarray] = {}
        for places, of_kind in self._kinds.values():
            for name, values in of_kind.items():
                columns.setdefault(name, np.full(len(self.optimizers), np.nan))[places] = values
        return columns

    @cached_property
    def _kinds(self) -> dict[str, tuple[np.ndarray, dict[str, np.ndarray]]]:
        """From each kind of optimizer to its places and its hyperparameters' values."""
        # Both come of one pass, as to flatten a hundred thousand optimizers takes a good part of a second.
        found: dict[Any, tuple[list[int], list[list[Any]]]] = {}
        for place, optimizer in enumerate(self.optimizers):
            transform = as_pytree(optimizer)
            leaves, structure = jax.tree.flatten(transform)
            # A structure's hash leaves out what is static: without the members' functions all chains would
            # be compared with all.
            key = structure, *(getattr(member.update, "func", None) for member in members(transform) or ())
            places, rows = found.setdefault(key, ([], []))
            places.append(place)
            rows.append(leaves)
        kinds: dict[str, tuple[np.ndarray, dict[str, np.ndarray]]] = {}
        counts: dict[str, int] = {}
        for (structure, *_), (places, rows) in found.items():
            alike = [self.optimizers[place] for place in places]
            name = kind(alike[0])
            counts[name] = counts.get(name, 0) + 1
            name = f"{name} #{counts[name]}" if counts[name] > 1 else name
            kinds[name] = np.array(places), _columns(alike, structure, rows)
        return kinds

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
        return self._best(int(order[0]), self.values(metric))

    def bests(self) -> dict[str, Best]:
        """The best setting of each kind of optimizer, the best kind first; as `best(of=…)` gives them."""
        names = np.empty(len(self.optimizers), object)
        for name, places in self.groups.items():
            names[places] = name
        values = self.values()
        first: dict[str, int] = {}
        for place in self.ranking().tolist():
            first.setdefault(str(names[place]), place)
        return {name: self._best(place, values) for name, place in first.items()}

    def _best(self, index: int, of_runs: np.ndarray) -> Best:
        values = of_runs[index]
        error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")
        return Best(index, self.final_optimizers[index], float(values.mean()), error, values)

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


def _columns(optimizers: list[Optimizer], structure: Any, leaves: list[list[Any]]) -> dict[str, np.ndarray]:
    """The numbers of optimizers of one structure by name, each of shape (settings,)."""
    if any(type(leaf) is not float and np.ndim(leaf) for row in leaves for leaf in row):
        rows = [{name: v for name, v in settings(one).items() if np.ndim(v) == 0} for one in optimizers]
        names = dict.fromkeys(name for row in rows for name in row)
        return {name: np.array([row.get(name, np.nan) for row in rows], float) for name in names}
    # The names are asked once: of an optimizer that holds the leaves' places instead of their values.
    places = settings(jax.tree.unflatten(structure, range(len(leaves[0]))))
    keys = {place for place, leaf in enumerate(leaves[0]) if is_key(leaf)}
    if keys:
        leaves = [[np.nan if place in keys else leaf for place, leaf in enumerate(row)] for row in leaves]
    table = np.array(leaves, float).reshape(len(leaves), -1)
    return {name: table[:, place] for name, place in places.items() if place not in keys}
