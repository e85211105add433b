"""Runs on their way between the devices and the host, whole or in part, in one process or in several."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Sharding

from jaxopt_edu.processes import on_this_host, placed_array
from jaxopt_edu.storage import is_key

HostTree = Any
"""A pytree of NumPy arrays; random keys are the integers they are made of."""


def to_host(tree: Any) -> HostTree:
    """Fetch arrays from all devices, those of other processes included.

    Args:
        tree: pytree of JAX arrays.

    Returns:
        The same numbers as NumPy arrays.
    """
    return jax.tree.map(_fetched, tree)


def to_devices(tree: HostTree, like: Any, sharding: Sharding) -> Any:
    """Place host arrays onto devices.

    Args:
        tree: pytree of NumPy arrays, as `to_host` gives them.
        like: pytree of the same structure, from which it is known which arrays are random keys.
        sharding: where they go.

    Returns:
        A pytree of JAX arrays.
    """

    placed = jax.tree.map(lambda host: placed_array(host, sharding), tree)
    return restored(placed, like)


def restored(tree: Any, like: Any) -> Any:
    """Make random keys again of the integers that they are made of.

    Args:
        tree: pytree of arrays.
        like: pytree of the same structure, with keys where there are to be keys.

    Returns:
        A pytree of JAX arrays.
    """

    def key(array: Any, like: Any) -> jax.Array:
        if not is_key(like):
            return jnp.asarray(array)
        # A shape of a key knows its implementation as well as a key does.
        return jax.random.wrap_key_data(jnp.asarray(array), impl=like.dtype._impl.name)

    return jax.tree.map(key, tree, like)


def host_like(shapes: Any) -> HostTree:
    """The shapes that a tree has on the host, where random keys are integers.

    Args:
        shapes: pytree of ShapeDtypeStructs.

    Returns:
        The same, keys replaced.
    """
    return jax.eval_shape(
        lambda tree: jax.tree.map(lambda leaf: jax.random.key_data(leaf) if is_key(leaf) else leaf, tree),
        shapes,
    )


def gathered(pieces: list[tuple[HostTree, np.ndarray, np.ndarray]], shape: tuple[int, int]) -> HostTree:
    """Put a tree together of parts of others.

    Args:
        pieces: for each source, its tree with leading axes (settings, seeds), and two arrays of shape (3, n):
            the places it is for (row, column), that is, `targets` (2, n) and `origins` (2, n).
        shape: the leading axes of the whole.

    Returns:
        A tree with these leading axes.
    """
    first = pieces[0][0]
    whole = jax.tree.map(lambda leaf: np.zeros((*shape, *leaf.shape[2:]), leaf.dtype), first)
    for tree, targets, origins in pieces:

        def fill(
            into: np.ndarray, leaf: np.ndarray, targets: np.ndarray = targets, origins: np.ndarray = origins
        ) -> None:
            into[tuple(targets)] = leaf[tuple(origins)]

        jax.tree.map(fill, whole, tree)
    return whole


def _fetched(array: jax.Array) -> np.ndarray:
    return np.asarray(on_this_host(jax.random.key_data(array) if is_key(array) else array))
