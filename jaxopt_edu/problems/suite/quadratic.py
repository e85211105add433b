"""A quadratic in a hundred dimensions, seen through noise."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from jaxopt_edu.problems.problem import Problem, named_by_arguments


@named_by_arguments
def quadratic_deep(*, dimension: int = 100, batch_size: int = 128) -> Problem:
    """½ (w − ξ)ᵀ Q Λ Qᵀ (w − ξ), the mean over a batch of normal ξ.

    Nine tenths of the curvatures Λ are between 0 and 1, the rest between 30 and 60, and Q turns them so that
    no axis is one of their directions.

    Args:
        dimension: numbers in w.
        batch_size: samples of ξ at a step.

    Returns:
        The problem; its metric is the expected loss above its least value, ½ wᵀ Q Λ Qᵀ w, which is exact.
    """
    rng = np.random.default_rng(0)
    steep = dimension // 10
    curvatures = np.concatenate([rng.uniform(0, 1, dimension - steep), rng.uniform(30, 60, steep)])
    turned = jnp.asarray(rotation(rng, dimension), jnp.float32)
    curvatures = jnp.asarray(curvatures, jnp.float32)
    return Problem(
        why="Few steep directions among many flat ones, none of them an axis, and noise in every gradient.",
        init=lambda key: jnp.ones(dimension),
        loss=Partial(noisy_loss, turned, curvatures),
        data=partial(jax.random.normal, shape=(batch_size, dimension)),
        evaluate=Partial(expected_gap, turned, curvatures),
        steps=500,
        trivial=float(expected_gap(turned, curvatures, jnp.ones(dimension))["validation"]),
        trivial_is="the start",
        optimum=0.0,
        reference="Schneider, Balles & Hennig 2019, arXiv:1903.05499",
    )


def rotation(rng: np.random.Generator, dimension: int) -> np.ndarray:
    """An orthogonal matrix, as a product of reflections.

    Args:
        rng: where the reflections come from.
        dimension: of the matrix.

    Returns:
        Float64 array of shape (dimension, dimension). Its sums are exact before they are rounded, so that
        every machine has the same bits.
    """
    turned = np.eye(dimension)
    for _ in range(dimension):
        v = rng.standard_normal(dimension)
        v /= math.sqrt(math.fsum(v * v))
        along = np.array([math.fsum(column) for column in (turned * v[:, None]).T])
        turned -= 2 * v[:, None] * along[None]
    return turned


def noisy_loss(turned: jax.Array, curvatures: jax.Array, w: jax.Array, xi: jax.Array) -> jax.Array:
    """The mean over a batch of ξ."""
    return jnp.mean(jnp.sum(curvatures[None] * jnp.square((w[None] - xi) @ turned), axis=-1)) / 2


def expected_gap(turned: jax.Array, curvatures: jax.Array, w: jax.Array) -> dict[str, jax.Array]:
    """The expected loss above that of w = 0."""
    gap = jnp.sum(curvatures * jnp.square(w @ turned)) / 2
    return {"validation": gap, "test": gap}
