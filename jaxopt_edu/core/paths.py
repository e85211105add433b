"""What the leaves of a tree are called, and which names a pattern means."""

from collections.abc import Collection
from fnmatch import fnmatchcase
from typing import Any

import jax


def leaf_name(path: tuple[Any, ...]) -> str:
    """The name of a leaf: the keys on the way to it, as in stored files.

    Args:
        path: from `jax.tree_util.tree_flatten_with_path`.

    Returns:
        The keys, with / between them.

    >>> [leaf_name(path) for path, _ in jax.tree_util.tree_flatten_with_path({"dense": {"kernel": 1}})[0]]
    ['dense/kernel']
    """
    return jax.tree_util.keystr(path, simple=True, separator="/")


def leaf_names(tree: Any) -> list[str]:
    """The names of all leaves, in the tree's order.

    Args:
        tree: pytree; None is an empty subtree.

    Returns:
        A name for each leaf.

    >>> leaf_names({"dense": {"bias": 1, "kernel": None}, "layers": [2, 3]})
    ['dense/bias', 'layers/0', 'layers/1']
    """
    return [leaf_name(path) for path, _ in jax.tree_util.tree_flatten_with_path(tree)[0]]


def owner_of(path: tuple[Any, ...], owners: Collection[tuple[Any, ...]]) -> tuple[Any, ...] | None:
    """Whose a leaf of a state is: of the parameter whose path its own ends with.

    Args:
        path: of the leaf, from `jax.tree_util.tree_flatten_with_path`.
        owners: the parameters' paths.

    Returns:
        The longest that fits; None if none does. That of a tree which is a single array fits everywhere.

    >>> state = {"count": 0, "m": {"dense": 1.0}}
    >>> params = {"dense": 2.0}
    >>> paths = [path for path, _ in jax.tree_util.tree_flatten_with_path(params)[0]]
    >>> [owner_of(path, paths) == paths[0] for path, _ in jax.tree_util.tree_flatten_with_path(state)[0]]
    [False, True]
    """
    return next((path[start:] for start in range(len(path) + 1) if path[start:] in owners), None)


def own_name(name: str) -> str:
    """A leaf's name without the box that Flax NNX keeps it in.

    Args:
        name: as `leaf_name` gives it.

    Returns:
        The name without a "value" at its end.

    >>> own_name("dense/kernel/value"), own_name("dense/kernel")
    ('dense/kernel', 'dense/kernel')
    """
    return name.removesuffix("/value")


def is_meant(name: str, pattern: str) -> bool:
    """Whether a pattern means a leaf: it matches the leaf's name, or that of something that it lies in.

    Args:
        name: as `leaf_name` gives it.
        pattern: with the wildcards of `fnmatch`: * for anything, / included, ? for a letter, [ab] for one of
            these. A pattern that begins with */ means what lies at the top, too.

    Returns:
        Whether the leaf is meant.

    >>> [is_meant(name, "*/bias") for name in ("layers/0/bias", "bias", "dense/bias/value", "dense/bias_2")]
    [True, True, True, False]
    >>> is_meant("layers/3/attention/kernel", "layers/[0-5]"), is_meant("layers/3/kernel", "kernel")
    (True, False)
    """
    return any(fnmatchcase(each, whole) for each in (name, f"/{name}") for whole in (pattern, f"{pattern}/*"))
