"""Leaves of one tree carried over into another, by name: a pretrained body under a new head."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxopt_edu.core.by_leaf import Leaves, meant
from jaxopt_edu.core.group_table import aligned
from jaxopt_edu.core.leaf_values import Predicate, as_rules
from jaxopt_edu.core.paths import own_name
from jaxopt_edu.storage.leaves import dtype_of, is_key, named_leaves

# What holds more kinds of numbers comes later; an array is never made into one of fewer kinds.
KINDS = (jnp.bool_, jnp.integer, jnp.floating, jnp.complexfloating)


@dataclass(frozen=True)
class CarriedOver:
    """A tree with leaves of another; printed, a table of which.

    Attributes:
        tree: of the new tree's structure, shapes and dtypes.
        taken: the names of the leaves that are the old ones.
        left: the names of the old leaves that are not in it.
        new: the names of the leaves that are as they were given, and why.
    """

    tree: Any
    taken: tuple[str, ...]
    left: tuple[str, ...]
    new: Mapping[str, str]

    def __str__(self) -> str:
        """A row for each leaf of the new tree, in its order, and for each that was left."""
        rows = [["leaf", "shape", "", ""]]
        for name, leaf in _named("new", self.tree).items():
            shape = " × ".join(map(str, np.shape(leaf))) or "scalar"
            told = ["taken", ""] if name in self.taken else ["new", self.new[name]]
            rows.append([name or "(the whole tree)", shape, *told])
        rows += [[name or "(the whole tree)", "", "left", ""] for name in self.left]
        sums = f"{len(self.taken)} taken, {len(self.new)} new, {len(self.left)} left"
        return "\n".join([*aligned(rows, 4), "", sums])


def carry_over(old: Any, new: Any, only: Predicate | None = None) -> CarriedOver:
    """Take over what a new tree has in common with an old one: leaves of the same name and shape.

    For parameters and for optimizer states alike, whose leaves are named by their paths: "m/layers/0/weight".
    Of a checkpoint of `fit` the names begin with "carry/params/":

        leaves, _ = jaxopt_edu.storage.read_leaves(CheckpointFolder("runs/first").file(500))
        old = {name.removeprefix("carry/params/"): leaf for name, leaf in leaves.items()}
        params = carry_over(old, params, only="layers").tree

    Args:
        old: pytree of arrays, or a dict of arrays by name, such as `storage.read_leaves` gives.
        new: pytree of arrays, such as freshly drawn parameters.
        only: which leaves of new may be taken; None for all. A pattern of their names or several, as in
            "layers" or ["layers", "*/bias"] (see `partition`), or a function of (name, leaf).

    Returns:
        CarriedOver(tree, taken, left, new). A leaf that is taken is a JAX array of the new one's dtype, where
        the new one lies; one of more kinds of numbers than that (floats for integers) is not.

    Raises:
        TypeError: only is no predicate.
        ValueError: nothing is taken, a pattern means no leaf, or two leaves have one name.

    >>> import jax.numpy as jnp
    >>> old = {"body": jnp.ones(2), "head": jnp.ones((2, 10))}
    >>> found = carry_over(old, {"body": jnp.zeros(2), "head": jnp.zeros((2, 3)), "scale": jnp.ones(())})
    >>> found.tree["body"].tolist(), found.taken, found.left
    ([1.0, 1.0], ('body',), ('head',))
    >>> print(found)
    leaf   shape
    body   2       taken
    head   2 × 3   new    2 × 10 in old
    scale  scalar  new    not in old
    head           left
    <BLANKLINE>
    1 taken, 2 new, 1 left
    """
    before, after = _named("old", old), _named("new", new)
    asked = [True] * len(after)
    if only is not None:
        asked = meant("carry_over: only", as_rules("carry_over", "only", only), Leaves.of(new))
    tree, kept = dict(after), {}
    for (name, leaf), wanted in zip(after.items(), asked, strict=True):
        why = _why_not(before, name, leaf) if wanted else "not among only"
        if why is None:
            tree[name] = _as_leaf(before[name], leaf)
        else:
            kept[name] = why
    taken = tuple(name for name in after if name not in kept)
    if not taken:
        raise ValueError(
            f"carry_over: nothing of old is taken; its leaves are {_some(before)}, those of new "
            f"{_some(after)}: give the parts of both that correspond, and see that names and shapes do."
        )
    left = tuple(name for name in before if name not in taken)
    return CarriedOver(jax.tree.unflatten(jax.tree.structure(new), tree.values()), taken, left, kept)


def _named(what: str, tree: Any) -> dict[str, Any]:
    """The leaves by name, without the boxes of Flax NNX."""
    try:
        leaves = named_leaves(tree)
    except ValueError as error:
        raise ValueError(f"carry_over: {what}: {error}") from None
    if (found := {own_name(name): leaf for name, leaf in leaves.items()}) and len(found) == len(leaves):
        return found
    return leaves


def _why_not(old: Mapping[str, Any], name: str, leaf: Any) -> str | None:
    if name not in old:
        return "not in old"
    if (shape := np.shape(old[name])) != np.shape(leaf):
        return f"{' × '.join(map(str, shape)) or 'scalar'} in old"
    before, after = dtype_of(old[name]), dtype_of(leaf)
    if before == after:
        return None
    if is_key(old[name]) or is_key(leaf) or _kind(before) > _kind(after):
        return f"{before} in old"
    return None


def _kind(dtype: Any) -> int:
    return next((place for place, kind in enumerate(KINDS) if jnp.issubdtype(dtype, kind)), len(KINDS))


def _as_leaf(old: Any, new: Any) -> jax.Array:
    array = old if is_key(old) else jnp.asarray(old).astype(jax.dtypes.canonicalize_dtype(dtype_of(new)))
    lies_somewhere = isinstance(new, jax.Array) and not isinstance(new, Tracer) and new.committed
    return jax.device_put(array, new.sharding) if lies_somewhere else array


def _some(leaves: Mapping[str, Any], shown: int = 3) -> str:
    names = [f"{name or '(the whole tree)'} {list(np.shape(leaf))}" for name, leaf in leaves.items()]
    return ", ".join([*names[:shown], *["…"][: len(names) > shown]]) or "none"
