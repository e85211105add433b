"""What each leaf gets: which of several optimizers, which numbers, how much memory."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxopt_edu.core.arguments import named
from jaxopt_edu.core.by_leaf import Leaves, meant, numbers_of_leaves
from jaxopt_edu.core.checks import check_parameters, checked_whole
from jaxopt_edu.core.companion import split
from jaxopt_edu.core.composition import composition_of, member_names, members, own_numbers
from jaxopt_edu.core.foreign import checked_transform, is_transform
from jaxopt_edu.core.group_table import NOTHING, Groups, LeafRow, Size
from jaxopt_edu.core.leaf_values import Predicate, as_rules
from jaxopt_edu.core.naming import is_number, keywords_of, page_of
from jaxopt_edu.core.partitioning import PartitionStep
from jaxopt_edu.core.paths import leaf_names, owner_of
from jaxopt_edu.core.reading import kind
from jaxopt_edu.core.shardings import with_automatic_axes

FROZEN = "not trained"


class Found(NamedTuple):
    """What a leaf gets."""

    labels: tuple[str, ...]  # of partitions and companions on the way, the outermost first
    optimizer: str
    values: dict[str, float]

    @property
    def group(self) -> str:
        """The labels and the optimizer."""
        return f"{'.'.join(self.labels)}: {self.optimizer}" if self.labels else self.optimizer


def groups(
    optimizer: optax.GradientTransformation, params: Any, *, trainable: Predicate | None = None, step: int = 0
) -> Groups:
    """Which leaf gets what, before an hour is wasted: a table to print.

    Args:
        optimizer: any optimizer. Partitions, companions, masks of `weight_decay` and numbers with a value for
            each leaf are looked into; what an optax transform does with which leaf cannot be seen, and the
            state of `packed`, laid end to end, is shown as no leaf's.
        params: pytree of arrays, or of their ShapeDtypeStructs. If they are sharded, the bytes on one device
            are shown too; the state is made for that, and let go of.
        trainable: as for `fit`; the rest is shown as not trained. None for all.
        step: the number of updates made, at which schedules are asked; whole, ≥ 0.

    Returns:
        A `Groups`: `rows`, one for each leaf with its name, shape, dtype, group, numbers in force, bytes and
        bytes of state, in all and on one device; `totals` by group; printed, both as tables.

    Raises:
        TypeError: optimizer is none, or a stack of several; a leaf cannot be trained; or trainable is no
            predicate.
        ValueError: a pattern means no leaf, or a leaf has no label.

    >>> import jaxopt_edu as jo
    >>> params = {"dense": {"kernel": jnp.ones((3, 2)), "bias": jnp.ones(2)}, "scale": jnp.ones(2)}
    >>> opt = jo.muon(others=jo.adamw(weight_decay=jo.where("*/bias", 0.0, 0.01)))
    >>> table = groups(opt, params)
    >>> for row in table.rows:
    ...     print(row.name, row.group, row.values["weight_decay"], row.state_bytes)
    dense/bias others: adamw 0.0 16
    dense/kernel muon 0.1 24
    scale others: adamw 0.01 16
    >>> table.totals["others: adamw"].numbers, table.totals["muon"].numbers
    (4, 6)
    """
    transform = checked_transform("groups", "optimizer", optimizer)
    count = jnp.asarray(checked_whole("groups", "step", step, 0), jnp.int32)
    leaves, treedef = jax.tree.flatten(params)
    trained = (True,) * len(leaves)
    if trainable is not None:
        trained = meant("groups: trainable", as_rules("groups", "trainable", trainable), Leaves.of(params))
    kept = [leaf if on else None for leaf, on in zip(leaves, trained, strict=True)]
    with named("groups: params"):
        check_parameters(treedef.unflatten(kept))
    tree = treedef.unflatten([None if leaf is None else _stand_in(leaf) for leaf in kept])
    found = iter(_found(transform, tree, count))
    memory, shared = _memory(tree, _first_state(transform, treedef.unflatten(kept), tree))
    nothing = Found((), FROZEN, {})
    rows = [
        LeafRow.of(name, leaf, each.group, each.values, size_of_state)
        for name, leaf, each, size_of_state in (
            (name, leaf, next(found), next(memory)) if on else (name, leaf, nothing, NOTHING)
            for name, leaf, on in zip(leaf_names(params), leaves, trained, strict=True)
        )
    ]
    return Groups(tuple(rows), shared.bytes, shared.per_device)


def _found(optimizer: Any, tree: Any, count: jax.Array) -> list[Found]:
    """What each leaf of a tree gets, in its order."""
    if composition_of(optimizer) is not None:
        return _in_composition(optimizer, tree, count)
    leaves = jax.tree.leaves(tree)
    if (page := page_of(optimizer)) is None:
        return [Found((), kind(optimizer), {})] * len(leaves)
    keywords = keywords_of(optimizer)
    arguments = page.arguments(keywords)
    numbers = {name: value for name, value in arguments.items() if name in keywords and _is_value(value)}
    others, axes = arguments.get("others"), arguments.get("axes")
    values = _values(numbers, tree, count)
    mine = [Found((), page.name, each) for each in values]
    if not is_transform(others) or axes is None:
        return mine
    matrices, rest = split(tree, axes)
    of_others = iter(_labelled("others", _found(others, rest, count)))
    treedef = jax.tree.structure(tree)
    return [
        next(of_others) if matrix is None else own
        for matrix, own in zip(treedef.flatten_up_to(matrices), mine, strict=True)
    ]


def _is_value(value: Any) -> bool:
    return is_number(value) or (callable(value) and not is_transform(value))


def _in_composition(optimizer: Any, tree: Any, count: jax.Array) -> list[Found]:
    composition, inside = optimizer.update.func, members(optimizer) or []
    step = composition.step
    if isinstance(step, PartitionStep):
        parts = step.parts(tree, tree)
        each = {
            name: iter(_labelled(name, _found(member, parts[name], count)))
            for name, member in zip(member_names(optimizer) or [], inside, strict=True)
        }
        return [next(each[label]) for label in step.labels(tree)]
    own = _values(own_numbers(optimizer), tree, count)
    if hasattr(step, "reaches"):
        own = [values if on else {} for values, on in zip(own, step.reaches(tree), strict=True)]
    columns = [_found(member, tree, count) for member in inside]
    return [
        _joined(composition.name, values, [column[place] for column in columns])
        for place, values in enumerate(own)
    ]


def _joined(name: str, own: dict[str, float], inside: Sequence[Found]) -> Found:
    names = [*own, *(each for one in inside for each in one.values)]
    values = dict(own)
    for position, one in enumerate(inside):
        for each, value in one.values.items():
            values[each if names.count(each) == 1 else f"{position}.{each}"] = value
    labels = tuple(label for one in inside for label in one.labels)
    return Found(labels, f"{name}({', '.join(one.optimizer for one in inside)})", values)


def _labelled(label: str, found: Sequence[Found]) -> list[Found]:
    return [each._replace(labels=(label, *each.labels)) for each in found]


def _values(numbers: dict[str, Any], tree: Any, count: jax.Array) -> list[dict[str, float]]:
    """The numbers in force for each leaf."""
    size = len(jax.tree.leaves(tree))
    columns = {}
    for name, value in numbers.items():
        in_force = value(count) if callable(value) else value
        columns[name] = [_number(name, each) for each in numbers_of_leaves(in_force, tree)]
    return [{name: column[place] for name, column in columns.items()} for place in range(size)]


def _number(name: str, value: Any) -> float:
    if np.shape(value) != ():
        raise TypeError(
            f"groups: {name} has shape {np.shape(value)}, so optimizer is a stack of several; ask of one of "
            "them, as unstack(optimizer)[0]."
        )
    return float(value)


def _first_state(optimizer: Any, params: Any, tree: Any) -> Any:
    """The state before the first step: its shapes, or itself where the parameters are on several devices."""
    if all(_on_one_device(leaf) for leaf in jax.tree.leaves(params)):
        return jax.eval_shape(optimizer.init, tree)
    arrays = jax.tree.map(lambda leaf: jnp.zeros_like(leaf) if _is_shape(leaf) else leaf, params)
    with jax.transfer_guard("allow"):
        return optimizer.init(with_automatic_axes(arrays))


def _memory(tree: Any, state: Any) -> tuple[Any, Size]:
    """The size of each leaf's state, and of what is none's: by the paths that a state and a leaf share."""
    paths = [path for path, _ in jax.tree_util.tree_flatten_with_path(tree)[0]]
    sizes, shared = dict.fromkeys(paths, NOTHING), NOTHING
    for path, leaf in jax.tree_util.tree_flatten_with_path(state)[0]:
        owner = owner_of(path, sizes)
        # Of a tree that is one array, whatever is no count.
        if owner is None or not (owner or jnp.issubdtype(leaf.dtype, jnp.inexact)):
            shared = shared.with_more(Size.of(leaf))
        else:
            sizes[owner] = sizes[owner].with_more(Size.of(leaf))
    return iter(sizes.values()), shared


def _on_one_device(leaf: Any) -> bool:
    sharding = getattr(leaf, "sharding", None)
    return sharding is None or len(sharding.device_set) == 1


def _is_shape(leaf: Any) -> bool:
    return isinstance(leaf, jax.ShapeDtypeStruct)


def _stand_in(leaf: Any) -> np.ndarray:
    # An array of the shape that takes no memory: a ShapeDtypeStruct is not one to everything that is asked.
    leaf = leaf if hasattr(leaf, "dtype") else jnp.asarray(leaf)
    return np.broadcast_to(np.zeros((), leaf.dtype), leaf.shape)
