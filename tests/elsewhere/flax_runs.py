"""Rows of examples/coming_from.md as Flax's users write them."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.elsewhere.network import (
    HIDDEN,
    INPUTS,
    OUTPUTS,
    Run,
    batches,
    first_params,
    loss_fn,
    run_statements,
    statements,
)
from tests.elsewhere.ours import names_of_rows


def run(cell: list[str]) -> Run:
    """Train with what a cell says of an NNX model, or of a TrainState."""
    return of_a_train_state(cell) if "TrainState" in cell[0] else of_a_model(cell)


def of_a_train_state(cell: list[str]) -> Run:
    """The loop of linen's users."""
    pytest.importorskip("flax")
    from flax.training.train_state import TrainState

    names = {**names_of_rows(), "TrainState": TrainState, "apply": loss_fn}
    differentiate = jax.jit(jax.value_and_grad(loss_fn))
    first, every_step = cell
    exec(first, names)
    losses = []
    with jax.numpy_dtype_promotion("standard"):
        for batch in batches():
            loss, names["gradients"] = differentiate(names["state"].params, batch)
            exec(every_step, names)
            losses.append(loss)
    return Run(np.array(losses), names["state"].params)


def of_a_model(cell: list[str]) -> Run:
    """The loop of NNX's users, or `jo.fit` of the model's parameters."""
    nnx = pytest.importorskip("flax.nnx")

    class Network(nnx.Module):
        def __init__(self) -> None:
            keys = nnx.Rngs(0)
            self.body = nnx.Linear(INPUTS, HIDDEN, rngs=keys, param_dtype=jnp.float64)
            self.head = nnx.Linear(HIDDEN, OUTPUTS, rngs=keys, param_dtype=jnp.float64)
            for layer, given in zip((self.body, self.head), first_params().values(), strict=True):
                layer.kernel[...], layer.bias[...] = given["weight"].T, given["bias"]

    def loss_of(model: Any, batch: Any) -> jax.Array:
        inputs, targets = batch
        return jnp.mean((model.head(jnp.tanh(model.body(inputs))) - targets) ** 2)

    def parts(layer: Any) -> dict[str, np.ndarray]:
        return {"weight": np.asarray(layer["kernel"][...]).T, "bias": np.asarray(layer["bias"][...])}

    model = Network()
    names: dict[str, Any] = {**names_of_rows(), "nnx": nnx, "model": model, "loss_of": loss_of}
    once, every_step = statements(cell)
    losses = []
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        run_statements(once, names)
        if every_step[0].startswith("jo.fit("):
            result = eval(every_step[0], names)
            params, losses = result.params, result.history.losses
        else:
            differentiate = nnx.jit(nnx.value_and_grad(loss_of))
            for batch in batches():
                loss, names["gradients"] = differentiate(model, batch)
                exec(every_step[0], names)
                losses.append(loss)
            params = nnx.state(model, nnx.Param)
    return Run(np.array(losses), {name: parts(params[name]) for name in ("body", "head")})
