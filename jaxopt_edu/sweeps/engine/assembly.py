"""The results of all groups, in the order in which the optimizers were given."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxopt_edu.core.evaluation import evaluation_params
from jaxopt_edu.core.transform import Optimizer
from jaxopt_edu.sweeps.engine.cohorts import GroupResult
from jaxopt_edu.sweeps.engine.groups import Group
from jaxopt_edu.sweeps.engine.host import restored
from jaxopt_edu.sweeps.engine.plan import Plan
from jaxopt_edu.sweeps.results.result import SweepResult
from jaxopt_edu.sweeps.results.runs import TopRun
from jaxopt_edu.training.loop import start


def assemble(
    plan: Plan,
    optimizers: Mapping[str, Optimizer],
    seeds: Sequence[int],
    groups: Sequence[Group],
    results: Sequence[GroupResult],
) -> SweepResult:
    """Put everything in its place.

    Args:
        plan: the sweep.
        optimizers: the settings by their keys, in order.
        seeds: the seeds, in order.
        groups: which runs each group has.
        results: what each group gave.

    Returns:
        The result.
    """
    shape = (len(optimizers), len(seeds))
    row_of = {key: row for row, key in enumerate(optimizers)}
    column_of = {seed: column for column, seed in enumerate(seeds)}
    names = dict.fromkeys(name for result in results for name in result.curves)
    curves = {name: np.full((*shape, len(plan.evaluated_at)), np.nan, np.float32) for name in names}
    made, diverged = np.zeros(shape, int), np.zeros(shape, bool)
    final = list(optimizers.values())
    top = []
    for group, result in zip(groups, results, strict=True):
        rows = [row_of[key] for key in group.keys]
        columns = [column_of[seed] for seed in group.seeds]
        place = np.ix_(rows, columns)
        for name, values in result.curves.items():
            curves[name][place] = values
        made[place], diverged[place] = result.made, result.diverged
        for row, optimizer in zip(rows, result.final, strict=True):
            final[row] = optimizer
        for best in result.best:
            row, column = rows[best.row], columns[best.column]
            carry = restored(best.carry, _like(plan, final[row]))
            number = row * len(seeds) + column
            optimizer, held = final[row], carry.params
            params = evaluation_params(optimizer, carry.state, held)
            whole = plan.frozen.whole
            run = TopRun(number, optimizer, seeds[column], best.value, whole(params), carry.state)
            top.append(
                run._replace(
                    step=int(result.made[best.row, best.column]),
                    model_state=carry.model_state,
                    held=None if params is held else whole(held),
                )
            )
    top.sort(key=lambda run: (plan.oriented(run.value), run.number))
    states = np.where(diverged, "DIVERGED", np.where(made == plan.steps, "COMPLETE", "PRUNED"))
    return SweepResult(
        optimizers=tuple(optimizers.values()),
        seeds=tuple(seeds),
        steps=plan.steps,
        evaluated_at=np.array(plan.evaluated_at),
        curves=curves,
        made=made,
        states=states,
        metric=plan.metric,
        mode=plan.mode,
        top=tuple(top[: plan.keep]),
        final_optimizers=tuple(final),
    )


def _like(plan: Plan, optimizer: Optimizer) -> Any:
    def first(key: jax.Array) -> Any:
        return start(optimizer, plan.init(key), plan.model_state)

    return jax.eval_shape(first, jax.random.key(0))
