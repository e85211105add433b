"""Optimizers, states and parameters on disk: named arrays in an npz file, and nothing that is executed.

Every leaf has a name, its path: `m/weight`, `update/1/learning_rate`. A tree that is loaded is rebuilt
around a tree of the same structure; a file of another structure is refused.
"""

import io
import json
import os
import re
import zipfile
from collections.abc import Mapping
from typing import Any, BinaryIO, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_edu.files import whole_file

Tree = TypeVar("Tree")
MANIFEST = "manifest.json"
EXTRA = "extra:"


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


def save(path: str | os.PathLike[str], tree: Any, *, extra: Mapping[str, np.ndarray] | None = None) -> None:
    """Write a tree into an npz file, whole or not at all.

    Args:
        path: the file; its name should end in .npz.
        tree: pytree of arrays, numbers and random keys, such as `(optimizer, state, params)`.
        extra: further arrays by name, whose number and shapes the reader need not know; see `read`.

    Raises:
        OSError: the file cannot be written.
        TypeError: a leaf is none of these; names it.
        ValueError: two leaves have the same name.

    >>> import tempfile, jaxopt_edu as jo
    >>> with tempfile.TemporaryDirectory() as place:
    ...     save(f"{place}/optimizer.npz", jo.sgd(learning_rate=0.5))
    ...     jo.describe(load(f"{place}/optimizer.npz", like=jo.sgd()))
    'sgd(learning_rate=0.5)'
    """
    arrays, dtypes = {}, {}
    for name, leaf in named_leaves(tree).items():
        arrays[name], dtypes[name] = _to_numpy(name, leaf)
    manifest = {"structure": structure(tree), "dtypes": dtypes, "extra": list(extra or {})}
    arrays |= {EXTRA + name: np.asarray(array) for name, array in (extra or {}).items()}
    # Not np.savez: names such as "file" are arguments of its own, and it pickles objects.
    with whole_file(path) as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr(MANIFEST, json.dumps(manifest))
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def load(path: str | os.PathLike[str], like: Tree) -> Tree:
    """Read a tree that `save` wrote.

    Args:
        path: the file.
        like: pytree of the structure that was saved; its numbers do not matter.

    Returns:
        The tree.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: the file cannot be opened.
        ValueError: the file is damaged, is not one of ours, or holds a tree of another structure (both
            are named).
    """
    found, leaves, _ = _open(path)
    if found != structure(like):
        raise ValueError(
            f"{path} holds {_kinds(found)}, but {_kinds(structure(like))} was asked for; load it with the "
            f"optimizer and the parameters that were saved.\nstored: {found}\nasked:  {structure(like)}"
        )
    return with_named_leaves(like, leaves)


def read(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Read the extra arrays of a file that `save` wrote.

    Args:
        path: the file.

    Returns:
        Name to array, as given to `save(..., extra=...)`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged or not one of ours.
    """
    return _open(path)[2]


def read_leaves(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the leaves of a file that `save` wrote, without their structure.

    Args:
        path: the file.

    Returns:
        Name to leaf, as `named_leaves` gives them.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged or not one of ours.
    """
    return _open(path)[1]


def structure(tree: Any) -> str:
    """A tree's structure as text that is the same in every process.

    Args:
        tree: pytree.

    Returns:
        The types, names and static parts of its nodes, without memory addresses.
    """
    return re.sub(r" at 0x[0-9a-f]+", "", str(jax.tree.structure(tree)))


def is_key(leaf: Any) -> bool:
    """Whether a leaf is an array of random keys, or the shape of one.

    >>> is_key(jax.random.key(0)), is_key(jnp.zeros(2)), is_key(0.5)
    (True, False, False)
    """
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _open(path: str | os.PathLike[str]) -> tuple[str, dict[str, Any], dict[str, np.ndarray]]:
    try:
        file = open(path, "rb")  # noqa: SIM115 (closed below; what cannot be opened is not damaged)
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no file {os.fspath(path)}.") from None
    with file:
        try:
            return _parsed(file)
        # There is no telling over what zipfile, json and numpy stumble in a file that is not what it seems.
        except Exception as error:
            raise ValueError(
                f"{os.fspath(path)} is damaged or was not written by jaxopt_edu ({error}); "
                "use an earlier one."
            ) from error


def _parsed(file: BinaryIO) -> tuple[str, dict[str, Any], dict[str, np.ndarray]]:
    with zipfile.ZipFile(file) as archive:
        manifest = json.loads(archive.read(MANIFEST))
        leaves = {
            name: _from_numpy(_member(archive, name), dtype) for name, dtype in manifest["dtypes"].items()
        }
        extra = {name: _member(archive, EXTRA + name) for name in manifest["extra"]}
    return manifest["structure"], leaves, extra


def _member(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    # Read whole, so that the checksum is compared before anything is made of the bytes.
    return np.lib.format.read_array(io.BytesIO(archive.read(f"{name}.npy")), allow_pickle=False)


def _kinds(text: str) -> str:
    names = re.findall(r"factory=<function (\w+)>|namedtuple\[(\w+)\]", text)
    kinds = dict.fromkeys(first or second for first, second in names)
    kinds.pop("GradientTransformationExtraArgs", None)
    return ", ".join(kinds) or "another tree"


def _listed(leaves: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"{name}: {_shape(leaf)}" for name, leaf in leaves.items()) + "}"


def _shape(leaf: Any) -> str:
    return f"{_dtype(leaf)}{list(np.shape(leaf))}"


def _dtype(leaf: Any) -> Any:
    return leaf.dtype if hasattr(leaf, "dtype") else np.asarray(leaf).dtype


def _like(name: str, wanted: Any, leaf: Any) -> Any:
    if np.shape(leaf) != np.shape(wanted) or _dtype(leaf) != _dtype(wanted):
        raise ValueError(f"the stored leaf {name} is {_shape(leaf)}, but {_shape(wanted)} is wanted.")
    if isinstance(wanted, int | float | complex):
        return type(wanted)(np.asarray(leaf).item())
    if isinstance(wanted, np.ndarray | np.generic):
        # JAX would round a float64 to float32 where x64 is off.
        return np.asarray(leaf)[() if isinstance(wanted, np.generic) else ...]
    return jnp.asarray(leaf)


def _to_numpy(name: str, leaf: Any) -> tuple[np.ndarray, str]:
    if is_key(leaf):
        return np.asarray(jax.random.key_data(leaf)), f"key<{jax.random.key_impl(leaf)}>"
    array = np.asarray(leaf)
    # npz knows NumPy's own dtypes only; bfloat16 and its like are stored as the integers of their bits.
    if array.dtype.isbuiltin == 2:
        return array.view(f"u{array.dtype.itemsize}"), array.dtype.name
    if array.dtype.kind not in "biufc":
        raise TypeError(
            f"the leaf {name} is a {type(leaf).__name__}; only arrays, numbers and random keys can be saved. "
            "Filter it out first (for example with equinox.filter or flax.nnx.split)."
        )
    return array, array.dtype.name


def _from_numpy(array: np.ndarray, dtype: str) -> Any:
    if dtype.startswith("key<"):
        return jax.random.wrap_key_data(jnp.asarray(array), impl=dtype[4:-1])
    return array if array.dtype.name == dtype else array.view(jnp.dtype(dtype))
