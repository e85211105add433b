"""What the rate tests are given, checked and named before the first step."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import optax
from jax.core import Tracer

from jaxopt_edu.core.checks import POSITIVE, checked_number, short
from jaxopt_edu.core.editing import replace
from jaxopt_edu.core.foreign import checked_transform
from jaxopt_edu.core.hints import hint
from jaxopt_edu.core.naming import hyperparameters, is_number, settings
from jaxopt_edu.core.reading import describe
from jaxopt_edu.core.transform import Optimizer

RATE = "learning_rate"


def checked_range(owner: str, low: Any, high: Any) -> tuple[float, float]:
    """The smallest and the largest rate.

    Raises:
        TypeError: one is not a number.
        ValueError: one is not above 0, or low is not below high.
    """
    ends = [checked_number(owner, name, value, POSITIVE) for name, value in (("low", low), ("high", high))]
    for name, end in zip(("low", "high"), ends, strict=True):
        if isinstance(end, Tracer):
            raise TypeError(f"{owner}: {name} is traced, but how runs are planned depends on it.")
    first, last = map(float, ends)
    if not first < last:
        raise ValueError(f"{owner}: low = {low!r} is not below high = {high!r}; rates go from low to high.")
    return first, last


def checked_name(owner: str, optimizer: Any, name: Any) -> str:
    """The hyperparameter that is varied.

    Args:
        owner: the function's name, for the errors.
        optimizer: what is tested.
        name: what was asked for; None for the learning rate.

    Returns:
        A name as `settings` gives them.

    Raises:
        TypeError: the optimizer is none, or the name is no text.
        ValueError: there is no such number, or it is not clear which of several.
    """
    optimizer = checked_transform(owner, "optimizer", optimizer)
    known = [each for each, value in settings(optimizer).items() if np.ndim(value) == 0]
    shown = ", ".join(known) or "none, as other libraries' optimizers hide theirs until they are lifted"
    if name is not None:
        if not isinstance(name, str):
            raise TypeError(f"{owner}: name = {short(name)} is no text; it is one of {shown}.")
        if name not in known:
            inside = [each for each in known if each.startswith(f"{name}.")]
            because = f"it is a schedule, with {', '.join(inside)}" if inside else hint(name, known).strip()
            raise ValueError(
                f"{owner}: name = {name!r} is no number of {describe(optimizer)}; it has {shown}. {because}"
            )
        return name
    if RATE in known:
        return RATE
    found = [each for each in known if each.endswith(f".{RATE}")]
    if len(found) != 1:
        raise ValueError(
            f"{owner}: optimizer = {describe(optimizer)} has {len(found) or 'no'} learning rates that are "
            f"numbers; say name=, one of {shown}."
        )
    return found[0]


def checked_ramp(owner: str, optimizer: Any, name: str) -> None:
    """Refuse a number that cannot be replaced by a schedule: one inside another schedule.

    Raises:
        ValueError: it is.
    """
    if not is_number(hyperparameters(optimizer).get(name)):
        raise ValueError(
            f"{owner}: name = {name!r} is a number of a schedule, which has its own course over the steps; "
            "rate_test(…) varies it, with a run for each value."
        )


def check_ramped(owner: str, optimizer: Any, state: Any, name: str, wanted: float) -> None:
    """Refuse a ramp that an optimizer with steps of its own has not gone through.

    Args:
        owner: the function's name, for the error.
        optimizer: the optimizer with its growing number.
        state: its state at the end of the run.
        name: of the number.
        wanted: what the number should be by then.

    Raises:
        ValueError: it is another.
    """
    reached = float(hyperparameters(optimizer, state)[name])
    if not np.isclose(reached, wanted, rtol=1e-2):
        raise ValueError(
            f"{owner}: name = {name!r} came to {reached:.3g} in the end instead of {wanted:.3g}, as this "
            "optimizer's schedules do not count every gradient; rate_test(…) tests it."
        )


def with_value(owner: str, optimizer: optax.GradientTransformation, name: str, value: Any) -> Optimizer:
    """The optimizer with another number or schedule under a name.

    Raises:
        TypeError: the optimizer does not take it.
        ValueError: the same, or it is out of range; says so.
    """
    try:
        return replace(optimizer, **{name: value})
    except (TypeError, ValueError) as error:
        raise type(error)(f"{owner}: {name} cannot be {short(value)}: {error}") from error


@contextmanager
def called_as(owner: str) -> Iterator[None]:
    """Let what `sweep` says be said by the function that the user called."""
    try:
        with warnings.catch_warnings():
            # A test of a rate is shorter than the run that the optimizer's schedules are made for.
            warnings.filterwarnings("ignore", "sweep: .* ends after ", UserWarning)
            yield
    except (TypeError, ValueError) as error:
        if not str(error).startswith("sweep: "):
            raise
        raise type(error)(f"{owner}{str(error).removeprefix('sweep')}") from error
