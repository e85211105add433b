"""Rows of examples/coming_from.md as Keras runs them."""

import os
import tempfile
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.elsewhere.network import Run, batches, first_params, loss_fn


def library() -> Any:
    """Keras on JAX, which writes its settings into the home of whoever imports it first, but for this."""
    with (
        tempfile.TemporaryDirectory() as home,
        mock.patch.dict(os.environ, KERAS_BACKEND="jax", KERAS_HOME=home),
    ):
        return pytest.importorskip("keras")


def run(cell: list[str]) -> Run:
    """Train with the optimizer that a cell names."""
    keras = library()
    before = keras.config.floatx()
    keras.config.set_floatx("float64")  # what its optimizers keep their rates in
    try:
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            return of_expression(keras, cell[0])
    finally:
        keras.config.set_floatx(before)


def of_expression(keras: Any, expression: str) -> Run:
    """Train with the optimizer that an expression makes; the gradients are JAX's."""
    names: dict[str, Any] = vars(keras.optimizers) | vars(keras.optimizers.schedules)
    opt = eval(expression, names)
    params = jax.tree_util.tree_map_with_path(
        lambda path, leaf: keras.Variable(jnp.asarray(leaf), dtype="float64", name=path[-1].key),
        first_params(),
    )
    differentiate = jax.jit(jax.value_and_grad(loss_fn))
    losses = []
    for batch in batches():
        loss, gradients = differentiate(jax.tree.map(np.asarray, params), batch)
        opt.apply(jax.tree.leaves(gradients), jax.tree.leaves(params))
        losses.append(loss)
    return Run(np.array(losses), jax.tree.map(np.asarray, params))
