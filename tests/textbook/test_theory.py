"""The closed forms agree with the eigenvalues of the iteration's matrix."""

import numpy as np
import pytest

from jaxopt_edu.textbook.theory import (
    best_momentum,
    best_nesterov,
    momentum_contraction,
    nesterov_contraction,
    sgd_contraction,
    steps_to_shrink,
)

CURVATURES = np.array([0.1, 0.7, 2.0])
RATES = (0.05, 0.4, 0.9, 1.3)


def radius(matrices):
    return max(np.abs(np.linalg.eigvals(matrix)).max() for matrix in matrices)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_eigenvalues_of_one_step(rate, momentum):
    # Of (w, v): v ← α v − η λ w, w ← w + v; and w ← w + α v − η λ w with the new v.
    heavy = [np.array([[1 - rate * c, momentum], [-rate * c, momentum]]) for c in CURVATURES]
    ahead = [
        np.array([[1 - (1 + momentum) * rate * c, momentum**2], [-rate * c, momentum]]) for c in CURVATURES
    ]
    assert momentum_contraction(rate, momentum, CURVATURES) == pytest.approx(radius(heavy), rel=1e-7)
    assert nesterov_contraction(rate, momentum, CURVATURES) == pytest.approx(radius(ahead), rel=1e-7)


@pytest.mark.parametrize("contraction", [momentum_contraction, nesterov_contraction])
def test_without_momentum_all_are_descent(contraction):
    rates = np.array(RATES)
    np.testing.assert_allclose(contraction(rates, 0.0, CURVATURES), sgd_contraction(rates, CURVATURES))


@pytest.mark.parametrize("curvatures", [np.array([0.1, 2.0]), np.array([1.0, 30.0, 400.0])])
def test_the_best_hyperparameters_are_the_best(curvatures):
    condition = curvatures.max() / curvatures.min()
    rate, momentum = best_momentum(curvatures)
    optimum = momentum_contraction(rate, momentum, curvatures)
    # At a double root the computed one is off by the square root of the rounding, 1e-8.
    assert optimum == pytest.approx((np.sqrt(condition) - 1) / (np.sqrt(condition) + 1), abs=1e-6)
    other_rate, other_momentum = best_nesterov(curvatures)
    other = nesterov_contraction(other_rate, other_momentum, curvatures)
    assert other == pytest.approx(1 - 2 / np.sqrt(3 * condition + 1), abs=1e-6)
    near = np.random.default_rng(0).uniform(0.8, 1.25, (2, 2000))
    assert (
        momentum_contraction(near[0] * rate, np.minimum(near[1] * momentum, 0.999), curvatures)
        > optimum - 1e-6
    ).all()
    assert (
        nesterov_contraction(near[0] * other_rate, np.minimum(near[1] * other_momentum, 0.999), curvatures)
        > other - 1e-6
    ).all()


def test_steps_to_shrink():
    np.testing.assert_allclose(steps_to_shrink(np.array([0.5, 0.1]), 1000.0), [np.log2(1000), 3.0])
