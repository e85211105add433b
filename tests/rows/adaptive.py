"""Adaptive step lengths."""

from typing import Any

import numpy as np
import optax
import pytest

import jaxopt_edu as jo
from jaxopt_edu import optimizers
from tests.rows.row import Array, Row


def adagrad_formula(t: int, g: Array, h: Array, *, learning_rate: float, eps: float) -> tuple[Array, ...]:
    h = h + g**2
    return -learning_rate * g / (np.sqrt(h) + eps), h


def adadelta_formula(
    t: int, g: Array, h: Array, u: Array, *, learning_rate: float, rho: float, eps: float
) -> tuple[Array, ...]:
    h = rho * h + (1 - rho) * g**2
    delta = np.sqrt(u + eps) / np.sqrt(h + eps) * g
    return -learning_rate * delta, h, rho * u + (1 - rho) * delta**2


def rmsprop_formula(
    t: int, g: Array, h: Array, *, learning_rate: float, decay: float, eps: float
) -> tuple[Array, ...]:
    h = decay * h + (1 - decay) * g**2
    return -learning_rate * g / (np.sqrt(h) + eps), h


def adam_formula(
    t: int, g: Array, m: Array, v: Array, *, learning_rate: float, b1: float, b2: float, eps: float
) -> tuple[Array, ...]:
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * g**2
    return -learning_rate * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps), m, v


def torch_adagrad(params: list, *, learning_rate: float, eps: float) -> Any:
    return pytest.importorskip("torch").optim.Adagrad(params, lr=learning_rate, eps=eps)


def torch_adadelta(params: list, *, learning_rate: float, rho: float, eps: float) -> Any:
    return pytest.importorskip("torch").optim.Adadelta(params, lr=learning_rate, rho=rho, eps=eps)


def torch_rmsprop(params: list, *, learning_rate: float, decay: float, eps: float) -> Any:
    return pytest.importorskip("torch").optim.RMSprop(params, lr=learning_rate, alpha=decay, eps=eps)


def torch_adam(params: list, *, learning_rate: float, b1: float, b2: float, eps: float) -> Any:
    return pytest.importorskip("torch").optim.Adam(params, lr=learning_rate, betas=(b1, b2), eps=eps)


def optax_adagrad(learning_rate: float, eps: float) -> optax.GradientTransformation:
    """optax puts ε inside the root; both are the same method only where ε does not count."""
    del eps
    return optax.adagrad(learning_rate, initial_accumulator_value=0.0, eps=0.0)


ROWS = (
    Row(
        name="adagrad",
        factory=jo.adagrad,
        state_type=optimizers.AdaGradState,
        memory=("h",),
        # ε this small does not count beside any √h of the tests, so optax's place for it does not either.
        hyperparameters={"learning_rate": 0.5, "eps": 1e-20},
        formula=adagrad_formula,
        optax=optax_adagrad,
        torch=torch_adagrad,
    ),
    Row(
        name="adadelta",
        factory=jo.adadelta,
        state_type=optimizers.AdadeltaState,
        memory=("h", "u"),
        hyperparameters={"learning_rate": 1.0, "rho": 0.95, "eps": 1e-6},
        formula=adadelta_formula,
        optax=optax.adadelta,
        torch=torch_adadelta,
    ),
    Row(
        name="rmsprop",
        factory=jo.rmsprop,
        state_type=optimizers.RmsPropState,
        memory=("h",),
        hyperparameters={"learning_rate": 0.01, "decay": 0.99, "eps": 1e-7},
        formula=rmsprop_formula,
        optax=lambda **values: optax.rmsprop(**values, eps_in_sqrt=False),
        torch=torch_rmsprop,
    ),
    Row(
        name="adam",
        factory=jo.adam,
        state_type=optimizers.AdamState,
        memory=("m", "v"),
        hyperparameters={"learning_rate": 0.01, "b1": 0.9, "b2": 0.999, "eps": 1e-8},
        formula=adam_formula,
        optax=optax.adam,
        torch=torch_adam,
    ),
)
