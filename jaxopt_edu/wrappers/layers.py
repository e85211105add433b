"""Which layer a leaf belongs to: itself, what it lies in, or the pattern that means it."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax

from jaxopt_edu.core.checks import checked_whole, short
from jaxopt_edu.core.paths import is_meant, leaf_names, own_name

WHOLE = "(the whole tree)"  # the name of a tree that is one array
# None for each leaf, how many parts of the names, or patterns.
Rules = int | tuple[str, ...] | None


class Layers(NamedTuple):
    """The layers of a tree.

    Attributes:
        names: in the order of their first leaves.
        places: for each leaf of the tree the place of its layer in names.
    """

    names: tuple[str, ...]
    places: tuple[int, ...]


def as_rules(owner: str, layers: Any) -> Rules:
    """What says which layer a leaf belongs to, hashable.

    Args:
        owner: the wrapper's name, for the error.
        layers: None, a whole number ≥ 1, or patterns of leaves' names.

    Returns:
        The same, with a tuple for patterns.

    Raises:
        TypeError: layers is something else.
        ValueError: a number below 1, or no pattern.

    >>> as_rules("monitor", ["embed", "blocks/0"])
    ('embed', 'blocks/0')
    """
    if layers is None:
        return None
    if isinstance(layers, str) or not isinstance(layers, Sequence):
        return checked_whole(owner, "layers", layers)
    if not layers or not all(isinstance(pattern, str) for pattern in layers):
        raise TypeError(
            f"{owner}: layers = {short(layers)} must be patterns of leaves' names, as in "
            '["embed", "blocks/0", "*"], a number of parts of the names, or None for each leaf.'
        )
    return tuple(layers)


def layers_of(owner: str, rules: Rules, tree: Any) -> Layers:
    """The layers of a tree.

    Args:
        owner: the wrapper's name, for the error.
        rules: from `as_rules`.
        tree: pytree of anything; None is an empty subtree.

    Returns:
        The layers that have leaves.

    Raises:
        ValueError: no pattern means a leaf, or a pattern means none.

    >>> params = {"blocks": [{"kernel": 1, "bias": 2}, {"kernel": 3}], "head": 4}
    >>> layers_of("monitor", 2, params)
    Layers(names=('blocks/0', 'blocks/1', 'head'), places=(0, 0, 1, 2))
    >>> layers_of("monitor", ("head", "*"), params).places
    (0, 0, 0, 1)
    """
    return _layers(owner, rules, jax.tree.structure(tree))


@functools.lru_cache(maxsize=64)
def _layers(owner: str, rules: Rules, treedef: Any) -> Layers:
    leaves = leaf_names(treedef.unflatten(range(treedef.num_leaves)))
    found = [_layer(owner, rules, own_name(leaf)) for leaf in leaves]
    names = tuple(dict.fromkeys(found))
    if isinstance(rules, tuple) and (without := [rule for rule in rules if rule not in names]) and leaves:
        raise ValueError(
            f"{owner}: the pattern {without[0]!r} of layers means no leaf that those before it leave; there "
            f"are {short(leaves)}."
        )
    return Layers(names, tuple(map(names.index, found)))


def _layer(owner: str, rules: Rules, leaf: str) -> str:
    if rules is None:
        return leaf or WHOLE
    if isinstance(rules, int):
        return "/".join(leaf.split("/")[:rules]) or WHOLE
    meant = [pattern for pattern in rules if is_meant(leaf, pattern)]
    if not meant:
        raise ValueError(
            f'{owner}: no pattern of layers means the leaf {leaf or WHOLE}; a pattern "*" at the end means '
            "all that the others leave."
        )
    return meant[0]
