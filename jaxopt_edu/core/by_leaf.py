"""Hyperparameters with a number for each leaf: what they are in an optimizer, and which leaf gets what.

Such a hyperparameter is a `Partial` like a schedule: its function, `Where` or `Layerwise`, is static and
tells leaves apart, and its numbers are leaves of the optimizer. Asked at a count it is the same with
the numbers of its schedules in force; which of them a leaf gets is found out where a rule is lifted to a
tree.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from jaxopt_edu.core.checks import Limit, short
from jaxopt_edu.core.paths import is_meant, leaf_names

SHARE = Limit(0.0, 1.0000001, "a number in [0, 1]")
# A function of (name, leaf), or patterns of names.
Rules = Callable[[str, Any], bool] | tuple[str, ...]


@dataclass(frozen=True)
class Where:
    """The static half of `where`: which leaves it means."""

    __name__ = "where"

    rules: Rules

    @property
    def constants(self) -> dict[str, Any]:
        """The factory's arguments that are no numbers."""
        return {"predicate": _plain(self.rules)}

    def limit(self, part: str, limit: Limit) -> Limit:
        """Which values a number of it may take where the hyperparameter has a limit."""
        return limit

    def __call__(self, count: Any, *, where: Any, otherwise: Any) -> Partial:
        """The same, with the numbers in force at a count."""
        return Partial(self, where=_in_force(where, count), otherwise=_in_force(otherwise, count))

    def numbers(self, leaves: "Leaves", *, where: Any, otherwise: Any) -> list[Any]:
        """The number of each leaf."""
        inside = meant("where: predicate", self.rules, leaves)
        both = zip(inside, _numbers(where, leaves), _numbers(otherwise, leaves), strict=True)
        return [here if is_inside else elsewhere for is_inside, here, elsewhere in both]


@dataclass(frozen=True)
class Layerwise:
    """The static half of `layerwise`: the layers in their order."""

    __name__ = "layerwise"

    layers: tuple[str, ...]

    @property
    def constants(self) -> dict[str, Any]:
        """The factory's arguments that are no numbers."""
        return {"layers": list(self.layers)}

    def limit(self, part: str, limit: Limit) -> Limit:
        """Which values a number of it may take where the hyperparameter has a limit."""
        return SHARE if part == "decay" else limit

    def __call__(self, count: Any, *, value: Any, decay: Any) -> Partial:
        """The same, with the numbers in force at a count."""
        return Partial(self, value=_in_force(value, count), decay=_in_force(decay, count))

    def numbers(self, leaves: "Leaves", *, value: Any, decay: Any) -> list[Any]:
        """The number of each leaf."""
        depths = _depths(self.layers, leaves)
        values, decays = _numbers(value, leaves), _numbers(decay, leaves)
        made: dict[Any, Any] = {}  # one for each layer, however many leaves it has
        found = []
        for depth, number, share in zip(depths, values, decays, strict=True):
            key = (depth, id(number), id(share))
            if key not in made:
                made[key] = _floating(number) * _floating(share) ** depth if depth else number
            found.append(made[key])
        return found


@dataclass(frozen=True)
class Leaves:
    """What is known of a tree's leaves when they are told apart; hashable."""

    names: tuple[str, ...]
    kinds: tuple[tuple[tuple[int, ...], Any], ...]  # shape and dtype

    @classmethod
    def of(cls, tree: Any) -> "Leaves":
        """Those of a tree, in its order."""
        return cls(tuple(leaf_names(tree)), tuple(map(_kind, jax.tree.leaves(tree))))


def is_by_leaf(value: Any) -> TypeGuard[Partial]:
    """Whether a hyperparameter has a number for each leaf."""
    return isinstance(value, Partial) and isinstance(value.func, Where | Layerwise)


def holds_schedule(value: Any) -> bool:
    """Whether a hyperparameter, or one of its numbers for some leaves, changes with the count."""
    return any(map(holds_schedule, value.keywords.values())) if is_by_leaf(value) else callable(value)


def at_leaves(values: Mapping[str, Any], tree: Any) -> list[Mapping[str, Any]]:
    """The values that a rule gets at each leaf.

    Args:
        values: by name, numbers in force of any kind; where one is made of a hyperparameter with a number for
            each leaf, a leaf gets its own.
        tree: pytree of arrays, whose leaves are told apart by name, shape and dtype.

    Returns:
        A mapping for each leaf, in the tree's order; the same object for leaves with the same numbers.

    >>> rate = Where(("*/bias",))(0, where=1.0, otherwise=2.0)
    >>> made = at_leaves({"rate": rate}, {"a": {"bias": 1, "w": 2}})
    >>> [values["rate"] for values in made]
    [1.0, 2.0]
    """
    flat, treedef = jax.tree.flatten(dict(values), is_leaf=is_by_leaf)
    places = [place for place, value in enumerate(flat) if is_by_leaf(value)]
    if not places:
        return [values] * len(jax.tree.leaves(tree))
    leaves = Leaves.of(tree)
    columns = [_numbers(flat[place], leaves) for place in places]
    known: dict[tuple[int, ...], Mapping[str, Any]] = {}
    made = []
    for numbers in zip(*columns, strict=True):
        key = tuple(map(id, numbers))
        if key not in known:
            chosen = dict(zip(places, numbers, strict=True))
            known[key] = treedef.unflatten([chosen.get(place, value) for place, value in enumerate(flat)])
        made.append(known[key])
    return made


