"""Chapter 2's claims hold on its data, at the page's seed and at another one."""

import numpy as np
import pytest

from jaxopt_edu.textbook.chapters.momentum import (
    acceleration,
    averaging_noise,
    best_pair,
    famous_picture,
    zigzag,
)

SEEDS = (0, 7)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_famous_picture_compares_two_learning_rates(seed):
    finding = famous_picture(seed)
    wild, smooth, slow = finding.data["crossings"].values()
    # y is multiplied by −0.9 and by 0.8 at a step of SGD. Momentum turns it by θ with cos θ = 1.7/(2√0.9),
    # and crosses whenever it has turned by π, but for what the start and the end cut off.
    assert (wild, slow) == (30, 0)
    assert abs(smooth - 30 * np.arccos(1.7 / 2 / np.sqrt(0.9)) / np.pi) <= 1
    left = finding.data["share_of_the_distance_left"]
    # SGD's x is multiplied by 0.99 at a step, its y is gone; most starts are far away in x.
    assert 0.5 < left["SGD, η = 0.1"] <= 0.99**30
    assert left["Momentum, η = 0.1"] < 0.5 * left["SGD, η = 0.1"]
    assert finding.verdict == "depends"


@pytest.fixture(scope="module", params=SEEDS)
def zigzags(request):
    return zigzag(request.param)


def test_zigzag_at_equal_learning_rates_depends_on_them(zigzags):
    data = zigzags.data
    rates = np.array(data["learning_rates"])
    walking, rolling = np.array(data["crossings"]["SGD"]), np.array(data["crossings"]["Momentum, α = 0.9"])
    # Every step of SGD multiplies y by 1 − 2η: never a crossing below 1/L = 0.5, one every step above it,
    # until y underflows; by then it is a hundredth, which takes at least ln 100/ln(1/0.9) > 40 steps.
    assert (walking[rates < 0.5] == 0).all()
    fast = rates > 0.7
    np.testing.assert_array_equal(walking[fast], np.array(data["steps"]["SGD"])[fast])
    # Momentum's phase makes single learning rates come out either way; nine in ten do not.
    assert (rolling > walking)[rates < 0.5].mean() > 0.9
    assert (rolling < walking)[rates > 0.5].mean() > 0.9
    assert zigzags.verdict == "depends"


def test_momentum_crosses_as_often_as_its_roots_turn(zigzags):
    data = zigzags.data
    rates = np.array(data["learning_rates"])
    for kept in (0.5, 0.9):
        name = f"Momentum, α = {kept:g}"
        # The roots of z² − (1 + α − 2η) z + α are complex at all of these rates: y turns by θ a step.
        turned = np.arccos((1 + kept - 2 * rates) / 2 / np.sqrt(kept)) / np.pi * np.array(data["steps"][name])
        assert np.abs(np.array(data["crossings"][name]) - turned).max() <= 1.5, name


def test_at_its_best_momentum_is_faster_and_turns_less_often(zigzags):
    best = zigzags.data["best"]
    walking, rolling = best["SGD"], best["Momentum"]
    # Theory's best is 2/(L + μ) = 0.952 and ln 100/ln(2.1/1.9) = 46 steps; the sweep has steps of 3 %.
    assert walking["learning_rate"] == pytest.approx(2 / 2.1, rel=0.04)
    assert walking["steps"] == pytest.approx(np.log(100) / np.log(2.1 / 1.9), abs=2)
    # With (√κ−1)/(√κ+1) = 0.635 in place of 0.905 it would be a quarter; equal roots cost a few steps more.
    assert rolling["steps"] < walking["steps"] / 3
    assert rolling["crossings"] < walking["crossings"] / 3
    assert rolling["detours"] < walking["detours"]


