"""Matrices: rules that are no rules of single numbers.

The contracts are about vectors and scalars, and each is taken for a matrix of one column here, so that they
say something of the rule. What a rule makes of real matrices is in tests/optimizers/matrices.
"""

from typing import Any

import numpy as np
import optax

import jaxopt_edu as jo
from jaxopt_edu import optimizers
from jaxopt_edu.core import MatrixAxes
from tests.rows.row import Array, Row


def column(name: str, leaf: Any) -> MatrixAxes:
    """Every leaf is a matrix of one column."""
    del name
    return MatrixAxes(inputs=tuple(range(len(leaf.shape))), outputs=())


def no_state(params: Any) -> tuple[()]:
    del params
    return ()


def no_change(updates: Any, state: Any, params: Any = None) -> Any:
    del params
    return updates, state


COLUMNS = {"axes": column, "others": optax.GradientTransformation(no_state, no_change)}
INJECTED = "inject_hyperparams calls axes as a schedule"
NOT_ONE_NUMBER = {
    "test_by_default_it_stays_in_the_state_and_in_its_coordinate": "all numbers of a matrix move together",
    "test_only_many_small_leaves_and_our_own_rules_are_packed": "leaves joined end to end are another matrix",
    "test_the_updates_are_the_optimizers_own_up_to_a_rounding": "leaves joined end to end are another matrix",
    "test_wrapped_it_walks_as_optax_does": "optax has another formula; see tests/optimizers/matrices",
    "test_lookahead_walks_as_optax_does": "optax has another formula; see tests/optimizers/matrices",
    "test_a_step_moves_no_more_bytes_than_optaxs": "optax has another formula",
    "test_a_step_has_no_kernel_of_a_single_operation": "products of matrices stand alone",
    "test_its_steps_are_those_of_float32_in_the_mean": "the mean of directions is none",
    "test_injected_hyperparameters_give_the_same_bits": INJECTED,
    "test_injected_hyperparameters_can_be_changed_between_steps": INJECTED,
    "test_hyperparameters_that_bfloat16_rounds_to_one_do_no_harm": INJECTED,
}


def muon_formula(
    t: int,
    g: Array,
    w: Array,
    m: Array,
    *,
    learning_rate: float,
    momentum: float,
    weight_decay: float,
    eps: float,
) -> tuple[Array, ...]:
    """Of one column, whose square on the shorter side is a number."""
    m = momentum * m + (1 - momentum) * g
    u = momentum * m + (1 - momentum) * g
    x = u / (np.sqrt(np.sum(u**2)) + eps)
    for _ in range(5):
        square = np.sum(x**2)
        x = 3.4445 * x - 4.7750 * square * x + 2.0315 * square**2 * x
    return -learning_rate * (0.2 * np.sqrt(np.size(u)) * x + weight_decay * w), m


ROWS = (
    Row(
        name="muon",
        factory=jo.muon,
        state_type=optimizers.MuonState,
        memory=("m",),
        hyperparameters={"learning_rate": 0.01, "momentum": 0.95, "weight_decay": 0.1, "eps": 1e-7},
        formula=muon_formula,
        optax=None,
        torch=None,
        reads_params=True,
        static=COLUMNS,
        further=("others",),
        refused=NOT_ONE_NUMBER,
    ),
)
