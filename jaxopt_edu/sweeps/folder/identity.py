"""By what a stored sweep and its optimizers are known again: hashes of numbers and of traced programs."""

import hashlib
import platform
import re
import struct
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import jax
import numpy as np

from jaxopt_edu.core.transform import Optimizer
from jaxopt_edu.storage import is_key, structure


def fingerprint(tree: Any) -> str:
    """A hash of a tree's structure and of every bit of its leaves.

    Args:
        tree: pytree of arrays, numbers and random keys.

    Returns:
        16 hexadecimal digits, the same in every process.

    >>> fingerprint({"a": 1.0}) == fingerprint({"a": 1.0}), fingerprint({"a": 1.0}) == fingerprint({"a": 2.0})
    (True, False)
    """
    return _digest(hashlib.sha256(structure(tree).encode()), jax.tree.leaves(tree))


def _digest(digest: Any, leaves: list[Any]) -> str:
    for leaf in leaves:
        if type(leaf) is float:
            digest.update(b"float64()" + struct.pack("=d", leaf))  # the commonest, as any other would be
            continue
        if is_key(leaf):
            leaf = jax.random.key_data(leaf)
        array = np.ascontiguousarray(leaf)
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()[:16]


def program_fingerprint(function: Callable[..., Any], *arguments: Any) -> str:
    """A hash of what a function computes: its traced program, and the constants that it closes over.

    Args:
        function: a function that JAX can trace.
        *arguments: what it is called with; shapes are enough.

    Returns:
        16 hexadecimal digits. Two functions of equal programs have the same, whatever they are called; a leaf
        of `function`, if that is a pytree, counts as an argument and not as part of the program.
    """
    leaves, treedef = jax.tree.flatten(function)
    if treedef == jax.tree.structure(0):
        leaves, treedef = [], None

    def call(leaves: list[Any], *arguments: Any) -> Any:
        return (function if treedef is None else jax.tree.unflatten(treedef, leaves))(*arguments)

    program = jax.make_jaxpr(call)(leaves, *arguments)
    text = re.sub(r" at 0x[0-9a-f]+", "", str(program.jaxpr))
    return hashlib.sha256((text + fingerprint((program.consts, leaves))).encode()).hexdigest()[:16]


def optimizer_keys(optimizers: Sequence[Optimizer], params: Any) -> list[str]:
    """What each optimizer of a list is known by.

    Args:
        optimizers: pytree optimizers.
        params: the parameters that they train, or their shapes.

    Returns:
        For each one a text that is the same in every process; equal optimizers are numbered.
    """
    known: dict[Any, tuple[Any, str]] = {}
    keys: list[str] = []
    counts: dict[str, int] = {}
    for optimizer in optimizers:
        leaves, kind = jax.tree.flatten(optimizer)
        if kind not in known:
            # Functions of other libraries, and those made in a function, may hide numbers in closures,
            # which only their program shows.
            hidden = any(mark in str(kind) for mark in ("Foreign", "<locals>", "<lambda>"))
            program = program_fingerprint(_one_step, optimizer, params) if hidden else ""
            known[kind] = hashlib.sha256(structure(optimizer).encode()), program
        begun, program = known[kind]
        name = _digest(begun.copy(), leaves) + program
        counts[name] = counts.get(name, -1) + 1
        keys.append(f"{name}-{counts[name]}")
    return keys


def versions() -> dict[str, str]:
    """The versions of what computes."""
    found = {"python": platform.python_version()}
    for name in ("jaxopt-edu", "jax", "jaxlib", "optax", "numpy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # run from a source tree that was never installed
            found[name] = "unknown"
    return found


def _one_step(optimizer: Optimizer, params: Any) -> Any:
    return optimizer.update(params, optimizer.init(params), params)
