"""What chapter 8 says of the races is what the data say."""

import numpy as np
import pytest

from jaxopt_edu.textbook.chapters.choosing.races import race, saddle_race
from jaxopt_edu.textbook.chapters.choosing.training import equal_budgets, sensitivity


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "spread"), [(0, 0.5), (1, 0.3)])
def test_the_winner_of_the_famous_race_loses_most_others(seed, spread):
    finding = race(seed, spread=spread)
    data = finding.data
    steps = data["steps_from_the_famous_start"]
    # The famous start draws nothing at random.
    assert min(steps, key=steps.__getitem__) == "RMSProp"
    assert max(steps, key=steps.__getitem__) == "Adadelta"
    # Of 100 starts; a share of one half has a standard deviation of 5 %.
    assert data["first"]["RMSProp"] < 0.6
    # Somebody else arrives from more starts, by three standard deviations or so.
    assert max(data["arrives"].values()) > data["arrives"]["RMSProp"] + 0.1
    assert finding.verdict != "holds"


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_noise_frees_sgd_and_holds_adaptive_methods_back(seed):
    finding = saddle_race(seed)
    median, noises = finding.data["median"], np.array(finding.data["noises"])
    # Away from the saddle y grows by 1 + 2η = 1.1 a step, so each decade of noise saves ln 10/ln 1.1 = 24
    # steps. The median of 32 runs, whose logarithm of a normal deviate spreads by 1.1/ln 1.1 = 12 steps, is
    # good to 3.
    slope = np.polyfit(np.log10(noises), median["SGD"], 1)[0]
    assert slope == pytest.approx(-np.log(10) / np.log(1.1), rel=0.1)
    for name in ("AdaGrad", "Adam"):
        # Below 0.1 the noise only chooses the side: the step is η whatever the gradient.
        assert median[name][0] == median[name][1]
        # At 1 it is as large as the gradient, and the direction is lost half of the time.
        assert median[name][-1] is None or median[name][-1] > 1.3 * median[name][0]
    assert median["Adadelta"][-1] is None
    assert finding.verdict == "fails"
    # SGD's first step is 3η long: the best rate with steps up to 0.5 is 0.1, and y grows by 1.2 a step from
    # the first noise, a thousandth: ln 1000/ln 1.2 = 38 steps, but for what the later noise adds.
    tuned, rates = finding.data["tuned"], finding.data["tuned_rates"]
    assert rates["SGD"] == pytest.approx(0.1)
    assert tuned["SGD"] == pytest.approx(38, abs=6)
    # Nobody is out in one jump: the first step of Adam and of AdaGrad is η in both coordinates.
    assert min(tuned.values()) >= 3
    assert max(rates["Adam"], rates["AdaGrad"]) <= 0.5 / np.sqrt(2)


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "steps"), [(0, 200), (5, 100)])
def test_on_digits_tuning_matters_more_than_the_method(seed, steps):
    widths, budgets = sensitivity(seed, steps=steps), equal_budgets(seed, steps=steps)
    # A point is two to three standard errors of the mean of five runs. No method has more than four good half
    # decades of twelve, and all have one.
    assert all(0.5 <= width <= 2.5 for width in widths.data["decades"].values())
    # Where they lie differs by a hundredfold between RMSProp and SGD; thirty leaves a half decade for chance.
    centre = {name: np.sqrt(low * high) for name, (low, high) in widths.data["good_rates"].items()}
    assert centre["SGD"] > 30 * centre["RMSProp"]
    # Untuned, the methods are tens of points apart; tuned, hardly more than the seeds of one (0.7).
    assert budgets.data["spread_of_methods"]["default"] > 15
    assert budgets.data["spread_of_methods"]["best"] < 2
    assert budgets.data["adam_differs_from_sgd"]["default"] == 1
    # Not better; with a budget of 100 steps SGD is ahead by a little.
    assert budgets.data["adam_differs_from_sgd"]["best"] <= 0
    assert budgets.verdict == "depends"
    # Adam's default, 0.001, is too small for so few steps: the best is at least half a decade above.
    assert budgets.data["best_rates"]["Adam"] > 0.003
