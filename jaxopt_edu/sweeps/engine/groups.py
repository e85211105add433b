"""Which runs there are to make: a group for each structure of optimizer, less what a store has already."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxopt_edu.core.reading import describe
from jaxopt_edu.core.transform import Optimizer
from jaxopt_edu.sweeps.folder.store import Store


class Group(NamedTuple):
    """Settings of one structure and seeds that are run together, every setting with every seed.

    Attributes:
        number: by which the store knows it.
        keys: of its settings.
        seeds: its seeds.
    """

    number: int
    keys: tuple[str, ...]
    seeds: tuple[int, ...]


def kinds_of(optimizers: Sequence[Optimizer]) -> list[list[int]]:
    """Which optimizers can be stacked.

    Args:
        optimizers: pytree optimizers.

    Returns:
        Their places, in a list for each structure.

    >>> import jaxopt_edu as jo
    >>> kinds_of([jo.sgd(0.1), jo.adam(0.1), jo.sgd(0.2)])
    [[0, 2], [1]]
    """
    kinds: dict[Any, list[int]] = {}
    for place, optimizer in enumerate(optimizers):
        leaves, structure = jax.tree.flatten(optimizer)
        shapes = tuple(
            None if type(leaf) is float else (np.shape(leaf), str(getattr(leaf, "dtype", "")))
            for leaf in leaves
        )
        kinds.setdefault((structure, shapes), []).append(place)
    return list(kinds.values())


def plan_groups(
    optimizers: Sequence[Optimizer],
    kinds: Sequence[Sequence[int]],
    keys: Sequence[str],
    seeds: Sequence[int],
    store: Store | None,
) -> list[Group]:
    """Divide all runs into groups; those that a store has or had begun stay as they are.

    Args:
        optimizers: pytree optimizers.
        kinds: their places, by structure.
        keys: what each is known by.
        seeds: the seeds of each.
        store: with the groups of an earlier call in its journal; new ones are added to it.

    Returns:
        Groups that together hold every optimizer with every seed.

    Raises:
        ValueError: some settings or seeds of a stored group are asked for, and others are not.
    """
    groups = [] if store is None else _known(store, keys, seeds)
    has = {(key, seed) for group in groups for key in group.keys for seed in group.seeds}
    number = (
        0 if store is None else max((event["number"] for event in store.of_kind("group")), default=-1) + 1
    )
    for places in kinds:
        # Settings that lack the same seeds make a rectangle.
        lacking: dict[tuple[int, ...], list[int]] = {}
        for place in places:
            lacking.setdefault(tuple(s for s in seeds if (keys[place], s) not in has), []).append(place)
        for missing, lack in lacking.items():
            if missing:
                names = [keys[place] for place in lack]
                groups.append(Group(number, tuple(names), missing))
                if store is not None:
                    shown = [describe(optimizers[place]) for place in lack]
                    event = {"number": number, "keys": names, "seeds": list(missing), "settings": shown}
                    store.append({"kind": "group", **event})
                number += 1
    return groups


def _known(store: Store, keys: Sequence[str], seeds: Sequence[int]) -> list[Group]:
    found, every_key, every_seed = [], set(keys), set(seeds)
    for event in store.of_kind("group"):
        group = Group(event["number"], tuple(event["keys"]), tuple(event["seeds"]))
        settings = dict(zip(event["keys"], event["settings"], strict=True))
        if every_key.isdisjoint(group.keys) or every_seed.isdisjoint(group.seeds):
            continue
        missing = [settings[key] for key in group.keys if key not in every_key]
        missing += [f"seed {seed}" for seed in group.seeds if seed not in every_seed]
        if missing:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise ValueError(
                f"{store.path} was begun with {missing[0]}{more}, which is not asked for here: optimizers "
                "and seeds can be added to a sweep, but not taken away. Ask for all of them, and choose "
                "among the results."
            )
        found.append(group)
    return found
