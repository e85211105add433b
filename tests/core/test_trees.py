"""Dtypes, None, empty trees and everything else that a rule for one array never hears of."""

import re
from collections import namedtuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_edu as jo
from jaxopt_edu.core import map_rule, next_count, zeros_like
from jaxopt_edu.core.trees import working_dtype
from tests.registry import HELD, OPTIMIZERS, each_optimizer, formula_updates, named


def test_working_dtypes(x64):
    for dtype in (jnp.bfloat16, jnp.float16, jnp.float32, jnp.complex64):
        assert working_dtype(dtype) == jnp.float32
    for dtype in (jnp.float64, jnp.complex128):
        assert working_dtype(dtype) == jnp.float64


@each_optimizer
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32, jnp.float64])
def test_the_state_is_at_least_float32_and_updates_have_the_gradients_dtype(row, dtype, x64):
    opt, w = row.build(), jnp.full(3, HELD, dtype)
    state = opt.init(w)
    updates, after = opt.update(jnp.ones(3, dtype), state, w)
    assert updates.dtype == dtype
    chex.assert_trees_all_equal_shapes_and_dtypes(state, after)
    assert state.count.dtype == jnp.int32
    for name in row.memory:
        assert getattr(state, name).dtype == (jnp.float64 if dtype == jnp.float64 else jnp.float32)
    expected = formula_updates(row, np.ones((1, 3)))
    # One rounding of the result where it was worked on in more digits, else the few of the formula; 1 − ρ in
    # float32 holds 5e-7 of the rounding of ρ = 0.99.
    tolerance = float(jnp.finfo(dtype).eps) * (5 if dtype in (jnp.float32, jnp.float64) else 1)
    # The rule of a whole matrix sums and multiplies many times before it is done.
    tolerance *= 1 if row.elementwise else 50
    np.testing.assert_allclose(np.asarray(updates[None], np.float64), expected, rtol=tolerance)


@each_optimizer
@pytest.mark.parametrize("gradient_dtype", [jnp.bfloat16, jnp.float32, jnp.float64])
def test_gradients_of_another_dtype_leave_the_states_dtype_alone(row, gradient_dtype, x64):
    opt, w = row.build(), jnp.ones(3, jnp.float32)
    state = opt.init(w)
    updates, after = opt.update(w.astype(gradient_dtype), state, w)
    assert updates.dtype == gradient_dtype
    chex.assert_trees_all_equal_shapes_and_dtypes(state, after)


@each_optimizer
def test_a_state_cast_down_keeps_its_dtype(row):
    opt, w = row.build(), jnp.ones(3)
    state = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16) if leaf.ndim else leaf, opt.init(w))
    updates, after = opt.update(w, state, w)
    assert updates.dtype == jnp.float32
    chex.assert_trees_all_equal_shapes_and_dtypes(state, after)


@each_optimizer
def test_a_tree_of_mixed_dtypes_is_each_leaf_alone(row, x64):
    opt = row.build()
    tree = {"half": jnp.ones(2, jnp.bfloat16), "single": jnp.ones(3), "double": jnp.ones(2, jnp.float64)}
    updates, _ = opt.update(tree, opt.init(tree), tree)
    for name, leaf in tree.items():
        chex.assert_trees_all_equal(updates[name], opt.update(leaf, opt.init(leaf), leaf)[0])


@each_optimizer
def test_none_empty_trees_zero_size_and_scalar_leaves_pass_through(row):
    opt = row.build()
    tree = {"none": None, "empty": {}, "zero": jnp.ones((0, 3)), "scalar": jnp.float32(2), "nested": [None]}
    updates, state = opt.update(tree, opt.init(tree), tree)
    assert updates["none"] is None
    assert updates["nested"] == [None]
    assert updates["empty"] == {}
    chex.assert_shape(updates["zero"], (0, 3))
    chex.assert_shape(updates["scalar"], ())
    assert updates["scalar"] != 0 or row.waits
    for nothing in ({}, None, [], {"a": None}):
        updates, state = opt.update(nothing, opt.init(nothing), nothing)
        assert updates == nothing
        assert state.count == 1


@each_optimizer
def test_complex_parameters_under_strict_promotion(row):
    """A real number in complex clothes moves as the real number does; a rotation of g rotates the step."""
    opt = row.build()
    g = jnp.array([1.0, -0.5, 0.0])
    z = g.astype(jnp.complex64)
    state = opt.init(z)
    for name in row.memory:
        assert getattr(state, name).dtype == (jnp.float32 if name in row.real else jnp.complex64)
    updates, after = opt.update(z, state, z)
    assert updates.dtype == jnp.complex64
    chex.assert_trees_all_equal_shapes_and_dtypes(state, after)
    real = opt.update(g, opt.init(g), g)[0]
    np.testing.assert_allclose(updates, np.asarray(real).astype(np.complex64), rtol=1e-6)
    turned, _ = opt.update(1j * z, state, 1j * z)
    np.testing.assert_allclose(turned, 1j * np.asarray(updates), rtol=1e-6)


@each_optimizer
def test_python_numbers_are_leaves_too(row):
    opt = row.build()
    updates, _ = opt.update({"a": 1.0}, opt.init({"a": 1.0}), {"a": 1.0})
    chex.assert_trees_all_equal(
        updates["a"], opt.update(jnp.ones(()), opt.init(jnp.ones(())), jnp.ones(()))[0]
    )


@each_optimizer
def test_init_works_on_shapes_alone(row):
    opt = row.build()
    shapes = {"w": jax.ShapeDtypeStruct((2, 3), jnp.bfloat16)}
    chex.assert_trees_all_equal(opt.init(shapes), opt.init({"w": jnp.zeros((2, 3), jnp.bfloat16)}))


