"""What `evaluate` gives: a number, or several by name."""

from collections.abc import Callable
from typing import Any

import jax

from jaxopt_edu.training.best import Judge
from jaxopt_edu.training.history import check_values
from jaxopt_edu.training.loop import Carry


def evaluation_of(evaluate: Callable[..., Any] | None, carry: Carry) -> dict[str, Any]:
    """Evaluate a moment of a run.

    Args:
        evaluate: `evaluate(params)`, or `evaluate(params, model_state)` with a model state; None for nothing.
        carry: the moment.

    Returns:
        What it gives by name; a single number is named "value".
    """
    if evaluate is None:
        return {}
    values = evaluate(*_arguments(carry))
    return values if isinstance(values, dict) else {"value": values}


def check_evaluation(evaluate: Callable[..., Any] | None, judge: Judge, carry: Carry) -> None:
    """Refuse before the first step an evaluation that gives no numbers, or not the one to judge by.

    Only a function that jit has compiled, or a partial of one, can be asked without being called; of any
    other this is seen when it is called first.

    Args:
        evaluate: the function.
        judge: what wants a number of it.
        carry: where a run begins.

    Raises:
        TypeError: it gives something else than arrays of numbers.
        ValueError: what the run is to be judged by is not among them.
    """
    if evaluate is None or not isinstance(getattr(evaluate, "func", evaluate), jax.stages.Wrapped):
        return
    values = jax.eval_shape(evaluate, *_arguments(carry))
    values = values if isinstance(values, dict) else {"value": values}
    check_values(values)
    judge.check(values)


def _arguments(carry: Carry) -> tuple[Any, ...]:
    return (carry.params,) if carry.model_state is None else (carry.params, carry.model_state)
