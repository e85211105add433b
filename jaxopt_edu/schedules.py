"""Hyperparameters that change with the step: functions of the step count that are pytrees of their numbers.

Wherever an optimizer takes a number it takes a schedule: `adam(learning_rate=cosine(peak=1e-3, steps=1000))`.
Step 0 is the first update. The numbers of a schedule are leaves of the optimizer, so a peak or a
warm-up length can be swept and differentiated like any learning rate.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.tree_util import Partial

from jaxopt_edu.core.checks import FINITE, NON_NEGATIVE, POSITIVE, Limit, checked_number, short
from jaxopt_edu.core.hints import with_hints
from jaxopt_edu.core.transform import as_schedule

Schedule = Callable[[jax.typing.ArrayLike], jax.Array]
Number = float | jax.Array


@with_hints
def constant(value: Number) -> Schedule:
    """The same value at every step.

    Args:
        value: the value; finite.

    Returns:
        A schedule, a pytree whose one leaf is the value.

    Raises:
        ValueError: value is not finite.
        TypeError: value is not a number of shape ().

    >>> float(constant(0.5)(7))
    0.5
    """
    return _schedule(_constant, value=(value, FINITE))


@with_hints
def linear(initial: Number, final: Number, steps: Number) -> Schedule:
    """A straight line from initial to final, and final from then on.

        value = initial + (final − initial) · min(step / steps, 1)

    Args:
        initial: the value at step 0; finite.
        final: the value at `steps` and later; finite.
        steps: length of the line in steps; above 0.

    Returns:
        A schedule, a pytree of the three numbers.

    Raises:
        ValueError: a number is out of range.
        TypeError: a number is not one.

    >>> [float(linear(0.0, 1.0, steps=4)(step)) for step in (0, 1, 9)]
    [0.0, 0.25, 1.0]
    """
    return _schedule(_linear, initial=(initial, FINITE), final=(final, FINITE), steps=(steps, POSITIVE))


@with_hints
def warmup(peak: Number, steps: Number, initial: Number = 0.0) -> Schedule:
    """Linear warm-up: from initial to peak in a straight line, and peak from then on.

        value = initial + (peak − initial) · min(step / steps, 1)

    Args:
        peak: the value at `steps` and later; finite.
        steps: length of the warm-up in steps; above 0.
        initial: the value at step 0; finite.

    Returns:
        A schedule, a pytree of the three numbers.

    Raises:
        ValueError: a number is out of range.
        TypeError: a number is not one.

    References:
        Goyal et al., Accurate, Large Minibatch SGD, 2017, arXiv:1706.02677.

    >>> [float(warmup(peak=1.0, steps=4)(step)) for step in (0, 1, 9)]
    [0.0, 0.25, 1.0]
    """
    return _schedule(_warmup, peak=(peak, FINITE), steps=(steps, POSITIVE), initial=(initial, FINITE))


@with_hints
def exponential(initial: Number, rate: Number, steps: Number = 1.0) -> Schedule:
    """Exponential decay: multiplied by rate every so many steps, smoothly.

        value = initial · rate^(step / steps)

    Args:
        initial: the value at step 0; finite.
        rate: the factor gained every `steps` steps; above 0 (below 1 it decays).
        steps: number of steps in which the factor is gained; above 0.

    Returns:
        A schedule, a pytree of the three numbers.

    Raises:
        ValueError: a number is out of range.
        TypeError: a number is not one.

    >>> [float(exponential(1.0, rate=0.5, steps=10)(step)) for step in (0, 10, 20)]
    [1.0, 0.5, 0.25]
    """
    return _schedule(_exponential, initial=(initial, FINITE), rate=(rate, POSITIVE), steps=(steps, POSITIVE))


@with_hints
def cosine(peak: Number, steps: Number, final: Number = 0.0) -> Schedule:
    """Half a cosine from peak to final, and final from then on.

        value = final + (peak − final) · (1 + cos(π · min(step / steps, 1))) / 2

    Args:
        peak: the value at step 0; finite.
        steps: length of the decay in steps; above 0.
        final: the value at `steps` and later; finite.

    Returns:
        A schedule, a pytree of the three numbers.

    Raises:
        ValueError: a number is out of range.
        TypeError: a number is not one.

    References:
        Loshchilov & Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts, 2017, arXiv:1608.03983.

    >>> [round(float(cosine(peak=1.0, steps=4)(step)), 6) for step in (0, 2, 4)]
    [1.0, 0.5, 0.0]
    """
    return _schedule(_cosine, peak=(peak, FINITE), steps=(steps, POSITIVE), final=(final, FINITE))


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
    known = [number for number in numbers if not isinstance(number, Tracer)]
    if any(later < earlier for earlier, later in itertools.pairwise(known)):
        raise ValueError(f"joined: boundaries = {list(boundaries)!r} decrease; give them in order.")
    return Partial(_joined, schedules=tuple(map(as_schedule, schedules)), boundaries=tuple(numbers))


@with_hints
def warmup_cosine(peak: Number, warmup_steps: Number, steps: Number, final: Number = 0.0) -> Schedule:
    """Linear warm-up from 0 to peak, then half a cosine down to final.

        value = peak · step / warmup_steps                                    while step < warmup_steps
        value = final + (peak − final) · (1 + cos(π · progress)) / 2          afterwards
        progress = min((step − warmup_steps) / (steps − warmup_steps), 1)

    Args:
        peak: the value at the end of the warm-up; finite.
        warmup_steps: length of the warm-up in steps; above 0.
        steps: length of the whole in steps; above warmup_steps.
        final: the value at `steps` and later; finite.

    Returns:
        A schedule, a pytree of the four numbers.

    Raises:
        ValueError: a number is out of range.
        TypeError: a number is not one.

    >>> schedule = warmup_cosine(peak=1.0, warmup_steps=2, steps=6)
    >>> [round(float(schedule(step)), 6) for step in (0, 1, 2, 4, 6)]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    schedule = _schedule(
        _warmup_cosine,
        peak=(peak, FINITE),
        warmup_steps=(warmup_steps, POSITIVE),
        steps=(steps, POSITIVE),
        final=(final, FINITE),
    )
    known = not any(isinstance(number, Tracer) for number in (warmup_steps, steps))
    if known and not steps > warmup_steps:
        raise ValueError(
            f"warmup_cosine: steps = {steps!r} counts the warm-up too, so it must be above "
            f"warmup_steps = {warmup_steps!r}."
        )
    return schedule


