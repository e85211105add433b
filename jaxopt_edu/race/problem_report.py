"""What a race on a problem has to say."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxopt_edu import plots
from jaxopt_edu.core.naming import hyperparameters
from jaxopt_edu.core.reading import describe
from jaxopt_edu.problems import Problem
from jaxopt_edu.race.problem import ProblemResult
from jaxopt_edu.race.report import Report, grid_note, last, spread
from jaxopt_edu.race.settings import shown_setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def problem_report(problem: Problem, results: Sequence[ProblemResult]) -> Report:
    """Say what happened on a problem.

    Args:
        problem: what was trained.
        results: one a method.

    Returns:
        Table and pictures.
    """
    sign = 1 if problem.mode == "min" else -1
    ranked = sorted(results, key=lambda result: last(sign * result.found.best().mean))
    records = [_record(result) for result in ranked]
    first = results[0].found
    rows = [
        (
            record["method"],
            shown_setting(result.found.best().optimizer) + ("  (edge)" if record["edge_of_grid"] else ""),
            spread(record["chosen"], record["chosen_spread"], ".4g"),
            spread(record["test"], record["test_spread"], ".4g"),
            f"{result.seconds:.1f}",
        )
        for record, result in zip(records, ranked, strict=True)
    ]
    better = "the lower the better" if problem.mode == "min" else "the higher the better"
    notes = [
        problem.why,
        f"{problem.metric}: by which the best is chosen, {better}; {problem.trivial:.4g} is "
        f"{problem.trivial_is}; ± is the standard deviation over {len(first.seeds)} seeds",
        "seconds: all runs of the method together, compilation included",
    ]
    if any(len(result.found.optimizers) > 1 for result in results):
        notes.insert(2, grid_note(f"best mean {problem.metric}"))
    if any(record["edge_of_grid"] for record in records):
        notes.append(
            "(edge): the best learning rate is the first or last one tried; a better one may lie beyond"
        )
    return Report(
        name=problem.name,
        title=f"{problem.name}: {first.steps:,} steps, {len(first.seeds)} seeds",
        columns=("method", "best setting", problem.metric, "test", "seconds"),
        rows=rows,
        records=records,
        details={
            "problem": problem.name,
            "fingerprint": problem.fingerprint._asdict(),
            "seeds": list(first.seeds),
            "runs": {result.method: _details(problem, result) for result in results},
        },
        notes=tuple(notes),
        figures=_figures(problem, results),
    )


def _record(result: ProblemResult) -> dict[str, Any]:
    best, settings = result.found.best(), len(result.found.optimizers)
    test = result.found.curves["test"][best.index, :, -1].astype(np.float64)
    return {
        "method": result.method,
        "setting": describe(best.optimizer),
        "chosen": float(np.mean(best.values)),
        "chosen_spread": float(np.std(best.values)) if np.isfinite(best.values).all() else float("nan"),
        "test": float(test.mean()),
        "test_spread": float(test.std()) if np.isfinite(test).all() else float("nan"),
        "edge_of_grid": settings > 1 and best.index in (0, settings - 1),
        "runs": settings * len(result.found.seeds),
        "seconds": round(result.seconds, 3),
    }


def _details(problem: Problem, result: ProblemResult) -> dict[str, Any]:
    return {
        "settings": [describe(optimizer) for optimizer in result.found.optimizers],
        "steps": result.found.evaluated_at.tolist(),
        problem.metric: result.found.curves[problem.metric].tolist(),
        "test": result.found.curves["test"].tolist(),
    }


def _figures(problem: Problem, results: Sequence[ProblemResult]) -> "dict[str, Figure]":
    chosen = {result.method: result.found.curves[problem.metric] for result in results}
    # A gap to what is best possible may be a rounding below 0.
    shown: dict[str, Any] = {"mode": problem.mode}
    if not all(np.all(values[np.isfinite(values)] > 0) for values in chosen.values()):
        shown["log"] = False
    figures = {
        "curves": plots.curves(
            {result.method: chosen[result.method][result.found.best().index] for result in results},
            ylabel=problem.metric,
            steps=results[0].found.evaluated_at,
            threshold=problem.target,
            title=f"{problem.name}: each method at its best learning rate",
            **shown,
        )
    }
    grids = {
        result.method: (
            [hyperparameters(optimizer)["learning_rate"] for optimizer in result.found.optimizers],
            chosen[result.method][:, :, -1],
        )
        for result in results
        if len(result.found.optimizers) > 1
    }
    if grids:
        figures["sensitivity"] = plots.sensitivity(
            grids,
            ylabel=f"{problem.metric} at the end",
            title=f"{problem.name}: how much the learning rate matters",
            **shown,
        )
    return figures