@each_optimizer
@pytest.mark.parametrize(
    ("leaf", "found"),
    [
        (jnp.arange(3), "dtype int32"),
        (jnp.array([True]), "dtype bool"),
        (1, "dtype int32"),
        ("text", "is a str, not an array"),
        (jax.nn.relu, "not an array"),
    ],
    ids=["integer", "boolean", "python-int", "string", "function"],
)
def test_parameters_without_a_gradient_are_refused_by_path(row, leaf, found):
    with pytest.raises(TypeError, match=r"parameter \['layer'\]\[1\]") as caught:
        row.build().init({"layer": [jnp.ones(2), leaf]})
    assert found in str(caught.value)


@each_optimizer
@pytest.mark.parametrize("dtype", [jnp.int32, jax.dtypes.float0])
def test_integer_gradients_are_refused_by_path(row, dtype):
    opt, params = row.build(), {"w": jnp.ones(2)}
    with pytest.raises(TypeError, match=re.escape(f"gradient ['w'] has dtype {np.dtype(dtype)}")):
        opt.update({"w": np.zeros(2, dtype)}, opt.init(params), params)


@each_optimizer
def test_a_tree_of_other_structure_is_refused_by_path(row):
    opt, params = row.build(), {"a": jnp.ones(2), "b": jnp.ones(2)}
    state = opt.init(params)
    with pytest.raises(ValueError, match=r"parameter at \['b'\] but no gradient"):
        opt.update({"a": jnp.ones(2)}, state, params)
    with pytest.raises(ValueError, match=r"gradient at \['c'\] but no parameter"):
        opt.update(params | {"c": jnp.ones(2)}, state, params)
    with pytest.raises(ValueError, match=r"parameter at \['b'\] but no gradient"):
        opt.update({"a": jnp.ones(2), "b": None}, state, params)
    with pytest.raises(ValueError, match="different structure"):
        opt.update([jnp.ones(2), jnp.ones(2)], state, params)


@each_optimizer
@pytest.mark.parametrize("shape", [(3, 1), (1, 3), (1,), (), (4,), (3, 3)])
def test_shapes_are_never_broadcast(row, shape):
    opt, params = row.build(), {"w": jnp.ones(3)}
    with pytest.raises(ValueError, match=r"gradient \['w'\] has shape .* parameter has shape \(3,\)"):
        opt.update({"w": jnp.ones(shape)}, opt.init(params), params)


@pytest.mark.parametrize("name", [row.name for row in OPTIMIZERS if row.memory and not row.reads_params])
def test_without_parameters_the_state_stands_in_for_them(name):
    opt = named(name).build()
    state = opt.init({"w": jnp.ones(3)})
    with pytest.raises(ValueError, match=r"gradient \['w'\] has shape \(3, 1\), but the entry of the state"):
        opt.update({"w": jnp.ones((3, 1))}, state)
    with pytest.raises(ValueError, match="no entry of the state"):
        opt.update({"w": jnp.ones(3), "b": jnp.ones(1)}, state)


@each_optimizer
def test_the_state_of_another_optimizer_is_refused(row):
    w = jnp.ones(2)
    others = [other.build().init(w) for other in OPTIMIZERS if other.name != row.name]
    own = row.build().init(w)
    lookalike = namedtuple(row.state_type.__name__, own._fields)(*own)
    for state in (*others, lookalike, optax.EmptyState(), (), (own,), None, {}):
        with pytest.raises(TypeError, match=rf"{row.name}.update was given a .*{row.state_type.__name__}"):
            row.build().update(w, state, w)


def test_the_count_stops_at_the_largest_integer():
    assert next_count(jnp.int32(41)) == 42
    largest = jnp.int32(2**31 - 1)
    assert next_count(largest) == largest


def test_a_rule_sees_one_array_at_a_time_in_its_working_dtype():
    seen = []

    def rule(g, h):
        seen.append((g.shape, g.dtype, h.dtype))
        return g, h + g

    gradients = {"a": jnp.ones(2, jnp.bfloat16), "b": jnp.ones((1, 2))}
    updates, h = map_rule(rule, gradients, zeros_like(gradients))
    assert seen == [((2,), jnp.float32, jnp.float32), ((1, 2), jnp.float32, jnp.float32)]
    chex.assert_trees_all_equal_shapes_and_dtypes(updates, gradients)
    chex.assert_trees_all_equal(h, jax.tree.map(lambda g: jnp.ones(g.shape), gradients))


@pytest.mark.parametrize("name", ["momentum", "rmsprop", "adadelta", "adam"])
def test_a_scheduled_fraction_of_one_is_held_below_one(name):
    row = named(name)
    opt = row.build(**dict.fromkeys(row.fractions(), lambda step: 1.0))
    w = jnp.ones(2)
    updates, state = opt.update(w, opt.init(w), w)
    chex.assert_tree_all_finite((updates, state))
    assert np.all(updates != 0)


def test_momentum_keeps_small_bfloat16_gradients():
    """1,000 gradients of 1e-3 add up in float32; in bfloat16 the sum would stop growing."""
    opt = jo.momentum(learning_rate=1.0, momentum=0.999)
    g = jnp.full(1, 1e-3, jnp.bfloat16)
    state, _ = jax.lax.scan(lambda state, _: (opt.update(g, state)[1], None), opt.init(g), None, length=1000)
    np.testing.assert_allclose(state.velocity, -float(g[0]) * (1 - 0.999**1000) / 0.001, rtol=1e-4)  # type: ignore[attr-defined]
