"""Gradient descent and momentum."""

from typing import Any

import optax
import pytest

import jaxopt_edu as jo
from jaxopt_edu import optimizers
from tests.rows.row import Array, Row


def sgd_formula(t: int, g: Array, *, learning_rate: float) -> tuple[Array, ...]:
    return (-learning_rate * g,)


def momentum_formula(
    t: int, g: Array, v: Array, *, learning_rate: float, momentum: float
) -> tuple[Array, ...]:
    v = momentum * v - learning_rate * g
    return v, v


def nesterov_formula(
    t: int, g: Array, v: Array, *, learning_rate: float, momentum: float
) -> tuple[Array, ...]:
    v = momentum * v - learning_rate * g
    return momentum * v - learning_rate * g, v


def torch_sgd(params: list, *, learning_rate: float, momentum: float = 0.0, nesterov: bool = False) -> Any:
    return pytest.importorskip("torch").optim.SGD(
        params, lr=learning_rate, momentum=momentum, nesterov=nesterov
    )


ROWS = (
    Row(
        name="sgd",
        factory=jo.sgd,
        state_type=optimizers.SgdState,
        memory=(),
        hyperparameters={"learning_rate": 0.1},
        formula=sgd_formula,
        optax=optax.sgd,
        torch=torch_sgd,
    ),
    Row(
        name="momentum",
        factory=jo.momentum,
        state_type=optimizers.MomentumState,
        memory=("velocity",),
        hyperparameters={"learning_rate": 0.1, "momentum": 0.9},
        formula=momentum_formula,
        optax=optax.sgd,
        torch=torch_sgd,
    ),
    Row(
        name="nesterov",
        factory=jo.nesterov,
        state_type=optimizers.NesterovState,
        memory=("velocity",),
        hyperparameters={"learning_rate": 0.1, "momentum": 0.9},
        formula=nesterov_formula,
        optax=lambda **values: optax.sgd(**values, nesterov=True),
        torch=lambda params, **values: torch_sgd(params, **values, nesterov=True),
    ),
)
