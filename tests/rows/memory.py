"""Little memory: of vectors every number is kept; more of matrices is in tests/optimizers/memory."""

from typing import Any

import numpy as np

import jaxopt_edu as jo
from jaxopt_edu import optimizers
from tests.rows.layers import WHOLE_ARRAYS
from tests.rows.row import Array, Row


def root_mean_square(x: Array) -> Array:
    """Without an absolute value: complex steps take derivatives of these formulas."""
    return np.sqrt((x**2).mean())


def adafactor_formula(
    t: int,
    g: Array,
    w: Array,
    v: Array,
    rows: Array,
    columns: Array,
    *,
    learning_rate: float,
    decay_exponent: float,
    eps: float,
    clipping_threshold: float,
    min_scale: float,
    weight_decay: float,
) -> tuple[Array, ...]:
    beta = 1 - t**-decay_exponent
    squares = g**2 + eps
    if g.ndim > 1:
        # The first memory has the array's shape.
        rows, columns = (
            beta * old.mean(axis, keepdims=True) + (1 - beta) * squares.mean(axis, keepdims=True)
            for old, axis in ((rows, -1), (columns, -2))
        )
        estimate = rows * columns / rows.mean(-2, keepdims=True)
    else:
        v = beta * v + (1 - beta) * squares
        estimate = v
    u = np.where(estimate == 0, 0, g) / np.sqrt(np.where(estimate == 0, 1, estimate))
    u = u / np.maximum(1, root_mean_square(u) / clipping_threshold)
    u = np.maximum(min_scale, root_mean_square(w)) * u + weight_decay * w
    return -learning_rate * u, v, rows, columns


def torch_adafactor(
    params: list,
    *,
    learning_rate: float,
    decay_exponent: float,
    eps: float,
    clipping_threshold: float,
    min_scale: float,
    weight_decay: float,
) -> Any:
    """The same while the rate is below 1/√t; its ε is the least root."""
    import torch

    return torch.optim.Adafactor(
        params,
        lr=learning_rate,
        beta2_decay=-decay_exponent,
        eps=(eps**0.5, min_scale),
        d=clipping_threshold,
        weight_decay=weight_decay,
    )


BY_ROWS = "what it remembers of a matrix is rows and columns; see tests/optimizers/memory"

ROWS = (
    Row(
        name="adafactor",
        factory=jo.adafactor,
        state_type=optimizers.AdafactorState,
        memory=("v",),
        hyperparameters={
            "learning_rate": 0.01,
            "decay_exponent": 0.8,
            "eps": 1e-30,
            "clipping_threshold": 1.2,
            "min_scale": 1e-3,
            "weight_decay": 0.1,
        },
        formula=adafactor_formula,
        optax=None,  # its decay is not times the rate: tests/optimizers/memory
        torch=torch_adafactor,
        reads_params=True,
        real=("v",),
        further=("rows", "columns"),
        hidden=2,
        flat=("min_scale",),  # where no array is as small
        refused=WHOLE_ARRAYS
        | {
            "test_it_halves_the_state": BY_ROWS,
            "test_its_steps_are_those_of_float32_in_the_mean": "its average of ones is 1 from the first step",
            "test_tree_map_params_finds_what_mirrors_the_parameters": BY_ROWS,
            "test_the_state_lies_where_the_parameters_lie": BY_ROWS,
        },
    ),
)
