"""Floating leaves of a tree in another dtype; what is none stays as it is."""

from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_edu.core.by_leaf import Leaves, Rules, meant
from jaxopt_edu.core.checks import short
from jaxopt_edu.core.leaf_values import Predicate, as_rules

Tree = TypeVar("Tree")


def cast(tree: Tree, dtype: Any, keep: Predicate = ()) -> Tree:
    """The same tree with its floating leaves in another dtype.

    Args:
        tree: pytree. Integers, booleans, random keys and complex arrays, of which there is no half, stay as
            they are, and so does what is no array.
        dtype: a real floating dtype, such as jnp.bfloat16.
        keep: which leaves stay as they are: a pattern of their names or several, as in "*/norm*" (see
            `partition`), or a function of (name, leaf).

    Returns:
        A tree of the same structure. Its derivative is the cast back.

    Raises:
        TypeError: dtype is no real floating dtype, or keep is no predicate.
        ValueError: a pattern means no leaf.

    >>> import jax.numpy as jnp
    >>> params = {"kernel": jnp.ones(2), "norm": jnp.ones(2), "steps": jnp.int32(3)}
    >>> {name: str(leaf.dtype) for name, leaf in cast(params, jnp.bfloat16, keep="norm").items()}
    {'kernel': 'bfloat16', 'norm': 'float32', 'steps': 'int32'}
    """
    return cast_but(tree, floating_dtype("cast", "dtype", dtype), kept("cast", keep))


def floating_dtype(owner: str, name: str, dtype: Any) -> np.dtype:
    """A real floating dtype.

    Raises:
        TypeError: it is something else.
    """
    try:
        found = jnp.dtype(dtype)
    except TypeError:
        found = None
    # NumPy takes None for float64.
    if dtype is None or found is None or not jnp.issubdtype(found, jnp.floating):
        raise TypeError(
            f"{owner}: {name} = {short(dtype)} is no real floating dtype; give jnp.float32, jnp.bfloat16 or "
            "jnp.float16."
        )
    return found


def kept(owner: str, keep: Predicate) -> Rules | None:
    """Which leaves are not cast; None where all are.

    Raises:
        TypeError: it is no predicate.
    """
    return None if isinstance(keep, tuple | list) and not keep else as_rules(owner, "keep", keep)


def cast_but(tree: Tree, dtype: np.dtype, rules: Rules | None = None, owner: str = "cast") -> Tree:
    """`cast`, for arguments that were checked.

    Args:
        tree: pytree.
        dtype: a real floating dtype.
        rules: which leaves stay as they are; None for none.
        owner: who asks, for the errors.

    Returns:
        A tree of the same structure.
    """
    if rules is None:
        return jax.tree.map(lambda leaf: leaf.astype(dtype) if _is_floating(leaf) else leaf, tree)
    floating = jax.tree.map(lambda leaf: leaf if _is_floating(leaf) else None, tree)
    stay = iter(meant(f"{owner}: keep", rules, Leaves.of(floating)))
    return jax.tree.map(
        lambda leaf: leaf.astype(dtype) if _is_floating(leaf) and not next(stay) else leaf, tree
    )


def _is_floating(leaf: Any) -> bool:
    array = isinstance(leaf, jax.Array | np.ndarray | np.generic)
    return array and jnp.issubdtype(leaf.dtype, jnp.floating)
