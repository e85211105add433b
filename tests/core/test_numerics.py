"""The few functions whose obvious form loses digits, against many more digits."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxopt_edu.core import bias_correction, divide, squared_magnitude, squared_root
from jaxopt_edu.core.numerics import magnitude

DECAYS = [0.0, 1e-8, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 1 - 2**-20, 1 - 2**-24]
STEPS = [1, 2, 3, 7, 10, 100, 1000, 10_000, 100_000, 1_000_000]


def exact(b: float, t: int) -> float:
    with mpmath.workdps(60):
        return float(1 - mpmath.mpf(b) ** t)


def exact_derivative(b: float, t: int) -> float:
    with mpmath.workdps(60):
        return float(-t * mpmath.mpf(b) ** (t - 1))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bias_correction_against_sixty_digits(dtype):
    with jax.enable_x64(dtype is np.float64):
        b, t = (grid.ravel() for grid in np.meshgrid(np.array(DECAYS, dtype), np.array(STEPS, dtype)))
        # float32 rounds 1 − 2⁻²⁴ to itself and 0.9999999 not to 1: all of them are fractions still.
        assert b.max() < 1
        expected = np.array([exact(float(each), int(steps)) for each, steps in zip(b, t, strict=True)])
        error = np.abs(np.asarray(jax.jit(bias_correction)(b, t), np.float64) / expected - 1)
        # Three roundings: of the logarithm, of the product and of expm1.
        assert error.max() < 4 * np.finfo(dtype).eps


def test_bias_correction_as_written_would_lose_the_digits():
    b = np.float32(0.999)
    assert abs(float(1 - b ** np.float32(1)) / exact(float(b), 1) - 1) < 1e-7  # exact by luck: no power
    assert abs(float(1 - b ** np.float32(2)) / exact(float(b), 2) - 1) > 1e-6
    assert abs(float(bias_correction(b, jnp.float32(2))) / exact(float(b), 2) - 1) < 2e-7


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_derivative_of_bias_correction(dtype):
    with jax.enable_x64(dtype is np.float64):
        b, t = (grid.ravel() for grid in np.meshgrid(np.array(DECAYS, dtype), np.array(STEPS[:6], dtype)))
        derivative = jax.jit(jax.vmap(jax.grad(bias_correction)))(b, t)
        expected = [exact_derivative(float(each), int(steps)) for each, steps in zip(b, t, strict=True)]
        np.testing.assert_allclose(derivative, expected, rtol=1000 * np.finfo(dtype).eps, atol=1e-37)


def test_bias_correction_of_no_memory_is_one():
    for t in (1.0, 2.0, 1000.0):
        assert bias_correction(jnp.float32(0), jnp.float32(t)) == 1
        assert jax.grad(bias_correction)(jnp.float32(0), jnp.float32(t)) == (-1 if t == 1 else 0)


@given(st.floats(0, 2.0**100, width=32, allow_subnormal=False))
def test_squared_root_is_the_square_root(x):
    assert squared_root(np.float32(x)) == np.sqrt(np.float32(x))  # type: ignore[arg-type]


def test_squared_root_passes_nan_and_infinity_and_keeps_the_dtype():
    roots = squared_root(jnp.array([0.0, 4.0, np.inf, np.nan, -1.0], jnp.bfloat16))
    assert roots.dtype == jnp.bfloat16
    np.testing.assert_array_equal(np.asarray(roots, np.float32), [0, 2, np.inf, np.nan, np.nan])


def test_the_derivative_of_squared_root_is_finite_at_zero():
    derivative = jax.vmap(jax.grad(squared_root))(jnp.array([0.0, 1e-30, 4.0, np.inf]))
    np.testing.assert_allclose(derivative, [0, 0.5e15, 0.25, 0], rtol=1e-6)
    assert jnp.isnan(jax.grad(squared_root)(jnp.nan))
    assert jax.grad(jax.grad(squared_root))(0.0) == 0


def test_divide_by_zero_is_zero_and_nothing_else_is_changed():
    numerators = jnp.array([0.0, 3.0, 3.0, np.nan, 1.0, np.inf, 1.0])
    denominators = jnp.array([0.0, 0.0, 2.0, 2.0, np.nan, 2.0, np.inf])
    np.testing.assert_array_equal(divide(numerators, denominators), [0, 0, 1.5, np.nan, np.nan, np.inf, 0])


def test_the_derivative_of_divide_is_finite_at_zero():
    by_numerator, by_denominator = jax.vmap(jax.grad(divide, (0, 1)))(
        jnp.array([0.0, 3.0, 3.0]), jnp.array([0.0, 0.0, 2.0])
    )
    np.testing.assert_array_equal(by_numerator, [0, 0, 0.5])
    np.testing.assert_array_equal(by_denominator, [0, 0, -0.75])


def test_squared_magnitude_is_real():
    z = jnp.array([3 + 4j, 0j, 1e10j], jnp.complex64)
    assert squared_magnitude(z).dtype == jnp.float32
    np.testing.assert_allclose(squared_magnitude(z), np.abs(np.asarray(z)) ** 2, rtol=1e-6)
    np.testing.assert_array_equal(squared_magnitude(jnp.array([-3.0, 2.0])), [9, 4])
    assert jax.grad(lambda x: squared_magnitude(jnp.asarray(x, jnp.complex64)))(0.0) == 0


def test_a_magnitude_has_no_slope_at_zero():
    x = np.array([-np.inf, -3.0, -0.0, 0.0, 1e-30, np.inf, np.nan], np.float32)
    np.testing.assert_array_equal(magnitude(jnp.asarray(x)), np.abs(x))
    slopes = jax.vmap(jax.grad(magnitude))(jnp.array([-3.0, -0.0, 0.0, 2.0]))
    np.testing.assert_array_equal(slopes, [-1, 0, 0, 1])
    assert jax.grad(lambda x: magnitude(jnp.asarray(x, jnp.complex64)))(0.0) == 0
