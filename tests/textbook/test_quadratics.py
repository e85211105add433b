"""Steps on quadratics are counted as theory counts them, along the axes and turned."""

import numpy as np
import pytest

import jaxopt_edu as jo
from jaxopt_edu.textbook.quadratics import around_the_best, at_best, directions, fastest, steps_needed
from jaxopt_edu.textbook.theory import best_momentum, momentum_contraction

CONDITIONS = np.array([4.0, 16.0])


@pytest.mark.parametrize("degrees", [0.0, 30.0])
def test_sgd_needs_what_its_factor_says_however_the_valley_is_turned(degrees):
    settings = [[jo.sgd(0.5), jo.sgd(float(2 / (1 + 1 / condition)))] for condition in CONDITIONS]
    steps = steps_needed(CONDITIONS, settings, directions(1, 6), budget=200, degrees=degrees)
    assert steps.shape == (2, 2, 6)
    # At 2/(L + μ) both coordinates shrink alike, so every direction needs the same number of whole steps.
    exact = np.log(1000) / np.log((CONDITIONS + 1) / (CONDITIONS - 1))
    np.testing.assert_array_equal(steps[:, 1], np.tile(np.ceil(exact)[:, None], 6))
    np.testing.assert_array_equal(fastest(steps), [1, 1])
    np.testing.assert_array_equal(at_best(steps), steps[:, 1])


def test_a_run_that_does_not_arrive_has_no_number():
    steps = steps_needed(CONDITIONS, [[jo.sgd(0.5), jo.sgd(2.5)]] * 2, directions(1, 6), budget=60)
    assert np.isfinite(steps[0, 0]).all()
    assert np.isnan(steps[:, 1]).all()
    # The first setting for κ = 16 arrives from no start in time, and no setting is better.
    assert np.isnan(steps[1, 0]).any()


def test_directions_lie_on_the_unit_circle():
    np.testing.assert_allclose(np.hypot(*directions(3, 50).T), 1, rtol=1e-6)


def test_the_pairs_lie_around_theorys_best():
    curvatures = np.array([1 / 16, 1.0])
    pairs = [
        tuple(jo.hyperparameters(each).values()) for each in around_the_best(jo.momentum, best_momentum, 16)
    ]
    assert len(set(pairs)) == 16
    assert best_momentum(curvatures) in pairs
    # Every pair shrinks by √α while both directions swing: α larger or η smaller than the best loses little.
    best = momentum_contraction(*best_momentum(curvatures), curvatures)
    for rate, kept in pairs:
        assert best - 1e-6 <= momentum_contraction(rate, kept, curvatures) < 0.85
