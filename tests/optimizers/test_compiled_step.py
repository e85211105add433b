"""What XLA makes of a whole step: no more bytes than optax's, and no kernel of a single operation."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_edu as jo
from tests.registry import OPTIMIZERS, named

SIZE = 4096
counted = pytest.mark.skipif(
    jax.__version_info__ < (0, 10), reason="counted in what the compiler of jax 0.10 and later makes"
)


def compiled_step(opt, dtype=jnp.float32):
    """Updates, new state and new parameters, with donated buffers."""
    params = {"w": jnp.ones(SIZE, dtype)}

    def step(params, state, gradients):
        updates, state = opt.update(gradients, state, params)
        return optax.apply_updates(params, updates), state

    with jax.numpy_dtype_promotion("standard"):
        return jax.jit(step, donate_argnums=(0, 1)).lower(params, opt.init(params), params).compile()


def moved_and_temporary(opt):
    """Bytes that a step reads and writes, and bytes that it needs meanwhile."""
    compiled = compiled_step(opt)
    cost, memory = compiled.cost_analysis(), compiled.memory_analysis()
    assert cost is not None
    assert memory is not None
    return cost["bytes accessed"], memory.temp_size_in_bytes


def lonely(compiled):
    """The kernels of a single operation on as many numbers as a leaf has."""
    return re.findall(rf"= \w+\[{SIZE}\]\S* fusion\(.*calls=%(wrapped_\w+)", compiled.as_text())


@counted
@pytest.mark.parametrize("row", OPTIMIZERS, ids=lambda row: row.name)
def test_a_step_moves_no_more_bytes_than_optaxs(row):
    if row.optax is None:
        pytest.skip("optax has no such formula")
    ours, theirs = map(moved_and_temporary, (row.build(), row.optax(**row.hyperparameters)))
    counts = (
        200  # bytes: the step's count and what is computed of it, RAdam's ρ without cancellation above all
    )
    assert ours[0] <= theirs[0] + counts
    assert ours[1] <= theirs[1] + counts


@counted
@pytest.mark.skipif(jax.default_backend() != "cpu", reason="the names are those of XLA's kernels for a CPU")
@pytest.mark.parametrize("row", OPTIMIZERS, ids=lambda row: row.name)
def test_a_step_has_no_kernel_of_a_single_operation(row):
    assert not lonely(compiled_step(row.build()))


def test_a_kernel_of_a_single_operation_would_be_seen():
    if jax.default_backend() == "cpu":
        with jax.numpy_dtype_promotion("standard"):
            added = jax.jit(jnp.add).lower(jnp.ones(SIZE), jnp.ones(SIZE)).compile()
        assert lonely(added) == ["wrapped_add_computation"]


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.complex64])
def test_the_update_is_the_velocity_to_the_bit(dtype):
    opt = named("momentum").build()
    special = [0.0, -0.0, jnp.inf, -jnp.inf, jnp.nan, 1e-45, 3e38, -1.0]
    g = jnp.asarray(np.array(special, np.complex64 if dtype == jnp.complex64 else np.float32), dtype)
    state = opt.init(g)
    updates, after = jax.jit(opt.update)(g, state)
    np.testing.assert_array_equal(
        np.asarray(updates).view(np.uint8), np.asarray(after.velocity.astype(dtype)).view(np.uint8)
    )


def test_the_update_of_momentum_has_all_derivatives():
    def moved(learning_rate, g):
        opt = jo.momentum(learning_rate=learning_rate)
        return jax.jit(opt.update)(g, opt.init(g))[0]

    g = jnp.array(3.0)
    assert jax.grad(moved)(0.5, g) == -3
    assert jax.jvp(lambda g: moved(0.5, g), (g,), (jnp.array(2.0),))[1] == -1
    assert jax.vmap(moved, in_axes=(0, None))(jnp.array([1.0, 2.0]), g).tolist() == [-3, -6]
