"""All runs of one structure of optimizer: its cohorts, from rung to rung."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np

from jaxopt_edu.core.transform import Optimizer
from jaxopt_edu.sweeps.engine.host import HostTree
from jaxopt_edu.sweeps.engine.plan import Plan
from jaxopt_edu.sweeps.engine.stages import Stage, Stages
from jaxopt_edu.sweeps.engine.units import Span, Unit, best_runs
from jaxopt_edu.sweeps.engine.worker import Worker
from jaxopt_edu.sweeps.folder.store import Store
from jaxopt_edu.sweeps.pruning import Cohort, Decision, PopulationBased, Rung
from jaxopt_edu.sweeps.space.perturb import perturbed, varying
from jaxopt_edu.training.signals import Pending


class BestRun(NamedTuple):
    """One of the best runs of a group: its value, which it is, and what it ended with."""

    value: float
    row: int  # position in the group
    column: int  # position in the list of seeds
    carry: HostTree


class GroupResult(NamedTuple):
    """What all runs of a group gave.

    Attributes:
        curves: for each name an array of shape (settings, seeds, evaluations), NaN after a run has ended.
        made: the steps that each run made; shape (settings, seeds).
        diverged: which runs diverged; same shape.
        best: the plan's `keep` best runs, best first.
        final: the optimizers as they were at the end.
    """

    curves: dict[str, np.ndarray]
    made: np.ndarray
    diverged: np.ndarray
    best: list[BestRun]
    final: list[Optimizer]


def run_group(
    plan: Plan,
    number: int,
    optimizers: Sequence[Optimizer],
    seeds: Sequence[int],
    store: Store | None,
    report: Callable[[int, float], None],
    pending: Pending,
) -> GroupResult:
    """Run all settings of one structure with all their seeds, as far as the store does not have them.

    Args:
        plan: what all runs have in common.
        number: by which the store knows the group.
        optimizers: the settings.
        seeds: their seeds.
        store: where everything is kept; None for nowhere.
        report: called with the number of steps just made by runs together, and the best value among them.
        pending: whether a signal waits for a safe point.

    Returns:
        What they gave.

    Raises:
        StoppedError: a signal has come.
    """
    worker = Worker(plan, seeds, store, report, pending)
    stages = Stages(plan, number, worker, len(seeds), store, report)
    everybody = [Cohort(tuple(range(len(optimizers))), ())]
    cohorts = everybody if plan.pruner is None else plan.pruner.cohorts(len(optimizers), plan.steps)
    shape = (len(optimizers), len(seeds))
    result = GroupResult({}, np.zeros(shape, int), np.zeros(shape, bool), [], list(optimizers))
    for index, cohort in enumerate(cohorts):
        members = np.array(cohort.members)
        part = _run_cohort(plan, stages, index, [optimizers[i] for i in members], cohort.rungs, report)
        for name, values in part.curves.items():
            unfilled = np.full((*shape, values.shape[-1]), np.nan, np.float32)
            result.curves.setdefault(name, unfilled)[members] = values
        result.made[members], result.diverged[members] = part.made, part.diverged
        for member, final in zip(members, part.final, strict=True):
            result.final[member] = final
        result.best.extend(best._replace(row=int(members[best.row])) for best in part.best)
    return result._replace(
        best=sorted(result.best, key=lambda best: float(plan.oriented(best.value)))[: plan.keep]
    )


def _run_cohort(
    plan: Plan,
    stages: Stages,
    index: int,
    optimizers: list[Optimizer],
    rungs: tuple[int, ...],
    report: Callable[[int, float], None],
) -> GroupResult:
    rows = sources = np.arange(len(optimizers))
    made = np.zeros((len(optimizers), stages.seeds), int)
    diverged_at = np.full_like(made, -1)
    curves: dict[str, np.ndarray] = {}
    done: list[Stage] = []
    names = varying(optimizers) if isinstance(plan.pruner, PopulationBased) else []
    begin = 0
    for end in [plan.evaluated_at.index(step) for step in (*rungs, plan.steps)]:
        stage = Stage(index, len(done), Span(begin, end), rows, sources, optimizers, [])
        stages.run(stage, done)
        done.append(stage)
        for unit in stage.units:
            _write(curves, unit, stage.span, (*made.shape, len(plan.evaluated_at)))
            diverged_at[np.ix_(unit.rows, unit.columns)] = unit.diverged_at
        made[rows] = plan.evaluated_at[end]
        if plan.evaluated_at[end] == plan.steps or plan.pruner is None:
            break
        history = _history(plan, curves[plan.metric][..., : end + 1], diverged_at)
        decision = plan.pruner.decide(Rung(len(done) - 1, rows, history))
        ended = np.setdiff1d(rows, decision.kept)
        report((plan.steps - plan.evaluated_at[end]) * len(ended) * stages.seeds, float("nan"))
        if isinstance(plan.pruner, PopulationBased):
            optimizers = _exchanged(plan.pruner, optimizers, decision, names, len(done))
        rows, sources, begin = decision.kept, decision.sources, end
    diverged, best = diverged_at >= 0, _best(plan, stages, done)
    return GroupResult(curves, np.where(diverged, diverged_at, made), diverged, best, optimizers)


def _write(curves: dict[str, np.ndarray], unit: Unit, span: Span, shape: tuple[int, int, int]) -> None:
    places = np.arange(0 if span.begin == 0 else span.begin + 1, span.end + 1)
    for name, values in unit.curves.items():
        whole = curves.setdefault(name, np.full(shape, np.nan, np.float32))
        # A metric of the loss function that the first stretch gave none of begins later.
        whole[np.ix_(unit.rows, unit.columns, places[-values.shape[-1] :])] = values


def _history(plan: Plan, values: np.ndarray, diverged_at: np.ndarray) -> np.ndarray:
    """Scores of all settings so far, (settings, evaluations): lower is better, ∞ from a divergence on."""
    stops = np.array(plan.evaluated_at[: values.shape[-1]])
    over = (diverged_at >= 0)[..., None] & (stops >= diverged_at[..., None])
    # In float64, where the mean of huge losses does not overflow.
    return np.where(over, np.inf, plan.oriented(values.astype(np.float64))).mean(axis=1)


def _exchanged(
    pruner: PopulationBased,
    optimizers: list[Optimizer],
    decision: Decision,
    names: Sequence[str],
    rung: int,
) -> list[Optimizer]:
    random = np.random.default_rng([pruner.seed, rung, 1])
    changed = list(optimizers)
    for row, source in zip(decision.kept, decision.sources, strict=True):
        if row != source:
            changed[row] = perturbed(optimizers[source], names, lambda: pruner.factor(random))
    return changed


def _best(plan: Plan, stages: Stages, done: Sequence[Stage]) -> list[BestRun]:
    """The cohort's best runs; what they ended with is read only of those."""
    last = done[-1]
    ranked = sorted(
        (
            (plan.oriented(value), place, unit)
            for unit in last.units
            for place, value in enumerate(best_runs(plan, unit)[0])
        ),
        key=lambda each: (each[0], each[2].rows[0], each[1]),
    )
    found = []
    for _, place, unit in ranked[: plan.keep]:
        values, rows, columns = (each[place] for each in best_runs(plan, unit))
        states = stages.best_state(last, done[:-1], unit)
        carry = jax.tree.map(lambda leaf, place=place: leaf[place], states)
        found.append(BestRun(float(values), int(unit.rows[rows]), int(unit.columns[columns]), carry))
    return found
