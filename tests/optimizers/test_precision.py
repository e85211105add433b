"""Every optimizer in float32 against exact arithmetic, over 10,000 steps and sixteen orders of magnitude."""

from typing import Any

import jax
import numpy as np
import pytest

from tests.benchmarks.precision import Error, errors, exact_updates, gradients
from tests.registry import Array, Row, each_optimizer, named

# In units of η, or of the longest exact step where that is the natural one (see the benchmark).
EVERY_STEP = 1.5e-6
EARLY = 3e-7
# Its steps are made of its own past steps, so roundings live on in √u, in optax and torch too. The unit is
# its longest step, η/50, so that in units of η this is 1e-8.
# Adan's step is the sum of two quotients, and Newton–Schulz raises roundings as it raises singular values.
EARLY_OF = {"adadelta": 5e-7, "adan": 4e-7, "muon": 2e-6}
# Against the numbers as they were written 1 − b2 counts alone, and float32 holds 3e-5 of 1 − 0.999.
AS_WRITTEN = {"adamax": 3e-6, "radam": 4e-6, "yogi": 6e-6}
# 1 − b2 of the root, by which one sign moves it.
YOGI_JUMP = 1e-3


@pytest.fixture(scope="module")
def stream() -> Array:
    return gradients()


def worst(runs: list[Error], field: str) -> float:
    return max(getattr(error, field) for error in runs)


def yogis_sides(row: Row, stream: Array) -> Array:
    """On which side of g² Yogi's v was at each step, told by where it went."""
    optimizer = row.build()

    def step(state: Any, g: jax.Array) -> Any:
        after: Any = optimizer.update(g, state)[1]
        return after, (state.v, after.v)

    scan = jax.jit(lambda stream: jax.lax.scan(step, optimizer.init(stream[0]), stream)[1])
    before, after = map(np.asarray, scan(stream))
    # Where g² is so small that v stays, there is no doubt about the side.
    return np.where(before == after, np.sign(before - stream**2), np.sign(before - after))


@each_optimizer
def test_updates_are_close_to_exact_at_every_scale(row, stream):
    exact = exact_updates(row, stream)
    if row.name == "yogi":
        # Its formula jumps, and which side of a jump it is on a rounding may settle.
        assert worst(errors(row, "jaxopt_edu", stream, exact), "every_step") < YOGI_JUMP
        sides = yogis_sides(row, stream)
        taken = row._replace(formula=lambda t, *a, **b: row.formula(t, *a, side=sides[t - 1], **b))
        exact = exact_updates(taken, stream)
    runs = errors(row, "jaxopt_edu", stream, exact)
    assert worst(runs, "every_step") < EVERY_STEP
    assert worst(runs, "every_step_as_written") < AS_WRITTEN.get(row.name, EVERY_STEP)
    assert worst(runs, "early") < EARLY_OF.get(row.name, EARLY)


def test_the_bound_tells_optax_from_exact(stream):
    """optax.adam subtracts b2ᵗ ≈ 1 from 1, and the benchmark has to see the digits that this costs."""
    row = named("adam")
    runs = errors(row, "optax", stream[:200], exact_updates(row, stream[:200]))
    assert worst(runs, "early") > 10 * EARLY
    assert worst(runs, "every_step") > 4 * EVERY_STEP
