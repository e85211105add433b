"""Schedules that rise and fall, once or again and again."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_edu.core.checks import FINITE, POSITIVE, Limit
from jaxopt_edu.core.hints import with_hints
from jaxopt_edu.schedules.numbers import Number, Schedule, ends_at, floating, half_cosine, of_numbers

SHARE = Limit(POSITIVE.low, 1.0, "a number above 0 and below 1")
AT_LEAST_1 = Limit(1.0, float("inf"), "a finite number that is at least 1")
BITS = 24  # of a cycle's number: float32 counts steps no further


@with_hints
def one_cycle(
    peak: Number,
    steps: Number,
    pct_start: Number = 0.3,
    div_factor: Number = 25.0,
    final_div_factor: Number = 1e4,
) -> Schedule:
    """One cycle: half a cosine up to peak, half a cosine down to almost nothing, and that from then on.

        initial = peak / div_factor;  final = initial / final_div_factor;  top = pct_start · steps
        value = peak + (initial − peak) · (1 + cos(π · step / top)) / 2                     while step < top
        value = final + (peak − final) · (1 + cos(π · min((step − top) / (steps − top), 1))) / 2  afterwards

    optax's `cosine_onecycle_schedule` rounds top down to a whole step; otherwise it is this one. torch's
    `OneCycleLR(total_steps=n, pct_start=p)` reaches its top and its end a step earlier: it is this one with
    steps = n − 1 and pct_start = (p · n − 1) / (n − 1), and it moves the momentum against the rate too.

    Args:
        peak: the value at the top; finite.
        steps: length of the cycle in steps; above 0.
        pct_start: the share of the steps before the top; above 0 and below 1.
        div_factor: how many times smaller than the peak the first value is; above 0.
        final_div_factor: how many times smaller than the first value the last one is; above 0.

    Returns:
        A schedule, a pytree of the five numbers.

    Raises:
        ValueError: a number is out of range.
        TypeError: a number is not one.

    References:
        Smith & Topin, Super-Convergence, 2017, arXiv:1708.07120.

    >>> schedule = one_cycle(peak=1.0, steps=8, pct_start=0.25, div_factor=4, final_div_factor=16)
    >>> [round(float(schedule(step)), 6) for step in (0, 1, 2, 8, 9)]
    [0.25, 0.625, 1.0, 0.015625, 0.015625]
    """
    return of_numbers(
        _one_cycle,
        peak=(peak, FINITE),
        steps=(steps, POSITIVE),
        pct_start=(pct_start, SHARE),
        div_factor=(div_factor, POSITIVE),
        final_div_factor=(final_div_factor, POSITIVE),
    )


@with_hints
def restarts(peak: Number, period: Number, factor: Number = 1.0, final: Number = 0.0) -> Schedule:
    """Half a cosine from peak to final, and back to peak, again and again; each cycle longer by a factor.

        value = final + (peak − final) · (1 + cos(π · (step − startₙ) / lengthₙ)) / 2
        lengthₙ = period · factorⁿ;  startₙ = period · (1 + factor + … + factorⁿ⁻¹);  startₙ ≤ step < startₙ₊₁

    It is torch's `CosineAnnealingWarmRestarts(T_0=period, T_mult=factor, eta_min=final)`, with factors that
    may be fractions, and optax's `sgdr_schedule` of cycles without a warm-up. Where period and factor are
    whole, cycles begin at the very step, up to step 2²⁴ in float32. Peaks that sink are
    `joined([cosine(…), cosine(…)], …)`.

    Args:
        peak: the value at the beginning of every cycle; finite.
        period: length of the first cycle in steps; above 0.
        factor: how many times longer each cycle is than the one before; at least 1.
        final: the value that every cycle falls to; finite.

    Returns:
        A schedule, a pytree of the four numbers.

    Raises:
        ValueError: a number is out of range.
        TypeError: a number is not one.

    References:
        Loshchilov & Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts, 2017, arXiv:1608.03983.

    >>> schedule = restarts(peak=1.0, period=2, factor=2)
    >>> [round(float(schedule(step)), 6) for step in (0, 1, 2, 4, 6, 10)]
    [1.0, 0.5, 1.0, 0.5, 1.0, 0.5]
    """
    return of_numbers(
        _restarts,
        peak=(peak, FINITE),
        period=(period, POSITIVE),
        factor=(factor, AT_LEAST_1),
        final=(final, FINITE),
    )


@ends_at(lambda steps, **_: steps)
def _one_cycle(
    step: Any,
    *,
    peak: Number,
    steps: Number,
    pct_start: Number,
    div_factor: Number,
    final_div_factor: Number,
) -> jax.Array:
    step, peak, steps, pct_start = map(floating, (step, peak, steps, pct_start))
    initial = peak / floating(div_factor)
    top = pct_start * steps
    rising = half_cosine(step, initial, peak, top)
    falling = half_cosine(step - top, peak, initial / floating(final_div_factor), steps - top)
    return jnp.where(step < top, rising, falling)


def _restarts(step: Any, *, peak: Number, period: Number, factor: Number, final: Number) -> jax.Array:
    step, period, factor = map(floating, (step, period, factor))
    passed = step / period
    # A logarithm may be off by a cycle near a restart: begin one before, and go on while the step is later.
    number = jnp.maximum(jnp.floor(_cycle(*map(jax.lax.stop_gradient, (passed, factor)))) - 1, 0)
    length, start = _geometric(factor, number.astype(jnp.int32))
    for _ in range(2):
        ended = step >= period * (start + length)
        start, length = jnp.where(ended, start + length, start), jnp.where(ended, length * factor, length)
    return half_cosine(step - period * start, peak, final, period * length)


def _cycle(passed: jax.Array, factor: jax.Array) -> jax.Array:
    """How many cycles have passed, up to rounding: n of passed = 1 + factor + … + factorⁿ⁻¹."""
    constant = factor <= 1
    growth = jnp.where(constant, 1, factor - 1)
    return jnp.where(constant, passed, jnp.log1p(passed * growth) / jnp.log1p(growth))


def _geometric(factor: jax.Array, count: jax.Array) -> tuple[jax.Array, jax.Array]:
    """factorⁿ and 1 + factor + … + factorⁿ⁻¹; exact where they are whole numbers, differentiable at 1."""
    power, total = jnp.ones_like(factor), jnp.zeros_like(factor)
    for bit in reversed(range(BITS)):
        power, total = power * power, total + power * total
        odd = (count >> bit) & 1 == 1
        power, total = jnp.where(odd, power * factor, power), jnp.where(odd, total + power, total)
    return power, total
