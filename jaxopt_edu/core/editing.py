"""Change an optimizer's hyperparameters; stack optimizers and take them apart again."""

import sys
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.tree_util import Partial

from jaxopt_edu.core.composition import as_pytree, members, recompose
from jaxopt_edu.core.reading import describe, hyperparameters, keywords_of, page_of, parts, show
from jaxopt_edu.core.transform import Optimizer


def replace(optimizer: optax.GradientTransformation, **changes: Any) -> Optimizer:
    """The same optimizer with other hyperparameters; the original stays as it was.

    Args:
        optimizer: an optimizer of this library, a lifted one, a chain, or a stack of them.
        **changes: new values by name. In a chain, `**{"0.learning_rate": 0.1}` picks the transform, and
            `**{"learning_rate.peak": 0.1}` a schedule's own number. In a stack, a value of shape (n,) gives
            each optimizer its own.

    Returns:
        A new optimizer of the same structure.

    Raises:
        ValueError: a name is unknown (the known ones are listed), or a value is refused by the factory.
        TypeError: a value is of the wrong type.

    >>> import jaxopt_edu as jo
    >>> jo.describe(replace(jo.sgd(learning_rate=0.1), learning_rate=0.2))
    'sgd(learning_rate=0.2)'
    """
    if (size := _stack_size(optimizer)) is not None:
        rows = [{name: _row(value, i, size) for name, value in changes.items()} for i in range(size)]
        return stack([replace(each, **row) for each, row in zip(unstack(optimizer), rows, strict=True)])
    if (transforms := members(optimizer)) is not None:
        return _replace_in_chain(optimizer, transforms, changes)
    page = page_of(optimizer)
    arguments = {} if page is None else page.arguments(keywords_of(optimizer))
    inside: dict[str, dict[str, Any]] = {}
    for name, value in changes.items():
        if (owner := _owner(arguments, name)) is None:
            raise ValueError(_unknown(optimizer, name, list(arguments)))
        if name == owner:
            arguments[name] = value
        else:
            inside.setdefault(owner, {})[name.removeprefix(f"{owner}.")] = value
    for owner, places in inside.items():
        arguments[owner] = _with_parts(arguments[owner], places)
    return as_pytree(optimizer) if page is None else page.factory(**arguments)


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


def _replace_in_chain(optimizer: Any, transforms: list[Optimizer], changes: dict[str, Any]) -> Optimizer:
    # All changes of one transform at once: one of them alone might not be allowed.
    grouped: dict[int, dict[str, Any]] = {}
    for name, value in changes.items():
        position, _, plain = name.partition(".") if name[:1].isdecimal() else ("", "", name)
        asked = [i for i in range(len(transforms)) if position in ("", str(i))]
        shown = [i for i in asked if _owner(hyperparameters(transforms[i]), plain) is not None]
        # A lifted transform also has arguments that are no numbers yet, such as momentum=None.
        owners = shown or [i for i in asked if plain in _replaceable(transforms[i])]
        if len(owners) != 1:
            raise ValueError(_unknown(optimizer, name, list(hyperparameters(optimizer))))
        grouped.setdefault(owners[0], {})[plain] = value
    for place, inner in grouped.items():
        transforms[place] = replace(transforms[place], **inner)
    return recompose(optimizer, transforms)


def _replaceable(optimizer: optax.GradientTransformation) -> list[str]:
    if members(optimizer) is not None:
        return list(hyperparameters(optimizer))
    page = page_of(optimizer)
    return [] if page is None else list(page.arguments(keywords_of(optimizer)))


def _unknown(optimizer: Any, name: str, known: list[str]) -> str:
    return f"{describe(optimizer)} has no hyperparameter {name!r}; it has {', '.join(known) or 'none'}."


def _owner(names: Iterable[str], place: str) -> str | None:
    return next((name for name in names if place == name or place.startswith(f"{name}.")), None)


def _with_parts(value: Any, changes: dict[str, Any]) -> Any:
    if isinstance(value, optax.GradientTransformation):
        return replace(value, **changes)
    known = parts(value)
    inside: dict[str, dict[str, Any]] = {}
    for place, new in changes.items():
        head, _, rest = place.partition(".")
        if head not in known:
            raise ValueError(f"{show(value)} has no part {head!r}; it has {', '.join(known) or 'none'}.")
        inside.setdefault(head, {})[rest] = new
    changed = known | {
        head: inner[""] if "" in inner else _with_parts(known[head], inner) for head, inner in inside.items()
    }
    return _rebuilt(value, changed) if isinstance(value, Partial) else type(value)(changed.values())


def _rebuilt(schedule: Partial, changed: dict[str, Any]) -> Any:
    function = schedule.func
    # What `cosine` builds calls `_cosine` of the same module; only the factory checks the numbers.
    name = getattr(function, "__name__", "")
    factory = getattr(sys.modules.get(function.__module__), name.removeprefix("_"), None)
    if name.startswith("_") and factory is not None:
        return factory(**changed)
    positional = [changed.pop(str(position)) for position in range(len(schedule.args))]
    return Partial(function, *positional, **changed)
