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

OWN_STATES = {
    "test_it_halves_the_state": "it has states of other shapes, too",
    "test_tree_map_params_finds_what_mirrors_the_parameters": "it has states of other shapes, too",
    "test_the_state_is_what_the_formula_remembers": "it has states of other shapes, too",
}
FIRST_LOOKS = dict.fromkeys(
    (
        "test_each_leaf_moves_as_it_does_in_a_plain_list",
        "test_none_empty_trees_zero_size_and_scalar_leaves_pass_through",
        "test_a_new_value_of_any_hyperparameter_traces_nothing_anew",
        "test_without_conj_it_climbs",
        "test_small_float16_gradients_make_finite_updates",
    ),
    "its first step only looks",
)
NOTHING_LEARNED = dict.fromkeys(
    (
        "test_every_derivative_is_that_of_the_formula",
        "test_a_new_value_of_any_hyperparameter_traces_nothing_anew",
    ),
    "the row's formula is that of a Q that learns nothing; see tests/optimizers/matrices",
)


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


def soap_formula(
    t: int,
    g: Array,
    w: Array,
    m: Array,
    v: Array,
    *,
    learning_rate: float,
    b1: float,
    b2: float,
    eps: float,
    weight_decay: float,
) -> tuple[Array, ...]:
    """Of one column whose long side keeps its axes: AdamW, one step later, with ε before the correction."""
    if t == 1:
        return np.zeros_like(g), m, v
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * g**2
    u = np.sqrt(1 - b2 ** (t - 1)) / (1 - b1 ** (t - 1)) * m / (np.sqrt(v) + eps)
    return -learning_rate * (u + weight_decay * w), m, v


def shampoo_formula(
    t: int,
    g: Array,
    w: Array,
    m: Array,
    right: Array,
    *,
    learning_rate: float,
    momentum: float,
    forgetting: float,
    eps: float,
    weight_decay: float,
) -> tuple[Array, ...]:
    """Of one column whose long side has no products: AdaGrad of its length."""
    m = momentum * m + (1 - momentum) * g
    right = (1 - forgetting) * right + np.sum(g**2)
    u = m / (1 - momentum**t) / np.sqrt(right + eps)
    return -learning_rate * (u + weight_decay * w), m, right


def psgd_kron_formula(
    t: int,
    g: Array,
    w: Array,
    m: Array,
    *,
    learning_rate: float,
    momentum: float,
    preconditioner_rate: float,
    probability: float,
    weight_decay: float,
) -> tuple[Array, ...]:
    """Without noise: Q learns nothing."""
    del preconditioner_rate, probability
    m = momentum * m + (1 - momentum) * g
    u = m / (1 - momentum**t)
    size = np.sqrt(np.mean(u**2)) / 1.1
    return -learning_rate * ((u / size if np.real(size) > 1 else u) + weight_decay * w), m


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
    Row(
        name="soap",
        factory=jo.soap,
        state_type=optimizers.SoapState,
        memory=("m", "v"),
        hyperparameters={"learning_rate": 0.01, "b1": 0.9, "b2": 0.99, "eps": 1e-8, "weight_decay": 0.1},
        formula=soap_formula,
        optax=None,
        torch=None,
        reads_params=True,
        real=("v",),
        static=COLUMNS | {"largest": 1},
        further=("left", "right", "left_basis", "right_basis", "others"),
        refused=NOT_ONE_NUMBER | OWN_STATES | FIRST_LOOKS,
    ),
    Row(
        name="shampoo",
        factory=jo.shampoo,
        state_type=optimizers.ShampooState,
        memory=("m",),
        hyperparameters={
            "learning_rate": 0.1,
            "momentum": 0.9,
            "forgetting": 0.01,
            "eps": 1e-6,
            "weight_decay": 0.1,
        },
        formula=shampoo_formula,
        optax=None,
        torch=None,
        reads_params=True,
        static=COLUMNS | {"largest": 1, "frequency": 1},
        further=("left", "right", "left_root", "right_root", "others"),
        hidden=1,
        refused=NOT_ONE_NUMBER | OWN_STATES,
    ),
    Row(
        name="psgd_kron",
        factory=jo.psgd_kron,
        state_type=optimizers.PsgdKronState,
        memory=("m",),
        hyperparameters={
            "learning_rate": 0.01,
            "momentum": 0.9,
            "preconditioner_rate": 0.0,
            "probability": 1.0,
            "weight_decay": 0.1,
        },
        formula=psgd_kron_formula,
        optax=None,
        torch=None,
        reads_params=True,
        static=COLUMNS | {"largest": 1},
        further=("since", "left", "right", "others"),
        refused=NOT_ONE_NUMBER | OWN_STATES | NOTHING_LEARNED,
    ),
)