@pytest.mark.parametrize("seed", SEEDS)
def test_tuned_momentum_needs_the_root_of_the_condition_number(seed):
    finding = acceleration(seed)
    data = finding.data
    steps = {name: np.median(rows, axis=1) for name, rows in data["steps"].items()}
    # Whole steps; at κ = 10⁴ a step shrinks by 2·10⁻⁴, which float32 knows to about 10⁻⁴ of it.
    np.testing.assert_allclose(steps["SGD"], data["theory"]["SGD"], rtol=3e-4, atol=1.5)
    assert data["exponents"]["SGD"] == pytest.approx(1, abs=0.01)
    # The sweep is coarse, and the start weighs as much as the long run: a third more or less at single κ,
    # which over two decades is at most 0.12 in the exponent.
    ratio = steps["Momentum, best α"] / data["theory"]["Momentum, best α"]
    assert (ratio > 0.7).all()
    assert (ratio < 1.4).all()
    assert data["exponents"]["Momentum, best α"] == pytest.approx(0.5, abs=0.1)
    # With α = 0.9 the factor is at least √0.9, which is ln 1000/ln(1/√0.9) = 131 steps: worse than SGD's 35
    # at κ = 10, about the best there is at κ = 1000. From κ = 1442 on the gain ends at (3.75/2)/(1 − α) =
    # 18.75, the ratio of the speeds along a gentle slope; starts with little of that direction gain more.
    gain = steps["SGD"] / steps["Momentum, α = 0.9"]
    assert gain[0] < 0.6
    assert gain[4] > 20
    assert 17 < gain[-1] < 24
    assert finding.verdict == "depends"


@pytest.mark.parametrize("seed", SEEDS)
def test_the_best_pair_is_that_of_theory(seed):
    finding = best_pair(seed)
    data = finding.data
    measured, theory = np.array(data["factors"]), np.array(data["theory"])
    rates, momenta = np.array(data["learning_rates"]), np.array(data["momenta"])
    assert data["median_disagreement"] < 0.005
    # It diverges above 2(1 + α)/L = 1 + α; within one column of the map the factor is too close to 1 to tell.
    clear = np.abs(rates - (1 + momenta[:, None])) > 0.04
    np.testing.assert_array_equal((measured < 1)[clear], (theory < 1)[clear])
    # Around the optimum the factor is flat along its ridge: 0.02 above it lie three columns and two rows.
    best, optimum = data["best"], data["best_in_theory"]
    assert best["learning_rate"] == pytest.approx(optimum["learning_rate"], abs=0.12)
    assert best["momentum"] == pytest.approx(optimum["momentum"], abs=0.04)
    assert best["factor"] == pytest.approx(optimum["factor"], abs=0.02)
    # Both roots have |z| = √0.9 there, which is slower than the best SGD's 19/21.
    assert data["best_factor_at_0.9"] == pytest.approx(np.sqrt(0.9), abs=0.01)
    assert finding.verdict == "depends"


@pytest.mark.parametrize(("seed", "noise_scale"), [(0, 0.3), (7, 1.0)])
def test_momentum_does_not_average_noise_at_equal_effective_learning_rate(seed, noise_scale):
    finding = averaging_noise(seed, noise_scale=noise_scale)
    data = finding.data
    ratios, theory = np.median(data["ratios"], axis=2), np.array(data["theory"])
    # 3000 steps hold 3000·H independent stretches for w of relaxation time 1/H: with 32 seeds the mean of w²
    # is uncertain by √(2/(32 · 60)) = 3 % at H = 0.02; the ratio under the same noise by much less for
    # α = 0.5 and 0.9, whereas α = 0.99 rings for 100 steps.
    np.testing.assert_allclose(np.mean(data["sgd_loss"], axis=1), data["sgd_theory"], rtol=0.1)
    np.testing.assert_allclose(ratios[:2], theory[:2], atol=0.04)
    np.testing.assert_allclose(np.mean(data["ratios"], axis=2)[2], theory[2], atol=0.2)
    assert ratios[1, 0] > 0.95
    assert ratios[1, -1] < 0.3
    assert finding.verdict == "depends"
