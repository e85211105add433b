"""Two small problems whose gradients are the difficulty: one noisy, one mostly zero.

Both are pytrees all through (their losses are `jax.tree_util.Partial`s, with the numbers of the problem as
leaves), so a whole problem can be passed to `jax.jit`, and a family of them made or solved with `jax.vmap`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.tree_util import Partial

from jaxopt_edu.core.checks import (
    NON_NEGATIVE,
    check_key,
    checked_number,
    checked_whole,
    short,
)
from jaxopt_edu.problems.datasets import Examples

HIGHEST_FREQUENCY = 0.5
"""How often the commonest feature of `sparse_regression` occurs: in half of the examples it says the most."""


class NoisyQuadratic(NamedTuple):
    """A quadratic whose gradient is only seen through noise.

    Attributes:
        loss: takes parameters of shape (n,) and a key, returns a scalar; a new key is a new sample.
        expected_loss: takes parameters of shape (n,), returns the mean of `loss` over all keys.
        start: parameters to start from, all 1.
    """

    loss: Partial
    expected_loss: Partial
    start: jax.Array


def noisy_quadratic(
    curvatures: Sequence[float] | jax.Array, *, noise_scale: float | jax.Array
) -> NoisyQuadratic:
    """Make a quadratic with noise added to its gradient.

    loss(w, key) = ½ Σᵢ curvaturesᵢ wᵢ² + noise_scale Σᵢ wᵢ ξᵢ with ξ ~ N(0, 1) drawn from the key, so that
    the gradient is curvatures · w + noise_scale · ξ.

    Args:
        curvatures: n numbers; a negative one makes a saddle.
        noise_scale: standard deviation of the noise in each component of the gradient.

    Returns:
        The problem; its losses are computed in the dtype of the parameters they are given.

    Raises:
        ValueError: `curvatures` is not one row of numbers, or `noise_scale` is not a finite number ≥ 0.

    Example:
        >>> import jax
        >>> import jaxopt_edu.problems as problems
        >>> problem = problems.noisy_quadratic([1.0, 10.0], noise_scale=0.1)
        >>> print(problem.expected_loss(problem.start))
        5.5
        >>> jax.grad(problem.loss)(problem.start, jax.random.key(0)).shape
        (2,)

    References:
        T. Schaul, S. Zhang and Y. LeCun, "No more pesky learning rates", 2013, arXiv:1206.1106, section 3.
    """
    try:
        curvature = jnp.asarray(curvatures, dtype=float)
    except (TypeError, ValueError):
        raise TypeError(
            f"noisy_quadratic: curvatures = {short(curvatures)} is no row of numbers; give one curvature per "
            "parameter, e.g. [1.0, 10.0]."
        ) from None
    if curvature.ndim != 1 or curvature.size == 0:
        raise ValueError(
            f"noisy_quadratic: curvatures has shape {curvature.shape}, but has to be one row of numbers; "
            "give one curvature per parameter, e.g. [1.0, 10.0]."
        )
    noise_scale = checked_number("noisy_quadratic", "noise_scale", noise_scale, NON_NEGATIVE)
    return NoisyQuadratic(
        loss=Partial(_noisy_loss, curvature=curvature, noise_scale=noise_scale),
        expected_loss=Partial(_quadratic, curvature=curvature),
        start=jnp.ones_like(curvature),
    )


def _quadratic(params: jax.Array, *, curvature: jax.Array) -> jax.Array:
    if params.shape != curvature.shape:
        raise ValueError(
            f"The parameters have shape {params.shape}, but this quadratic has curvatures of shape "
            f"{curvature.shape}; give one parameter per curvature."
        )
    return jnp.sum(curvature.astype(params.dtype) * params**2) / 2


def _noisy_loss(
    params: jax.Array, key: jax.Array, *, curvature: jax.Array, noise_scale: float | jax.Array
) -> jax.Array:
    noise = jnp.asarray(noise_scale, params.dtype) * jax.random.normal(key, params.shape, params.dtype)
    return _quadratic(params, curvature=curvature) + jnp.sum(noise * params)


class SparseRegression(NamedTuple):
    """Logistic regression on features most of which hardly ever occur.

    Attributes:
        loss: takes weights of shape (features,) and `Examples`, returns the mean cross entropy.
        examples: the data; inputs are 0 or 1, labels are 0 or 1.
        frequencies: float32 array of shape (features,): how often each feature is 1.
        weights: float32 array of shape (features,): the weights the labels were drawn with.
        start: weights to start from, all 0.
    """

    loss: Partial
    examples: Examples
    frequencies: jax.Array
    weights: jax.Array
    start: jax.Array


def sparse_regression(
    key: jax.Array, *, examples: int = 1000, features: int = 100, power: float | jax.Array = 1.0
) -> SparseRegression:
    """Draw a logistic regression in which feature j occurs with a frequency that falls as a power of j.

    frequencyⱼ = ½ j^(−power) for j = 1 … features, inputᵢⱼ ~ Bernoulli(frequencyⱼ), weightⱼ ~ N(0, 1) and
    labelᵢ ~ Bernoulli(sigmoid(Σⱼ inputᵢⱼ weightⱼ)): a rare feature says as much as a common one when it does
    occur, but its gradient is nearly always 0.

    Args:
        key: a `jax.random` key; it decides the data.
        examples: number of examples.
        features: number of features.
        power: how fast the frequencies fall; 0 makes all features equally common.

    Returns:
        The problem, with float32 inputs and int32 labels.

    Raises:
        ValueError: `examples` or `features` is not positive.

    Example:
        >>> import jax
        >>> import jaxopt_edu.problems as problems
        >>> problem = problems.sparse_regression(jax.random.key(0), examples=50, features=4)
        >>> print(problem.frequencies)
        [0.5        0.25       0.16666667 0.125     ]
        >>> print(f"{problem.loss(problem.start, problem.examples):.4f}")
        0.6931

    References:
        J. Duchi, E. Hazan and Y. Singer, "Adaptive subgradient methods", 2011, section 1: why such features
        want learning rates of their own.
    """
    check_key("sparse_regression", "key", key)
    examples = checked_whole("sparse_regression", "examples", examples)
    features = checked_whole("sparse_regression", "features", features)
    power = checked_number("sparse_regression", "power", power, NON_NEGATIVE)
    input_key, weight_key, label_key = jax.random.split(key, 3)
    ranks = jnp.arange(1, features + 1, dtype=jnp.float32)
    frequencies = HIGHEST_FREQUENCY * ranks ** -jnp.asarray(power, jnp.float32)
    inputs = jax.random.bernoulli(input_key, frequencies[None, :], (examples, features)).astype(jnp.float32)
    weights = jax.random.normal(weight_key, (features,), jnp.float32)
    labels = jax.random.bernoulli(label_key, jax.nn.sigmoid(inputs @ weights)).astype(jnp.int32)
    return SparseRegression(
        loss=Partial(_logistic_loss),
        examples=Examples(inputs=inputs, labels=labels),
        frequencies=frequencies,
        weights=weights,
        start=jnp.zeros_like(weights),
    )


def _logistic_loss(weights: jax.Array, examples: Examples) -> jax.Array:
    logits = examples.inputs.astype(weights.dtype) @ weights
    return optax.sigmoid_binary_cross_entropy(logits, examples.labels.astype(weights.dtype)).mean()
