"""Rows of examples/coming_from.md as this library and optax run them."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxopt_edu as jo
from jaxopt_edu.core.foreign import as_pytree
from tests.elsewhere.network import STEPS, Run, batches, first_params, loss_fn, run_statements, statements


@jax.jit
def step(opt: Any, params: Any, state: Any, batch: Any) -> tuple[Any, Any, jax.Array]:
    """One step; the optimizer is an argument, so that another rate compiles nothing."""
    loss, gradients = jax.value_and_grad(loss_fn)(params, batch)
    updates, state = opt.update(gradients, state, params, value=loss)
    return optax.apply_updates(params, updates), state, loss


def names_of_rows() -> dict[str, Any]:
    """What a cell can speak of."""
    known = {"jo": jo, "jax": jax, "jnp": jnp, "optax": optax}
    return {**known, "loss_fn": loss_fn, "params": first_params(), "batches": batches()}


def run(cell: list[str]) -> Run:
    """Train with what a cell says: a loop by `jo.fit`, an optimizer, or statements about `opt`."""
    names = names_of_rows()
    once, every_step = statements(cell)
    run_statements(once, names)
    if not once:
        made = eval(every_step.pop(0), names)
        if isinstance(made, jo.FitResult):
            assert len(made.history.losses) == STEPS
            return Run(made.history.losses, made.params)
        names["opt"] = made
    params, losses = first_params(), []
    state = as_pytree(names["opt"]).init(params)
    for count, batch in enumerate(batches()):
        names["step"] = count
        run_statements(every_step, names)
        params, state, loss = step(as_pytree(names["opt"]), params, state, batch)
        losses.append(loss)
    return Run(np.array(losses), jo.evaluation_params(names["opt"], state, params))
