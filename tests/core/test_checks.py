"""What bad hyperparameters get: an error with their name and value in it, and good ones nothing."""

import re

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

import jaxopt_edu as jo
from jaxopt_edu.core.checks import checked_whole
from tests.registry import OPTIMIZERS, each_optimizer

EVERY_HYPERPARAMETER = [
    pytest.param(row, name, id=f"{row.name}-{name}") for row in OPTIMIZERS for name in row.hyperparameters
]
EVERY_FRACTION = [
    pytest.param(row, name, id=f"{row.name}-{name}") for row in OPTIMIZERS for name in row.fractions()
]


def refused(error, row, name, value):
    with pytest.raises(error, match=re.escape(f"{row.name}: {name} = {value!r}")) as caught:
        row.build(**{name: value})
    return str(caught.value)


@pytest.mark.parametrize(("row", "name"), EVERY_HYPERPARAMETER)
@pytest.mark.parametrize("value", [-1e-9, -1, float("nan"), float("inf"), -float("inf")])
def test_numbers_out_of_range_are_refused_by_name(row, name, value):
    assert "out of range" in refused(ValueError, row, name, value)


@pytest.mark.parametrize(("row", "name"), EVERY_HYPERPARAMETER)
def test_the_same_numbers_are_refused_as_numpy_and_jax_scalars(row, name):
    for value in (np.float32(-1), np.float64("nan"), np.array(-1.0), jnp.float32(jnp.inf), jnp.int32(-3)):
        refused(ValueError, row, name, value)


@pytest.mark.parametrize(("row", "name"), EVERY_FRACTION)
@pytest.mark.parametrize("value", [1.0, 1, 1.5, np.float32(1), np.int64(1), jnp.float32(1), jnp.int32(1)])
def test_a_fraction_of_one_or_more_is_refused(row, name, value):
    assert "[0, 1)" in refused(ValueError, row, name, value)


@pytest.mark.parametrize(("row", "name"), EVERY_HYPERPARAMETER)
@pytest.mark.parametrize(
    "value",
    [True, np.True_, "0.1", b"0.1", None, 1j, {}, jax.ShapeDtypeStruct((), jnp.float32), jnp.array(True)],
    ids=repr,
)
def test_what_is_no_number_is_refused(row, name, value):
    refused(TypeError, row, name, value)


@pytest.mark.parametrize("value", [[0.1, 0.2], (0.1, 0.2), np.array([0.1, 0.2]), jnp.ones(1)], ids=repr)
@each_optimizer
def test_several_numbers_are_refused_with_a_hint_at_stack(row, value):
    assert "stack(" in refused(TypeError, row, "learning_rate", value)


def test_a_ragged_list_is_refused():
    with pytest.raises(TypeError, match=r"learning_rate = .* is not a number"):
        jo.sgd(learning_rate=[[0.1], [0.2, 0.3]])  # type: ignore[arg-type]


@pytest.mark.parametrize(("row", "name"), EVERY_HYPERPARAMETER)
def test_zero_and_python_and_numpy_numbers_become_floats(row, name):
    for value in (0, 0.0, np.float32(0.5), np.float64(0.25), np.array(0.125), ml_dtypes.bfloat16(0.5)):
        held = jo.hyperparameters(row.build(**{name: value}))[name]
        assert type(held) is float
        assert held == float(value)


@pytest.mark.parametrize(("row", "name"), EVERY_HYPERPARAMETER)
def test_jax_scalars_stay_what_they_are(row, name):
    value = jnp.bfloat16(0.5)
    assert jo.hyperparameters(row.build(**{name: value}))[name] is value


@pytest.mark.parametrize(("row", "name"), EVERY_FRACTION)
def test_a_one_that_rounding_made_of_a_fraction_passes(row, name):
    for dtype in (jnp.bfloat16, jnp.float16):
        row.build(**{name: jnp.asarray(0.9999, dtype)})


@each_optimizer
def test_tracers_pass(row):
    names = list(row.hyperparameters)

    @jax.jit
    def build(values):
        return jo.hyperparameters(row.make(**values))

    held = build(dict.fromkeys(names, -1.0))  # out of range, which nobody can see while tracing
    assert set(held) == set(names)


def test_a_traced_value_of_the_wrong_shape_or_type_is_refused():
    with pytest.raises(TypeError, match=r"sgd: learning_rate = .* has shape \(2,\)"):
        jax.eval_shape(lambda rate: jo.sgd(learning_rate=rate), jnp.ones(2))
    with pytest.raises(TypeError, match=r"sgd: learning_rate = .* has dtype bool"):
        jax.eval_shape(lambda rate: jo.sgd(learning_rate=rate), jnp.array(True))


def test_unknown_hyperparameters_are_pythons_own_error():
    with pytest.raises(TypeError, match="weight_decay"):
        jo.adam(weight_decay=0.1)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "four", [4, 4.0, np.int64(4), np.float32(4), np.array(4), jnp.array(4, jnp.bfloat16)], ids=repr
)
def test_whole_numbers_of_any_type_are_taken_alike(four):
    number = checked_whole("fit", "steps", four)
    assert (number, type(number)) == (4, int)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        *[
            (value, TypeError)
            for value in (None, "4", True, np.bool_(1), [4], np.array([4]), np.arange(2) > 4)
        ],
        *[(value, ValueError) for value in (0, 4.5, -1, float("nan"), float("inf"), np.float32(4.5))],
        (4j, TypeError),
        (np.complex64(4), ValueError),
    ],
    ids=repr,
)
def test_what_is_no_whole_number_is_named(value, kind):
    with pytest.raises(kind, match=re.escape(f"fit: steps = {value!r}")) as caught:
        checked_whole("fit", "steps", value)
    assert "\n" not in str(caught.value)
    assert "must be a whole number of at least 1" in str(caught.value)
