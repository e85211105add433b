"""What a race has to say: a table, its numbers as CSV and JSON, and the pictures."""

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxopt_edu import plots
from jaxopt_edu.core.naming import hyperparameters
from jaxopt_edu.race.settings import LEARNING_RATES

if TYPE_CHECKING:
    from matplotlib.figure import Figure


EDGE = "(edge): the best learning rate is the first or last one tried; a better one may lie beyond"


class Report(NamedTuple):
    """One problem's part of a race.

    Attributes:
        name: the problem's name; the files' names begin with it.
        title: one line above the table.
        columns: the table's heads.
        rows: the table's cells as shown, one row a method, best first.
        records: the same table as numbers, for CSV and JSON.
        details: everything measured, for JSON.
        notes: lines below the table.
        figures: pictures by name.
        animations: encoded ones, by the rest of the file's name.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    records: list[dict[str, Any]]
    details: dict[str, Any]
    notes: tuple[str, ...]
    figures: "Mapping[str, Figure]"
    animations: Mapping[str, bytes] = MappingProxyType({})

    def write(self, folder: Path) -> list[str]:
        """Write the table as CSV and JSON, the pictures as PNG and the animations into a folder that exists.

        Args:
            folder: where to.

        Returns:
            The names of the files.
        """
        with open(folder / f"{self.name}.csv", "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(self.records[0]))
            writer.writeheader()
            writer.writerows(self.records)
        content = {"title": self.title, "notes": self.notes, "table": self.records, **self.details}
        text = json.dumps(_finite(content), indent=1, ensure_ascii=False, allow_nan=False)
        (folder / f"{self.name}.json").write_text(text + "\n", encoding="utf-8")
        for name, figure in self.figures.items():
            plots.save(figure, folder / f"{self.name}-{name}.png")
        for name, content in self.animations.items():
            (folder / f"{self.name}-{name}").write_bytes(content)
        return [
            f"{self.name}.csv",
            f"{self.name}.json",
            *(f"{self.name}-{name}.png" for name in self.figures),
            *(f"{self.name}-{name}" for name in self.animations),
        ]


def numbers(optimizer: Any) -> dict[str, float]:
    """An optimizer's hyperparameters, as JSON wants them."""
    return {name: float(value) for name, value in hyperparameters(optimizer).items()}


def grid_note(criterion: str) -> str:
    """What stands below a table of methods that each tried all learning rates.

    Args:
        criterion: of which that is shown has the best.

    Returns:
        A line.
    """
    low, high = LEARNING_RATES[0], LEARNING_RATES[-1]
    return (
        f"each method tried the same {len(LEARNING_RATES)} learning rates from {low:.2g} to {high:g} "
        f"(others as given); the one with the {criterion} is shown"
    )


def spread(value: float, deviation: float, form: str) -> str:
    """A mean and its deviation over the seeds, as a table shows them.

    Args:
        value: the mean.
        deviation: the standard deviation.
        form: how numbers are written, as ".1e".

    Returns:
        Both, or that runs diverged.
    """
    return f"{value:{form}} ± {deviation:{form}}" if np.isfinite(value) else "diverged"


def count(value: float | None) -> str:
    """A number of steps, or that there is none."""
    return "–" if value is None else f"{value:g}"


def last(value: float) -> float:
    """What to sort by, so that what diverged comes last."""
    return float(value) if np.isfinite(value) else float("inf")


def _finite(tree: Any) -> Any:
    # JSON has no NaN or infinity; a diverged run's numbers become null.
    if isinstance(tree, dict):
        return {name: _finite(branch) for name, branch in tree.items()}
    if isinstance(tree, list | tuple):
        return [_finite(branch) for branch in tree]
    return None if isinstance(tree, float) and not np.isfinite(tree) else tree