def scalars_of_leaves(
    values: Mapping[str, Any], tree: Any, dtypes: Sequence[jnp.dtype]
) -> list[dict[str, jax.Array]]:
    """What a rule is given besides arrays, for each leaf in its working dtype.

    Args:
        values: as for `map_rule`.
        tree: pytree of arrays.
        dtypes: the working dtype of each leaf, in the tree's order.

    Returns:
        Numbers by name for each leaf; the same object where leaves have the same ones.
    """
    # Once for all leaves: a thousand casts of the same number are a thousand numbers to the compiler.
    cast: dict[Any, dict[str, jax.Array]] = {}
    found = []
    for own, work in zip(at_leaves(values, tree), dtypes, strict=True):
        if (key := (id(own), work)) not in cast:
            cast[key] = {name: value.astype(work) for name, value in own.items()}
        found.append(cast[key])
    return found


def numbers_of_leaves(value: Any, tree: Any) -> list[Any]:
    """The number that each leaf of a tree gets.

    Args:
        value: a number, or a hyperparameter with one for each leaf, as in force at some count.
        tree: pytree of arrays.

    Returns:
        A number for each leaf, in the tree's order.
    """
    return _numbers(value, Leaves.of(tree))


def _kind(leaf: Any) -> tuple[tuple[int, ...], Any]:
    # Neither a Python number nor a ShapeDtypeStruct is asked as an array is.
    return (tuple(leaf.shape), leaf.dtype) if hasattr(leaf, "dtype") else ((), jnp.result_type(leaf))


def _in_force(value: Any, count: Any) -> Any:
    return value(count) if callable(value) else value


def _numbers(value: Any, leaves: Leaves) -> list[Any]:
    if not is_by_leaf(value):
        return [value] * len(leaves.names)
    return value.func.numbers(leaves, **value.keywords)


def _floating(number: Any) -> jax.Array:
    # Computed alike whether the number is closed over or passed to a compiled function, as in schedules.py.
    return jax.lax.optimization_barrier(jnp.asarray(number).astype(jnp.result_type(float)))


def _plain(rules: Rules) -> Any:
    if callable(rules):
        return rules
    return rules[0] if len(rules) == 1 else list(rules)


@functools.lru_cache(maxsize=256)
def meant(owner: str, rules: Rules, leaves: Leaves) -> tuple[bool, ...]:
    """Which leaves are meant.

    Args:
        owner: the function's name and the argument's, for the errors: "where: predicate".
        rules: a function of (name, leaf), or patterns of names.
        leaves: what is known of them.

    Returns:
        Whether it is, for each leaf.

    Raises:
        TypeError: the function gives something else than True or False.
        ValueError: a pattern means no leaf.
    """
    if not callable(rules):
        _check_patterns(owner, rules, leaves)
        return tuple(any(is_meant(name, pattern) for pattern in rules) for name in leaves.names)
    said = [
        rules(name, jax.ShapeDtypeStruct(*kind))
        for name, kind in zip(leaves.names, leaves.kinds, strict=True)
    ]
    for name, answer in zip(leaves.names, said, strict=True):
        if not isinstance(answer, bool):
            raise TypeError(
                f"{owner} gave {short(answer)} for the leaf {name or '(the whole tree)'}; it has to "
                "be True or False."
            )
    return tuple(said)


@functools.lru_cache(maxsize=256)
def _depths(layers: tuple[str, ...], leaves: Leaves) -> tuple[int, ...]:
    """How many layers there are above that of each leaf."""
    _check_patterns("layerwise", layers, leaves)
    found = []
    for name in leaves.names:
        places = [place for place, pattern in enumerate(layers) if is_meant(name, pattern)]
        if not places:
            raise ValueError(
                f'layerwise: the leaf {name or "(the whole tree)"} is in none of the layers; a pattern "*" '
                "means all that the ones before leave."
            )
        found.append(len(layers) - 1 - places[0])
    return tuple(found)


def _check_patterns(owner: str, patterns: Sequence[str], leaves: Leaves) -> None:
    for pattern in patterns:
        if leaves.names and not any(is_meant(name, pattern) for name in leaves.names):
            raise ValueError(
                f"{owner}: the pattern {pattern!r} means no leaf; there are {short(list(leaves.names))}."
            )
