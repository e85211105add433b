"""What is read from losses over rates: minima, slopes and intervals that are known."""

import numpy as np
import pytest
from scipy import stats

from jaxopt_edu.rates.reading import (
    ceiling,
    flat,
    lowest_rates,
    proven,
    smooth_losses,
    steepest_rates,
    summary,
)

RATES = np.geomspace(1e-4, 1.0, 17)
LOGS = np.log10(RATES)
FIRST = np.array([9.0, 9.0])


def test_smoothing_is_a_mean_by_the_distance_in_powers_of_ten():
    losses = np.stack([np.ones(17), LOGS])
    found = smooth_losses(RATES, losses, FIRST, width=0.3)
    np.testing.assert_allclose(found[0], 1)
    weights = np.exp(-(((LOGS - LOGS[5]) / 0.3) ** 2) / 2)
    np.testing.assert_allclose(found[1, 5], np.average(LOGS, weights=weights))
    np.testing.assert_allclose(found[1, 8], LOGS[8], atol=1e-12)  # centred: a line keeps its middle
    np.testing.assert_allclose(smooth_losses(RATES, losses, FIRST, width=1e-3), losses)


def test_a_rate_that_explodes_does_not_spoil_the_one_before():
    losses = np.array([[4.0, 2.0, 1.0, 1e30, np.nan]])
    rates, first = np.geomspace(0.01, 100, 5), np.array([5.0])
    assert ceiling(losses, first) == [9.0]
    found = smooth_losses(rates, losses, first, width=0.4)
    assert np.isnan(found[0, 4])
    assert found[0, 3] < 9
    assert np.nanargmin(found) == 2


def test_the_lowest_rate_is_a_parabolas_vertex_between_the_rates():
    vertices = np.array([-2.1, -1.234])
    losses = (LOGS - vertices[:, np.newaxis]) ** 2 + 1
    np.testing.assert_allclose(np.log10(lowest_rates(RATES, losses, FIRST)), vertices)


def test_the_lowest_rate_may_be_at_an_end_or_beside_a_diverged_one():
    falling = -LOGS
    cut = np.where(LOGS > -1, np.nan, -LOGS)
    np.testing.assert_allclose(lowest_rates(RATES, np.stack([falling, cut]), FIRST), [1.0, 0.1])


def test_no_loss_below_the_first_is_no_suggestion():
    losses = np.stack([np.full(17, 9.5), np.full(17, np.nan)])
    for read in (lowest_rates, steepest_rates):
        assert np.isnan(read(RATES, losses, FIRST)).all()


def test_what_no_luck_with_batches_explains():
    """Of a thousand runs that learn nothing, few give a suggestion; one that does learn always does."""
    rng = np.random.default_rng(0)
    rates = np.geomspace(1e-5, 10, 200)
    untrained = rng.normal(3, 0.3, (1000, 200))
    smoothed = smooth_losses(rates, untrained, untrained.mean(axis=1), 0.1)
    below = proven(rates, untrained, 0.1)
    assert np.isfinite(steepest_rates(rates, smoothed, below)).mean() < 0.02
    falling = smooth_losses(rates, untrained - np.linspace(0, 1, 200), untrained.mean(axis=1), 0.1)
    assert np.isfinite(steepest_rates(rates, falling, below)).mean() > 0.99
    np.testing.assert_allclose(proven(rates, np.full((2, 200), 5.0), 0.1), 5, rtol=1e-12)


def test_the_steepest_rate_is_where_a_known_curve_falls_fastest():
    """A logistic step down at 10^−2.5, and a rise after it that is steeper but comes after the minimum."""
    rates = np.geomspace(1e-4, 1.0, 401)
    logs = np.log10(rates)
    losses = 8 / (1 + np.exp(6 * (logs + 2.5))) + np.where(logs > -0.5, 50 * (logs + 0.5) ** 2, 0)
    (found,) = steepest_rates(rates, losses[np.newaxis], np.array([9.0]))
    np.testing.assert_allclose(np.log10(found), -2.5, atol=0.01)


def test_slopes_of_the_batches_are_not_the_rates():
    """A wiggle before the loss has fallen is steeper than the fall, and is not taken."""
    rates = np.geomspace(1e-4, 1.0, 401)
    logs = np.log10(rates)
    losses = 8 / (1 + np.exp(6 * (logs + 1.5))) + 0.5 * np.exp(-(((logs + 3.5) / 0.01) ** 2))
    (found,) = steepest_rates(rates, losses[np.newaxis], np.array([7.5]))
    np.testing.assert_allclose(np.log10(found), -1.5, atol=0.01)


def test_losses_that_are_all_the_same_suggest_nothing():
    losses = 5 + 1e-7 * np.random.default_rng(0).normal(size=(2, 17))
    assert flat(losses).all()
    assert np.isnan(lowest_rates(RATES, losses, FIRST)).all()
    one = np.where(np.arange(17) == 3, 5.0, np.nan)[np.newaxis]
    assert not flat(one).any()
    np.testing.assert_allclose(lowest_rates(RATES, one, FIRST[:1]), RATES[3])


def test_the_interval_is_students_of_the_logarithms():
    suggestions = np.array([0.01, 0.02, 0.05, 0.011, 0.03])
    mean, low, high = summary(suggestions, least=0.0)
    logs = np.log10(suggestions)
    expected = stats.t.interval(0.95, 4, loc=logs.mean(), scale=stats.sem(logs))
    np.testing.assert_allclose(np.log10([mean, low, high]), [logs.mean(), *expected])


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng, held = np.random.default_rng(0), 0
    for _ in range(2000):
        _, low, high = summary(10 ** rng.normal(-2, 0.3, 5), least=0.0)
        held += low < 1e-2 < high
    assert abs(held / 2000 - 0.95) < 0.02


def test_an_interval_is_not_narrower_than_rates_are_told_apart():
    assert summary(np.full(4, 0.1), least=0.5) == pytest.approx((0.1, 10**-1.5, 10**-0.5))


@pytest.mark.parametrize(
    ("suggestions", "expected"),
    [([0.1], (0.1, np.nan, np.nan)), ([0.1, np.nan], (np.nan,) * 3), ([0.1, np.nan, 0.1], (0.1, 0.1, 0.1))],
)
def test_seeds_without_a_rate_are_not_hidden(suggestions, expected):
    np.testing.assert_allclose(summary(np.array(suggestions), least=0.0), expected)
