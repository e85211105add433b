"""The leaves of a tree by the names of their paths, and a tree's structure as text."""

import re
from collections.abc import Mapping
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

Tree = TypeVar("Tree")


def named_leaves(tree: Any) -> dict[str, Any]:
    """The leaves of a tree by the names of their paths, for any format that stores a dict of arrays.

    Args:
        tree: pytree, such as an optimizer, its state, parameters, or a dict of all three.

    Returns:
        Name to leaf, in the tree's order.

    Raises:
        ValueError: two leaves have the same name, as in {"a/b": …, "a": {"b": …}}.

    >>> import jax.numpy as jnp, jaxopt_edu as jo
    >>> list(named_leaves(jo.adam().init({"w": jnp.zeros(2)})))
    ['count', 'm/w', 'v/w']
    """
    pairs = jax.tree_util.tree_flatten_with_path(tree)[0]
    leaves = {}
    for path, leaf in pairs:
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        if name in leaves:
            raise ValueError(
                f"two leaves of the tree are named {name!r}, so one would be lost: "
                "a key that contains a / looks like a path; rename it."
            )
        leaves[name] = leaf
    return leaves


def with_named_leaves(like: Tree, leaves: Mapping[str, Any]) -> Tree:
    """A tree of the structure of another, with leaves found by name.

    Args:
        like: pytree whose structure, shapes and dtypes are wanted.
        leaves: name to array, as `named_leaves` gives them.

    Returns:
        The tree. Where `like` has a Python number or a NumPy array there is one again, elsewhere a JAX
        array.

    Raises:
        ValueError: a name is missing or too many, or a shape or dtype is another; names it and both sides.

    >>> import jaxopt_edu as jo
    >>> jo.describe(with_named_leaves(jo.sgd(), named_leaves(jo.sgd(learning_rate=0.5))))
    'sgd(learning_rate=0.5)'
    """
    wanted = named_leaves(like)
    if wanted.keys() != leaves.keys():
        missing, surplus = sorted(wanted.keys() - leaves.keys()), sorted(leaves.keys() - wanted.keys())
        raise ValueError(
            f"the stored leaves are {_listed(leaves)}, but {_listed(wanted)} are wanted: missing "
            f"{missing or 'none'}, not wanted {surplus or 'none'}. Load with the optimizer and the "
            "parameters that were saved."
        )
    found = [_like(name, leaf, leaves[name]) for name, leaf in wanted.items()]
    return jax.tree.unflatten(jax.tree.structure(like), found)


def structure(tree: Any) -> str:
    """A tree's structure as text that is the same in every process.

    Args:
        tree: pytree.

    Returns:
        The types, names and static parts of its nodes, without memory addresses.
    """
    text = re.sub(r" at 0x[0-9a-f]+", "", str(jax.tree.structure(tree)))
    # What an optimizer was in the first edition, whose files stay readable.
    return text.replace("namedtuple[Optimizer]", "namedtuple[GradientTransformationExtraArgs]")


def is_key(leaf: Any) -> bool:
    """Whether a leaf is an array of random keys, or the shape of one.

    Args:
        leaf: a leaf of a tree.

    Returns:
        True or False.

    >>> is_key(jax.random.key(0)), is_key(jnp.zeros(2)), is_key(0.5)
    (True, False, False)
    """
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def kinds_named_in(text: str) -> str:
    """The kinds of optimizers and states that a structure's text names."""
    names = re.findall(r"factory=<function (\w+)>|namedtuple\[(\w+)\]", text)
    kinds = dict.fromkeys(first or second for first, second in names)
    kinds.pop("GradientTransformationExtraArgs", None)
    return ", ".join(kinds) or "another tree"


def _listed(leaves: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"{name}: {kind_of(leaf)}" for name, leaf in leaves.items()) + "}"


def kind_of(leaf: Any) -> str:
    """Dtype and shape of a leaf, as errors tell them."""
    return f"{dtype_of(leaf)}{list(np.shape(leaf))}"


def dtype_of(leaf: Any) -> Any:
    """The dtype of an array or of a number."""
    return leaf.dtype if hasattr(leaf, "dtype") else np.asarray(leaf).dtype


def _like(name: str, wanted: Any, leaf: Any) -> Any:
    if np.shape(leaf) != np.shape(wanted) or dtype_of(leaf) != dtype_of(wanted):
        raise ValueError(f"the stored leaf {name} is {kind_of(leaf)}, but {kind_of(wanted)} is wanted.")
    if isinstance(wanted, int | float | complex):
        return type(wanted)(np.asarray(leaf).item())
    if isinstance(wanted, np.ndarray | np.generic):
        # JAX would round a float64 to float32 where x64 is off.
        return np.asarray(leaf)[() if isinstance(wanted, np.generic) else ...]
    return jnp.asarray(leaf)
