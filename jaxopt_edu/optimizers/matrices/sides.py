"""A square for each side of every matrix: of the rows' length, and of the columns'."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from jaxopt_edu.core.matrices import Axes, matrix_state

if TYPE_CHECKING:
    import chex

Sides = tuple["chex.ArrayTree", "chex.ArrayTree"]


def square_zeros(params: "chex.ArrayTree", axes: Axes, largest: int) -> Sides:
    """Zeros, for sums of GGᵀ and of GᵀG.

    Args:
        params: pytree of floating or complex arrays, every leaf a matrix.
        axes: what a leaf is as a matrix.
        largest: a side that is longer has none: an array of shape (0, 0).

    Returns:
        Two pytrees, for the rows and for the columns; a leaf has the parameter's mapped axes, then its
            square.

    >>> from jaxopt_edu.core import matrix_axes
    >>> rows, columns = square_zeros({"kernel": jnp.ones((2, 7))}, matrix_axes, largest=5)
    >>> rows["kernel"].shape, columns["kernel"].shape
    ((2, 2), (0, 0))
    """
    return _sides(params, axes, largest, lambda n, dtype: jnp.zeros((n, n), dtype))


def identities(params: "chex.ArrayTree", axes: Axes, largest: int) -> Sides:
    """Unit matrices: bases that turn nothing.

    Args:
        params: pytree of floating or complex arrays, every leaf a matrix.
        axes: what a leaf is as a matrix.
        largest: a side that is longer has none: an array of shape (0, 0).

    Returns:
        Two pytrees, for the rows and for the columns; a leaf has the parameter's mapped axes, then its
            square.

    >>> from jaxopt_edu.core import matrix_axes
    >>> identities({"kernel": jnp.ones((1, 2))}, matrix_axes, largest=5)[1]["kernel"].tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    return _sides(params, axes, largest, lambda n, dtype: jnp.eye(n, dtype=dtype))


def _sides(
    params: "chex.ArrayTree", axes: Axes, largest: int, make: Callable[[int, Any], jax.Array]
) -> Sides:
    def side(n: int, dtype: Any) -> jax.Array:
        return make(n if n <= largest else 0, dtype)

    rows = matrix_state(params, lambda rows, _, dtype: side(rows, dtype), axes)
    return rows, matrix_state(params, lambda _, columns, dtype: side(columns, dtype), axes)
