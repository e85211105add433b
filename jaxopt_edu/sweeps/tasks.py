"""What a sweep trains: said piece by piece, or by a problem that has all pieces."""

from collections.abc import Callable
from typing import Any, NamedTuple

from jaxopt_edu.core.checks import short
from jaxopt_edu.problems.problem import Problem
from jaxopt_edu.sweeps.results.runs import Mode


class Task(NamedTuple):
    """The arguments of `sweep` that a problem decides, as `sweep` has them."""

    loss_fn: Any
    params_or_init: Any
    optimizers: Any
    data: Any
    steps: int | None
    batch_size: int | None
    evaluate: Callable[..., Any] | None
    metric: str | None
    mode: Mode


def of_problem(problem: Problem, task: Task) -> Task:
    """The pieces of a problem that stands where a loss function would.

    Args:
        problem: it.
        task: what `sweep` was given, the optimizers as its second or third argument.

    Returns:
        The same with the problem's own pieces; its steps, batch size and metric only where none were given.

    Raises:
        TypeError: there is data, a start or an evaluation besides the problem's.
    """
    first, optimizers = task.params_or_init, task.optimizers
    if optimizers is None:
        first, optimizers = None, first
    for name, given in (("params_or_init", first), ("data", task.data), ("evaluate", task.evaluate)):
        if given is not None:
            raise TypeError(
                f"sweep: {name} = {short(given)}, but the problem {problem.name} has its own: leave it out, "
                "or give the pieces one by one, as sweep(problem.loss, problem.init, …, **problem.setup)."
            )
    chosen = (problem.metric, problem.mode) if task.metric is None else (task.metric, task.mode)
    return Task(
        problem.loss,
        problem.init,
        optimizers,
        problem.data,
        task.steps or problem.steps,
        task.batch_size or problem.batch_size,
        problem.evaluate,
        *chosen,
    )
