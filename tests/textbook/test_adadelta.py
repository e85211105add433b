"""What chapter 6 says of Adadelta is what the data say."""

import numpy as np
import pytest

from jaxopt_edu.textbook.chapters.adadelta.epsilon import needs_no_learning_rate, root_of_epsilon
from jaxopt_edu.textbook.chapters.adadelta.tuning import one_for_all, units


@pytest.mark.parametrize("seed", [0, 1])
def test_epsilon_does_the_work_of_a_learning_rate(seed):
    finding = needs_no_learning_rate(seed)
    steps = np.median(finding.data["steps"]["Adadelta"], axis=1)
    assert finding.data["epsilons"][2] == pytest.approx(1e-6)
    # Fewer steps with every decade of ε; the default takes some 45 times as many as 0.01.
    assert np.all(np.diff(steps) < 0)
    assert steps[2] > 20 * steps[-1]
    exponents = finding.data["exponents"]
    # Steps of constant length would give −1 and steps that grow like √t, −2/3; the bowl is no slope, hence
    # the room.
    assert -1 < exponents["Adadelta"] < -2 / 3
    assert exponents["RMSProp"] < exponents["Adadelta"] - 0.2
    assert finding.verdict == "fails"


@pytest.mark.parametrize(("seed", "noise"), [(0, 0.3), (1, 0.1)])
def test_every_step_is_in_proportion_to_the_root_of_epsilon(seed, noise):
    finding = root_of_epsilon(seed, noise=noise)
    # u + ε is in proportion to ε at every step as long as h is far above ε: (1 − ρ) g² = 0.05 against 1e-4 at
    # most, so that √(h + ε) is off by a thousandth in the first step; float32 adds up rounding over 10,000
    # steps.
    assert finding.data["spread"] < 0.02
    assert finding.data["first_over_theory"] == pytest.approx(1.0, abs=0.005)
    # Without noise u grows by (1 − ρ)(u + ε)/(1 − ρᵗ) − (1 − ρ) u a step, so the steps are √ε times this
    # number.
    rho, u, lengths = 0.95, 0.0, []
    for t in range(1, 10_001):
        square = (u + 1) / (1 - rho**t)
        u = rho * u + (1 - rho) * square
        lengths.append(np.sqrt(square))
    growth = np.mean(lengths[-10:]) / np.mean(lengths[1:11])
    assert finding.data["growth_without_noise"] == pytest.approx(growth, rel=0.02)
    assert finding.verdict == "fails"


@pytest.mark.parametrize("seed", [0, 1])
def test_other_units_change_the_number_of_steps(seed):
    finding = units(seed)
    exponents = finding.data["exponents"]
    # SGD's step in the old units is η/s², so the power is 2, but for whole steps, of which there are few at s
    # = 0.1.
    assert exponents["SGD"] == pytest.approx(2.0, abs=0.02)
    # Between the 2/3 and 1 of the lengths above; 0 if it were free of units.
    assert 0.6 < exponents["Adadelta"] < 1
    assert exponents["RMSProp"] > 1
    assert finding.verdict == "fails"


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_one_learning_rate_does_not_do_for_all(seed):
    finding = one_for_all(seed)
    best = finding.data["best"]
    # On four surfaces a rate of half a decade or more above 1 is best, at least twice as fast as 1; not on
    # Rosenbrock.
    for name in ("bowl", "booth", "beale", "himmelblau"):
        assert best[name] > 3
        assert finding.data["price_of_one"][name] > 2
    assert best["rosenbrock"] < 1
    assert finding.verdict == "fails"
