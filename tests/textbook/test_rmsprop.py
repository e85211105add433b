"""What chapter 5 says of RMSProp is what the data say."""

import numpy as np
import pytest

from jaxopt_edu.textbook.chapters.rmsprop.forgetting import forgetting
from jaxopt_edu.textbook.chapters.rmsprop.settling import hovering_in_noise, settling


@pytest.mark.parametrize(("seed", "size"), [(0, 100.0), (1, 30.0)])
def test_a_burst_is_forgotten_when_theory_says(seed, size):
    finding = forgetting(seed, size=size)
    recovered, theory = finding.data["recovered_after"], finding.data["theory"]
    # Theory has the mean of g² for each step; the ten noisy gradients of a burst differ from it by a standard
    # deviation of 0.6/√10 = 19 % each, the median of eight runs by 8 %. AdaGrad's wait is in proportion to
    # that, and RMSProp's moves by ln(1.25)/−ln(0.99) = 22 steps if it is off by a quarter.
    assert recovered["RMSProp"] == pytest.approx(theory["RMSProp"], abs=22)
    assert recovered["AdaGrad"] == pytest.approx(theory["AdaGrad"], rel=0.25)
    # Forgotten, but after several times 1/(1 − ρ): theory has 3.3 times for a burst of 30.
    assert recovered["RMSProp"] > 3 * finding.data["memory"]
    assert finding.verdict == "depends"
    # One claim, one verdict.
    assert ";" not in finding.claim


def test_without_noise_theory_is_exact():
    finding = forgetting(noise=0.0, size=50.0, decay=0.9, runs=1)
    recovered, theory = finding.data["recovered_after"], finding.data["theory"]
    # Rounded up to a whole step. AdaGrad adds 1 to an h of 25,000 in float32, whose units there are 0.002.
    assert 0 <= recovered["RMSProp"] - theory["RMSProp"] <= 1
    assert recovered["AdaGrad"] == pytest.approx(theory["AdaGrad"], rel=0.002)


@pytest.mark.parametrize("seed", [0, 1])
def test_it_hovers_at_half_the_learning_rate_if_it_forgets_fast(seed):
    finding = settling(seed)
    over_rate, settled = finding.data["distance_over_rate"], finding.data["settled"]
    # g/√h = ±1 on a cycle of two steps, so the points are ±η/2. Rounding of w² leaves thousandths at most.
    np.testing.assert_allclose(over_rate["ρ = 0.9"], 0.5, atol=0.005)
    assert max(settled["ρ = 0.9"]) == 0
    assert np.mean(settled["ρ = 0.9, η falls to 0"]) > 0.9
    # The usual claim depends on ρ: at 0.99 small learning rates settle (all of 32 starts or nearly), large
    # ones do not (a quarter of them do).
    assert settled["ρ = 0.99"][-1] > 0.8
    assert settled["ρ = 0.99"][0] < 0.5
    assert finding.verdict == "depends"


@pytest.mark.parametrize(("seed", "noise"), [(0, 1.0), (1, 2.0)])
def test_in_noise_the_distance_grows_like_the_root(seed, noise):
    finding = hovering_in_noise(seed, noise=noise)
    constant, theory = np.array(finding.data["constant"]), np.array(finding.data["theory"])
    # The variance of a first-order process with rate ηλ/σ; at η = 0.3 its next order, ηλ/2σ, is 8 %. The mean
    # square of 64 runs of 1500 steps with a memory of σ/ηλ = 300 to 600 steps has a relative error of about 6
    # %.
    np.testing.assert_allclose(constant, theory, rtol=0.15)
    assert finding.data["exponent"] == pytest.approx(0.5, abs=0.05)
    assert np.all(np.array(finding.data["falling"]) < constant)
    assert finding.verdict == "fails"
