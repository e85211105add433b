"""The one table of optimizers. Every contract test runs over its rows.

To add an optimizer, add a row: the contract tests then hold for it too.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_edu as jo
from jaxopt_edu import optimizers

Array = np.ndarray


class Row(NamedTuple):
    """One optimizer and what is known about it from outside the package."""

    name: str
    factory: Callable[..., jo.Optimizer]
    state_type: type
    memory: tuple[str, ...]  # the state's fields that mirror the parameters, in the formula's order
    hyperparameters: dict[str, float]
    formula: Callable[..., tuple[Array, ...]]  # (t, g, *memory, **hyperparameters) -> (update, *memory)
    optax: Callable[..., optax.GradientTransformation]  # where the formulas agree
    torch: Callable[..., Any]  # (list of torch parameters, **hyperparameters) -> torch optimizer
    evaluated_elsewhere: bool = False  # its result is at another point than the one that it holds

    def build(self, **changes: Any) -> jo.Optimizer:
        """The optimizer with the table's hyperparameters, or with some of them changed."""
        return self.factory(**self.hyperparameters | changes)

    def fractions(self) -> list[str]:
        """The hyperparameters that must stay below 1."""
        return [name for name in self.hyperparameters if name in ("b1", "b2", "momentum", "rho", "decay")]


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


def torch_sgd(params: list, *, learning_rate: float, momentum: float = 0.0, nesterov: bool = False) -> Any:
    return pytest.importorskip("torch").optim.SGD(
        params, lr=learning_rate, momentum=momentum, nesterov=nesterov
    )


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


OPTIMIZERS = (
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

each_optimizer = pytest.mark.parametrize("row", OPTIMIZERS, ids=[row.name for row in OPTIMIZERS])


def named(name: str) -> Row:
    """The row of one optimizer."""
    return next(row for row in OPTIMIZERS if row.name == name)


def formula_updates(row: Row, gradients: Array, **changes: float) -> Array:
    """The float64 updates of the row's formula, met by gradients of shape (steps, n)."""
    hyperparameters = row.hyperparameters | changes
    memory: list[Array] = [np.zeros(gradients.shape[1:])] * len(row.memory)
    updates = []
    for t, g in enumerate(np.asarray(gradients, np.float64), start=1):
        update, *memory = row.formula(t, g, *memory, **hyperparameters)
        updates.append(update)
    return np.stack(updates)


def updates_of(optimizer: optax.GradientTransformation, gradients: jax.Array) -> jax.Array:
    """A (pytree) optimizer's updates for gradients of shape (steps, n); the parameters stay 0."""
    params = jnp.zeros_like(gradients[0])

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
