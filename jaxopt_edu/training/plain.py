"""The state of a data loader as JSON, and back: nothing that would have to be unpickled."""

import base64
import importlib
from typing import Any

import numpy as np

PLAIN = (bool, int, float, str, type(None))


def to_plain(value: Any, name: str) -> Any:
    """Write a value down in what JSON has.

    Args:
        value: numbers, text, None, bytes, NumPy arrays, torch tensors, and lists, tuples and dicts of those.
        name: of the value, for the error.

    Returns:
        JSON; `from_plain` reads it.

    Raises:
        TypeError: a part of it is of another kind; names it.

    >>> from_plain(to_plain({"epoch": 1, 2: (b"x",)}, "the state"))
    {'epoch': 1, 2: (b'x',)}
    """
    if isinstance(value, np.generic):
        value = value.item()
    if type(value) in PLAIN:
        return value
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [to_plain(each, f"{name}[{place}]") for place, each in enumerate(value)]}
    if isinstance(value, dict):
        pairs = [
            [to_plain(key, f"a key of {name}"), to_plain(each, f"{name}[{key!r}]")]
            for key, each in value.items()
        ]
        return {"dict": pairs}
    tensor = type(value).__module__ == "torch"
    array = np.asarray(value) if tensor or isinstance(value, np.ndarray) else None
    if array is None or array.dtype.kind not in "biufc":
        raise TypeError(
            f"fit: {name} is of type {type(value).__name__}, which a checkpoint cannot keep (it is never "
            "pickled); "
            "let the loader's state be made of numbers, text, bytes, arrays, lists and dicts."
        )
    written = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
    return {"tensor" if tensor else "array": written, "dtype": array.dtype.str, "shape": list(array.shape)}


def from_plain(written: Any) -> Any:
    """Read what `to_plain` wrote.

    Args:
        written: JSON.

    Returns:
        The value.
    """
    if not isinstance(written, dict):
        return written
    if "bytes" in written:
        return base64.b64decode(written["bytes"])
    for kind, make in (("list", list), ("tuple", tuple)):
        if kind in written:
            return make(map(from_plain, written[kind]))
    if "dict" in written:
        return {from_plain(key): from_plain(value) for key, value in written["dict"]}
    data = base64.b64decode(written["tensor" if "tensor" in written else "array"])
    array = np.frombuffer(data, np.dtype(written["dtype"])).reshape(written["shape"]).copy()
    return importlib.import_module("torch").from_numpy(array) if "tensor" in written else array
