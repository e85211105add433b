"""What may be said about fewer bytes: half-size state, rounded at random, costs nothing measurable."""

import functools

import pytest

from jaxopt_edu.problems import digits
from tests.benchmarks.half_precision import VARIANTS, Outcome, excess, train


@functools.cache
def outcome(name: str) -> Outcome:
    return train(next(variant for variant in VARIANTS if variant.name == name), digits(), seeds=5)


@pytest.mark.slow
def test_random_rounding_costs_nothing_and_nearest_rounding_does():
    # Seed by seed, random rounding moves the final loss by 0.5 % (standard deviation) either way, so that 2 %
    # is eight standard errors of the mean of five; rounding to the nearest adds 10.4 ± 0.6 %.
    float32, half_state, nearest = map(outcome, ("float32 state", "half_state", "state to the nearest"))
    assert abs(excess(half_state, float32).mean()) < 0.02
    assert excess(nearest, float32).min() > 0.05
    assert abs(half_state.accuracies.mean() - float32.accuracies.mean()) < 0.005
    assert half_state.state_bytes == nearest.state_bytes == float32.state_bytes / 2


@pytest.mark.slow
def test_compensation_gives_bfloat16_parameters_most_of_float32_back():
    # What is left over float32, 8 %, comes from the bfloat16 forward and backward pass.
    float32, plain, compensated = map(outcome, ("float32 state", "bfloat16 w", "bfloat16 w, compensated"))
    assert excess(plain, float32).min() > 2
    assert excess(compensated, float32).max() < 0.2
    assert compensated.state_bytes == plain.state_bytes + compensated.parameter_bytes
