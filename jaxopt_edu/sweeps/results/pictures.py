"""The pictures of a sweep, each from its result."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from jaxopt_edu import plots
from jaxopt_edu.plots.drawing.labels import LETTERS, wrap
from jaxopt_edu.sweeps.results.axes import ranks_of, shown
from jaxopt_edu.sweeps.results.result import SweepResult
from jaxopt_edu.sweeps.results.tables import hyperparameters_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Where other hyperparameters vary too, the best of many neighbours is drawn, or the line would be noise.
INTERVALS = 24
LETTERS_OF_TITLE = 50


def curves(result: SweepResult) -> "Figure":
    """Draw how the metric moves, for each kind of optimizer at its best setting.

    Args:
        result: a sweep.

    Returns:
        A figure by `plots.curves`. Pruned settings stand back, even behind diverged ones: their curves end
        before the others' do, which a picture would tell as divergence.
    """
    ranks, pruned = ranks_of(result), (result.states == "PRUNED").any(axis=1)
    bests = {
        name: min(places, key=lambda place: (pruned[place], ranks[place]))
        for name, places in result.groups.items()
    }
    values = result.curve_of()
    # A metric that first stands after some steps has no place before.
    known = ~np.isnan(values).all(axis=(0, 1))
    return plots.curves(
        {name: values[bests[name]][:, known] for name in sorted(bests, key=lambda name: ranks[bests[name]])},
        ylabel=result.metric,
        steps=result.evaluated_at[known],
        mode=result.mode,
        log=_log(result, values),
        title="Each optimizer at its best setting",
    )


def sensitivity(result: SweepResult, rates: Mapping[str, str]) -> "Figure":
    """Draw the metric reached over the learning rate, the other hyperparameters being the best ones for it.

    Args:
        result: a sweep.
        rates: for each kind of optimizer to be drawn, the hyperparameter that is its learning rate.

    Returns:
        A figure by `plots.sensitivity`. Of settings with the same learning rate the best is drawn; if there
        are more than 24 beside other hyperparameters, the best of each of 24 equal intervals is.
    """
    values, ranks = result.values(), ranks_of(result)
    columns = hyperparameters_of(result)
    lines, alone = {}, True
    for name, hyperparameter in rates.items():
        places = result.groups[name]
        rate = columns[hyperparameter][places]
        others = [column[places] for other, column in columns.items() if other != hyperparameter]
        others_vary = any(len(np.unique(column)) > 1 for column in others)
        alone = alone and not others_vary
        bins = np.unique(rate, return_inverse=True)[1]
        if bins.max() >= INTERVALS and others_vary:
            logs = np.log(rate)
            bins = np.minimum((logs - logs.min()) / np.ptp(logs) * INTERVALS, INTERVALS - 1).astype(int)
        best = _best_of_each(bins, ranks[places])
        lines[name] = (rate[best], values[places[best]])
    names = set(rates.values())
    return plots.sensitivity(
        lines,
        xlabel=names.pop() if len(names) == 1 else "learning rate",
        ylabel=f"{result.metric} at {_end(result)}",
        mode=result.mode,
        log=_log(result, values),
        title="How much the learning rate matters" + ("" if alone else ", the rest at its best"),
    )


def heat_map(result: SweepResult, name: str, across: str, up: str) -> "Figure":
    """Draw what the settings of one kind of optimizer reached, over two of its hyperparameters.

    Args:
        result: a sweep.
        name: the kind of optimizer.
        across: one hyperparameter.
        up: the other.

    Returns:
        A figure by `plots.heat_map`: a grid if every pair of their values was tried, else marks. Of settings
        with the same pair the best is drawn.
    """
    places, columns = result.groups[name], hyperparameters_of(result)
    pairs = np.stack([columns[across][places], columns[up][places]])
    tried, which = np.unique(pairs, axis=1, return_inverse=True)
    chosen = places[_best_of_each(which.ravel(), ranks_of(result)[places])]
    values, ranks = result.values()[chosen].mean(axis=1), ranks_of(result)[chosen]
    (xlabel, x), (ylabel, y) = shown(across, tried[0]), shown(up, tried[1])
    n, m = (len(np.unique(row)) for row in tried)
    if len(chosen) == n * m:
        # The pairs are sorted, the second changing fastest.
        x, y = x[::m], y[:m]
        values, ranks = values.reshape(n, m).T, ranks.reshape(n, m).T
    title = name
    others = [other for other in columns if other not in (across, up)]
    if len(chosen) < len(places):
        title += ", the rest at its best"
    elif any(len(np.unique(columns[other][places])) > 1 for other in others):
        title += ", the rest at random"
    return plots.heat_map(
        x,
        y,
        values,
        xlabel=xlabel,
        ylabel=ylabel,
        label=_label(result),
        mode=result.mode,
        log=None if result.mode == "min" else False,
        best=int(ranks.argmin()),
        title=wrap(title, LETTERS_OF_TITLE),
    )


def parallel(result: SweepResult, names: Sequence[str]) -> "Figure":
    """Draw all settings as lines through their hyperparameters to what they reached.

    Args:
        result: a sweep.
        names: the hyperparameters, in order. Several kinds of optimizer are a column more, and so are the
            steps made, if settings were pruned.

    Returns:
        A figure by `plots.parallel`.
    """
    columns: dict[str, np.ndarray] = {}
    if len(result.groups) > 1:
        columns["optimizer"] = np.empty(len(result.optimizers), object)
        for name, places in result.groups.items():
            columns["optimizer"][places] = wrap(name, LETTERS)
    numbers = hyperparameters_of(result)
    columns |= dict(shown(name, numbers[name]) for name in names)
    if (result.states == "PRUNED").any():
        columns["steps made"] = result.made.mean(axis=1)
    return plots.parallel(
        columns,
        result.values().mean(axis=1),
        label=result.metric,
        mode=result.mode,
        log=None if result.mode == "min" else False,
        best=result.best().index,
        title=f"All settings, {_label(result)}",
    )


def budget(result: SweepResult) -> "Figure":
    """Draw the best of n settings over n, for each kind of optimizer.

    Args:
        result: a sweep in which no setting was pruned.

    Returns:
        A figure by `plots.budget`.
    """
    means = result.values().mean(axis=1)
    return plots.budget(
        {name: means[places] for name, places in result.groups.items()},
        ylabel=_label(result),
        mode=result.mode,
        title="How good the best of n settings is",
    )


def _best_of_each(classes: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    order = np.lexsort((ranks, classes))
    return order[np.unique(classes[order], return_index=True)[1]]


def _log(result: SweepResult, values: np.ndarray) -> bool:
    finite = values[np.isfinite(values)]
    return result.mode == "min" and bool((finite >= 0).all() and (finite > 0).any())


def _label(result: SweepResult) -> str:
    seeds = len(result.seeds)
    return f"{result.metric} at {_end(result)}" + (f", mean of {seeds} seeds" if seeds > 1 else "")


def _end(result: SweepResult) -> str:
    return "each run's end" if (result.states == "PRUNED").any() else "the end"
