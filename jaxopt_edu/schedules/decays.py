"""Schedules that go from one value to another, and stay there."""

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
    line,
    of_numbers,
    single,
)


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
    return of_numbers(_constant, value=(value, FINITE))


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
    return of_numbers(_linear, initial=(initial, FINITE), final=(final, FINITE), steps=(steps, POSITIVE))


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
    return of_numbers(_exponential, initial=(initial, FINITE), rate=(rate, POSITIVE), steps=(steps, POSITIVE))


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
    return of_numbers(_cosine, peak=(peak, FINITE), steps=(steps, POSITIVE), final=(final, FINITE))


@with_hints
def polynomial(initial: Number, final: Number, steps: Number, power: Number = 1.0) -> Schedule:
    """A power of the steps that remain, from initial to final, and final from then on.

        value = final + (initial − final) · (1 − min(step / steps, 1))^power

    It is optax's `polynomial_schedule`, and with final = 0 torch's `PolynomialLR`.

    Args:
        initial: the value at step 0; finite.
        final: the value at `steps` and later; finite.
        steps: length of the decay in steps; above 0.
        power: the exponent; above 0. 1 is a straight line, below 1 most of the fall comes late.

    Returns:
        A schedule, a pytree of the four numbers.

    Raises:
        ValueError: a number is out of range.
        TypeError: a number is not one.

    >>> [float(polynomial(1.0, 0.0, steps=4, power=2)(step)) for step in (0, 2, 4)]
    [1.0, 0.25, 0.0]
    """
    return of_numbers(
        _polynomial,
        initial=(initial, FINITE),
        final=(final, FINITE),
        steps=(steps, POSITIVE),
        power=(power, POSITIVE),
    )


def _end_of_a_fall(initial: Number, final: Number, steps: Number, **_: Number) -> Number | None:
    """What rises is a warm-up, and the rest of the run is made with what it came to."""
    return steps if single(initial, final) and abs(final) < abs(initial) else None


def _constant(step: Any, *, value: Number) -> jax.Array:
    return floating(value)


@ends_at(_end_of_a_fall)
def _linear(step: Any, *, initial: Number, final: Number, steps: Number) -> jax.Array:
    return line(step, initial, final, steps)


def _exponential(step: Any, *, initial: Number, rate: Number, steps: Number) -> jax.Array:
    step, initial, rate, steps = map(floating, (step, initial, rate, steps))
    return initial * jnp.power(rate, step / steps)


@ends_at(lambda steps, **_: steps)
def _cosine(step: Any, *, peak: Number, steps: Number, final: Number) -> jax.Array:
    return half_cosine(step, peak, final, steps)


@ends_at(_end_of_a_fall)
def _polynomial(step: Any, *, initial: Number, final: Number, steps: Number, power: Number) -> jax.Array:
    step, initial, final, steps, power = map(floating, (step, initial, final, steps, power))
    remaining = 1 - jnp.clip(step / steps, 0, 1)
    ended = remaining <= 0
    # At 0 the slope of a power below 1 is infinite, and that by the power itself is not a number.
    share = jnp.where(ended, 0, jnp.power(jnp.where(ended, 1, remaining), power))
    return final + (initial - final) * share
