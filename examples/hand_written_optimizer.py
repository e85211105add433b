"""An optimizer of your own, on one page: Lion, which keeps the sign of the momentum and nothing else.

Every coordinate moves by exactly η a step. It costs one array of memory, half of Adam's, and wants a
learning rate some ten times smaller.

    w ← w − η sign(β₁ m + (1 − β₁) g)
    m ← β₂ m + (1 − β₂) g

with η = learning_rate, β₁ = b1, β₂ = b2, m₀ = 0. Chen et al. 2023, Symbolic Discovery of Optimization
Algorithms, arXiv:2302.06675.

The rule is written for one array; the package's core brings it to pytrees, dtypes, schedules and errors.
What comes out is an optax transform and a pytree of its numbers, as every optimizer here.

Run: python examples/hand_written_optimizer.py   (after pip install "jaxopt-edu[data]")
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import jaxopt_edu as jo
from jaxopt_edu.core import (
    FRACTION,
    NON_NEGATIVE,
    Hyperparameter,
    build,
    first_count,
    map_rule,
    next_count,
    zeros_like,
)
from jaxopt_edu.problems import mlp

LIMITS = {"learning_rate": NON_NEGATIVE, "b1": FRACTION, "b2": FRACTION}


class LionState(NamedTuple):
    """What Lion remembers."""

    count: jax.Array  # t, the number of updates made; schedules are asked at it
    m: Any  # m, the moving average of gradients; as params


def lion(learning_rate: Hyperparameter = 1e-4, b1: Hyperparameter = 0.9, b2: Hyperparameter = 0.99):
    return build(lion, LionState, init, update, LIMITS, learning_rate=learning_rate, b1=b1, b2=b2)


def init(params):
    return LionState(count=first_count(params), m=zeros_like(params))


def update(gradients, state, *, learning_rate, b1, b2):
    updates, m = map_rule(rule, gradients, state.m, learning_rate=learning_rate, b1=b1, b2=b2)
    return updates, LionState(next_count(state.count), m)


def rule(g, m, *, learning_rate, b1, b2):
    direction = jnp.sign(b1 * m + (1 - b1) * g)
    return -learning_rate * direction, b2 * m + (1 - b2) * g


def main():
    data = jo.problems.digits()
    params = mlp.init(jax.random.key(0), (64, 64, 10))
    optimizer = lion(learning_rate=jo.schedules.cosine(peak=3e-3, steps=300))
    print(jo.describe(optimizer))
    result = jo.fit(mlp.loss, params, optimizer, data.train, steps=300, batch_size=128, key=jax.random.key(1))
    accuracy = float(mlp.accuracy(result.params, data.test))
    print(f"{accuracy:.3f} of the held-out digits are right")
    try:
        lion(b1=1.5)
    except ValueError as error:
        print(f"and a wrong number is refused: {error}")
    return accuracy


if __name__ == "__main__":
    main()
