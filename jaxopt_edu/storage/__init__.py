"""Optimizers, states and parameters on disk: named arrays in an npz file, and nothing that is executed.

Every leaf has a name, its path: `m/weight`, `update/1/learning_rate`. A tree that is loaded is rebuilt
around a tree of the same structure; a file of another structure is refused.
"""

from jaxopt_edu.storage.carrying import CarriedOver, carry_over
from jaxopt_edu.storage.leaves import is_key, named_leaves, structure, with_named_leaves
from jaxopt_edu.storage.npz import load, load_with_extra, names_in, read, read_leaves, save

__all__ = [
    "CarriedOver",
    "carry_over",
    "is_key",
    "load",
    "load_with_extra",
    "named_leaves",
    "names_in",
    "read",
    "read_leaves",
    "save",
    "structure",
    "with_named_leaves",
]
