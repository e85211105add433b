"""A hyperparameter is its value: what kind of number it came as changes neither bits nor dtypes nor programs.

Guards against what happens to optimizers of today: a NumPy or JAX scalar as optax's learning rate turns
bfloat16 updates into float32 ones, a new learning rate is a new compilation, and a state that starts weakly
typed compiles the second step anew.
"""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_edu as jo
from jaxopt_edu import schedules
from jaxopt_edu.core import FRACTION
from jaxopt_edu.core.naming import limits
from tests.registry import each_optimizer, named

GRADIENTS = np.array([[1.0, -0.3, 0.0], [-2.0, 0.7, 0.01]], np.float32)

FLOAT_KINDS = {
    "NumPy float32": np.float32,
    "NumPy float64": np.float64,
    "NumPy array": np.array,
    "JAX float32": lambda value: jnp.asarray(value, jnp.float32),
    "JAX weak": jnp.asarray,
    "JAX bfloat16": lambda value: jnp.asarray(value, jnp.bfloat16),
    "schedule": schedules.constant,
    "function": lambda value: lambda step: value,
}
INTEGER_KINDS = FLOAT_KINDS | {
    "int": int,
    "NumPy int": np.int64,
    "JAX int": lambda value: jnp.asarray(value, jnp.int32),
}


def two_steps(opt, gradients):
    w = jnp.zeros_like(gradients[0])
    state = opt.init(w)
    first, state = opt.update(gradients[0], state, w)
    second, state = opt.update(gradients[1], state, w)
    return first, second, state


compiled_two_steps = jax.jit(two_steps)


def in_binary(row):
    """Values that every kind of float holds exactly."""
    return {
        name: 0.875 if name in row.fractions() else 0.0625 if name == "eps" else 0.125
        for name in row.hyperparameters
    }


def whole(row):
    """Values that integers hold."""
    known = limits(row.build())
    return {name: 0.0 if known[name] == FRACTION else 1.0 for name in row.hyperparameters}


@each_optimizer
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float64])
@pytest.mark.parametrize("values", [in_binary, whole])
def test_every_kind_of_number_gives_the_same_bits(row, dtype, values):
    """Uncompiled, where a stray NumPy or JAX scalar would promote; all hyperparameters at once."""
    kinds = INTEGER_KINDS if values is whole else FLOAT_KINDS
    with jax.enable_x64(dtype == jnp.float64):
        gradients = jnp.asarray(GRADIENTS, dtype)
        expected = two_steps(row.make(**values(row)), gradients)
        assert {update.dtype for update in expected[:2]} == {jnp.dtype(dtype)}
        for kind, convert in kinds.items():
            opt = row.make(**{name: convert(value) for name, value in values(row).items()})
            found = two_steps(opt, gradients)
            chex.assert_trees_all_equal(found, expected, custom_message=kind)
            chex.assert_trees_all_equal_dtypes(found, expected)


@each_optimizer
def test_every_kind_of_number_gives_the_same_bits_compiled(row):
    """Passed to a compiled function, and traced in it: built there from an argument."""
    gradients = jnp.asarray(GRADIENTS, jnp.bfloat16)
    values = in_binary(row)
    expected = compiled_two_steps(row.make(**values), gradients)
    for kind in ("NumPy float64", "JAX float32", "schedule"):
        opt = row.make(**{name: FLOAT_KINDS[kind](value) for name, value in values.items()})
        chex.assert_trees_all_equal(compiled_two_steps(opt, gradients), expected, custom_message=kind)
    build_inside = jax.jit(lambda values, gradients: two_steps(row.make(**values), gradients))
    traced = build_inside(values, gradients)
    chex.assert_trees_all_equal(traced, expected)
    chex.assert_trees_all_equal_dtypes(traced, expected)


def test_a_numpy_learning_rate_changes_the_dtype_of_optax():
    """The trouble itself: updates in float32 for bfloat16 parameters, and a scan that does not compile."""
    w = jnp.ones(2, jnp.bfloat16)
    for rate in (np.float32(0.125), jnp.float32(0.125)):
        theirs = optax.sgd(rate)  # type: ignore[arg-type]
        ours = jo.sgd(rate)  # type: ignore[arg-type]
        assert ours.update(w, ours.init(w), w)[0].dtype == jnp.bfloat16  # type: ignore[attr-defined]
        with jax.numpy_dtype_promotion("standard"):
            assert theirs.update(w, theirs.init(w), w)[0].dtype == jnp.float32  # type: ignore[attr-defined]


def chained(opt):
    return jo.chain(optax.clip_by_global_norm(1.0), jo.lift(optax.scale)(0.5), opt)


def wrapped(opt):
    return jo.half_state(jo.compensated(opt), jax.random.key(0))


