"""The numbers of an optimizer by name, however deep they lie in it."""

import inspect
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.tree_util import Partial

from jaxopt_edu.core.by_leaf import is_by_leaf
from jaxopt_edu.core.checks import Limit
from jaxopt_edu.core.composition import composition_of, member_names, members, own_numbers
from jaxopt_edu.core.foreign import checked_transform, is_transform


def hyperparameters(optimizer: optax.GradientTransformation, state: Any = None) -> dict[str, Any]:
    """The hyperparameters by name; with a state, the numbers in force at the next update.

    Args:
        optimizer: an optimizer of this library, a lifted one, or one made of others. In a chain a name that
            occurs more than once is preceded by the position of its transform: "0.learning_rate". An
            optimizer that is another's argument is called as the argument is, "inner.learning_rate", and
            those in a dict as they are called there: "slow.learning_rate".
        state: the optimizer's state. If it is given, schedules are asked at its count.

    Returns:
        Name to value, in the order of the factory's signature. A number for each leaf stays whole, with the
        numbers in force inside. An optax transform that was not lifted shows none.

    Raises:
        TypeError: the state is another optimizer's.
        ValueError: there is a schedule, but no count in the state.

    >>> import jaxopt_edu as jo, optax
    >>> hyperparameters(jo.momentum(learning_rate=0.1))
    {'learning_rate': 0.1, 'momentum': 0.9}
    >>> groups = {"slow": jo.sgd(learning_rate=0.01), "fast": jo.sgd(learning_rate=0.1)}
    >>> hyperparameters(jo.lift(optax.partition)(groups, {"weight": "slow", "bias": "fast"}))
    {'fast.learning_rate': 0.1, 'slow.learning_rate': 0.01}
    """
    optimizer = checked_transform("hyperparameters", "optimizer", optimizer)
    if (composition := composition_of(optimizer)) is not None:
        inside = members(optimizer) or []
        if state is None:
            own, each = own_numbers(optimizer), [hyperparameters(one) for one in inside]
        else:
            own = composition.numbers_in_force(own_numbers(optimizer), state)
            states = composition.step.inner_states(state, len(inside))
            each = [hyperparameters(*pair) for pair in zip(inside, states, strict=True)]
        return own | in_composition(optimizer, each, each)
    if (page := page_of(optimizer)) is None:
        return {}
    keywords = keywords_of(optimizer)
    values = page.arguments(keywords) if state is None else page.in_force(keywords, state)
    inner = nested(optimizer)
    found: dict[str, Any] = {}
    for name, value in values.items():
        if name in inner:
            for place, part in inner[name].items():
                found |= _numbers_inside(place, part, state)
        elif name in keywords:
            found[name] = value
    return found


def limits(optimizer: optax.GradientTransformation) -> dict[str, Limit]:
    """Which values each hyperparameter may take.

    Args:
        optimizer: an optimizer of this library, a lifted one, or one made of others.

    Returns:
        Name to limit, as `hyperparameters` names them. Of a lifted optimizer's numbers only those have one
        whose meaning is known by their name.

    >>> import jaxopt_edu as jo
    >>> limits(jo.momentum())["momentum"].wording
    'a number in [0, 1)'
    """
    if (composition := composition_of(optimizer)) is not None:
        inside = members(optimizer) or []
        known = in_composition(optimizer, list(map(limits, inside)), list(map(hyperparameters, inside)))
        return _limits(composition.limits, own_numbers(optimizer)) | known
    found = _limits(getattr(page_of(optimizer), "limits", ()), keywords_of(optimizer))
    for places in nested(optimizer).values():
        for place, part in places.items():
            if is_transform(part):
                found |= {f"{place}.{name}": limit for name, limit in limits(part).items()}
    return found


def settings(optimizer: optax.GradientTransformation) -> dict[str, Any]:
    """Every number of an optimizer by name, those inside schedules too: the columns of a table.

    Args:
        optimizer: an optimizer of this library, a lifted one, or one made of others.

    Returns:
        Name to number, in the order of `hyperparameters`. A number inside a schedule or a `where` is named
        after its place, such as "learning_rate.peak" or "weight_decay.otherwise", and `replace` takes that
        name. The numbers of another library's schedule cannot be seen.

    >>> import jaxopt_edu as jo
    >>> settings(jo.momentum(learning_rate=jo.schedules.warmup(peak=0.1, steps=50)))
    {'learning_rate.peak': 0.1, 'learning_rate.steps': 50.0, 'learning_rate.initial': 0.0, 'momentum': 0.9}
    """
    optimizer = checked_transform("settings", "optimizer", optimizer)
    return {
        place: number
        for name, value in hyperparameters(optimizer).items()
        for place, number in _numbers(name, value)
    }


def parts(value: Any) -> dict[str, Any]:
    """What a hyperparameter that is no number is made of.

    Args:
        value: a schedule, an optimizer, a tuple, list or dict of such, or anything else.

    Returns:
        Its parts by name, a schedule's in the order of its signature; empty if there are none to be seen.
    """
    if isinstance(value, optax.GradientTransformation):
        return hyperparameters(value)
    if isinstance(value, Partial):
        order = [name for name in inspect.signature(value.func).parameters if name in value.keywords]
        positional = {str(position): part for position, part in enumerate(value.args)}
        return positional | {name: value.keywords[name] for name in order} | value.keywords
    if type(value) in (tuple, list):
        return {str(position): part for position, part in enumerate(value)}
    if isinstance(value, Mapping):
        return {str(name): part for name, part in value.items()}
    return {}


