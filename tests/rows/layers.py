"""Layers: formulas for one array, whose norms are its own."""

import numpy as np
import optax

import jaxopt_edu as jo
from jaxopt_edu import optimizers
from tests.rows.adaptive_formulas import adam_formula
from tests.rows.row import Array, Row


def norm(x: Array) -> Array:
    """Without an absolute value: complex steps take derivatives of these formulas."""
    return np.sqrt((x**2).sum())


def ratio(numerator: Array, denominator: Array) -> Array:
    return numerator / denominator if numerator != 0 and denominator != 0 else np.asarray(1.0)


def lamb_formula(
    t: int,
    g: Array,
    w: Array,
    m: Array,
    v: Array,
    *,
    learning_rate: float,
    weight_decay: float,
    **adam: float,
) -> tuple[Array, ...]:
    step, m, v = adam_formula(t, g, m, v, learning_rate=1.0, **adam)
    u = weight_decay * w - step
    return -learning_rate * ratio(norm(w), norm(u)) * u, m, v


def lars_formula(
    t: int,
    g: Array,
    w: Array,
    velocity: Array,
    *,
    learning_rate: float,
    momentum: float,
    trust: float,
    weight_decay: float,
) -> tuple[Array, ...]:
    phi = ratio(trust * norm(w), norm(g) + weight_decay * norm(w))
    velocity = momentum * velocity - learning_rate * phi * (g + weight_decay * w)
    return velocity, velocity


WHOLE_ARRAYS = {
    "test_by_default_it_stays_in_the_state_and_in_its_coordinate": "a NaN is in the norm of its whole array",
    "test_only_many_small_leaves_and_our_own_rules_are_packed": "leaves joined end to end are another layer",
}

ROWS = (
    Row(
        name="lamb",
        factory=jo.lamb,
        state_type=optimizers.LambState,
        memory=("m", "v"),
        hyperparameters={"learning_rate": 0.01, "b1": 0.9, "b2": 0.999, "eps": 1e-6, "weight_decay": 0.1},
        formula=lamb_formula,
        optax=optax.lamb,
        torch=None,
        reads_params=True,
        real=("v",),
        refused=WHOLE_ARRAYS,
    ),
    Row(
        name="lars",
        factory=jo.lars,
        state_type=optimizers.LarsState,
        memory=("velocity",),
        hyperparameters={"learning_rate": 1.0, "momentum": 0.9, "trust": 0.01, "weight_decay": 0.1},
        formula=lars_formula,
        optax=None,  # the same without decay: tests/optimizers/test_differences.py
        torch=None,
        reads_params=True,
        refused=WHOLE_ARRAYS
        | {"test_without_conj_it_climbs": "from w = 0 its step η g leaps over the target"},
    ),
)
