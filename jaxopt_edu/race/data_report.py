"""What a race on data has to say."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxopt_edu import plots
from jaxopt_edu.core.naming import hyperparameters
from jaxopt_edu.core.reading import describe
from jaxopt_edu.race.learning import LearningResult
from jaxopt_edu.race.report import EDGE, Report, count, grid_note, last, numbers, spread
from jaxopt_edu.race.settings import shown_setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TARGET_LOSS = 0.003  # about a thousandth of what guessing among ten classes costs, ln 10


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
    ranked = sorted(results, key=lambda result: last(_final_losses(result).mean()))
    records = [_data_record(result) for result in ranked]
    rows = [
        (
            record["method"],
            shown_setting(result.optimizers[result.best]) + ("  (edge)" if record["edge_of_grid"] else ""),
            spread(record["loss"], record["loss_spread"], ".1e"),
            spread(100 * record["accuracy"], 100 * record["accuracy_spread"], ".1f"),
            count(record["steps_to_target"]),
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
        notes.insert(1, grid_note("lowest mean training loss"))
    if any(record["edge_of_grid"] for record in records):
        notes.append(EDGE)
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


def _data_details(result: LearningResult) -> dict[str, Any]:
    return {
        "settings": [numbers(optimizer) for optimizer in result.optimizers],
        "steps": result.steps.tolist(),
        "losses": result.losses.tolist(),
        "accuracies": result.accuracies.tolist(),
    }
