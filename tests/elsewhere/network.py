"""The network that every row of examples/coming_from.md trains, and its batches, in double precision."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

STEPS, INPUTS, HIDDEN, OUTPUTS = 40, 4, 3, 2


class Run(NamedTuple):
    """What a row comes to: the loss before each step, and the parameters after the last."""

    losses: np.ndarray
    params: dict[str, dict[str, np.ndarray]]


def batches() -> list[tuple[np.ndarray, np.ndarray]]:
    """Eight examples for each step: inputs, and what a noisy rule makes of them."""
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((STEPS, 8, INPUTS))
    targets = np.stack([inputs[..., 0] * inputs[..., 1], np.sin(inputs[..., 2])], axis=-1)
    return list(zip(inputs, targets + 0.1 * rng.standard_normal(targets.shape), strict=True))


def first_params() -> dict[str, dict[str, np.ndarray]]:
    """Weights as torch's layers keep them, outputs first."""
    rng = np.random.default_rng(1)
    shapes = {"body": (HIDDEN, INPUTS), "head": (OUTPUTS, HIDDEN)}
    return {
        name: {"weight": rng.standard_normal(shape) / 2, "bias": 0.1 * rng.standard_normal(shape[:1])}
        for name, shape in shapes.items()
    }


def loss_fn(params: Any, batch: Any) -> jax.Array:
    """The mean squared error of a layer of tanh and a linear one."""
    inputs, targets = batch
    body, head = params["body"], params["head"]
    hidden = jnp.tanh(inputs @ body["weight"].T + body["bias"][None])
    return jnp.mean((hidden @ head["weight"].T + head["bias"][None] - targets) ** 2)


def largest_difference(one: Run, other: Run) -> float:
    """How far two runs are apart, in units of the largest loss and of each leaf's largest number."""

    def apart(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.max(np.abs(np.asarray(a) - np.asarray(b))) / np.max(np.abs(a)))

    return max(jax.tree.leaves(jax.tree.map(apart, one, other)))


def statements(cell: list[str]) -> tuple[list[str], list[str]]:
    """What a cell says once, and what it says at every step."""
    once = [each for each in cell if _assigns(each)]
    return once, [each for each in cell if each not in once]


def _assigns(statement: str) -> bool:
    name, equals, _ = statement.partition(" = ")
    makes_names = bool(equals) and name.replace(", ", "").isidentifier()
    return makes_names or ".requires_grad_(" in statement


def run_statements(cell: list[str], names: dict[str, Any]) -> None:
    """Run a cell's statements among these names."""
    for statement in cell:
        exec(statement, names)
