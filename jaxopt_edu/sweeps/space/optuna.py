"""A sweep driven by an optuna study: its sampler says what to try next, a batch at a time.

The study's storage and dashboard work as ever, and a study in a database goes on where it stopped.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from jaxopt_edu.core.checks import checked_whole
from jaxopt_edu.core.distributions import as_distribution
from jaxopt_edu.core.quantiles import (
    Choice,
    Distribution,
    LogUniform,
    Normal,
    OneMinus,
    QUniform,
    RandInt,
    Uniform,
)
from jaxopt_edu.core.reading import show
from jaxopt_edu.core.transform import Optimizer
from jaxopt_edu.sweeps.results.result import SweepResult
from jaxopt_edu.sweeps.results.study import about, reports
from jaxopt_edu.sweeps.space.settings import Factory, build

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution


def optimize(
    study: "optuna.Study",
    factory: Factory,
    run: Callable[[list[Optimizer]], SweepResult],
    *,
    trials: int,
    batch: int,
    **distributions: Any,
) -> list[SweepResult]:
    """Ask a study for settings, sweep them, tell it what came out, and again.

    A trial's value is the mean over the seeds. A diverged setting is told as pruned without a value, which
    samplers take for the worst there is: of a failed trial they would learn nothing, and try its like again.
    A pruned one is told as pruned, with the values that it had. A sampler that has tried all there is
    (`GridSampler`, `BruteForceSampler`), or `study.stop()` within run, ends it after that batch. Batches of
    one size compile once. Samplers that learn from each trial suit small batches; for `TPESampler`,
    `constant_liar=True` keeps a batch apart.

    Args:
        study: an `optuna.Study` of one objective, with any sampler and storage.
        factory: a function that returns an optimizer, or an optimizer of which numbers are to be replaced.
        run: sweeps a list of optimizers, as
            `lambda optimizers: sweep(loss_fn, init, optimizers, data, steps=500)` does.
        trials: how many settings to try, beside those that the study has already.
        batch: how many of them at a time.
        **distributions: as for `sample`.

    Returns:
        The sweeps, one a batch; fewer than were asked for if the study was stopped.

    Raises:
        ValueError: trials or batch is below 1, the study has several objectives or goes the other way than
            the sweep, a hyperparameter does not exist or is refused. Trials that were asked for are then told
            as failed.
        ImportError: optuna is not installed.
    """
    try:
        import optuna
    except ImportError:
        raise ImportError('an optuna study needs optuna: pip install "jaxopt-edu[optuna]"') from None
    trials, batch = checked_whole("optimize", "trials", trials), checked_whole("optimize", "batch", batch)
    if len(study.directions) != 1:
        raise ValueError(
            f"optimize: the study has {len(study.directions)} objectives, but runs are ranked by one metric."
        )
    asked = {name: as_distribution("optimize", name, given) for name, given in distributions.items()}
    drawn = {name: distribution for name, distribution in asked.items() if distribution is not None}
    spaces = dict(_space(name, distribution) for name, distribution in drawn.items())
    results = []
    with _stops(study) as stopped:
        for begin in range(0, trials, batch):
            if stopped:
                break
            tried = [study.ask(spaces) for _ in range(min(batch, trials - begin))]
            try:
                rows = [
                    distributions | {name: _value(name, each, trial.params) for name, each in drawn.items()}
                    for trial in tried
                ]
                optimizers = build("optimize", factory, distributions, rows)
                result = run(optimizers)
                _check(study, result, len(tried))
                for i, trial in enumerate(tried):
                    _tell(study, trial, result, i)
            except BaseException:
                for trial in tried:
                    study.tell(trial, state=optuna.trial.TrialState.FAIL, skip_if_finished=True)
                raise
            results.append(result)
    return results


@contextmanager
def _stops(study: "optuna.Study") -> "Iterator[list[bool]]":
    """Whether somebody has called `study.stop`, which is refused outside of `Study.optimize`."""
    stopped: list[bool] = []
    study.stop = lambda: stopped.append(True)  # type: ignore[method-assign]
    try:
        yield stopped
    finally:
        del study.stop


def _space(name: str, distribution: Distribution) -> "tuple[str, BaseDistribution]":
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    match distribution:
        case Uniform(low, high):
            return name, FloatDistribution(low, high)
        case LogUniform(low, high):
            return name, FloatDistribution(low, high, log=True)
        case QUniform(low, _, q):
            # optuna wants the end to be one of the values.
            return name, FloatDistribution(low, distribution.quantile(1.0), step=q)
        case RandInt(low, high):
            return name, IntDistribution(low, high - 1)
        case Choice():
            return name, CategoricalDistribution(_labels(distribution))
        case OneMinus(of):
            return _space(f"1 - {name}", of)
        case Normal():
            # optuna has no bell curve, but through its quantiles every sampler can draw from one.
            return f"{name}.quantile", FloatDistribution(2.0**-53, 1 - 2.0**-53)


def _value(name: str, distribution: Distribution, params: dict[str, Any]) -> Any:
    if isinstance(distribution, OneMinus):
        return 1 - _value(f"1 - {name}", distribution.of, params)
    if isinstance(distribution, Normal):
        return distribution.quantile(params[f"{name}.quantile"])
    if isinstance(distribution, Choice):
        return distribution.options[_labels(distribution).index(params[name])]
    return params[name]


def _labels(choice: Choice) -> list[Any]:
    options = choice.options
    storable = all(isinstance(option, bool | int | float | str | None) for option in options)
    if storable and len(set(options)) == len(options):
        return list(options)
    # A database takes text for a schedule, and may not take 0 for False.
    return [f"{position}: {show(option)}" for position, option in enumerate(options)]


def _check(study: "optuna.Study", result: SweepResult, trials: int) -> None:
    if len(result.optimizers) != trials:
        raise ValueError(
            f"optimize: run returned a sweep of {len(result.optimizers)} settings for {trials} optimizers."
        )
    direction = study.direction.name.lower()
    if direction[:3] != result.mode:
        raise ValueError(
            f"optimize: the study is to {direction} its objective, but the sweep ranks by the "
            f"{result.mode} of {result.metric}; create the study with direction='{result.mode}imize'."
        )


def _tell(study: "optuna.Study", trial: "optuna.Trial", result: SweepResult, setting: int) -> None:
    from optuna.trial import TrialState

    for name, value in about(result, setting).items():
        trial.set_user_attr(name, value)
    states = result.states[setting]
    if (states == "DIVERGED").any():
        study.tell(trial, state=TrialState.PRUNED)
        return
    for step, value in reports(result, setting).items():
        trial.report(value, step)
    if (states == "PRUNED").any():
        study.tell(trial, state=TrialState.PRUNED)
    else:
        study.tell(trial, float(result.values()[setting].mean()))
