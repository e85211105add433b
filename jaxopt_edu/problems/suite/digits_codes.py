"""Networks that squeeze handwritten digits through few numbers: linear, deep, and with noise."""

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from jaxopt_edu.problems.problem import Problem, named_by_arguments
from jaxopt_edu.problems.suite.pieces import Parts, affine, dense, digits_parts, judged_by, network, through

PIXELS = 64


@named_by_arguments
def linear_ae(*, code: int = 8, scale: float = 0.01) -> Problem:
    """A linear autoencoder, whose best is known: the principal components.

    Args:
        code: numbers that the digits are squeezed into.
        scale: how large the first weights are; the smaller, the longer the first plateau.

    Returns:
        The problem; its metric is how far the training loss is above its least value.
    """
    inputs = np.asarray(digits_parts().train.inputs, np.float64)
    covariance = inputs.T @ inputs / len(inputs)
    least = float(np.linalg.eigvalsh(covariance)[: PIXELS - code].sum() / PIXELS)
    second_moments = jnp.asarray(covariance, jnp.float32)

    def init(key: jax.Array) -> dict[str, jax.Array]:
        down, up = jax.random.split(key)
        return {
            "down": scale * jax.random.normal(down, (PIXELS, code)) / 8,
            "up": scale * jax.random.normal(up, (code, PIXELS)) / 8,
        }

    return Problem(
        why="Saddles and plateaus, one for each component, with a least value that is known exactly.",
        init=init,
        loss=Partial(linear_reconstruction, second_moments),
        data=None,
        evaluate=Partial(above_the_least, second_moments, least),
        steps=500,
        trivial=float(np.trace(covariance) / PIXELS) - least,
        trivial_is="the mean digit",
        optimum=0.0,
        reference="Baldi & Hornik 1989; Saxe et al. 2014, arXiv:1312.6120",
    )


def linear_reconstruction(
    second_moments: jax.Array, params: Mapping[str, jax.Array], batch: None = None
) -> jax.Array:
    """The mean squared error of pixels, of all training examples: tr((I − DU)ᵀ C (I − DU)) / 64."""
    missing = jnp.eye(PIXELS) - params["down"] @ params["up"]
    return jnp.sum(missing * (second_moments @ missing)) / PIXELS


def above_the_least(second_moments: jax.Array, least: jax.Array, params: Any) -> dict[str, jax.Array]:
    """How far the loss is above what is possible."""
    gap = linear_reconstruction(second_moments, params) - least
    return {"validation": gap, "test": gap}


@named_by_arguments
def digits_ae(*, width: int = 48, code: int = 6) -> Problem:
    """A deep autoencoder of logistic units.

    Args:
        width: numbers in the first hidden layer; each further one has half of it.
        code: numbers in the middle.

    Returns:
        The problem; its metric is the mean squared error of standardised pixels.
    """
    half = (PIXELS, width, width // 2, width // 4)
    data = digits_parts()
    data = Parts(*(each.inputs for each in data))
    return Problem(
        why="Curvatures that differ by orders of magnitude, along directions that are no axes.",
        init=partial(network, sizes=(*half, code, *half[::-1]), gain=4.0),
        loss=deep_reconstruction,
        data=data.train,
        evaluate=judged_by(deep_reconstruction, data),
        steps=500,
        batch_size=128,
        trivial=float(jnp.mean(jnp.square(data.validation))),
        trivial_is="the mean digit",
        reference="Hinton & Salakhutdinov 2006; Martens 2010 (as a problem for optimizers)",
    )


def deep_reconstruction(params: Any, inputs: jax.Array) -> jax.Array:
    """The mean squared error of a network that gives back its input."""
    return jnp.mean(jnp.square(through(params, inputs, jax.nn.sigmoid) - inputs))


class Noised(NamedTuple):
    """Digits, and the normal numbers that their codes are drawn with."""

    inputs: jax.Array
    noise: jax.Array


@named_by_arguments
def digits_vae(*, width: int = 64, code: int = 8) -> Problem:
    """A variational autoencoder.

    Args:
        width: numbers in the hidden layers.
        code: numbers in the code.

    Returns:
        The problem; its metric is the negative evidence bound in nats an image, for pixels of variance 1.
    """
    data = digits_parts()
    keys = jax.random.split(jax.random.key(0), 2)
    validation, test = (
        Noised(each.inputs, jax.random.normal(key, (len(each.inputs), code)))
        for each, key in zip((data.validation, data.test), keys, strict=True)
    )

    def init(key: jax.Array) -> dict[str, Any]:
        down, middle, up = jax.random.split(key, 3)
        return {
            "down": network(down, (PIXELS, width, width), 2.0),
            "code": dense(middle, width, 2 * code, 0.1),
            "up": network(up, (code, width, width, PIXELS), 2.0),
        }

    return Problem(
        why="The loss itself is drawn anew at every step, and the code may collapse to nothing.",
        init=init,
        loss=negative_bound,
        data=Partial(partial(draw_digits, batch_size=64, code=code), data.train.inputs),
        evaluate=judged_by(negative_bound, Parts(None, validation, test)),
        steps=500,
        trivial=float(jnp.square(data.validation.inputs).sum() / 2 / len(data.validation.inputs)),
        trivial_is="the mean digit, and no code",
        reference="Kingma & Welling 2014, arXiv:1312.6114; Schneider et al. 2019, arXiv:1903.05499",
    )


def draw_digits(inputs: jax.Array, key: jax.Array, *, batch_size: int, code: int) -> Noised:
    """A batch of digits, each drawn independently, with noise for their codes."""
    places, noise = jax.random.split(key)
    chosen = jax.random.randint(places, (batch_size,), 0, len(inputs))
    return Noised(inputs[chosen], jax.random.normal(noise, (batch_size, code)))


def negative_bound(params: Mapping[str, Any], batch: Noised) -> jax.Array:
    """½ ‖x − x̂‖² + ½ Σ (μ² + σ² − 1 − ln σ²), the mean over a batch."""
    hidden = jax.nn.relu(through(params["down"], batch.inputs, jax.nn.relu))
    mean, log_variance = jnp.split(affine(params["code"], hidden), 2, axis=-1)
    drawn = mean + jnp.exp(log_variance / 2) * batch.noise
    error = jnp.square(through(params["up"], drawn, jax.nn.relu) - batch.inputs).sum(axis=-1)
    surprise = (jnp.square(mean) + jnp.exp(log_variance) - 1 - log_variance).sum(axis=-1)
    return jnp.mean(error + surprise) / 2
