"""Chapter 3's claims hold on its data, at the page's seed and at another one."""

import numpy as np
import pytest

from jaxopt_edu.textbook.chapters.nesterov import (
    going_in_circles,
    limits,
    overshoot,
    speed_at_best,
    two_balls,
)

SEEDS = (0, 7)


@pytest.mark.parametrize(("seed", "learning_rate"), [(0, 0.1), (7, 0.2)])
def test_with_equal_numbers_nesterov_swings_less(seed, learning_rate):
    finding = two_balls(seed, learning_rate=learning_rate)
    data = finding.data
    # Across the valley ηλ = 0.2 or 0.4: momentum's swing shrinks by √0.9 a step, the other by √(0.9(1 − ηλ)).
    assert data["share_shorter"] == 1
    assert np.median(data["lengths"]["Nesterov"]) < 0.8 * np.median(data["lengths"]["Momentum"])
    assert finding.verdict == "holds"


@pytest.mark.parametrize("seed", SEEDS)
def test_nesterov_overshoots_less_unless_the_steps_are_long(seed):
    finding = overshoot(seed)
    data = finding.data
    products, momenta = np.array(data["products"]), np.array(data["momenta"])[:, None]
    rolling, ahead = (np.array(data["overshoot"][name]) for name in ("Momentum", "Nesterov"))
    # A root r·exp(iθ) has turned by half a circle after π/θ steps, and shrunk to r^(π/θ). While θ is small
    # steps are fine enough to catch the extreme; what the first step adds is of the order of θ².
    for measured, radius, middle in (
        (rolling, np.sqrt(momenta + 0 * products), (1 + momenta - products) / 2),
        (ahead, np.sqrt(momenta * np.maximum(1 - products, 0)), (1 + momenta) * (1 - products) / 2),
    ):
        with np.errstate(invalid="ignore", divide="ignore"):
            angle = np.arccos(middle / radius)
        known = (angle > 0.02) & (angle < 0.2)
        assert known.sum() > 30
        np.testing.assert_allclose(measured[known], (radius ** (np.pi / angle))[known], atol=0.04)
    moderate = (rolling > 0.01) & (products < 0.9)
    assert (ahead[moderate] < rolling[moderate]).all()
    # At ηλ = 1 Nesterov's roots are 0 but its first step alone, 1 + α of the way, is past by α = 0.9.
    assert (ahead > rolling)[:, products > 1.15].all()
    best = data["best"]
    # The best pair makes both of momentum's roots double: its jump across the valley is the price of speed.
    assert best["Nesterov"]["across"] < best["Momentum"]["across"]
    assert best["Momentum"]["steps"] < best["Nesterov"]["steps"]
    assert finding.verdict == "depends"


@pytest.mark.parametrize("seed", SEEDS)
def test_limits_of_stability_are_those_of_theory(seed):
    finding = limits(seed)
    data = finding.data
    for name in ("Momentum", "Nesterov"):
        gap = np.array(data["theory_times_L"][name]) - np.array(data["limits_times_L"][name])
        # The limit lies within one step of the sweep above the last rate that is stable; just below it the
        # factor is so close to 1 that the swing of the slow direction may hide it, for one step more.
        assert (gap > -1e-6).all()
        assert (gap < 2 * data["spacing_times_L"] + 1e-6).all()
        measured, theory = np.array(data["factors_at_0.9"][name]), np.array(data["theory_at_0.9"][name])
        # The slope of a swinging row is known to about its amplitude over its length, 1/150; next to the
        # double root, η = 0.027, the swing is slower than the run is long.
        stable = (theory < 0.99) & (np.array(data["learning_rates"]) > 0.05)
        np.testing.assert_allclose(measured[stable], theory[stable], atol=0.006)
    # Half of momentum's at α = 0.5, a third at 1: what is known to a step of 0.04 is known to 2 % here.
    momenta, limit = np.array(data["momenta"]), data["limits_times_L"]
    ratio = np.array(limit["Nesterov"]) / np.array(limit["Momentum"])
    np.testing.assert_allclose(ratio, 1 / (1 + 2 * momenta), rtol=0.06)
    assert finding.verdict == "fails"


@pytest.mark.parametrize("seed", SEEDS)
def test_tuned_momentum_is_faster_than_tuned_nesterov(seed):
    finding = speed_at_best(seed)
    data = finding.data
    ratio = np.array(data["ratio"])
    # Theory's √3 is that of the long run. A thousandth is reached while the start still matters, and the
    # sweep is coarse, so that a good part of it is left: more at large κ, where there are many steps.
    assert (ratio > 1).all()
    assert (ratio[2:] > 1.25).all()
    assert (ratio < np.sqrt(3)).all()
    for name in ("Momentum", "Nesterov"):
        assert data["powers"][name] == pytest.approx(0.5, abs=0.05)
        needed = np.median(data["steps"][name], axis=1) / data["theory"][name]
        assert (needed > 0.85).all()
        assert (needed < 1.4).all()
    assert finding.verdict == "fails"


@pytest.mark.parametrize("seed", SEEDS)
def test_momentum_goes_in_circles_on_a_convex_function(seed):
    finding = going_in_circles(seed)
    data = finding.data
    # The cycle by hand: with x₁ ≥ 2, x₂ < 1, x₃ < 1 the three equations xₙ₊₁ = (1 + 4/9) xₙ − 4/9 xₙ₋₁ −
    # f′(xₙ)/9 are linear.
    a, b, slope = 13 / 9, 4 / 9, 25 / 9
    matrix = np.array([[slope - a, 1.0, b], [b, slope - a, 1.0], [1.0, b, slope - a]])
    cycle = np.linalg.solve(matrix, np.array([24 / 9, 0.0, 0.0]))
    np.testing.assert_allclose(data["cycle"], np.sort(cycle), atol=1e-4)
    assert not data["arrived"]["Momentum"][0]
    # 8 % of the starts go in circles; with 400 draws the standard error is 1.4 %.
    assert 0.85 < data["share_arrived"]["Momentum"] < 0.97
    assert data["share_arrived"]["SGD"] == data["share_arrived"]["Nesterov"] == 1
    assert finding.verdict == "fails"
