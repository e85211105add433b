"""Every optimizer in float32 against exact arithmetic, over 10,000 steps and sixteen orders of magnitude."""

import pytest

from tests.benchmarks.precision import Array, Error, errors, exact_updates, gradients
from tests.registry import each_optimizer, named

# In units of η, or of the longest exact step where that is the natural one (see the benchmark).
EVERY_STEP = 1.5e-6
EARLY = 3e-7
# Its steps are made of its own past steps, so roundings live on in √u, in optax and torch too. The unit is
# its longest step, η/50, so that in units of η this is 1e-8.
EARLY_ADADELTA = 5e-7
# AdaBelief's ε = 1e-16 at every step is below the last digit of an s near 1e-8 (optax: 1e-5). Yogi's v moves
# up or down by a sign that a rounding may settle, and remembers it.
WORSE = {"adabelief": 6e-6, "yogi": 1e-3}
# Against the numbers as they were written 1 − b2 counts alone, and float32 holds 3e-5 of 1 − 0.999.
WORSE_AS_WRITTEN = WORSE | {"adamax": 3e-6, "radam": 4e-6}
# Newton–Schulz raises roundings as it raises singular values.
EARLY_MUON = 2e-6


@pytest.fixture(scope="module")
def stream() -> Array:
    return gradients()


def worst(runs: list[Error], field: str) -> float:
    return max(getattr(error, field) for error in runs)


@each_optimizer
def test_updates_are_close_to_exact_at_every_scale(row, stream):
    runs = errors(row, "jaxopt_edu", stream, exact_updates(row, stream))
    assert worst(runs, "every_step") < WORSE.get(row.name, EVERY_STEP)
    assert worst(runs, "every_step_as_written") < WORSE_AS_WRITTEN.get(row.name, EVERY_STEP)
    assert worst(runs, "early") < {"adadelta": EARLY_ADADELTA, "muon": EARLY_MUON}.get(row.name, EARLY)


def test_the_bound_tells_optax_from_exact(stream):
    """optax.adam subtracts b2ᵗ ≈ 1 from 1, and the benchmark has to see the digits that this costs."""
    row = named("adam")
    runs = errors(row, "optax", stream[:200], exact_updates(row, stream[:200]))
    assert worst(runs, "early") > 10 * EARLY
    assert worst(runs, "every_step") > 4 * EVERY_STEP
