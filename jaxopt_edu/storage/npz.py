"""Trees in npz files, written whole, and read with nothing executed and nothing swelling."""

import io
import json
import math
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_edu.core.arguments import checked_path
from jaxopt_edu.core.checks import short
from jaxopt_edu.files import whole_file
from jaxopt_edu.storage.leaves import (
    Tree,
    dtype_of,
    is_key,
    kind_of,
    kinds_named_in,
    named_leaves,
    structure,
    with_named_leaves,
)

MANIFEST = "manifest.json"
EXTRA = "extra:"
# Of the file; files of format 1 had no number.
FORMAT = 2


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
    path = checked_path("save", "path", path)
    if not isinstance(extra, Mapping | None):
        raise TypeError(f"save: extra = {short(extra)} is no dict of arrays by name, and not None.")
    arrays, dtypes = {}, {}
    for name, leaf in named_leaves(tree).items():
        arrays[name], dtypes[name] = _to_numpy(name, leaf)
    manifest = {"format": FORMAT, "structure": structure(tree), "dtypes": dtypes, "extra": list(extra or {})}
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
            are named). Nothing is read that is larger than what is wanted.
    """
    return load_with_extra(checked_path("load", "path", path), like)[0]


def load_with_extra(path: str | os.PathLike[str], like: Tree) -> tuple[Tree, dict[str, np.ndarray]]:
    """Read a tree that `save` wrote and the extra arrays beside it, in one go.

    Args:
        path: the file.
        like: pytree of the structure that was saved.

    Returns:
        The tree, and name to array, as given to `save(..., extra=...)`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: as `load`.
    """
    with _opened(path) as stored:
        if stored.structure != structure(like):
            raise NotWantedError(
                f"{path} holds {kinds_named_in(stored.structure)}, but {kinds_named_in(structure(like))} was "
                "asked for; load it with the optimizer and the parameters that were saved.\n"
                f"stored: {stored.structure}\nasked:  {structure(like)}"
            )
        wanted = named_leaves(like)
        for name in stored.dtypes.keys() & wanted.keys():
            stored.compare(name, wanted[name])
        leaves, extra = stored.leaves(), stored.extra()
    return with_named_leaves(like, leaves), extra


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
    with _opened(path) as stored:
        return stored.extra()


def read_leaves(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read the leaves of a file that `save` wrote, without their structure, and the extra arrays.

    Args:
        path: the file.

    Returns:
        Name to leaf, as `named_leaves` gives them; and name to array, as given to `save(..., extra=...)`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged or not one of ours.
    """
    with _opened(path) as stored:
        return stored.leaves(), stored.extra()


def names_in(path: str | os.PathLike[str]) -> list[str]:
    """The names of the leaves in a file that `save` wrote, of which nothing else is read.

    Args:
        path: the file.

    Returns:
        The names.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged or not one of ours.
    """
    with _opened(path) as stored:
        return list(stored.dtypes)


class NotWantedError(ValueError):
    """A file is whole, but holds something else than what was asked for."""


class _Stored:
    """An open file, of which nothing is read before its size is known to be what it should be."""

    def __init__(self, archive: zipfile.ZipFile, size: int) -> None:
        self.archive = archive
        # Members are stored as they are, so nothing can swell: what a file of so many bytes declares to be
        # more, or to be compressed, was made by somebody else.
        members = archive.infolist()
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise ValueError("it has compressed parts, which `save` does not write")
        if sum(member.file_size for member in members) > size:
            raise ValueError("its parts claim to be larger than the file")
        manifest = json.loads(archive.read(MANIFEST))
        if (form := manifest.get("format", 1)) > FORMAT:
            raise ValueError(f"it is of format {form}, and formats up to {FORMAT} are known here")
        self.structure: str = manifest["structure"]
        self.dtypes: dict[str, str] = manifest["dtypes"]
        self.names: list[str] = manifest["extra"]

    def leaves(self) -> dict[str, Any]:
        return {name: _from_numpy(self._array(name), dtype) for name, dtype in self.dtypes.items()}

    def extra(self) -> dict[str, np.ndarray]:
        return {name: self._array(EXTRA + name) for name in self.names}

    def compare(self, name: str, wanted: Any) -> None:
        """Refuse a leaf that is larger than the wanted one before it is read."""
        data = jax.eval_shape(jax.random.key_data, wanted) if is_key(wanted) else wanted
        most = math.prod(np.shape(data)) * np.dtype(dtype_of(data)).itemsize + LONGEST_HEADER
        found = self.archive.getinfo(f"{name}.npy").file_size
        if found > most:
            with self.archive.open(f"{name}.npy") as member:
                shape = f"{self.dtypes[name]}{list(_header(member)[0])}"
            raise NotWantedError(f"the stored leaf {name} is {shape}, but {kind_of(wanted)} is wanted.")

    def _array(self, name: str) -> np.ndarray:
        # Read whole, so that the checksum is compared before anything is made of the bytes.
        content = self.archive.read(f"{name}.npy")
        head = io.BytesIO(content)
        shape, fortran, dtype = _header(head)
        count = math.prod(shape)
        if count * dtype.itemsize != len(content) - head.tell():
            raise ValueError(f"{name} has another size than its shape {shape}")
        array = np.frombuffer(content, dtype, count, head.tell())
        return array.reshape(shape, order="F" if fortran else "C").copy()


# Of an npy file of ours; NumPy itself reads none that is longer.
LONGEST_HEADER = 10_000


def _header(file: Any) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(file)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    shape, fortran, dtype = readers[version](file, max_header_size=LONGEST_HEADER)
    if dtype.kind not in "biufc":
        raise ValueError(f"an array of dtype {dtype}")
    return shape, fortran, dtype


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[_Stored]:
    try:
        file = open(path, "rb")  # noqa: SIM115 (closed below; what cannot be opened is not damaged)
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no file {os.fspath(path)}.") from None
    with file:
        try:
            with zipfile.ZipFile(file) as archive:
                yield _Stored(archive, os.fstat(file.fileno()).st_size)
        except (NotWantedError, MemoryError):
            raise
        # There is no telling over what zipfile, json and numpy stumble in a file that is not what it seems.
        except Exception as error:
            raise ValueError(
                f"{os.fspath(path)} is damaged or was not written by jaxopt_edu ({error}); "
                "use an earlier one."
            ) from error


def _to_numpy(name: str, leaf: Any) -> tuple[np.ndarray, str]:
    if is_key(leaf):
        return np.asarray(jax.random.key_data(leaf)), f"key<{jax.random.key_impl(leaf)}>"
    array = np.asarray(leaf)
    # npz knows NumPy's own dtypes only; bfloat16 and its like are stored as the integers of their bits.
    if array.dtype.isbuiltin == 2:
        return array.view(f"u{array.dtype.itemsize}"), array.dtype.name
    if array.dtype.kind not in "biufc":
        raise TypeError(
            f"save: the leaf {name or '(all)'} of tree is a {type(leaf).__name__}; only arrays, numbers and "
            "random keys can be saved. Filter it out first (for example with equinox.filter or "
            "flax.nnx.split)."
        )
    return array, array.dtype.name


def _from_numpy(array: np.ndarray, dtype: str) -> Any:
    if dtype.startswith("key<"):
        return jax.random.wrap_key_data(jnp.asarray(array), impl=dtype[4:-1])
    return array if array.dtype.name == dtype else array.view(jnp.dtype(dtype))
