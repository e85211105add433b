"""What several problems of the suite are made of: parts of data, layers, and judges."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.tree_util import Partial

from jaxopt_edu.problems.datasets import Examples, digits


class Parts(NamedTuple):
    """Data to train on, to choose by, and to judge by; pytrees with a leading example axis."""

    train: Any
    validation: Any
    test: Any


def parts(data: Any, validation: int, test: int) -> Parts:
    """Cut data that are in no order.

    Args:
        data: pytree of arrays with a leading example axis.
        validation: how many examples to choose by.
        test: how many to judge by.

    Returns:
        The first are trained on, the last judged by.
    """
    size = len(jax.tree.leaves(data)[0])
    ends = (size - validation - test, size - test)
    slices = (slice(None, ends[0]), slice(*ends), slice(ends[1], None))
    return Parts(*(jax.tree.map(lambda leaf, part=part: leaf[part], data) for part in slices))


def digits_parts() -> Parts:
    """The handwritten digits: 1077 to train on, 360 to choose by, 360 to judge by."""
    data = digits()
    known = parts(data.train, 360, 0)
    return Parts(known.train, known.validation, data.test)


def dense(key: jax.Array, rows: int, columns: int, gain: float = 2.0) -> dict[str, jax.Array]:
    """A layer's weights from N(0, gain / rows), and biases of 0."""
    weight = (gain / rows) ** 0.5 * jax.random.normal(key, (rows, columns))
    return {"weight": weight, "bias": jnp.zeros(columns)}


def network(key: jax.Array, sizes: tuple[int, ...], gain: float = 2.0) -> list[dict[str, jax.Array]]:
    """Layers from one size to the next."""
    keys = jax.random.split(key, len(sizes) - 1)
    return [dense(*each, gain) for each in zip(keys, sizes[:-1], sizes[1:], strict=True)]


def affine(layer: Mapping[str, jax.Array], x: jax.Array) -> jax.Array:
    """x W + b for a batch of rows."""
    return x @ layer["weight"] + layer["bias"][None]


def through(
    layers: list[dict[str, jax.Array]], x: jax.Array, activation: Callable[[jax.Array], jax.Array]
) -> jax.Array:
    """The output of a network whose last layer has no activation."""
    for layer in layers[:-1]:
        x = activation(affine(layer, x))
    return affine(layers[-1], x)


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """The mean over a batch, in nats."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


@dataclass(frozen=True)
class Judge:
    """What a loss is on the examples to choose by and on those to judge by."""

    loss: Callable[[Any, Any], jax.Array]

    def __call__(self, validation: Any, test: Any, params: Any) -> dict[str, jax.Array]:
        """Both numbers."""
        return {"validation": self.loss(params, validation), "test": self.loss(params, test)}


@dataclass(frozen=True)
class Classifier:
    """The cross entropy of a network's logits."""

    logits: Callable[[Any, jax.Array], jax.Array]

    def __call__(self, params: Any, examples: Examples) -> jax.Array:
        """The mean over a batch."""
        return cross_entropy(self.logits(params, examples.inputs), examples.labels)


def judged_by(loss: Callable[[Any, Any], jax.Array], data: Parts) -> Partial:
    """`evaluate` of a problem, whose examples are no constants of the compiled program."""
    return Partial(Judge(loss), data.validation, data.test)


def scikit_learn(problem: str) -> Any:
    """scikit-learn, which has the data of some problems.

    Args:
        problem: that wants it, for the error.

    Returns:
        The module, with its data sets and linear models.

    Raises:
        ImportError: it is not installed.
    """
    try:
        import sklearn.datasets
        import sklearn.linear_model
    except ImportError as error:
        raise ImportError(
            f"jaxopt_edu.problems.{problem} reads its data from scikit-learn, which is not installed: "
            'pip install "jaxopt-edu[data]"'
        ) from error
    return sklearn
