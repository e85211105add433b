"""Chapter 1's claims hold on its data, at the page's seed and at another one."""

import numpy as np
import pytest

from jaxopt_edu.textbook.chapters.gradient_descent import (
    escaping_a_saddle,
    limit_elsewhere,
    path_on_the_bowl,
)
from jaxopt_edu.textbook.chapters.gradient_descent.quadratics import condition_number, stability_limit

SEEDS = (0, 7)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_gradient_does_not_point_to_the_minimum(seed):
    finding = path_on_the_bowl(seed)
    # The exact angle between (x/10, 2y) and (x, y), averaged over the window on a fine grid.
    x, y = np.meshgrid(np.linspace(-10, 10, 401), np.linspace(-5, 5, 400))
    cosine = (x**2 / 10 + 2 * y**2) / np.hypot(x / 10, 2 * y) / np.hypot(x, y)
    exact = np.degrees(np.arccos(np.clip(cosine, -1, 1))).ravel()
    low, median, high = finding.data["angles_in_degrees"]["quartiles"]
    # A quartile of 1000 draws has a standard error of about √(p(1−p)/1000)/density, here at most 1°.
    np.testing.assert_allclose([low, median, high], np.quantile(exact, [0.25, 0.5, 0.75]), atol=4)
    assert median > 45
    assert finding.verdict == "fails"
    # y is multiplied by 0.8, 0 and −0.9 at a step: only the last changes its sign.
    assert finding.data["crossings"] == [0, 0, 30]
    assert finding.data["steps_to_one_percent"][2] == 23


@pytest.mark.parametrize("seed", SEEDS)
def test_descent_on_a_quadratic_turns_at_two_over_the_curvature(seed):
    finding = stability_limit(seed)
    data = finding.data
    assert 0 < data["limit"] - data["measured_limit"] < data["spacing"]
    # Starts in which the slow direction is a hundredth of the fast one have not quite forgotten it after half
    # of 400 steps where both factors are nearly equal; elsewhere only float32 rounding is left.
    np.testing.assert_allclose(data["factors"], np.tile(data["theory"], (8, 1)), atol=0.01)
    assert finding.verdict == "holds"


@pytest.mark.parametrize("seed", SEEDS)
def test_away_from_the_minimum_the_limit_is_another(seed):
    finding = limit_elsewhere(seed)
    shares, lower = np.array(finding.data["shares_of_limit"]), finding.data["share_lower"]
    np.testing.assert_array_equal(lower["Bowl"], shares < 1)
    # The largest eigenvalues of the Hessians there: (0.1, 0; 0, 2), (74, 20; 20, 34) and (4, 1; 1, 2).
    assert finding.data["limits"]["Bowl"] == pytest.approx(1.0, rel=1e-6)
    assert finding.data["limits"]["Himmelblau"] == pytest.approx(2 / (54 + np.hypot(20, 20)), rel=1e-5)
    assert finding.data["limits"]["three-hump camel"] == pytest.approx(2 / (3 + np.sqrt(2)), rel=1e-5)
    beale = np.array(lower["Beale"])
    # Of 200 starts 15 % and 46 % end lower; three standard errors are 8 % and 11 %.
    assert beale[shares < 1][-1] < 0.3
    assert np.interp(0.1, shares, beale) < 0.6
    assert finding.verdict == "depends"


@pytest.mark.parametrize("seed", SEEDS)
def test_steps_grow_with_the_condition_number(seed):
    finding = condition_number(seed)
    data = finding.data
    conditions = np.array(data["conditions"])
    # The best learning rate is the one of theory, 2/(L + μ), or one beside it that needs as many whole steps.
    best = 2 * conditions / (conditions + 1)
    np.testing.assert_allclose(data["best_learning_rate_times_L"], best, rtol=0.02)
    # There both directions shrink alike, so the slowest start needs what theory says, in whole steps.
    steps = np.array(data["steps_at_best"])
    assert (np.abs(steps.max(axis=1) - data["theory"]) <= 1.5).all()
    assert data["exponent"] == pytest.approx(1, abs=0.02)
    # ln(1 − 1/κ) is half of ln((κ−1)/(κ+1)), so the slow direction, once alone, needs twice the steps.
    assert 1.7 < np.median(data["steps_at_1_over_L"][-1]) / steps[-1].mean() < 2.05
    assert finding.verdict == "holds"


@pytest.mark.parametrize(("seed", "learning_rate"), [(0, 0.1), (7, 0.2)])
def test_saddles_hold_only_what_stands_on_the_ridge(seed, learning_rate):
    finding = escaping_a_saddle(seed, learning_rate=learning_rate)
    data = finding.data
    # x² is not quite gone yet when the first run escapes, which costs it up to a step, and steps are whole.
    delay = np.array(data["steps"]) - np.array(data["theory"])
    assert (delay >= 0).all()
    assert (delay <= 2).all()
    assert data["steps_from_the_ridge"] is None
    # Noise σ acts as a start at a normal δ with standard deviation ησ/√((1+2η)² − 1).
    growth = 1 + 2 * learning_rate
    reach = learning_rate * np.array(data["noises"]) / np.sqrt(growth**2 - 1)
    median = np.median(data["steps_with_noise"], axis=1)
    # Half of all normal deviates are larger than 0.674; with 32 runs the median of ln|N| is uncertain by
    # about 0.25, and three times that is ±4 steps at η = 0.1 (the noise's first and last steps add one).
    expected = np.log(1 / (0.674 * reach)) / np.log(growth)
    np.testing.assert_allclose(median, expected, atol=0.75 / np.log(growth) + 2)
    assert finding.verdict == "depends"
