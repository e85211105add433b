"""Hashes of numbers and of programs, by which a stored run is known again."""

import hashlib
import re
import struct
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

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
    return digested(hashlib.sha256(structure(tree).encode()), jax.tree.leaves(tree))


def digested(digest: Any, leaves: list[Any]) -> str:
    """A hash of leaves.

    Args:
        digest: of `hashlib`, begun with what comes before; is changed.
        leaves: arrays, numbers and random keys.

    Returns:
        16 hexadecimal digits.
    """
    for leaf in leaves:
        if type(leaf) is float:
            digest.update(b"float64(1,)" + struct.pack("=d", leaf))  # the commonest, as any other would be
            continue
        if is_key(leaf):
            leaf = jax.random.key_data(leaf)
        array = np.ascontiguousarray(leaf)
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()[:16]


def program_fingerprint(function: Callable[..., Any], *arguments: Any, **keywords: Any) -> str:
    """A hash of what a function computes: its traced program, and the constants that it closes over.

    Args:
        function: a function that JAX can trace.
        *arguments: what it is called with; shapes are enough.
        **keywords: likewise, by name.

    Returns:
        16 hexadecimal digits. Two functions of equal programs have the same, whatever they are called; a leaf
        of `function`, if that is a pytree, counts as an argument and not as part of the program.
    """
    leaves, treedef = jax.tree.flatten(function)
    if treedef == jax.tree.structure(0):
        leaves, treedef = [], None

    def call(leaves: list[Any], *arguments: Any, **keywords: Any) -> Any:
        return (function if treedef is None else jax.tree.unflatten(treedef, leaves))(*arguments, **keywords)

    program = jax.make_jaxpr(call)(leaves, *arguments, **keywords)
    text = re.sub(r" at 0x[0-9a-f]+", "", str(program.jaxpr))
    return hashlib.sha256((text + fingerprint((program.consts, leaves))).encode()).hexdigest()[:16]
