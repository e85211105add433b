"""Complex parameters: the convention, and the real problem of twice the size as the judge.

As in optax, update takes the direction to descend along, which for complex parameters is
conj(jax.grad(loss)). Guards against second moments that are g² instead of |g|² (a complex number, whose
root turns the step), and against states of the wrong dtype (optax.adam's ν is complex, and so are the
averages of its rmsprop and adagrad).
"""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_edu as jo
from tests.registry import each_optimizer, named

SIZE, STEPS = 6, 150
RNG = np.random.default_rng(0)
START = RNG.normal(size=SIZE) + 1j * RNG.normal(size=SIZE)
TARGET = RNG.normal(size=SIZE) + 1j * RNG.normal(size=SIZE)
LINEAR = ("sgd", "momentum", "nesterov")
RATES = {"adagrad": 0.5, "adadelta": 30.0, "rmsprop": 0.01, "adam": 0.05}


def as_pairs(z):
    return np.stack([np.real(z), np.imag(z)], axis=-1)


def squared_distance(w, target):
    return jnp.sum(jnp.square((w - target).real) + jnp.square((w - target).imag))


@jax.jit
def descend(opt, start, target):
    """The losses and the path of one optimizer; for real numbers conj does nothing."""

    def step(carry, _):
        w, state = carry
        loss, gradient = jax.value_and_grad(squared_distance)(w, target)
        updates, state = opt.update(jnp.conj(gradient), state, w)
        w = optax.apply_updates(w, updates)
        return (w, state), (loss, w)

    return jax.lax.scan(step, (start, opt.init(start)), None, length=STEPS)[1]


def both(opt, dtype):
    """The complex problem, and the real one with real and imaginary parts beside each other."""
    real = np.float64 if dtype == np.complex128 else np.float32
    complex_run = descend(opt, jnp.asarray(START, dtype), jnp.asarray(TARGET, dtype))
    real_run = descend(opt, jnp.asarray(as_pairs(START), real), jnp.asarray(as_pairs(TARGET), real))
    return complex_run, real_run


@pytest.fixture(params=[np.complex64, np.complex128], ids=["complex64", "complex128"])
def dtype(request):
    with jax.enable_x64(request.param is np.complex128):
        yield request.param


@pytest.mark.parametrize("name", LINEAR)
def test_linear_methods_walk_the_path_of_the_real_problem(name, dtype):
    (losses, path), (real_losses, real_path) = both(named(name).build(learning_rate=0.05), dtype)
    assert path.dtype == dtype
    tolerance = 4 * float(np.finfo(dtype).eps)
    np.testing.assert_allclose(as_pairs(path), real_path, rtol=0, atol=tolerance * np.abs(real_path).max())
    np.testing.assert_allclose(losses, real_losses, rtol=1e-4, atol=1e-9)
    assert losses[-1] < 0.01 * losses[0]


@pytest.mark.parametrize("name", RATES)
def test_adaptive_methods_descend_as_the_real_problem_does(name, dtype):
    """|g| is at least |real g| and |imag g|, so steps are shorter, by up to √2.

    The margin: the loss after all steps is at most the real problem's after two thirds of them, or 1e-6 of
    the first.
    """
    (losses, path), (real_losses, _) = both(named(name).build(learning_rate=RATES[name]), dtype)
    assert path.dtype == dtype
    assert losses[-1] <= max(float(real_losses[STEPS * 2 // 3]), 1e-6 * float(losses[0]))
    assert losses[-1] < 0.05 * losses[0]


@each_optimizer
def test_a_turned_problem_is_the_same_problem(row, dtype):
    """|g|² does not see the angle: turning start and target by i turns the whole path. g² would not pass."""
    opt = row.build()
    _, path = descend(opt, jnp.asarray(START, dtype), jnp.asarray(TARGET, dtype))
    _, turned = descend(opt, jnp.asarray(1j * START, dtype), jnp.asarray(1j * TARGET, dtype))
    scale = np.abs(np.asarray(path)).max()
    np.testing.assert_allclose(turned, 1j * np.asarray(path), rtol=0, atol=1e-4 * scale)


@each_optimizer
def test_without_conj_it_climbs(row):
    """The convention stated the other way: jax.grad as it is points away in the imaginary part."""
    opt = row.build()
    z, target = jnp.zeros(1, jnp.complex64), jnp.full(1, 1j, jnp.complex64)
    gradient = jax.grad(squared_distance)(z, target)

    def step(gradient):
        updates, state = jnp.zeros_like(z), opt.init(z)
        for _ in range(1 + row.waits):
            updates, state = opt.update(gradient, state, z)
        return updates

    wrong, right = step(gradient), step(jnp.conj(gradient))
    assert (
        squared_distance(z + right, target)
        < squared_distance(z, target)
        < squared_distance(z + wrong, target)
    )


@each_optimizer
@pytest.mark.parametrize("around", [lambda opt: opt, jo.compensated], ids=["alone", "compensated"])
def test_state_dtypes(row, around, dtype):
    """Second moments are real, first moments complex, in the parameters' precision; a step keeps them."""
    opt = around(row.build())
    z = jnp.asarray(START, dtype)
    state = opt.init(z)
    updates, after = opt.update(z, state, z)
    assert updates.dtype == dtype
    chex.assert_trees_all_equal_shapes_and_dtypes(state, after)
    real = np.float64 if dtype == np.complex128 else np.float32
    for name in row.memory:
        assert optax.tree_utils.tree_get(state, name).dtype == (real if name in row.real else dtype)


@pytest.mark.parametrize(
    ("name", "field"), [("adam", "nu"), ("rmsprop", "nu"), ("adagrad", "sum_of_squares")]
)
def test_optaxs_second_moments_are_complex(name, field):
    row = named(name)
    state = row.optax(**row.hyperparameters).init(jnp.asarray(START, jnp.complex64))
    assert optax.tree_utils.tree_get(state, field).dtype == jnp.complex64


@each_optimizer
def test_zero_complex_gradients_make_zero_updates(row):
    changes = row.still | ({"eps": 0.0} if "eps" in row.hyperparameters else {})
    z = jnp.zeros(2, jnp.complex64)
    opt = row.build(**changes)
    np.testing.assert_array_equal(opt.update(z, opt.init(z), z)[0], z)
