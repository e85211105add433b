"""Change an optimizer's hyperparameters; stack optimizers and take them apart again."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.tree_util import Partial

from jaxopt_edu.core.by_leaf import is_by_leaf
from jaxopt_edu.core.checks import short
from jaxopt_edu.core.composition import member_names, members, own_numbers, recompose
from jaxopt_edu.core.foreign import as_pytree, checked_transform, is_transform
from jaxopt_edu.core.hints import hint
from jaxopt_edu.core.leaf_values import remade
from jaxopt_edu.core.naming import hyperparameters, keywords_of, nested, page_of, parts
from jaxopt_edu.core.reading import describe, show
from jaxopt_edu.core.transform import Optimizer


def replace(optimizer: optax.GradientTransformation, **changes: Any) -> Optimizer:
    """The same optimizer with other hyperparameters; the original stays as it was.

    Args:
        optimizer: an optimizer of this library, a lifted one, a chain, or a stack of them.
        **changes: new values by name, as `hyperparameters` gives them. In a chain,
            `**{"0.learning_rate": 0.1}` picks the transform, `**{"slow.learning_rate": 0.1}` one of several
            groups, and `**{"learning_rate.peak": 0.1}` a schedule's own number, or a `where`'s. In a stack, a
            value of shape (n,) gives each optimizer its own.

    Returns:
        A new optimizer of the same structure.

    Raises:
        ValueError: a name is unknown (the known ones are listed), or a value is refused by the factory.
        TypeError: a value is of the wrong type.

    >>> import jaxopt_edu as jo
    >>> jo.describe(replace(jo.sgd(learning_rate=0.1), learning_rate=0.2))
    'sgd(learning_rate=0.2)'
    """
    optimizer = checked_transform("replace", "optimizer", optimizer)
    if (size := _stack_size(optimizer)) is not None:
        rows = [{name: _row(value, i, size) for name, value in changes.items()} for i in range(size)]
        return stack([replace(each, **row) for each, row in zip(unstack(optimizer), rows, strict=True)])
    if (transforms := members(optimizer)) is not None:
        return _replace_in_composition(optimizer, transforms, changes)
    page = page_of(optimizer)
    arguments = {} if page is None else page.arguments(keywords_of(optimizer))
    named: dict[str, Any] = {}
    for name, value in changes.items():
        place = _full_place(optimizer, arguments, name)
        if _owner(arguments, place) is None:
            further = [known for known in hyperparameters(optimizer) if known not in arguments]
            raise ValueError(_unknown(optimizer, name, [*arguments, *further]))
        named[place] = value
    return as_pytree(optimizer) if page is None else page.factory(**_changed(arguments, named))


def stack(optimizers: Sequence[optax.GradientTransformation]) -> Optimizer:
    """Optimizers of one structure as one optimizer with a leading axis, ready for `jax.vmap`.

    Args:
        optimizers: n optimizers of the same kind.

    Returns:
        An optimizer whose every leaf has a leading axis of length n.

    Raises:
        ValueError: there are none, or two of them differ in structure; names both.

    >>> import jaxopt_edu as jo
    >>> stacked = stack([jo.sgd(learning_rate=0.5), jo.sgd(learning_rate=0.25)])
    >>> hyperparameters(stacked)["learning_rate"].tolist()
    [0.5, 0.25]
    """
    if not isinstance(optimizers, Iterable) or is_transform(optimizers) or isinstance(optimizers, str):
        raise TypeError(
            f"stack: optimizers = {short(optimizers)} is a {type(optimizers).__name__}; it must be a list of "
            "optimizers, such as [sgd(0.1), sgd(0.2)]."
        )
    optimizers = [checked_transform("stack", f"optimizers[{i}]", each) for i, each in enumerate(optimizers)]
    if not optimizers:
        raise ValueError("stack: the list of optimizers is empty; give it at least one.")
    first, *others = optimizers
    for position, other in enumerate(others, start=1):
        if jax.tree.structure(other) != jax.tree.structure(first):
            reason = "only optimizers of one structure can be stacked: group them first"
            if describe(other) == describe(first):
                reason = (
                    "they differ in a function that is no leaf, since each call of an optax factory makes "
                    "new ones: share one transform between them, or lift its factory"
                )
            raise ValueError(
                f"stack: optimizer 0 is {describe(first)} and optimizer {position} is {describe(other)}; "
                f"{reason}."
            )
    return jax.tree.map(_stacked, *optimizers)


def unstack(optimizer: optax.GradientTransformation) -> list[Optimizer]:
    """The optimizers that were stacked, in order.

    Args:
        optimizer: an optimizer whose every leaf has a leading axis of length n.

    Returns:
        A list of n optimizers.

    Raises:
        ValueError: the leaves have no common leading axis.

    >>> import jaxopt_edu as jo
    >>> [describe(each) for each in unstack(stack([jo.sgd(0.5), jo.sgd(0.25)]))]
    ['sgd(learning_rate=0.5)', 'sgd(learning_rate=0.25)']
    """
    optimizer = checked_transform("unstack", "optimizer", optimizer)
    size = _stack_size(optimizer)
    if size is None:
        raise ValueError(
            f"unstack: {describe(optimizer)} is not a stack of optimizers; stack([...]) makes one."
        )
    return [jax.tree.map(lambda leaf, i=i: leaf[i], optimizer) for i in range(size)]


def _stacked(*leaves: Any) -> jax.Array:
    if not any(isinstance(leaf, jax.Array) for leaf in leaves):
        return jnp.asarray(np.stack(leaves))
    arrays = [jnp.asarray(leaf, None if isinstance(leaf, jax.Array) else float) for leaf in leaves]
    # A bfloat16 number beside a Python float must not round it.
    with jax.numpy_dtype_promotion("standard"):
        return jnp.stack(arrays)


def _stack_size(optimizer: optax.GradientTransformation) -> int | None:
    sizes = {np.shape(leaf)[:1] for leaf in jax.tree.leaves(optimizer)}
    return sizes.pop()[0] if len(sizes) == 1 and sizes != {()} else None


def _row(value: Any, position: int, size: int) -> Any:
    if callable(value) or np.shape(value) == ():
        return value
    if np.shape(value)[0] != size:
        raise ValueError(f"replace: {size} optimizers are stacked, but a value has shape {np.shape(value)}.")
    return value[position]


def _replace_in_composition(
    optimizer: Any, transforms: list[Optimizer], changes: dict[str, Any]
) -> Optimizer:
    # All changes of one transform at once: one of them alone might not be allowed.
    grouped: dict[int, dict[str, Any]] = {}
    own, of_own = own_numbers(optimizer), {}
    for name, value in changes.items():
        if _owner(own, name) is not None:
            of_own[name] = value
            continue
        owners = _owners(optimizer, transforms, name)
        if len(owners) != 1:
            raise ValueError(_unknown(optimizer, name, list(hyperparameters(optimizer))))
        position, plain = owners[0]
        grouped.setdefault(position, {})[plain] = value
    for position, inner in grouped.items():
        transforms[position] = replace(transforms[position], **inner)
    return recompose(optimizer, transforms, **_changed(own, of_own))


def _owners(optimizer: Any, transforms: list[Optimizer], name: str) -> list[tuple[int, str]]:
    """The members that a name may mean, and what the number is called there."""
    if (places := member_names(optimizer)) is not None:
        asked = [
            (i, name.removeprefix(f"{place}."))
            for i, place in enumerate(places)
            if name.startswith(f"{place}.")
        ]
    else:
        position, _, plain = name.partition(".") if name[:1].isdecimal() else ("", "", name)
        asked = [(i, plain) for i in range(len(transforms)) if position in ("", str(i))]
    shown = [(i, plain) for i, plain in asked if _owner(hyperparameters(transforms[i]), plain) is not None]
    # A lifted transform also has arguments that are no numbers yet, such as momentum=None.
    return shown or [(i, plain) for i, plain in asked if plain in _replaceable(transforms[i])]


def _replaceable(optimizer: optax.GradientTransformation) -> list[str]:
    if members(optimizer) is not None:
        return list(hyperparameters(optimizer))
    page = page_of(optimizer)
    return [] if page is None else list(page.arguments(keywords_of(optimizer)))


def _unknown(optimizer: Any, name: str, known: list[str]) -> str:
    names = ", ".join(known) or "none"
    return f"{describe(optimizer)} has no hyperparameter {name!r}; it has {names}.{hint(name, known)}"


def _full_place(optimizer: Any, arguments: Mapping[str, Any], name: str) -> str:
    """Where a number is that is called by its optimizer's name in a dict: transforms.slow.learning_rate."""
    if _owner(arguments, name) is not None:
        return name
    holders = [argument for argument, places in nested(optimizer).items() if _owner(places, name) is not None]
    return f"{holders[0]}.{name}" if holders else name