def _schedule(function: Callable[..., jax.Array], **numbers: tuple[Any, Limit]) -> Schedule:
    name = function.__name__.removeprefix("_")
    return Partial(function, **{key: checked_number(name, key, *pair) for key, pair in numbers.items()})


def _floating(number: Any) -> jax.Array:
    return jax.lax.optimization_barrier(jnp.asarray(number).astype(jnp.result_type(float)))


def _constant(step: Any, *, value: Number) -> jax.Array:
    return _floating(value)


def _linear(step: Any, *, initial: Number, final: Number, steps: Number) -> jax.Array:
    step, initial, final, steps = map(_floating, (step, initial, final, steps))
    return initial + (final - initial) * jnp.clip(step / steps, 0, 1)


def _warmup(step: Any, *, peak: Number, steps: Number, initial: Number) -> jax.Array:
    return _linear(step, initial=initial, final=peak, steps=steps)


def _exponential(step: Any, *, initial: Number, rate: Number, steps: Number) -> jax.Array:
    step, initial, rate, steps = map(_floating, (step, initial, rate, steps))
    return initial * jnp.power(rate, step / steps)


def _cosine(step: Any, *, peak: Number, steps: Number, final: Number) -> jax.Array:
    step, peak, steps, final = map(_floating, (step, peak, steps, final))
    return final + (peak - final) * (1 + jnp.cos(jnp.pi * jnp.clip(step / steps, 0, 1))) / 2


def _joined(
    step: Any, *, schedules: tuple[Callable[[jax.Array], Any], ...], boundaries: tuple[Number, ...]
) -> jax.Array:
    step = value = _floating(step)
    starts = [_floating(number) for number in (0.0, *boundaries)]
    ends = [*starts[1:], _floating(jnp.inf)]
    for start, end, schedule in zip(starts, ends, schedules, strict=True):
        inside = (start <= step) & (step < end)
        # Far outside its own piece a schedule may overflow, and 0 times that derivative would be NaN.
        value = jnp.where(inside, _floating(schedule(jnp.where(inside, step - start, 0))), value)
    return value


def _warmup_cosine(
    step: Any, *, peak: Number, warmup_steps: Number, steps: Number, final: Number
) -> jax.Array:
    step, steps, warmup_steps = map(_floating, (step, steps, warmup_steps))
    rising = _warmup(step, peak=peak, steps=warmup_steps, initial=0.0)
    falling = _cosine(step - warmup_steps, peak=peak, steps=steps - warmup_steps, final=final)
    return jnp.where(step < warmup_steps, rising, falling)
