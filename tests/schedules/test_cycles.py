"""Restarts at the very step, and what can be differentiated."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_edu import schedules as s


@jax.jit
def slopes(at, steps):
    """The derivatives by all four numbers at some steps."""
    return jax.vmap(jax.grad(lambda at, step: s.restarts(*at)(step)), (None, 0))(at, steps)


@jax.jit
def values(at, steps):
    """The values at some steps."""
    return jax.vmap(s.restarts(*at))(steps)


def in_numpy(steps, period, factor):
    """The share of each step's cycle that has passed, by adding up lengths."""
    shares = []
    start, length = 0.0, float(period)
    for step in steps:
        while step >= start + length:
            start, length = start + length, length * factor
        shares.append((step - start) / length)
    return np.array(shares)


@pytest.mark.parametrize(
    ("period", "factor", "dtype"),
    [(7, 1, 32), (10, 2, 32), (1, 3, 32), (3, 100, 32), (100, 1.5, 64), (2.5, 1.25, 64), (5, 1.001, 64)],
)
def test_cycles_begin_at_the_very_step(period, factor, dtype):
    """Up to 100,000 steps; a wrong cycle would show as the final value where the peak is due."""
    starts = period * np.cumsum(float(factor) ** np.arange(12))
    starts = starts[starts < 1e5].astype(int)
    near = np.r_[np.arange(600), np.geomspace(600, 1e5, 500), starts - 1, starts, starts + 1].astype(int)
    steps = np.unique(np.clip(near, 0, None))
    with jax.enable_x64(dtype == 64):
        found = values(np.array([1.0, period, factor, 0.0]), steps)
    expected = (1 + np.cos(np.pi * in_numpy(steps, period, factor))) / 2
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_restart_far_away_is_exact():
    starts = 1000 * (2 ** np.arange(1, 14) - 1)
    at = np.array([1.0, 1000.0, 2.0, 0.0])
    np.testing.assert_array_equal(values(at, starts), 1)
    assert (values(at, starts - 1) < 1e-5).all()


@pytest.mark.parametrize("factor", [1.0, 1.5, 2.0])
def test_derivatives_by_every_number(factor, x64):
    at, steps = np.array([0.3, 7.0, factor, 0.02]), np.array([0, 3, 9, 40])
    found = slopes(at, steps)
    for place in range(4):
        # To one side: a factor is 1 at least.
        h = np.eye(4)[place] * 1e-7
        difference = (values(at + h, steps) - values(at, steps)) / 1e-7
        np.testing.assert_allclose(found[:, place], difference, rtol=1e-4, atol=1e-6)


def test_one_cycle_passes_its_three_values():
    schedule = s.one_cycle(0.5, 100, pct_start=0.3, div_factor=5, final_div_factor=50)
    np.testing.assert_allclose(
        [schedule(step) for step in (0, 30, 100, 150)], [0.1, 0.5, 0.002, 0.002], rtol=1e-5
    )
    rates = jax.vmap(schedule)(jnp.arange(101))
    assert (np.diff(rates[:31]) > 0).all()
    assert (np.diff(rates[30:]) < 0).all()
