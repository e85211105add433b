"""Schedules one after another."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from jaxopt_edu.core.checks import NON_NEGATIVE, checked_number, short
from jaxopt_edu.core.hints import with_hints
from jaxopt_edu.core.transform import as_schedule
from jaxopt_edu.schedules.numbers import Number, Schedule, end_of, ends_at, floating, known


@with_hints
def joined(schedules: Sequence[Callable[[jax.Array], Any]], boundaries: Sequence[Number]) -> Schedule:
    """One schedule after another, each counting from its own beginning.

        value = schedules[k](step − boundaries[k − 1]),  boundaries[k − 1] ≤ step < boundaries[k]

    Args:
        schedules: n schedules, ours or plain functions of the step.
        boundaries: the n − 1 steps at which the next one takes over; at least 0, not decreasing.

    Returns:
        A schedule, a pytree of all numbers of its parts and of the boundaries.

    Raises:
        ValueError: the numbers of schedules and boundaries do not fit, or boundaries decrease.
        TypeError: a schedule cannot be called, or a boundary is not a number.

    >>> from jaxopt_edu.schedules import constant, warmup
    >>> schedule = joined([warmup(peak=1.0, steps=2), constant(0.5)], boundaries=[2])
    >>> [float(schedule(step)) for step in range(4)]
    [0.0, 0.5, 0.5, 0.5]
    """
    for name, given in (("schedules", schedules), ("boundaries", boundaries)):
        if not isinstance(given, Sequence | np.ndarray | jax.Array) or isinstance(given, str):
            raise TypeError(
                f"joined: {name} = {short(given)} is a {type(given).__name__}; it must be a list of {name}."
            )
    if not len(schedules):
        raise ValueError("joined: the list of schedules is empty; give it at least one.")
    if len(boundaries) != len(schedules) - 1:
        raise ValueError(
            f"joined: {len(schedules)} schedules need {len(schedules) - 1} boundaries between them, "
            f"but {len(boundaries)} were given."
        )
    for position, schedule in enumerate(schedules):
        if not callable(schedule):
            raise TypeError(
                f"joined: schedules[{position}] = {schedule!r} is not a schedule; "
                "for a fixed value write constant(value)."
            )
    numbers = [
        checked_number("joined", f"boundaries[{i}]", value, NON_NEGATIVE)
        for i, value in enumerate(boundaries)
    ]
    compared = [number for number in numbers if known(number)]
    if any(later < earlier for earlier, later in itertools.pairwise(compared)):
        raise ValueError(f"joined: boundaries = {list(boundaries)!r} decrease; give them in order.")
    return Partial(_joined, schedules=tuple(map(as_schedule, schedules)), boundaries=tuple(numbers))


def _end(schedules: tuple[Callable[[jax.Array], Any], ...], boundaries: tuple[Number, ...]) -> Number | None:
    last, start = end_of(schedules[-1]), (0.0, *boundaries)[-1]
    return None if last is None else start + last


@ends_at(_end)
def _joined(
    step: Any, *, schedules: tuple[Callable[[jax.Array], Any], ...], boundaries: tuple[Number, ...]
) -> jax.Array:
    step = value = floating(step)
    starts = [floating(number) for number in (0.0, *boundaries)]
    ends = [*starts[1:], floating(jnp.inf)]
    for start, end, schedule in zip(starts, ends, schedules, strict=True):
        inside = (start <= step) & (step < end)
        # Far outside its own piece a schedule may overflow, and 0 times that derivative would be NaN.
        value = jnp.where(inside, floating(schedule(jnp.where(inside, step - start, 0))), value)
    return value
