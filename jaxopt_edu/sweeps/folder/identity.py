"""By what a stored sweep and its optimizers are known again: keys and versions."""

import hashlib
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import jax

from jaxopt_edu.core.transform import Optimizer
from jaxopt_edu.fingerprints import digested, program_fingerprint
from jaxopt_edu.storage import structure


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
        name = digested(begun.copy(), leaves) + program
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
