"""What a race has to say: a table, its numbers as CSV and JSON, and the pictures."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxopt_edu import plots
from jaxopt_edu.core.naming import hyperparameters
from jaxopt_edu.core.reading import describe
from jaxopt_edu.problems import Surface
from jaxopt_edu.race.drawing import named_paths, race_window
from jaxopt_edu.race.learning import LearningResult
from jaxopt_edu.race.settings import LEARNING_RATES, shown_setting
from jaxopt_edu.race.surface import SurfaceResult, target

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TARGET_LOSS = 0.003  # about a thousandth of what guessing among ten classes costs, ln 10


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


def surface_report(surface: Surface, results: Sequence[SurfaceResult]) -> Report:
    """Say what happened on a surface.

    Args:
        surface: the surface raced on.
        results: one a method.

    Returns:
        Table and pictures.
    """
    steps = len(results[0].losses) - 1
    goal = target(surface)
    ranked = sorted(results, key=lambda result: _last(result.losses[-1]))
    records = [
        {
            "method": result.method,
            "setting": describe(result.optimizer),
            "loss": float(result.losses[-1]),
            "steps_to_target": result.steps_to_target,
            "seconds": round(result.seconds, 3),
        }
        for result in ranked
    ]
    rows = [
        (
            result.method,
            shown_setting(result.optimizer),
            f"{result.losses[-1]:.2e}" if np.isfinite(result.losses[-1]) else "diverged",
            _count(result.steps_to_target),
            f"{result.seconds:.1f}",
        )
        for result in ranked
    ]
    notes = [f"target: f ≤ {goal:.3g}, " + _goal_meaning(surface)]
    if max(result.settings_tried for result in results) > 1:
        notes.append(_grid_note("lowest last value"))
    start = ", ".join(f"{x:g}" for x in surface.start).replace("-", "−")
    title = f"{surface.name}: {surface.formula} from ({start}), {steps} steps"
    return Report(
        name=surface.name,
        title=title,
        columns=("method", "setting", "f at the end", "steps to target", "seconds"),
        rows=rows,
        records=records,
        details={"target": goal, "runs": {result.method: _surface_details(result) for result in results}},
        notes=tuple(notes),
        figures={
            "paths": plots.paths(
                surface.function,
                race_window(surface, results),
                named_paths(results),
                minima=surface.minima,
                start=surface.start,
                title=title,
            ),
        },
    )


def data_report(name: str, results: Sequence[LearningResult], *, seeds: int) -> Report:
    """Say what happened on a data set.

    Args:
        name: the data set's name.
        results: one a method.
        seeds: number of seeds of each setting.

    Returns:
        Table and pictures.
    """
    steps = int(results[0].steps[-1])
    ranked = sorted(results, key=lambda result: _last(_final_losses(result).mean()))
    records = [_data_record(result) for result in ranked]
    rows = [
        (
            record["method"],
            shown_setting(result.optimizers[result.best]) + ("  (edge)" if record["edge_of_grid"] else ""),
            _spread(record["loss"], record["loss_spread"], ".1e"),
            _spread(100 * record["accuracy"], 100 * record["accuracy_spread"], ".1f"),
            _count(record["steps_to_target"]),
            f"{result.seconds:.1f}",
        )
        for record, result in zip(records, ranked, strict=True)
    ]
    notes = [
        f"± is the standard deviation over {seeds} seeds; target: training loss ≤ {TARGET_LOSS:g} "
        f"(median over seeds; looked at every {results[0].steps[1]} steps); accuracy is on the test set",
        "seconds: all runs of the method together, compilation included",
    ]
    if any(len(result.optimizers) > 1 for result in results):
        notes.insert(1, _grid_note("lowest mean training loss"))
    if any(record["edge_of_grid"] for record in records):
        notes.append(
            "(edge): the best learning rate is the first or last one tried; a better one may lie beyond"
        )
    return Report(
        name=name,
        title=f"{name}: MLP with two hidden layers of 32, batches of 128, {steps} steps, {seeds} seeds",
        columns=("method", "best setting", "training loss", "accuracy %", "steps to target", "seconds"),
        rows=rows,
        records=records,
        details={
            "target": TARGET_LOSS,
            "seeds": seeds,
            "runs": {result.method: _data_details(result) for result in results},
        },
        notes=tuple(notes),
        figures=_data_figures(name, results),
    )


def _data_record(result: LearningResult) -> dict[str, Any]:
    losses, accuracies = _final_losses(result), result.accuracies[result.best, :, -1]
    settings = len(result.optimizers)
    return {
        "method": result.method,
        "setting": describe(result.optimizers[result.best]),
        "loss": float(losses.mean()),
        "loss_spread": float(losses.std()) if np.isfinite(losses).all() else float("nan"),
        "accuracy": float(accuracies.mean()),
        "accuracy_spread": float(accuracies.std()),
        "steps_to_target": result.steps_to(TARGET_LOSS),
        "edge_of_grid": settings > 1 and result.best in (0, settings - 1),
        "runs": int(np.prod(result.losses.shape[:2])),
        "seconds": round(result.seconds, 3),
    }


def _final_losses(result: LearningResult) -> np.ndarray:
    # In float64, where the square of a huge loss does not overflow.
    return result.losses[result.best, :, -1].astype(np.float64)


def _data_figures(name: str, results: Sequence[LearningResult]) -> "dict[str, Figure]":
    curves = {result.method: result.losses[result.best] for result in results}
    figures = {
        "curves": plots.curves(
            curves,
            ylabel="training loss",
            steps=results[0].steps,
            threshold=TARGET_LOSS,
            title=f"{name}: each method at its best learning rate",
        )
    }
    grids = {
        result.method: (
            [hyperparameters(optimizer)["learning_rate"] for optimizer in result.optimizers],
            result.losses[:, :, -1],
        )
        for result in results
        if len(result.optimizers) > 1
    }
    if grids:
        figures["sensitivity"] = plots.sensitivity(
            grids, ylabel="training loss at the end", title=f"{name}: how much the learning rate matters"
        )
    return figures


def _surface_details(result: SurfaceResult) -> dict[str, Any]:
    return {
        "hyperparameters": _numbers(result.optimizer),
        "path": result.path.tolist(),
        "losses": result.losses.tolist(),
    }


def _data_details(result: LearningResult) -> dict[str, Any]:
    return {
        "settings": [_numbers(optimizer) for optimizer in result.optimizers],
        "steps": result.steps.tolist(),
        "losses": result.losses.tolist(),
        "accuracies": result.accuracies.tolist(),
    }


def _numbers(optimizer: Any) -> dict[str, float]:
    return {name: float(value) for name, value in hyperparameters(optimizer).items()}


def _goal_meaning(surface: Surface) -> str:
    if surface.minimum is None:
        return "one below the saddle, which the method has then escaped"
    return "1 % of the way from the minimum back to the start"


def _grid_note(criterion: str) -> str:
    low, high = LEARNING_RATES[0], LEARNING_RATES[-1]
    return (
        f"each method tried the same {len(LEARNING_RATES)} learning rates from {low:.2g} to {high:g} "
        f"(others as given); the one with the {criterion} is shown"
    )


def _spread(value: float, spread: float, form: str) -> str:
    return f"{value:{form}} ± {spread:{form}}" if np.isfinite(value) else "diverged"


def _count(value: float | None) -> str:
    return "–" if value is None else f"{value:g}"


def _last(value: float) -> float:
    return float(value) if np.isfinite(value) else float("inf")


def _finite(tree: Any) -> Any:
    # JSON has no NaN or infinity; a diverged run's numbers become null.
    if isinstance(tree, dict):
        return {name: _finite(branch) for name, branch in tree.items()}
    if isinstance(tree, list | tuple):
        return [_finite(branch) for branch in tree]
    return None if isinstance(tree, float) and not np.isfinite(tree) else tree
