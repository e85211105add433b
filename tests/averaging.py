"""An optimizer whose result is at another point than the one it holds, for the tests of what asks for it."""

from typing import Any, NamedTuple

import jax

from jaxopt_edu.core import (
    FRACTION,
    NON_NEGATIVE,
    build,
    first_count,
    map_point,
    map_rule,
    next_count,
    zeros_like,
)

LIMITS = {"learning_rate": NON_NEGATIVE, "b": FRACTION}


class AverageState(NamedTuple):
    count: jax.Array
    z: Any


def averaging(learning_rate: Any = 0.5, b: Any = 0.5) -> Any:
    """Gradient descent that recommends the point b of the way to where it has been."""
    return build(
        averaging,
        AverageState,
        init,
        update,
        LIMITS,
        evaluated_at=evaluated_at,
        learning_rate=learning_rate,
        b=b,
    )


def init(params):
    return AverageState(first_count(params), map_rule(lambda g, m: (g, m + g), params, zeros_like(params))[1])


def update(gradients, state, params, *, learning_rate, b):
    updates, z = map_rule(rule, gradients, state.z, params=params, learning_rate=learning_rate)
    return updates, AverageState(next_count(state.count), z)


def rule(g, w, z, *, learning_rate):
    return -learning_rate * g, w


def evaluated_at(params, state, *, learning_rate, b):
    return map_point(lambda w, z, *, b: b * z + (1 - b) * w, params, state.z, b=b)
