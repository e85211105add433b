"""What users give as data, as arrays: pytrees of arrays, tables, tensors of others, lists of numbers."""

from typing import Any

import jax
import numpy as np

from jaxopt_edu.storage import is_key

KINDS = "biufc"


def as_arrays(owner: str, data: Any) -> Any:
    """A pytree of arrays with a leading example axis, out of whatever holds such.

    Args:
        owner: what the data is called in an error, such as "data".
        data: pytree of JAX or NumPy arrays, of tensors that NumPy can read (torch's, TensorFlow's), of lists
            of numbers, or a table (pandas, polars), whose columns become a dict of arrays.

    Returns:
        A pytree of JAX and NumPy arrays.

    Raises:
        TypeError: a leaf is no array of numbers; names it.

    >>> as_arrays("data", {"x": [1.0, 2.0]})
    {'x': array([1., 2.])}
    """
    if is_table(data):
        data = columns(data)

    def array(path: Any, leaf: Any) -> Any:
        name = owner + jax.tree_util.keystr(path)
        if not hasattr(leaf, "shape") and not _is_numbers(leaf):
            raise TypeError(
                f"{name} is {_shown(leaf)}, of type {type(leaf).__name__}; every leaf of the data has to "
                "be an "
                "array with a leading example axis."
            )
        return number_array(name, leaf)

    return jax.tree_util.tree_map_with_path(array, data, is_leaf=_is_numbers)


def is_array_like(data: Any) -> bool:
    """Whether something is one array, though JAX may not know it as such: a tensor, a column of a table."""
    return hasattr(data, "__array__") and hasattr(data, "shape") and not is_table(data)


def all_arrays(data: Any) -> bool:
    """Whether all leaves of a tree, of which there is one at least, are arrays or lists of numbers."""
    leaves = jax.tree.leaves(data, is_leaf=_is_numbers)
    return bool(leaves) and all(is_array_like(leaf) or _is_numbers(leaf) for leaf in leaves)


def holds_arrays(data: Any) -> bool:
    """Whether data is a pytree of arrays, and not something else that gives its batches.

    Args:
        data: no iterator, whose leaves must not be asked for.
    """
    if is_table(data) or is_array_like(data) or all_arrays(data):
        return True
    tree = not jax.tree_util.all_leaves([data]) and bool(jax.tree.leaves(data))
    return tree and not isinstance(data, list)


def number_of_examples(owner: str, arrays: Any) -> int:
    """The length of the leading axis that all leaves share.

    Args:
        owner: what the arrays are called in an error, such as "data".
        arrays: pytree of arrays.

    Returns:
        The length, above 0.

    Raises:
        ValueError: there is no such axis, or its length is 0.
    """
    paths = jax.tree_util.tree_flatten_with_path(arrays)[0]
    sizes = {jax.tree_util.keystr(path): np.shape(leaf)[:1] for path, leaf in paths}
    if len(set(sizes.values())) != 1 or () in sizes.values():
        of_batches = "; of batches give a loader, since a list of arrays is one pytree"
        raise ValueError(
            f"{owner}: the leaves of the arrays need a common leading axis, one entry an example, but have "
            f"{sizes}{of_batches if isinstance(arrays, list) else ''}."
        )
    examples = next(iter(sizes.values()))[0]
    if examples == 0:
        raise ValueError(f"{owner}: the leading axis of the arrays has length 0; there are no examples.")
    return examples


def is_table(data: Any) -> bool:
    """Whether something is a table with named columns, such as a pandas or polars DataFrame."""
    return hasattr(data, "columns") and hasattr(data, "to_numpy")


def columns(table: Any) -> dict[str, np.ndarray]:
    """The columns of a table by name."""
    return {str(name): table[name].to_numpy() for name in table.columns}


def number_array(name: str, leaf: Any) -> Any:
    """One leaf as an array of numbers that JAX can take.

    Args:
        name: of the leaf, for the error.
        leaf: an array, a tensor, a number, or a list of numbers.

    Returns:
        A JAX array as it was, anything else as a NumPy array.

    Raises:
        TypeError: it is none.
    """
    if isinstance(leaf, jax.Array):
        return leaf
    try:
        array = np.asarray(leaf)
    except Exception as error:  # what a tensor of another library has against it is its own affair
        raise TypeError(
            f"{name} is a {type(leaf).__name__} that cannot be read as an array ({_first_line(error)}); "
            "make a NumPy "
            "array of it."
        ) from error
    # bfloat16 and its like are kinds of their own, which JAX knows.
    if array.dtype.kind not in KINDS and not (array.dtype.isbuiltin == 2 and not is_key(array)):
        raise TypeError(
            f"{name} has dtype {array.dtype}, and a batch can hold numbers only; encode it as numbers, or "
            "leave it "
            "out of the data."
        )
    return array


def _is_numbers(node: Any) -> bool:
    if type(node) not in (list, tuple) or not node:
        return False
    return all(
        isinstance(each, int | float | complex | np.number | np.bool_) or _is_numbers(each) for each in node
    )


def _shown(leaf: Any) -> str:
    text = repr(leaf).replace("\n", " ")
    return text if len(text) <= 60 else text[:57] + "…"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
