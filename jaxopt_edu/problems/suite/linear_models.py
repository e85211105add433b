"""Linear classifiers, each with one difficulty: features of all scales, and classes of all frequencies."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.tree_util import Partial

from jaxopt_edu.problems.datasets import Examples
from jaxopt_edu.problems.problem import Problem, named_by_arguments
from jaxopt_edu.problems.suite.pieces import Classifier, affine, dense, parts, scikit_learn

FEATURES = 30


@named_by_arguments
def cancer_raw(*, decay: float = 1e-3) -> Problem:
    """Logistic regression on measurements as they were taken, from 0.001 to 4,000.

    Args:
        decay: λ of the penalty ½ λ ‖w‖².

    Returns:
        The problem; its metric is how far the loss is above its least value.
    """
    features, labels = scikit_learn("cancer_raw").datasets.load_breast_cancer(return_X_y=True)
    regression = (
        scikit_learn("cancer_raw")
        .linear_model.LogisticRegression(
            C=1 / (decay * len(labels)), solver="newton-cholesky", tol=1e-12, max_iter=1000
        )
        .fit(features, labels)
    )
    margins = (2 * labels - 1) * (features @ regression.coef_[0] + regression.intercept_)
    least = float(np.logaddexp(0, -margins).mean() + decay / 2 * np.sum(regression.coef_**2))
    data = Examples(jnp.asarray(features, jnp.float32), jnp.asarray(labels, jnp.float32))
    return Problem(
        why="Convex, and hopeless for one rate: its features differ in size by a factor of a million.",
        init=lambda key: {"weight": jnp.zeros(FEATURES), "bias": jnp.zeros(())},
        loss=Partial(logistic_loss, decay),
        data=data,
        evaluate=Partial(above_the_least, data, decay, least),
        steps=500,
        trivial=float(np.log(2)) - least,
        trivial_is="even chances for all",
        optimum=0.0,
        reference="the data: Street, Wolberg & Mangasarian 1993",
    )


def logistic_loss(decay: jax.Array, params: dict[str, jax.Array], data: Examples) -> jax.Array:
    """The mean of ln(1 + exp(−y z)), with the penalty; labels are 0 and 1."""
    logits = data.inputs @ params["weight"] + params["bias"]
    penalty = decay / 2 * jnp.sum(jnp.square(params["weight"]))
    return optax.sigmoid_binary_cross_entropy(logits, data.labels).mean() + penalty


def above_the_least(
    data: Examples, decay: jax.Array, least: jax.Array, params: dict[str, jax.Array]
) -> dict[str, jax.Array]:
    """How far the loss is above what is possible."""
    gap = logistic_loss(decay, params, data) - least
    return {"validation": gap, "test": gap}


@named_by_arguments
def zipf(*, classes: int = 128, dimension: int = 64) -> Problem:
    """Softmax regression on classes of which the k-th is k times as rare as the first.

    Args:
        classes: how many.
        dimension: numbers in an input.

    Returns:
        The problem; its metric is the cross entropy, and "rare" is that of the rarer half of the examples.
    """
    rng = np.random.default_rng(0)
    shares = 1 / np.arange(1, classes + 1)
    labels = rng.choice(classes, 8192, p=shares / shares.sum())
    centres = rng.standard_normal((classes, dimension)) / 2
    inputs = centres[labels] + rng.standard_normal((len(labels), dimension))
    data = parts(Examples(jnp.asarray(inputs, jnp.float32), jnp.asarray(labels, jnp.int32)), 2048, 2048)
    frequencies = np.bincount(np.asarray(data.train.labels), minlength=classes) + 1.0
    guess = np.log(frequencies / frequencies.sum())
    rare = np.asarray(data.test.labels) > np.median(np.asarray(data.test.labels))
    return Problem(
        why="Classes as frequent as words: nearly all share one half of the examples, and most of the loss.",
        init=lambda key: dense(key, dimension, classes, 0.01),
        loss=class_loss,
        data=data.train,
        evaluate=Partial(with_the_rare, data.validation, data.test, jnp.asarray(rare, jnp.float32)),
        steps=500,
        batch_size=128,
        trivial=float(-guess[np.asarray(data.validation.labels)].mean()),
        trivial_is="each class as often as it is in the training examples",
        reference="Kunstner et al. 2024, arXiv:2402.19449",
    )


class_loss = Classifier(affine)


def with_the_rare(
    validation: Examples, test: Examples, rare: jax.Array, params: dict[str, jax.Array]
) -> dict[str, jax.Array]:
    """The cross entropy, and that of the test's rarer half alone."""
    logits = affine(params, test.inputs)
    each = optax.softmax_cross_entropy_with_integer_labels(logits, test.labels)
    losses = {"validation": class_loss(params, validation), "test": each.mean()}
    return {**losses, "rare": jnp.sum(rare * each) / jnp.sum(rare)}