def _owner(names: Iterable[str], place: str) -> str | None:
    # The longest, since the name of a group may have a dot in it.
    fitting = [name for name in names if place == name or place.startswith(f"{name}.")]
    return max(fitting, key=len, default=None)


def _changed(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The values with those changed that are named, or of which a part is named."""
    changed, inside = dict(values), {}
    for place, value in changes.items():
        owner = _owner(values, place)
        if place == owner:
            changed[place] = value
        else:
            inside.setdefault(owner, {})[place.removeprefix(f"{owner}.")] = value
    for owner, places in inside.items():
        changed[owner] = _with_parts(changed[owner], places)
    return changed


def _with_parts(value: Any, changes: dict[str, Any]) -> Any:
    if isinstance(value, optax.GradientTransformation):
        return replace(value, **changes)
    known = parts(value)
    for place in changes:
        if _owner(known, place) is None:
            head = place.partition(".")[0]
            raise ValueError(f"{show(value)} has no part {head!r}; it has {', '.join(known) or 'none'}.")
    changed = _changed(known, changes)
    if isinstance(value, Partial):
        return _rebuilt(value, changed)
    if isinstance(value, Mapping):
        return type(value)(zip(value, changed.values(), strict=True))  # type: ignore[call-arg]
    return type(value)(changed.values())


def _rebuilt(schedule: Partial, changed: dict[str, Any]) -> Any:
    if is_by_leaf(schedule):
        return remade(schedule, changed)
    function = schedule.func
    # What `cosine` builds calls `_cosine` of the same module; only the factory checks the numbers.
    name = getattr(function, "__name__", "")
    factory = getattr(sys.modules.get(function.__module__), name.removeprefix("_"), None)
    if name.startswith("_") and factory is not None:
        return factory(**changed)
    positional = [changed.pop(str(position)) for position in range(len(schedule.args))]
    return Partial(function, *positional, **changed)
