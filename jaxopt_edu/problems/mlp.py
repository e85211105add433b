"""A multi-layer perceptron as four pure functions: the smallest network worth training.

h₀ = inputsᵀ,  hₗ₊₁ = relu(Wₗᵀ hₗ + bₗ),  logits = (W_Lᵀ h_L + b_L)ᵀ,  with the mean cross entropy as the
loss. Inside, an example is a column: the gradients of many networks side by side are then products that XLA
has a library for on a CPU.

References:
    K. He, X. Zhang, S. Ren and J. Sun, "Delving deep into rectifiers", 2015, arXiv:1502.01852: the
    initialisation.
"""

import itertools
import math
import numbers
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_edu.problems.datasets import Examples


class Layer(NamedTuple):
    """The parameters of one affine layer.

    Attributes:
        weight: array of shape (features in, features out).
        bias: array of shape (features out,).
    """

    weight: jax.Array
    bias: jax.Array


def init(key: jax.Array, layer_sizes: Sequence[int]) -> tuple[Layer, ...]:
    """Draw weights from N(0, 2 / features in) and set biases to 0 (He initialisation).

    Args:
        key: a `jax.random` key.
        layer_sizes: features of the input, of each hidden layer, and the number of classes.

    Returns:
        One float32 `Layer` for each two neighbours in `layer_sizes`.

    Raises:
        ValueError: fewer than two sizes, or one that is not a positive integer.

    Example:
        >>> import jax
        >>> import jaxopt_edu.problems as problems
        >>> params = problems.mlp.init(jax.random.key(0), (64, 32, 10))
        >>> [layer.weight.shape for layer in params]
        [(64, 32), (32, 10)]
    """
    sizes = tuple(layer_sizes)
    if len(sizes) < 2 or not all(isinstance(size, numbers.Integral) and size > 0 for size in sizes):
        raise ValueError(
            f"layer_sizes is {sizes}, but has to be two or more positive integers, from the number of "
            "features to the number of classes; give e.g. (64, 32, 10)."
        )
    shapes = list(itertools.pairwise(sizes))
    ends = list(itertools.accumulate(math.prod(shape) for shape in shapes))
    # One draw for all layers: every call to the generator costs XLA half a second more to compile on a CPU.
    normal = jnp.split(jax.random.normal(key, (ends[-1],), jnp.float32), ends[:-1])
    return tuple(
        Layer(
            weight=math.sqrt(2 / shape[0]) * values.reshape(shape),
            bias=jnp.zeros(shape[1], jnp.float32),
        )
        for values, shape in zip(normal, shapes, strict=True)
    )


def apply(params: Sequence[Layer], inputs: jax.Array) -> jax.Array:
    """Give the logits of a batch.

    Args:
        params: the layers, from `init`.
        inputs: array of shape (n, features); it is cast to the dtype of the parameters.

    Returns:
        Array of shape (n, classes) in the dtype of the parameters.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> import jaxopt_edu.problems as problems
        >>> params = problems.mlp.init(jax.random.key(0), (64, 32, 10))
        >>> problems.mlp.apply(params, jnp.ones((5, 64))).shape
        (5, 10)
    """
    *hidden, last = params
    activations = inputs.astype(last.weight.dtype).T
    for layer in hidden:
        activations = jax.nn.relu(_affine(layer, activations))
    return _affine(last, activations).T


def loss(params: Sequence[Layer], examples: Examples) -> jax.Array:
    """Give the mean cross entropy −log softmax(logits)[label] over a batch.

    Args:
        params: the layers, from `init`.
        examples: inputs of shape (n, features) and integer labels of shape (n,).

    Returns:
        A scalar in the dtype of the parameters.

    Example:
        >>> import jax
        >>> import jaxopt_edu.problems as problems
        >>> data = problems.digits()
        >>> params = problems.mlp.init(jax.random.key(0), (64, 32, 10))
        >>> problems.mlp.loss(params, data.train).shape
        ()
    """
    logits = apply(params, examples.inputs)
    return optax.softmax_cross_entropy_with_integer_labels(logits, examples.labels).mean()


def accuracy(params: Sequence[Layer], examples: Examples) -> jax.Array:
    """Give the share of a batch whose largest logit is that of its label.

    Args:
        params: the layers, from `init`.
        examples: inputs of shape (n, features) and integer labels of shape (n,).

    Returns:
        A float32 scalar between 0 and 1.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> import jaxopt_edu.problems as problems
        >>> identity = [problems.mlp.Layer(weight=jnp.eye(2), bias=jnp.zeros(2))]
        >>> batch = problems.Examples(inputs=jnp.array([[2.0, 1.0], [0.0, 3.0]]), labels=jnp.array([0, 0]))
        >>> print(problems.mlp.accuracy(identity, batch))
        0.5
    """
    predicted = jnp.argmax(apply(params, examples.inputs), axis=-1).astype(examples.labels.dtype)
    return jnp.mean(predicted == examples.labels, dtype=jnp.float32)


def _affine(layer: Layer, activations: jax.Array) -> jax.Array:
    return _product(layer.weight, activations) + layer.bias[:, None]


@jax.custom_jvp
def _product(weight: jax.Array, activations: jax.Array) -> jax.Array:
    # On a CPU XLA gives products of many matrices to its library only if the left factor is not transposed.
    # The copy is small, and without the barrier XLA would take the transpose into the product again.
    return jax.lax.platform_dependent(
        weight,
        activations,
        cpu=lambda weight, activations: jax.lax.optimization_barrier(weight.T) @ activations,
        default=_transposed_product,
    )


@_product.defjvp
def _(
    primals: tuple[jax.Array, jax.Array], tangents: tuple[jax.Array, jax.Array]
) -> tuple[jax.Array, jax.Array]:
    # Turned round by the chain rule these are W ḡ and h ḡᵀ, whose left factors are not transposed.
    (weight, activations), (weight_tangent, activations_tangent) = primals, tangents
    tangent = _transposed_product(weight_tangent, activations) + _transposed_product(
        weight, activations_tangent
    )
    return _product(weight, activations), tangent


def _transposed_product(weight: jax.Array, activations: jax.Array) -> jax.Array:
    return jax.lax.dot_general(weight, activations, (((0,), (0,)), ((), ())))