def nested(optimizer: optax.GradientTransformation) -> dict[str, dict[str, Any]]:
    """The optimizers that are arguments of a lifted one.

    Args:
        optimizer: any optax transform.

    Returns:
        For each argument that is or holds optimizers, what it holds by name: the argument's name for an
        optimizer; for a dict of them their names in it; else the argument's name and the place in it.
    """
    if (page := page_of(optimizer)) is None:
        return {}
    arguments = page.arguments(keywords_of(optimizer))
    held = {name: _held(value) for name, value in arguments.items()}
    holders = {name: places for name, places in held.items() if any(map(is_transform, places.values()))}
    taken = [place for places in holders.values() for place in places]
    return {
        name: {_place(arguments, name, place, taken): part for place, part in places.items()}
        for name, places in holders.items()
    }


def keywords_of(optimizer: optax.GradientTransformation) -> dict[str, Any]:
    """The leaves of an optimizer that is not composed of others, by name.

    Args:
        optimizer: any optax transform.

    Returns:
        Name to leaf, or to tree of leaves, in no order; empty if it has none to be seen.
    """
    return getattr(optimizer.update, "keywords", {})


def page_of(optimizer: optax.GradientTransformation) -> Any:
    """The static half of an optimizer that is not composed of others.

    Args:
        optimizer: any optax transform.

    Returns:
        A `Page` or a `LiftedPage`; None for a chain, and for an optax transform that was not lifted.
    """
    static = getattr(optimizer.update, "func", None)
    return static if hasattr(static, "in_force") else None


def is_number(value: Any) -> bool:
    """Whether a value is a number or an array of numbers; booleans and random keys are none.

    >>> is_number(0.5), is_number(np.ones(2)), is_number(True), is_number(jax.random.key(0))
    (True, True, False, False)
    """
    kinds = int | float | np.number | np.ndarray | jax.Array
    return isinstance(value, kinds) and not isinstance(value, bool) and not is_key(value)


def is_key(value: Any) -> bool:
    """Whether a value is an array of random keys.

    >>> is_key(jax.random.key(0)), is_key(np.ones(2))
    (True, False)
    """
    return hasattr(value, "dtype") and jnp.issubdtype(value.dtype, jax.dtypes.prng_key)


def in_composition(
    optimizer: optax.GradientTransformation, each: list[dict[str, Any]], named: list[dict[str, Any]]
) -> dict[str, Any]:
    """What is known of the members' hyperparameters, by the names that these have in the whole.

    Args:
        optimizer: a composed transform.
        each: what is known, by name, for each member.
        named: the members' hyperparameters by name, all of them.

    Returns:
        The same by name, where a name that occurs more than once has its member's place before it.
    """
    if (places := member_names(optimizer)) is not None:
        return {
            f"{place}.{name}": value
            for place, values in zip(places, each, strict=True)
            for name, value in values.items()
        }
    names = [*own_numbers(optimizer), *(name for values in named for name in values)]
    return {
        # A name that begins with a position is one in a chain of its own: "1.0.learning_rate".
        name if names.count(name) == 1 and not name[:1].isdecimal() else f"{position}.{name}": value
        for position, values in enumerate(each)
        for name, value in values.items()
    }


def _limits(known: Iterable[tuple[str, Limit]], numbers: Mapping[str, Any]) -> dict[str, Limit]:
    found: dict[str, Limit] = {}
    for name, limit in known:
        value = numbers.get(name)
        if is_number(value) or callable(value):
            found[name] = limit
        if is_by_leaf(value):
            inside = [(part, value.func.limit(part, limit)) for part in value.keywords]
            found |= {f"{name}.{part}": each for part, each in _limits(inside, value.keywords).items()}
    return found


def _held(value: Any) -> dict[str, Any]:
    is_part = lambda node: is_transform(node) or callable(node)  # noqa: E731
    pairs = jax.tree_util.tree_flatten_with_path(value, is_leaf=is_part)[0]
    return {jax.tree_util.keystr(path, simple=True, separator="."): part for path, part in pairs}


def _place(arguments: Mapping[str, Any], name: str, place: str, taken: list[str]) -> str:
    if not place:
        return name
    head = place.partition(".")[0]
    named = isinstance(arguments[name], Mapping) and head not in arguments and taken.count(place) == 1
    return place if named else f"{name}.{place}"


def _numbers_inside(place: str, part: Any, state: Any) -> dict[str, Any]:
    if not is_transform(part):
        return {place: part} if any(map(is_number, jax.tree.leaves(part))) else {}
    inner_state = None if state is None else _state_of(part, place, state)
    return {f"{place}.{name}": value for name, value in hyperparameters(part, inner_state).items()}


def _state_of(optimizer: optax.GradientTransformation, place: str, state: Any) -> Any:
    if not any(map(callable, hyperparameters(optimizer).values())):
        return None
    key = place.rpartition(".")[2]
    # partition keeps the states of its optimizers under their names; other wrappers have one inside.
    named = [node[key] for node in _nodes(state) if isinstance(node, Mapping) and key in node]
    for node in _nodes(named or state):
        if node is not None and _hyperparameters_or_none(optimizer, node) is not None:
            return node
    raise ValueError(
        f"hyperparameters: {place} has a schedule, but there is no state of it in the one that was given."
    )


def _hyperparameters_or_none(optimizer: optax.GradientTransformation, state: Any) -> dict[str, Any] | None:
    try:
        return hyperparameters(optimizer, state)
    # Asking is the only way to learn whether a state is this optimizer's.
    except (TypeError, ValueError):
        return None


def _nodes(tree: Any) -> Iterator[Any]:
    yield tree
    children = tree.values() if isinstance(tree, Mapping) else tree if isinstance(tree, tuple | list) else ()
    for child in children:
        yield from _nodes(child)


def _numbers(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if is_number(value):
        yield name, value
    for part, inner in parts(value).items():
        yield from _numbers(f"{name}.{part}", inner)
