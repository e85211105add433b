"""Networks that read handwritten digits: the control, a deep one, and one of residual blocks."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_edu.problems import mlp
from jaxopt_edu.problems.problem import Problem, named_by_arguments
from jaxopt_edu.problems.suite.pieces import (
    Classifier,
    affine,
    dense,
    digits_parts,
    judged_by,
    network,
    through,
)

PIXELS, CLASSES = 64, 10
REFERENCE = "the digits: Alpaydin & Kaynak 1998"


@named_by_arguments
def digits_mlp(*, width: int = 32, batch_size: int = 128) -> Problem:
    """Two hidden layers of rectifiers.

    Args:
        width: numbers in a hidden layer.
        batch_size: examples in a batch.

    Returns:
        The problem; its metric is the cross entropy.
    """
    return _on_digits(
        "The control: a small, well behaved network on which good methods are close together.",
        partial(mlp.init, layer_sizes=(PIXELS, width, width, CLASSES)),
        mlp.loss,
        steps=500,
        batch_size=batch_size,
    )


@named_by_arguments
def digits_deep(*, layers: int = 10, width: int = 32) -> Problem:
    """Many layers of tanh, without any normalisation.

    Args:
        layers: how many hidden ones.
        width: numbers in each.

    Returns:
        The problem; its metric is the cross entropy.
    """
    sizes = (PIXELS, *[width] * layers, CLASSES)
    return _on_digits(
        "Gradients that shrink from layer to layer: one rate for all layers is too short for the first.",
        partial(network, sizes=sizes, gain=1.0),
        Classifier(partial(through, activation=jnp.tanh)),
        steps=500,
        batch_size=128,
        reference=f"Glorot & Bengio 2010; {REFERENCE}",
    )


@named_by_arguments
def digits_residual(*, blocks: int = 3, width: int = 32) -> Problem:
    """Normalised residual blocks.

    Args:
        blocks: how many.
        width: numbers in the stream that the blocks add to, and in each.

    Returns:
        The problem; its metric is the cross entropy.
    """

    def block(one: jax.Array, two: jax.Array) -> dict[str, Any]:
        inner, outer = dense(one, width, width), dense(two, width, width, 0.1)
        return {"scale": jnp.ones(width), "in": inner, "out": outer}

    def init(key: jax.Array) -> dict[str, Any]:
        first, last, *keys = jax.random.split(key, 2 + 2 * blocks)
        return {
            "first": dense(first, PIXELS, width, 1.0),
            "blocks": [block(*each) for each in zip(keys[::2], keys[1::2], strict=True)],
            "last": dense(last, width, CLASSES, 1.0),
        }

    return _on_digits(
        "Normalised blocks that only add: what architecture has levelled, an optimizer need not.",
        init,
        Classifier(residual_logits),
        steps=300,
        batch_size=128,
        reference=f"He et al. 2016; Ba et al. 2016 (layer normalisation); {REFERENCE}",
    )


def residual_logits(params: dict[str, Any], x: jax.Array) -> jax.Array:
    """What a residual network says of a batch of rows."""
    x = affine(params["first"], x)
    for block in params["blocks"]:
        normal = jax.nn.standardize(x, axis=-1) * block["scale"][None]
        x = x + affine(block["out"], jax.nn.relu(affine(block["in"], normal)))
    return affine(params["last"], jax.nn.standardize(x, axis=-1))


def _on_digits(
    why: str,
    init: Callable[[jax.Array], Any],
    loss: Callable[[Any, Any], jax.Array],
    *,
    steps: int,
    batch_size: int,
    reference: str = REFERENCE,
) -> Problem:
    data = digits_parts()
    return Problem(
        why=why,
        init=init,
        loss=loss,
        data=data.train,
        evaluate=judged_by(loss, data),
        steps=steps,
        batch_size=batch_size,
        trivial=2.3026,
        trivial_is="all digits alike",
        reference=reference,
    )
