"""The one table of optimizers. Every contract test runs over its rows.

To add an optimizer, add a row to its family's file in tests/rows: the contract tests then hold for it too.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests.rows import adaptive, descent, layers, matrices, memory, parameter_free, signs
from tests.rows.row import Array, Row

FAMILIES = (descent, signs, adaptive, layers, memory, matrices, parameter_free)
OPTIMIZERS: tuple[Row, ...] = tuple(row for family in FAMILIES for row in family.ROWS)

# What takes its time runs by default for the textbook's seven, and for the others where slow tests run.
each_optimizer = pytest.mark.parametrize(
    "row",
    [pytest.param(row, marks=() if row.in_story else pytest.mark.slow) for row in OPTIMIZERS],
    ids=[row.name for row in OPTIMIZERS],
)
# For what every page has to pass at once.
every_optimizer = pytest.mark.parametrize("row", OPTIMIZERS, ids=[row.name for row in OPTIMIZERS])


def named(name: str) -> Row:
    """The row of one optimizer."""
    return next(row for row in OPTIMIZERS if row.name == name)


# Where the parameters stay while updates are compared: not 0, at which rules that read them could not be seen
# to, and so small that a step of theirs is not lost to rounding. Exact in every dtype.
HELD = 2.0**-6


def formula_updates(row: Row, gradients: Array, **changes: float) -> Array:
    """The float64 updates of the row's formula, met by gradients of shape (steps, n); see HELD."""
    hyperparameters = row.hyperparameters | changes
    w, memory = np.full(gradients.shape[1:], HELD), row.first_memory(gradients.shape[1:])
    updates = []
    for t, g in enumerate(np.asarray(gradients, np.float64), start=1):
        update, *memory = row.step(t, g, w, memory, **hyperparameters)
        updates.append(update)
    return np.stack(updates)


def updates_of(optimizer: optax.GradientTransformation, gradients: jax.Array) -> jax.Array:
    """A (pytree) optimizer's updates for gradients of shape (steps, n); see HELD."""
    params = jnp.full_like(gradients[0], HELD)

    def step(state: Any, g: jax.Array) -> tuple[Any, jax.Array]:
        updates, state = optimizer.update(g, state, params)
        return state, updates  # type: ignore[return-value]

    return jax.lax.scan(step, optimizer.init(params), gradients)[1]


scan_updates = jax.jit(updates_of)


def gradient_stream(steps: int, size: int = 6, seed: int = 0, dtype: Any = np.float32) -> Array:
    """Gradients of every size: a coordinate each for 1e-3 … 1e2, one of them now and then exactly 0."""
    rng = np.random.default_rng(seed)
    gradients = rng.normal(size=(steps, size)) * 10.0 ** np.linspace(-3, 2, size)
    gradients[rng.random(steps) < 0.3, 1] = 0.0
    # Rounded to float32 in both precisions, so that every oracle sees the same numbers.
    return gradients.astype(np.float32).astype(dtype)


__all__ = [
    "HELD",
    "OPTIMIZERS",
    "Array",
    "Row",
    "each_optimizer",
    "every_optimizer",
    "formula_updates",
    "gradient_stream",
    "named",
    "scan_updates",
    "updates_of",
]
