"""Signs."""

import numpy as np
import optax

import jaxopt_edu as jo
from jaxopt_edu import optimizers
from tests.rows.row import Array, Row


def sign(x: Array) -> Array:
    """Of the real part: complex steps take derivatives of these formulas."""
    return np.sign(np.real(x))


def signum_formula(t: int, g: Array, m: Array, *, learning_rate: float, momentum: float) -> tuple[Array, ...]:
    m = momentum * m + (1 - momentum) * g
    return -learning_rate * sign(m), m


def lion_formula(
    t: int, g: Array, w: Array, m: Array, *, learning_rate: float, b1: float, b2: float, weight_decay: float
) -> tuple[Array, ...]:
    update = -learning_rate * (sign(b1 * m + (1 - b1) * g) + weight_decay * w)
    return update, b2 * m + (1 - b2) * g


UNSEEN = {
    "test_its_steps_are_those_of_float32_in_the_mean": "a sign does not see how its average was rounded"
}

ROWS = (
    Row(
        name="signum",
        factory=jo.signum,
        state_type=optimizers.SignumState,
        memory=("m",),
        hyperparameters={"learning_rate": 0.01, "momentum": 0.9},
        formula=signum_formula,
        optax=lambda learning_rate, momentum: optax.signum(learning_rate, beta=momentum),
        torch=None,
        flat=("momentum",),
        refused=UNSEEN,
    ),
    Row(
        name="lion",
        factory=jo.lion,
        state_type=optimizers.LionState,
        memory=("m",),
        hyperparameters={"learning_rate": 0.01, "b1": 0.9, "b2": 0.99, "weight_decay": 0.1},
        formula=lion_formula,
        optax=optax.lion,
        torch=None,
        reads_params=True,
        flat=("b1", "b2"),
        refused=UNSEEN,
    ),
)
