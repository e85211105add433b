"""What a sweep has to say, as files: the summary, the table, and those pictures that make sense of it."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jaxopt_edu import plots
from jaxopt_edu.core.reading import describe
from jaxopt_edu.files import whole_file
from jaxopt_edu.sweeps.results import pictures
from jaxopt_edu.sweeps.results.axes import learning_rates, two_that_matter, varying
from jaxopt_edu.sweeps.results.result import SweepResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Of fewer settings a table says as much as lines through all hyperparameters, or as the best of n of them.
MANY = 10


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
        By name, as far as they make sense:

        - "curves", each kind of optimizer at its best setting;
        - "sensitivity", how much the learning rate matters, where at least three were tried;
        - "heat-map-adam" and so on, for each kind of which two hyperparameters had at least three values;
        - "parallel", all settings, if there are ten or more, and two hyperparameters vary;
        - "budget", the best of n settings, if a kind has ten or more, and none was pruned: nobody knows where
          those would have come.

        After population-based training only the curves: what a run reached, it owes to several settings.

    Raises:
        ImportError: matplotlib is not installed.
    """
    drawn = {"curves": pictures.curves(result)}
    if _moved(result):
        return drawn
    if rates := learning_rates(result):
        drawn["sensitivity"] = pictures.sensitivity(result, rates)
    finite = np.isfinite(result.values().mean(axis=1))
    for name, places in result.groups.items():
        pair = two_that_matter(result, name)
        if pair is not None and finite[places].any():
            drawn[f"heat-map-{_in_file_names(name)}"] = pictures.heat_map(result, name, *pair)
    names = varying(result)
    if len(names) >= 2 and len(result.optimizers) >= MANY and finite.any():
        drawn["parallel"] = pictures.parallel(result, names)
    most = max(map(len, result.groups.values()))
    if most >= MANY and finite.any() and not (result.states == "PRUNED").any():
        drawn["budget"] = pictures.budget(result)
    return drawn


def _moved(result: SweepResult) -> bool:
    pairs = zip(result.optimizers, result.final_optimizers, strict=True)
    return any(describe(first) != describe(last) for first, last in pairs)


def _in_file_names(name: str) -> str:
    return re.sub(r"[^\w.]+", "-", name).strip("-")
