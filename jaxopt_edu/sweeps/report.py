"""What a sweep has to say, as files: the summary, the table, and the pictures."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jaxopt_edu import plots
from jaxopt_edu.files import whole_file
from jaxopt_edu.sweeps.results import SweepResult
from jaxopt_edu.sweeps.tables import hyperparameters_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The parts of a schedule that say how high it is; the others are lengths and ends.
HEIGHTS = ("learning_rate", "peak", "initial", "value")
# Where other hyperparameters vary too, the best of many neighbours is drawn, or the line would be noise.
INTERVALS = 24


def write(result: SweepResult, folder: str | os.PathLike[str]) -> list[str]:
    """Write summary.txt, table.csv and the pictures as PNG, each one whole.

    Args:
        result: a sweep.
        folder: where to; it exists. Files of these names are replaced, others left alone.

    Returns:
        The names of the files.

    Raises:
        ImportError: matplotlib is not installed.
        OSError: the folder is missing or cannot be written to.
    """
    drawn = figures(result)
    place = Path(folder)
    with whole_file(place / "summary.txt") as file:
        file.write(f"{result.summary()}\n".encode())
    result.to_csv(place / "table.csv")
    for name, figure in drawn.items():
        plots.save(figure, place / f"{name}.png")
    return ["summary.txt", "table.csv", *(f"{name}.png" for name in drawn)]


def figures(result: SweepResult) -> "dict[str, Figure]":
    """The pictures of a sweep.

    Args:
        result: a sweep.

    Returns:
        By name: "curves", each kind of optimizer at its best setting, and "sensitivity", how much the
        learning rate matters, if at least three were tried.

    Raises:
        ImportError: matplotlib is not installed.
    """
    drawn = {"curves": curves(result)}
    rates = learning_rates(result)
    if rates:
        drawn["sensitivity"] = sensitivity(result, rates)
    return drawn


def curves(result: SweepResult) -> "Figure":
    """Draw how the metric moves, for each kind of optimizer at its best setting.

    Args:
        result: a sweep.

    Returns:
        A figure by `plots.curves`.
    """
    bests = {name: result.best(of=name).index for name in result.groups}
    place = {index: position for position, index in enumerate(result.ranking().tolist())}
    shown, ylabel, log = _as_losses(result, result.curve_of())
    # A metric that first stands after some steps has no place before.
    known = ~np.isnan(shown).all(axis=(0, 1))
    return plots.curves(
        {name: shown[bests[name]][:, known] for name in sorted(bests, key=lambda name: place[bests[name]])},
        ylabel=ylabel,
        steps=result.evaluated_at[known],
        log=log,
        title="Each optimizer at its best setting",
    )


def learning_rates(result: SweepResult) -> dict[str, str]:
    """The learning rates that were swept.

    Args:
        result: a sweep.

    Returns:
        From each kind of optimizer for which at least three were tried, all above 0, to the name of the
        hyperparameter. Of several (two transforms in a chain) it is the one with most values.
    """
    found = {}
    columns = hyperparameters_of(result)
    for name, places in result.groups.items():
        tried = {
            hyperparameter: len(np.unique(column[places]))
            for hyperparameter, column in columns.items()
            if "learning_rate" in (parts := hyperparameter.split("."))
            and parts[-1] in HEIGHTS
            and (column[places] > 0).all()
        }
        most = max(tried, key=lambda hyperparameter: tried[hyperparameter], default="")
        if most and tried[most] >= 3:
            found[name] = most
    return found


def sensitivity(result: SweepResult, rates: Mapping[str, str]) -> "Figure":
    """Draw the metric reached over the learning rate, the other hyperparameters being the best ones for it.

    Args:
        result: a sweep.
        rates: for each kind of optimizer to be drawn, the hyperparameter that is its learning rate.

    Returns:
        A figure by `plots.sensitivity`. Of settings with the same learning rate the best is drawn; if there
        are more than 24 beside other hyperparameters, the best of each of 24 equal intervals is.
    """
    values, ylabel, log = _as_losses(result, result.values())
    rank = np.empty(len(result.optimizers), np.int64)
    rank[result.ranking()] = np.arange(len(result.optimizers))
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
        order = np.lexsort((rank[places], bins))
        best = order[np.unique(bins[order], return_index=True)[1]]
        lines[name] = (rate[best], values[places[best]])
    names = set(rates.values())
    return plots.sensitivity(
        lines,
        xlabel=names.pop() if len(names) == 1 else "learning rate",
        ylabel=f"{ylabel} at the end",
        log=log,
        title="How much the learning rate matters" + ("" if alone else ", the rest at its best"),
    )


def _as_losses(result: SweepResult, values: np.ndarray) -> tuple[np.ndarray, str, bool]:
    # The pictures take low for good: of an accuracy they show the error.
    values = values.astype(np.float64)
    finite = values[np.isfinite(values)]
    if result.mode == "min":
        return values, result.metric, bool((finite >= 0).all() and (finite > 0).any())
    if ((finite >= 0) & (finite <= 1)).all():
        return 1 - values, f"1 − {result.metric}", bool((finite < 1).any())
    return -values, f"−{result.metric}", False
