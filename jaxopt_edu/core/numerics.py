"""The few functions whose obvious form loses digits or has no derivative."""

import jax
import jax.numpy as jnp


@jax.custom_jvp
def bias_correction(b: jax.Array, t: jax.Array) -> jax.Array:
    """The sum of a moving average's weights after t steps, 1 − bᵗ, to the last digit.

    1 − bᵗ as written subtracts two nearly equal numbers while t is small (five digits are lost at
    b = 0.999, t = 1 in float32). Here it is −expm1(t·log(b)), with log(b) = log1p(−(1 − b)).

    Args:
        b: decay of the average, in [0, 1); floating, shape ().
        t: number of steps, at least 1; floating, of b's dtype, shape ().

    Returns:
        1 − bᵗ, of b's dtype, shape ().

    >>> import jax.numpy as jnp
    >>> float(bias_correction(jnp.float32(0.5), jnp.float32(2)))
    0.75
    """
    return -jnp.expm1(t * jnp.log1p(-(1 - b)))


@bias_correction.defjvp
def _(primals, tangents):
    # Through the logarithm the derivative at b = 0 is 0 · ∞; the power has it right: −t·b⁽ᵗ⁻¹⁾.
    b, t = primals
    b_tangent, _ = tangents
    # At t = 1 it is −1 whatever b is, and so has no derivative of its own; 0⁰ would give it a NaN.
    power = jnp.power(jnp.where(t == 1, 1, b), t - 1)
    return bias_correction(b, t), -t * power * b_tangent


@jax.custom_jvp
def squared_root(x: jax.Array) -> jax.Array:
    """√x, with derivative 0 instead of ∞ where x is exactly 0.

    Args:
        x: real array of any shape, x ≥ 0.

    Returns:
        √x, of the same shape and dtype; NaN and ∞ pass through.

    >>> import jax
    >>> float(jax.grad(squared_root)(0.0))
    0.0
    """
    return jnp.sqrt(x)


@squared_root.defjvp
def _(primals, tangents):
    # Only where a derivative is wanted: a compiler keeps a root that several results share in memory, and
    # would read x once more for each of them to see whether it is 0.
    return jax.jvp(_guarded_root, primals, tangents)


def _guarded_root(x: jax.Array) -> jax.Array:
    zero = x == 0
    return jnp.where(zero, 0, jnp.sqrt(jnp.where(zero, 1, x)))


def divide(numerator: jax.Array, denominator: jax.Array) -> jax.Array:
    """numerator / denominator, and 0 where the denominator is exactly 0.

    With ε = 0 a coordinate that has never seen a gradient would otherwise be 0/0.

    Args:
        numerator: array of any shape.
        denominator: real array of the same shape.

    Returns:
        The quotient, of the numerator's dtype.

    >>> import jax.numpy as jnp
    >>> [float(x) for x in divide(jnp.array([0.0, 3.0]), jnp.array([0.0, 2.0]))]
    [0.0, 1.5]
    """
    # Nothing comes after the division: its result may stand in memory, and the denominator need not.
    zero = denominator == 0
    return jnp.where(zero, 0, numerator) / jnp.where(zero, 1, denominator)


def squared_magnitude(g: jax.Array) -> jax.Array:
    """|g|²: g² for real g, real(g)² + imag(g)² for complex g.

    Args:
        g: real or complex array of any shape.

    Returns:
        A real array of the same shape.

    >>> import jax.numpy as jnp
    >>> float(squared_magnitude(jnp.array(3 + 4j)))
    25.0
    """
    if jnp.iscomplexobj(g):
        return jnp.square(g.real) + jnp.square(g.imag)
    return jnp.square(g)


def magnitude(g: jax.Array) -> jax.Array:
    """|g|, with derivative 0 where g is exactly 0.

    Args:
        g: real or complex array of any shape.

    Returns:
        A real array of the same shape.

    >>> import jax.numpy as jnp
    >>> float(magnitude(jnp.array(3 + 4j)))
    5.0
    """
    # Not by the root of the square, which underflows for small g; nor by jnp.abs, whose derivative at 0 is 1.
    return squared_root(squared_magnitude(g)) if jnp.iscomplexobj(g) else g * jnp.sign(g)


def clip_magnitude(x: jax.Array, limit: jax.Array) -> jax.Array:
    """x, made as small as the limit where it is larger; a complex number keeps its angle.

    Args:
        x: real or complex array of any shape.
        limit: the largest magnitude, ≥ 0; real, shape ().

    Returns:
        An array of x's shape and dtype.

    >>> import jax.numpy as jnp
    >>> clip_magnitude(jnp.array([-3.0, 0.5]), jnp.float32(1)).tolist()
    [-1.0, 0.5]
    """
    if not jnp.iscomplexobj(x):
        return jnp.clip(x, -limit, limit)
    size = magnitude(x)
    return x * jnp.where(size > limit, limit / jnp.where(size > limit, size, 1), 1)
