"""bfloat16 and float16 parameters, and trees of mixed dtypes.

Guards against averages that stop growing (0.999·v in bfloat16), squares that underflow (1e-4² is 0 in
float16, and so is ε = 1e-8), 0/0 where a gradient was never seen, and states whose dtype changes with the
first gradient, so that no scan compiles. optax 0.2.8 has each of them.
"""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_edu as jo
from tests.registry import OPTIMIZERS, each_optimizer, formula_updates, named, scan_updates, updates_of

STEPS = 1000
each_half_dtype = pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16], ids=["bfloat16", "float16"])
each_with_eps = pytest.mark.parametrize(
    "row",
    [row for row in OPTIMIZERS if "eps" in row.hyperparameters],
    ids=lambda row: row.name,
)


@jax.jit
def clipped_updates(opt, gradients):
    return updates_of(jo.chain(jo.lift(optax.clip)(2.0), opt), gradients)


def optax_updates(row, gradients, **changes):
    opt = row.optax(**row.hyperparameters | changes)
    with jax.numpy_dtype_promotion("standard"):
        return jax.jit(lambda gradients: updates_of(opt, gradients))(gradients)


def relative_error(updates, expected):
    """Where nothing is expected, nothing may come."""
    size = np.where(expected == 0, 1e-30, np.abs(expected))
    return np.max(np.abs(np.asarray(updates, np.float64) - expected) / size)


@each_half_dtype
def test_adams_step_stays_at_the_learning_rate(dtype):
    """A constant gradient of 1: every step is η. optax's v stalls, and its steps grow."""
    gradients = jnp.ones((STEPS, 1), dtype)
    updates = scan_updates(jo.adam(learning_rate=0.01), gradients)
    assert updates.dtype == dtype
    assert relative_error(updates, -0.01) < 0.01
    if dtype == jnp.bfloat16:
        assert relative_error(optax_updates(named("adam"), gradients), -0.01) > 0.05


@each_optimizer
@each_half_dtype
def test_averages_do_not_stall(row, dtype):
    """Every step of a thousand within 1 % of the formula in float64, alone and in a chain."""
    gradients = jnp.ones((STEPS, 1), dtype)
    expected = formula_updates(row, np.ones((STEPS, 1)))
    assert relative_error(scan_updates(row.build(), gradients), expected) < 0.01
    assert relative_error(clipped_updates(row.build(), gradients), expected) < 0.01


@pytest.mark.parametrize("name", ["momentum", "adagrad", "adadelta"])
def test_the_averages_of_optax_stall(name):
    row = named(name)
    expected = formula_updates(row, np.ones((STEPS, 1)))
    assert relative_error(optax_updates(row, jnp.ones((STEPS, 1), jnp.bfloat16)), expected) > 0.01


@each_optimizer
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32])
def test_zero_gradients_make_zero_updates(row, dtype):
    settings = [{}, {"eps": 0.0}] if "eps" in row.hyperparameters else [{}]
    for changes in settings:
        updates = scan_updates(row.build(**row.still | changes), jnp.zeros((3, 2), dtype))
        assert np.all(np.asarray(updates, np.float32) == 0), changes


@pytest.mark.parametrize("name", ["adadelta", "rmsprop", "adam"])
def test_zero_gradients_are_nan_in_optax_without_eps(name):
    assert np.isnan(optax_updates(named(name), jnp.zeros((3, 2)), eps=0.0)).all()


@each_optimizer
@each_half_dtype
def test_a_coordinate_without_gradient_beside_others(row, dtype):
    """eps = 0, and one coordinate that first sees nothing and then something."""
    changes = {"eps": 0.0} if "eps" in row.hyperparameters else {}
    gradients = np.array([[1, 0], [1, 0], [1, 1], [0, 1], [0, 1]], np.float32)
    opt = row.build(**row.still | changes)
    updates = np.asarray(scan_updates(opt, jnp.asarray(gradients, dtype)), np.float32)
    assert np.isfinite(updates).all()
    assert (updates[:2, 1] == 0).all()
    assert (
        row.name == "adadelta" or updates[2 + row.waits, 1] != 0
    )  # without ε Adadelta never leaves the start


@each_with_eps
def test_small_float16_gradients_make_finite_updates(row):
    gradients = jnp.full((3, 2), 1e-4, jnp.float16)
    updates = scan_updates(row.build(), gradients)
    assert updates.dtype == jnp.float16
    # A float16 update as small as Adadelta's first has itself only some 1 % of precision.
    assert relative_error(updates, formula_updates(row, np.asarray(gradients, np.float64))) < 0.02


@pytest.mark.parametrize("name", ["rmsprop", "adam"])
def test_small_float16_gradients_are_infinite_updates_in_optax(name):
    assert np.isinf(optax_updates(named(name), jnp.full((3, 2), 1e-4, jnp.float16))).any()


def chained(opt):
    return jo.chain(optax.clip_by_global_norm(1.0), opt)


def halved(opt):
    return jo.half_state(opt, jax.random.key(0))


WRAPPERS = {"alone": lambda opt: opt, "chain": chained, "compensated": jo.compensated, "half_state": halved}


def mixed_tree():
    params = {
        "bfloat16": jnp.ones(2, jnp.bfloat16),
        "float16": jnp.ones(2, jnp.float16),
        "float32": jnp.ones(2),
        "float64": jnp.ones(2, jnp.float64),
        "complex64": jnp.ones(2, jnp.complex64),
    }
    gradients = params | {name: jnp.full(2, 0.5) for name in ("bfloat16", "float16")}
    return params, gradients


@each_optimizer
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_mixed_trees_keep_every_dtype_through_scan_and_cond(row, wrapper, x64):
    """float32 gradients on bfloat16 and float16 parameters, and float64 beside float32."""
    params, gradients = mixed_tree()
    opt = WRAPPERS[wrapper](row.build())
    state = opt.init(params)

    def step(carry, make):
        params, state = carry
        zeros = jax.tree.map(jnp.zeros_like, params if wrapper == "compensated" else gradients)
        updates, state = jax.lax.cond(
            make, lambda: opt.update(gradients, state, params), lambda: (zeros, state)
        )
        return (optax.apply_updates(params, updates), state), None

    with jax.numpy_dtype_promotion("standard"):  # optax.apply_updates adds float32 to bfloat16
        run = jax.jit(lambda carry: jax.lax.scan(step, carry, jnp.array([True, False, True]))[0])
        after = jax.eval_shape(run, (params, state))
    chex.assert_trees_all_equal_shapes_and_dtypes(after, (params, state))
    if wrapper == "alone":
        assert all(
            np.all((np.asarray(leaf, np.complex64).real < 1) | (row.waits > 1))
            for leaf in run((params, state))[0].values()
        )


@pytest.mark.parametrize("name", ["momentum", "adagrad", "adadelta", "rmsprop", "adam"])
def test_float32_gradients_change_the_dtype_of_optaxs_state(name):
    row = named(name)
    opt = row.optax(**row.hyperparameters)
    w = jnp.ones(2, jnp.bfloat16)
    updates = lambda state, g: opt.update(g, state, w)[::-1]  # noqa: E731
    with jax.numpy_dtype_promotion("standard"), pytest.raises(TypeError, match="carry"):
        jax.lax.scan(updates, opt.init(w), jnp.ones((3, 2)))  # type: ignore[arg-type]
