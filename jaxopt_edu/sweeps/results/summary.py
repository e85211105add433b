"""A sweep in words."""

import numpy as np

from jaxopt_edu.core.reading import describe
from jaxopt_edu.sweeps.results.runs import Best, Runs
from jaxopt_edu.sweeps.results.tables import hyperparameters_of


def text(result: Runs) -> str:
    """The sweep as text; what `SweepResult.summary` gives.

    Args:
        result: a sweep.

    Returns:
        Text of several lines.
    """
    bests, values = result.bests(), result.values()
    columns = hyperparameters_of(result)
    head = ("optimizer", result.metric, "within 10 %", "complete", "pruned", "diverged", "best setting")
    lines = [head, *(_line(result, name, best, values) for name, best in bests.items())]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    # Names and settings begin at the left; what is counted ends at the right.
    table = [
        "  ".join(
            cell.ljust(width) if column in (0, 1, 6) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    warnings = [
        f"{name}: the best {hyperparameter}, {value:g}, is the {end} tried; a better one may lie beyond."
        for name, best in bests.items()
        for hyperparameter, value, end in _edges(best, result.groups[name], columns)
    ]
    return "\n".join([*_title(result), "", *table, *([""] if warnings else []), *warnings])


def _title(result: Runs) -> list[str]:
    runs, seeds = result.states.size, len(result.seeds)
    counts = [
        f"{int((result.states == state).sum())} {state.lower()}"
        for state in ("COMPLETE", "PRUNED", "DIVERGED")
    ]
    better = "lower" if result.mode == "min" else "higher"
    spread = f"mean ± standard error over {seeds} seeds" if seeds > 1 else "one seed"
    return [
        f"{len(result.optimizers)} settings × {seeds} seeds = {runs} runs of {result.steps} steps: "
        f"{', '.join(counts)}",
        f"{result.metric}: {spread}, {better} is better",
        "within 10 %: the share of an optimizer's settings that make 90 % of its best one's improvement",
    ]


def _line(result: Runs, name: str, best: Best, values: np.ndarray) -> tuple[str, ...]:
    states = result.states[result.groups[name]]
    share = _sensitivity(result, name, best, values)
    return (
        name,
        _measured(best),
        "–" if np.isnan(share) else f"{100 * share:.0f} %",
        *(str(int((states == state).sum())) for state in ("COMPLETE", "PRUNED", "DIVERGED")),
        describe(best.optimizer),
    )


def _measured(best: Best) -> str:
    if np.isnan(best.mean):
        return "diverged"
    return f"{best.mean:.4g}" + ("" if np.isnan(best.standard_error) else f" ± {best.standard_error:.2g}")


def sensitivity(result: Runs, name: str) -> float:
    """The share of an optimizer's settings that come within 10 % of its best one.

    A setting does if it makes at least 90 % of the best setting's improvement:

        |value − best| ≤ 0.1 · |start − best|,  with the means over the seeds, start at step 0

    It is measured from the start and not from 0, so that losses near 0 or below it, and accuracies, are no
    special cases.

    Args:
        result: a sweep.
        name: a kind of optimizer in it.

    Returns:
        Between 0 and 1; a diverged setting is not within. NaN if even the best one diverged, and if settings
        were pruned, of which nobody knows where they would have come.
    """
    return _sensitivity(result, name, result.best(of=name), result.values())


def _sensitivity(result: Runs, name: str, best: Best, values: np.ndarray) -> float:
    group = result.groups[name]
    start = float(result.curve_of()[best.index, :, 0].astype(np.float64).mean())
    pruned = (result.states[group] == "PRUNED").any()
    if pruned or np.isnan(best.mean) or not np.isfinite(start):
        return float("nan")
    means = values[group].mean(axis=1)
    return float((np.abs(means - best.mean) <= 0.1 * abs(start - best.mean)).mean())


def edges(result: Runs, name: str) -> list[tuple[str, float, str]]:
    """The hyperparameters of an optimizer whose best value is the lowest or the highest that was tried.

    Args:
        result: a sweep.
        name: a kind of optimizer in it.

    Returns:
        Hyperparameter, its best value, and "lowest" or "highest", for each of which at least three values
        were tried. A lowest value of 0 does not count, as it is where hyperparameters end.
    """
    return _edges(result.best(of=name), result.groups[name], hyperparameters_of(result))


def _edges(best: Best, group: np.ndarray, columns: dict[str, np.ndarray]) -> list[tuple[str, float, str]]:
    if np.isnan(best.mean):
        return []
    found = []
    for hyperparameter, column in columns.items():
        if np.isnan(column[best.index]):
            continue
        value, tried = column[best.index], np.unique(column[group])
        if len(tried) < 3:
            continue
        if value == tried[-1]:
            found.append((hyperparameter, float(value), "highest"))
        elif value == tried[0] != 0:
            found.append((hyperparameter, float(value), "lowest"))
    return found
