"""No learning rate: formulas for all parameters at once, with a distance that is one number."""

from typing import Any

import numpy as np
import optax
import optax.contrib

import jaxopt_edu as jo
from jaxopt_edu import optimizers
from tests.rows.layers import WHOLE_ARRAYS, norm
from tests.rows.row import Array, Row


def absolute(x: Array) -> Array:
    """Of the real part's sign: complex steps take derivatives of these formulas."""
    return np.where(np.real(x) < 0, -x, x)


def quotient(numerator: Any, denominator: Any) -> Any:
    zero = denominator == 0
    return np.where(zero, 0, numerator) / np.where(zero, 1, denominator)


def dog_formula(
    t: int,
    g: Array,
    w: Array,
    first: Array,
    size: Any,
    distance: Any,
    squares: Any,
    *,
    learning_rate: float,
    reps_rel: float,
    eps: float,
) -> tuple[Any, ...]:
    if t == 1:
        first, size = w, norm(w)
    difference = w - first
    gone = norm(difference) if np.any(difference != 0) else np.zeros(())
    distance = np.maximum(np.max(distance), np.maximum(gone, reps_rel * (1 + size)))
    squares = np.max(squares) + (g**2).sum()
    rate = quotient(distance, np.sqrt(squares + eps))
    return -learning_rate * rate * g, first, size, distance, squares


def prodigy_formula(
    t: int,
    g: Array,
    w: Array,
    m: Array,
    v: Array,
    s: Array,
    first: Array,
    r: Any,
    d: Any,
    *,
    learning_rate: float,
    b1: float,
    b2: float,
    eps: float,
    d0: float,
    d_coef: float,
    weight_decay: float,
) -> tuple[Any, ...]:
    first, d = (w, d0) if t == 1 else (first, d)
    weight = d / d0 * d * learning_rate
    r = np.sqrt(b2) * np.max(r) + weight * (g * (first - w)).sum()
    s = np.sqrt(b2) * s + weight * g
    d_next = np.maximum(d, d_coef * quotient(r, absolute(s).sum()))
    m = b1 * m + (1 - b1) * d * g
    v = b2 * v + (1 - b2) * (d * g) ** 2
    u = quotient(m, np.sqrt(v) + d_next * eps)
    return -d * learning_rate * (u + weight_decay * w), m, v, s, first, r, d_next


WHOLE_TREE = WHOLE_ARRAYS | {
    "half_state": "bfloat16 would round where the parameters started",
    "test_a_tree_of_mixed_dtypes_is_each_leaf_alone": "its number is the whole tree's",
    "test_init_works_on_shapes_alone": "its init copies the parameters' numbers",
    "test_shapes_alone_are_enough_for_init": "its init copies the parameters' numbers",
    "test_the_state_lies_where_the_parameters_lie": "of shapes alone there is none",
}

ROWS = (
    Row(
        name="prodigy",
        factory=jo.prodigy,
        state_type=optimizers.ProdigyState,
        memory=("m", "v", "s", "first"),
        hyperparameters={
            "learning_rate": 1.0,
            "b1": 0.9,
            "b2": 0.999,
            "eps": 1e-8,
            "d0": 0.01,
            "d_coef": 1.5,
            "weight_decay": 0.1,
        },
        formula=prodigy_formula,
        optax=None,  # it always corrects the bias: tests/optimizers/parameter_free
        torch=None,
        reads_params=True,
        real=("v",),
        further=("r", "d"),
        hidden=2,
        whole=True,
        refused=WHOLE_TREE,
    ),
    Row(
        name="dog",
        factory=jo.dog,
        state_type=optimizers.DogState,
        memory=("first",),
        hyperparameters={"learning_rate": 1.0, "reps_rel": 0.01, "eps": 1e-8},
        formula=dog_formula,
        optax=lambda learning_rate, reps_rel, eps: optax.contrib.dog(
            learning_rate, ("heuristic", reps_rel), eps
        ),
        torch=None,
        reads_params=True,
        further=("size", "distance", "squares"),
        hidden=3,
        whole=True,
        refused=WHOLE_TREE
        | {"test_complex_parameters_under_strict_promotion": "a turn is a way from the start"},
    ),
)
