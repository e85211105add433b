"""What a race over a surface has to say."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxopt_edu import plots
from jaxopt_edu.core.reading import describe
from jaxopt_edu.problems import Surface
from jaxopt_edu.race.drawing import named_paths, race_window
from jaxopt_edu.race.report import Report, count, grid_note, last, numbers
from jaxopt_edu.race.settings import shown_setting
from jaxopt_edu.race.surface import SurfaceResult, target


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
    ranked = sorted(results, key=lambda result: last(result.losses[-1]))
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
            count(result.steps_to_target),
            f"{result.seconds:.1f}",
        )
        for result in ranked
    ]
    notes = [f"target: f ≤ {goal:.3g}, " + _goal_meaning(surface)]
    if max(result.settings_tried for result in results) > 1:
        notes.append(grid_note("lowest last value"))
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


def _surface_details(result: SurfaceResult) -> dict[str, Any]:
    return {
        "hyperparameters": numbers(result.optimizer),
        "path": result.path.tolist(),
        "losses": result.losses.tolist(),
    }


def _goal_meaning(surface: Surface) -> str:
    if surface.minimum is None:
        return "one below the saddle, which the method has then escaped"
    return "1 % of the way from the minimum back to the start"
