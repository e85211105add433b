"""Schedules that begin with a linear warm-up."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_edu.core.checks import FINITE, POSITIVE
from jaxopt_edu.core.hints import with_hints
from jaxopt_edu.schedules.numbers import (
    Number,
    Schedule,
    ends_at,
    floating,
    half_cosine,
    known,
    line,
    of_numbers,
)


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
    return of_numbers(_warmup, peak=(peak, FINITE), steps=(steps, POSITIVE), initial=(initial, FINITE))


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
    schedule = of_numbers(
        _warmup_cosine,
        peak=(peak, FINITE),
        warmup_steps=(warmup_steps, POSITIVE),
        steps=(steps, POSITIVE),
        final=(final, FINITE),
    )
    if known(warmup_steps, steps) and not steps > warmup_steps:
        raise ValueError(
            f"warmup_cosine: steps = {steps!r} counts the warm-up too, so it must be above "
            f"warmup_steps = {warmup_steps!r}."
        )
    return schedule


@with_hints
def warmup_stable_decay(
    peak: Number, warmup_steps: Number, decay_steps: Number, steps: Number, final: Number = 0.0
) -> Schedule:
    """Linear warm-up from 0 to peak, peak for most of the run, then a straight line down to final.

        value = peak · step / warmup_steps                                        while step < warmup_steps
        value = final + (peak − final) · min((steps − step) / decay_steps, 1)     afterwards
        value = final                                                             from `steps` on

    Also called a trapezoid. Until the decay begins nothing depends on the length of the run, so one run
    serves for several: go on from its middle with a decay of its own. Neither optax nor torch has it; it is
    three of optax's linear schedules joined.

    Args:
        peak: the value between warm-up and decay; finite.
        warmup_steps: length of the warm-up in steps; above 0.
        decay_steps: length of the decay in steps; above 0.
        steps: length of the whole in steps; at least warmup_steps + decay_steps.
        final: the value at `steps` and later; finite.

    Returns:
        A schedule, a pytree of the five numbers.

    Raises:
        ValueError: a number is out of range, or the parts are longer than the whole.
        TypeError: a number is not one.

    References:
        Hu et al., MiniCPM, 2024, arXiv:2404.06395. Hägele et al., Scaling Laws and Compute-Optimal Training
        Beyond Fixed Training Durations, 2024, arXiv:2405.18392.

    >>> schedule = warmup_stable_decay(peak=1.0, warmup_steps=2, decay_steps=4, steps=10)
    >>> [float(schedule(step)) for step in (0, 1, 2, 6, 8, 10)]
    [0.0, 0.5, 1.0, 1.0, 0.5, 0.0]
    """
    schedule = of_numbers(
        _warmup_stable_decay,
        peak=(peak, FINITE),
        warmup_steps=(warmup_steps, POSITIVE),
        decay_steps=(decay_steps, POSITIVE),
        steps=(steps, POSITIVE),
        final=(final, FINITE),
    )
    if known(warmup_steps, decay_steps, steps) and steps < warmup_steps + decay_steps:
        raise ValueError(
            f"warmup_stable_decay: steps = {steps!r} is the whole length, so it must be at least "
            f"warmup_steps + decay_steps = {warmup_steps!r} + {decay_steps!r}."
        )
    return schedule


@with_hints
def inverse_square_root(peak: Number, warmup_steps: Number) -> Schedule:
    """Linear warm-up from 0 to peak, then a decay with the inverse square root of the step.

        value = peak · min(step / warmup_steps, √(warmup_steps / step))

    The Transformer's first schedule, without an end. Its paper writes the peak as
    1 / √(d_model · warmup_steps) and counts steps from 1, so its rate at an update is ours a step later.

    Args:
        peak: the value at the end of the warm-up; finite.
        warmup_steps: length of the warm-up in steps; above 0.

    Returns:
        A schedule, a pytree of the two numbers.

    Raises:
        ValueError: a number is out of range.
        TypeError: a number is not one.

    References:
        Vaswani et al., Attention Is All You Need, 2017, arXiv:1706.03762.

    >>> schedule = inverse_square_root(peak=1.0, warmup_steps=4)
    >>> [float(schedule(step)) for step in (0, 2, 4, 16, 64)]
    [0.0, 0.5, 1.0, 0.5, 0.25]
    """
    return of_numbers(_inverse_square_root, peak=(peak, FINITE), warmup_steps=(warmup_steps, POSITIVE))


def _warmup(step: Any, *, peak: Number, steps: Number, initial: Number) -> jax.Array:
    return line(step, initial, peak, steps)


@ends_at(lambda steps, **_: steps)
def _warmup_cosine(
    step: Any, *, peak: Number, warmup_steps: Number, steps: Number, final: Number
) -> jax.Array:
    step, steps, warmup_steps = map(floating, (step, steps, warmup_steps))
    rising = line(step, 0.0, peak, warmup_steps)
    falling = half_cosine(step - warmup_steps, peak, final, steps - warmup_steps)
    return jnp.where(step < warmup_steps, rising, falling)


@ends_at(lambda steps, **_: steps)
def _warmup_stable_decay(
    step: Any, *, peak: Number, warmup_steps: Number, decay_steps: Number, steps: Number, final: Number
) -> jax.Array:
    step, warmup_steps, decay_steps, steps = map(floating, (step, warmup_steps, decay_steps, steps))
    rising = line(step, 0.0, peak, warmup_steps)
    falling = line(step - (steps - decay_steps), peak, final, decay_steps)
    return jnp.where(step < warmup_steps, rising, falling)


def _inverse_square_root(step: Any, *, peak: Number, warmup_steps: Number) -> jax.Array:
    step, peak, warmup_steps = map(floating, (step, peak, warmup_steps))
    rising = line(step, 0.0, peak, warmup_steps)
    # Within the warm-up the root is not used, and at step 0 its slope would be infinite.
    falling = peak * jnp.sqrt(warmup_steps / jnp.maximum(step, warmup_steps))
    return jnp.where(step < warmup_steps, rising, falling)
