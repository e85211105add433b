"""A sweep as a study of Optuna's: its dashboard, its importances and its pictures."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxopt_edu.core.arguments import checked_text, optional
from jaxopt_edu.core.reading import describe
from jaxopt_edu.plots.drawing.scales import chosen_logarithmically
from jaxopt_edu.sweeps.results.runs import Runs
from jaxopt_edu.sweeps.results.tables import hyperparameters_of, kinds_of

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution

# Of a run's curve; each is a transaction of the database.
REPORTS = 10
KIND = "optimizer"


def to_optuna(
    result: Runs, storage: "str | optuna.storages.BaseStorage | None" = None, study_name: str | None = None
) -> "optuna.Study":
    """Write a study with a trial for each setting; what `SweepResult.to_optuna` does.

    Args:
        result: a sweep.
        storage: where to; None for memory.
        study_name: what it is called; None for a name that Optuna makes up.

    Returns:
        The study.
    """
    try:
        import optuna
    except ImportError:
        raise ImportError('to_optuna needs optuna: pip install "jaxopt-edu[optuna]"') from None
    name = optional(checked_text)("to_optuna", "study_name", study_name)
    direction = "minimize" if result.mode == "min" else "maximize"
    study = optuna.create_study(storage=storage, study_name=name, direction=direction)
    for attribute in ("metric", "steps"):
        study.set_user_attr(attribute, getattr(result, attribute))
    columns, distributions = _space(result)
    for setting in range(len(result.optimizers)):
        params = {name: column[setting] for name, column in columns.items() if _is_set(column[setting])}
        state, value = _outcome(result, setting)
        study.add_trial(
            optuna.create_trial(
                state=optuna.trial.TrialState[state],
                value=value,
                params=params,
                distributions={name: distributions[name] for name in params},
                user_attrs={"seeds": len(result.seeds)} | about(result, setting),
                intermediate_values=reports(result, setting),
            )
        )
    return study


def about(result: Runs, setting: int) -> dict[str, Any]:
    """What a trial says of a setting besides its numbers.

    Args:
        result: a sweep.
        setting: which of its optimizers.

    Returns:
        The optimizer in words, the value of each seed (None if it diverged), and where the first diverged.
    """
    values, states = result.values()[setting], result.states[setting]
    diverged = states == "DIVERGED"
    return {
        "optimizer": describe(result.optimizers[setting]),
        "values": [None if math.isnan(value) else value for value in values.tolist()],
        **({"diverged_at": int(result.made[setting][diverged].min())} if diverged.any() else {}),
    }


def reports(result: Runs, setting: int) -> dict[int, float]:
    """The curve of a setting, at no more than REPORTS steps.

    Args:
        result: a sweep.
        setting: which of its optimizers.

    Returns:
        From steps to the means over the seeds, where all of them have a finite value.
    """
    curve = result.curve_of()[setting].astype(np.float64).mean(axis=0)
    known = np.flatnonzero(np.isfinite(curve))
    chosen = np.linspace(0, len(known) - 1, min(REPORTS, len(known))).round().astype(int)
    return {int(result.evaluated_at[place]): float(curve[place]) for place in known[chosen]}


def _outcome(result: Runs, setting: int) -> tuple[str, float | None]:
    value = float(result.values()[setting].mean())
    if math.isnan(value):
        return "FAIL", None
    return ("PRUNED", None) if (result.states[setting] == "PRUNED").any() else ("COMPLETE", value)


def _space(result: Runs) -> "tuple[dict[str, list[Any]], dict[str, BaseDistribution]]":
    """The parameters that vary, a column each, and what each could have been drawn from."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    columns: dict[str, list[Any]] = {}
    distributions: dict[str, BaseDistribution] = {}
    if len(result.groups) > 1:
        columns[KIND] = kinds_of(result).tolist()
        distributions[KIND] = CategoricalDistribution(list(result.groups))
    for name, column in hyperparameters_of(result).items():
        tried = np.unique(column[~np.isnan(column)])
        if len(tried) < 2 or not np.isfinite(tried).all():
            continue  # nothing to learn from, or an infinity, which Optuna does not know
        # As `optimize` calls it: numbers close to 1, such as b2, are drawn by their distance from it.
        if chosen_logarithmically(1 - tried) and not chosen_logarithmically(tried):
            name, column, tried = f"1 - {name}", 1 - column, 1 - tried
        columns[name] = column.tolist()
        log = chosen_logarithmically(tried)
        distributions[name] = FloatDistribution(float(tried.min()), float(tried.max()), log=log)
    return columns, distributions


def _is_set(value: Any) -> bool:
    return isinstance(value, str) or not math.isnan(value)