@each_optimizer
@pytest.mark.parametrize("around", [lambda opt: opt, chained, wrapped], ids=["alone", "chain", "wrappers"])
def test_a_new_value_of_any_hyperparameter_traces_nothing_anew(row, around):
    traced = []

    @jax.jit
    def step(opt, w):
        traced.append(1)
        updates, state = opt.update(w, opt.init(w), w)
        for _ in range(row.waits):
            updates, state = opt.update(w, state, w)
        return updates

    opt = around(row.build())
    first = step(opt, jnp.ones(3))
    for name, value in row.hyperparameters.items():
        # add_decayed_weights has a weight_decay, too: the last of a name is the optimizer's.
        *_, place = (each for each in jo.hyperparameters(opt) if each.split(".")[-1] == name)
        for new in (value / 2, np.float32(value / 4), 0):
            step(jo.replace(opt, **{place: new}), jnp.ones(3))
    assert len(traced) == 1
    assert not np.allclose(first, step(jo.replace(opt, learning_rate=3), jnp.ones(3)))


def test_a_new_learning_rate_compiles_optax_anew():
    """What is compared with: an optax transform can only be closed over."""
    traced = []

    def step(opt, w):
        traced.append(1)
        return opt.update(w, opt.init(w), w)[0]

    run = jax.jit(step, static_argnums=0)
    for rate in (0.1, 0.2, 0.3):
        run(optax.sgd(rate), jnp.ones(3))
    assert len(traced) == 3


def test_a_lifted_optimizer_is_traced_once():
    traced = []

    @jax.jit
    def step(opt, w):
        traced.append(1)
        with jax.numpy_dtype_promotion("standard"):
            return opt.update(w, opt.init(w), w)[0]

    lifted = jo.lift(optax.lion)
    for rate in (0.1, 0.2, np.float64(0.3)):
        step(lifted(rate, b1=rate), jnp.ones(3))
    assert len(traced) == 1


WEAK_PARAMETERS = {
    "strong": lambda: {"w": jnp.ones(()), "b": jnp.ones(2, jnp.bfloat16)},
    "Python float": lambda: {"w": 1.0, "b": jnp.ones(2, jnp.bfloat16)},
    "weak array": lambda: {"w": jnp.asarray(1.0), "b": jnp.full(2, 1.0)},
    "Python complex": lambda: {"w": 1.0 + 2.0j},
}


def weak(tree):
    return [getattr(leaf, "weak_type", False) for leaf in jax.tree.leaves(tree)]  # a key has none


@each_optimizer
@pytest.mark.parametrize("parameters", WEAK_PARAMETERS)
@pytest.mark.parametrize("around", [lambda opt: opt, chained, wrapped], ids=["alone", "chain", "wrappers"])
def test_no_weak_type_is_left_behind(row, parameters, around):
    """The second step must find the types of the first, or it is compiled again."""
    params = WEAK_PARAMETERS[parameters]()
    opt = around(row.build())
    state = opt.init(params)
    gradients = jax.tree.map(jnp.asarray, params)  # as weakly typed as the parameters, as those of jax.grad
    updates, after = opt.update(gradients, state, params)
    assert not any(weak(state) + weak(updates) + weak(after))
    chex.assert_trees_all_equal_shapes_and_dtypes(state, after)


@each_optimizer
@pytest.mark.parametrize("parameters", ["strong", "weak array"])
def test_the_second_compiled_step_is_the_first(row, parameters):
    traced = []

    @jax.jit
    def step(opt, params, state):
        traced.append(1)
        updates, state = opt.update(params, state, params)
        return optax.apply_updates(params, updates), state

    opt = row.build()
    params = WEAK_PARAMETERS[parameters]()
    state = opt.init(params)
    after, state = step(opt, params, state)
    assert not any(weak(after))
    step(opt, params, state)
    assert len(traced) == 1, "the state of the first step is of other types than that of init"
    if parameters == "strong":
        step(opt, *step(opt, after, state))
        assert len(traced) == 1


def test_an_optimizer_on_the_device_is_not_transferred_again():
    opt, gradient = jo.adam(0.1), jnp.asarray(GRADIENTS[0])

    @jax.jit
    def step(opt, params, state):
        updates, state = opt.update(gradient, state, params)
        return params + updates, state

    params = jnp.zeros_like(gradient)
    state = opt.init(params)
    expected = step(opt, params, state)
    there = jax.device_put(opt)
    assert jo.describe(there) == jo.describe(opt)
    with jax.transfer_guard("disallow"):
        with pytest.raises(jax.errors.JaxRuntimeError, match="Disallowed host-to-device transfer"):
            step(opt, params, state)
        found = step(there, params, state)
    chex.assert_trees_all_equal(found, expected)


@pytest.mark.parametrize("name", ["momentum", "adam", "adagrad", "rmsprop", "adadelta"])
def test_optax_leaves_weak_types_behind(name):
    row = named(name)
    opt = row.optax(**row.hyperparameters)
    w = jnp.asarray(1.0)
    with jax.numpy_dtype_promotion("standard"):
        state = opt.init(w)
        _, after = opt.update(jnp.float32(1), state, w)
    assert any(weak(state))
    assert not any(weak(after))
