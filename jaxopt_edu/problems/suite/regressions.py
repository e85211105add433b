"""Numbers to predict: patients from a few measurements, and the pixels that are missing in a picture."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from jaxopt_edu.problems.datasets import Examples
from jaxopt_edu.problems.problem import Problem, named_by_arguments
from jaxopt_edu.problems.suite.pieces import judged_by, network, parts, scikit_learn, through


@named_by_arguments
def diabetes_noisy(*, width: int = 32, batch_size: int = 4) -> Problem:
    """A small network on few patients, in very small batches.

    Args:
        width: numbers in each of two hidden layers.
        batch_size: patients in a batch.

    Returns:
        The problem; its metric is the mean squared error in units of the variance.
    """
    features, progress = scikit_learn("diabetes_noisy").datasets.load_diabetes(return_X_y=True, scaled=False)
    order = np.random.default_rng(0).permutation(len(progress))
    data = parts(Examples(features[order], progress[order, None]), 90, 90)
    mean, scale = (jax.tree.map(lambda leaf, of=of: of(leaf, axis=0), data.train) for of in (np.mean, np.std))
    data = jax.tree.map(
        lambda leaf, mean, scale: jnp.asarray((leaf - mean) / scale, jnp.float32),
        data,
        type(data)(*[mean] * 3),
        type(data)(*[scale] * 3),
    )
    return Problem(
        why="Gradients that are mostly noise, of four patients a step: what does not average walks about.",
        init=partial(network, sizes=(features.shape[1], width, width, 1)),
        loss=squared_error,
        data=data.train,
        evaluate=judged_by(squared_error, data),
        steps=1000,
        batch_size=batch_size,
        trivial=float(jnp.mean(jnp.square(data.validation.labels))),
        trivial_is="the mean of the training patients",
        reference="the data: Efron et al. 2004",
    )


def squared_error(params: list[dict[str, jax.Array]], examples: Examples) -> jax.Array:
    """The mean squared error of a network of rectifiers."""
    return jnp.mean(jnp.square(through(params, examples.inputs, jax.nn.relu) - examples.labels))


@named_by_arguments
def completion(*, rank: int = 8, share: float = 0.3) -> Problem:
    """A picture of a head from some of its pixels, as a product U Vᵀ of low rank.

    Args:
        rank: columns of U and V.
        share: of the pixels that are known; below 1.

    Returns:
        The problem; its metric is the mean squared error of unknown pixels, of variance 1.

    Raises:
        ValueError: no pixel would be left to judge by.
    """
    if share >= 0.99:
        raise ValueError(f"completion: share = {share}; it must be below 0.99, or nothing is unknown.")
    picture = head()
    chance = np.random.default_rng(0).uniform(size=picture.shape)
    ends = (share, (1 + share) / 2, 1.0)
    masks = [(low <= chance) & (chance < high) for low, high in zip((0.0, *ends), ends, strict=False)]
    known = picture[masks[0]]
    picture = jnp.asarray((picture - known.mean()) / known.std(), jnp.float32)
    train, validation, test = (jnp.asarray(mask, jnp.float32) for mask in masks)

    def init(key: jax.Array) -> dict[str, jax.Array]:
        keys = jax.random.split(key)
        sides = zip(("rows", "columns"), keys, picture.shape, strict=True)
        return {name: 0.1 * jax.random.normal(each, (size, rank)) for name, each, size in sides}

    return Problem(
        why="Saddles of a symmetric kind, and directions along which nothing changes.",
        init=init,
        loss=Partial(missed, picture, train),
        data=None,
        evaluate=Partial(missed_elsewhere, picture, validation, test),
        steps=500,
        trivial=float(missed_elsewhere(picture, validation, test, None)["validation"]),
        trivial_is="the mean of the known pixels",
        reference="Candès & Recht 2009, arXiv:0805.4471; the picture is one of matplotlib's",
    )


def missed(
    picture: jax.Array, mask: jax.Array, params: dict[str, jax.Array] | None, batch: None
) -> jax.Array:
    """The mean squared error of the pixels in a mask; without parameters, of a guess of 0."""
    guess = 0.0 if params is None else params["rows"] @ params["columns"].T
    return jnp.sum(mask * jnp.square(picture - guess)) / jnp.sum(mask)


def missed_elsewhere(
    picture: jax.Array, validation: jax.Array, test: jax.Array, params: dict[str, jax.Array] | None
) -> dict[str, jax.Array]:
    """The same of pixels that were not trained on."""
    return {
        "validation": missed(picture, validation, params, None),
        "test": missed(picture, test, params, None),
    }


def head() -> np.ndarray:
    """A slice of a head, by magnetic resonance.

    Returns:
        Float64 array of shape (256, 256).

    Raises:
        ImportError: matplotlib, in whose sample data it is, is not installed.
    """
    try:
        from matplotlib.cbook import get_sample_data
    except ImportError as error:
        raise ImportError(
            "jaxopt_edu.problems.completion takes its picture from matplotlib, which is not installed: "
            'pip install "jaxopt-edu[plots]"'
        ) from error
    file: Any = get_sample_data("s1045.ima.gz")
    with file:
        return np.frombuffer(file.read(), np.uint16).reshape(256, 256).astype(np.float64)
