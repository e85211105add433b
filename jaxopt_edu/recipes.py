"""An optimizer as JSON: which factory was called with what, so that a stored result can show it again.

Only factories and schedules that this library or optax offers by name are called when a recipe is read;
nothing is imported that the recipe names, and nothing is unpickled.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.tree_util import Partial

from jaxopt_edu import schedules
from jaxopt_edu.core import partition
from jaxopt_edu.core.by_leaf import is_by_leaf
from jaxopt_edu.core.chaining import chain
from jaxopt_edu.core.composition import (
    WithConstants,
    member_names,
    members,
    own_constants,
    own_numbers,
    rest_of,
)
from jaxopt_edu.core.leaf_values import FACTORIES as VALUES_BY_LEAF
from jaxopt_edu.core.lifting import Lifted, lift
from jaxopt_edu.core.naming import keywords_of, page_of
from jaxopt_edu.core.reading import describe, show
from jaxopt_edu.core.transform import Optimizer
from jaxopt_edu.optimizers import OPTIMIZERS
from jaxopt_edu.storage import is_key
from jaxopt_edu.wrappers import WRAPPERS, matrices_only

FACTORIES: dict[str, Callable[..., Any]] = {
    factory.__name__: factory for factory in (*OPTIMIZERS, *WRAPPERS, chain, partition)
}
# Functions among the arguments that are ours, and so have a name that is read again.
FUNCTIONS: dict[str, Callable[..., Any]] = {"matrices_only": matrices_only}
PLAIN = (bool, int, float, str, type(None))
# Deeper than anyone nests optimizers, and far from where Python gives up.
DEEPEST = 100


class NotWritableError(ValueError):
    """An optimizer, or a part of one, that no recipe can name."""


def recipe(optimizer: optax.GradientTransformation) -> dict[str, Any]:
    """Write down how an optimizer is made.

    Args:
        optimizer: one of this library, lifted from optax, or a chain of such.

    Returns:
        JSON; `from_recipe` reads it.

    Raises:
        NotWritableError: a part of it is from elsewhere, such as a factory of the user's own.

    >>> import jaxopt_edu as jo
    >>> recipe(jo.sgd(learning_rate=0.5))
    {'factory': 'sgd', 'arguments': {'learning_rate': 0.5}}
    """
    if (transforms := members(optimizer)) is not None:
        factory, further = rest_of(optimizer)
        written = {
            "factory": _name(factory.factory if isinstance(factory, WithConstants) else factory),
            "members": [recipe(each) for each in transforms],
            "further": [_value(each) for each in further],
        }
        if (names := member_names(optimizer)) is not None:
            written["names"] = [_value(name) for name in names]
        if own := own_numbers(optimizer) | own_constants(optimizer):
            written["arguments"] = {name: _value(value) for name, value in own.items()}
        return written
    if (page := page_of(optimizer)) is None:
        raise NotWritableError(f"{describe(optimizer)} hides its numbers in a closure; lift its factory")
    arguments = {
        name: _value(value)
        for name, value in page.arguments(keywords_of(optimizer)).items()
        if not _is_default_function(page.factory, name, value)
    }
    if isinstance(page.factory, Lifted):
        return {
            "lift": _optax_name(page.factory),
            "static": list(page.factory.static),
            "arguments": arguments,
        }
    return {"factory": _name(page.factory), "arguments": arguments}


def from_recipe(written: dict[str, Any]) -> Optimizer:
    """Make an optimizer again.

    Args:
        written: JSON that `recipe` gave.

    Returns:
        The optimizer.

    Raises:
        ValueError: the recipe names something that does not exist here, or is none.

    >>> import jaxopt_edu as jo
    >>> describe(from_recipe(recipe(jo.lift(optax.lion)(learning_rate=0.5))))
    'lion(learning_rate=0.5, b1=0.9, b2=0.99, weight_decay=0.001)'
    """
    if _is_deeper(written, DEEPEST):
        raise ValueError(f"from_recipe: the recipe is nested more than {DEEPEST} deep; none of ours is.")
    try:
        return _made(written)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(
            f"from_recipe: a recipe is what recipe(optimizer) gives, and this one is of another form "
            f"({type(error).__name__}: {error})."
        ) from error


def _made(written: dict[str, Any]) -> Optimizer:
    arguments = {name: _read(value) for name, value in written.get("arguments", {}).items()}
    if "members" in written:
        transforms: Any = [_made(each) for each in written["members"]]
        if "names" in written:
            transforms = [dict(zip(map(_read, written["names"]), transforms, strict=True))]
        further = map(_read, written["further"])
        return _found(FACTORIES, written["factory"])(*transforms, *further, **arguments)
    if "lift" in written:
        factory = _found(vars(optax), written["lift"])
        return lift(factory, static=tuple(written["static"]))(**arguments)
    return _found(FACTORIES, written["factory"])(**arguments)


def _value(value: Any) -> Any:
    if isinstance(value, optax.GradientTransformation):
        return {"optimizer": recipe(value)}
    if is_key(value):
        return {"key": jax.random.key_data(value).tolist(), "implementation": str(jax.random.key_impl(value))}
    if is_by_leaf(value):
        arguments = value.func.constants | value.keywords
        return {
            "by_leaf": value.func.__name__,
            "arguments": {key: _value(part) for key, part in arguments.items()},
        }
    if isinstance(value, Partial):
        name = value.func.__name__.removeprefix("_")
        if name not in SCHEDULES or value.func.__module__ != SCHEDULES[name].__module__:
            raise NotWritableError(f"the schedule {name} is of another library")
        return {"schedule": name, "arguments": {key: _value(part) for key, part in value.keywords.items()}}
    if isinstance(value, tuple | list):
        return {"list": [_value(part) for part in value]}
    if isinstance(value, Mapping):
        if not all(isinstance(name, str) for name in value):
            raise NotWritableError(f"the names {list(value)} are not all text")
        return {"dict": {name: _value(part) for name, part in value.items()}}
    if callable(value) and FUNCTIONS.get(getattr(value, "__name__", "")) is value:
        return {"function": value.__name__}
    if isinstance(value, PLAIN):
        return value
    if isinstance(value, np.dtype) or (isinstance(value, type) and hasattr(value, "dtype")):
        return {"dtype": jnp.dtype(value).name}
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        return {"array": np.asarray(value, np.float64).tolist(), "dtype": str(value.dtype)}
    raise NotWritableError(f"{show(value)} is neither a number nor a schedule of ours")


def _read(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if "optimizer" in value:
        return _made(value["optimizer"])
    if "function" in value:
        return _found(FUNCTIONS, value["function"])
    if "dict" in value:
        return {name: _read(part) for name, part in value["dict"].items()}
    if "key" in value:
        data = jnp.array(value["key"], jnp.uint32)
        return jax.random.wrap_key_data(data, impl=value["implementation"])
    for kind, factories in (("schedule", SCHEDULES), ("by_leaf", VALUES_BY_LEAF)):
        if kind in value:
            arguments = {name: _read(part) for name, part in value["arguments"].items()}
            return _found(factories, value[kind])(**arguments)
    if "list" in value:
        return [_read(part) for part in value["list"]]
    if "array" not in value:
        return jnp.dtype(value["dtype"])
    return jnp.asarray(value["array"], value["dtype"])


SCHEDULES: dict[str, Callable[..., Any]] = {name: getattr(schedules, name) for name in schedules.__all__}


def _is_default_function(factory: Callable[..., Any], name: str, value: Any) -> bool:
    """Whether an argument is, or is made of, the very functions that are its default; it needs no writing."""
    default = inspect.signature(factory).parameters[name].default
    given, known = jax.tree.leaves(value), jax.tree.leaves(default)
    same = len(given) == len(known) and all(a is b and callable(a) for a, b in zip(given, known, strict=True))
    return same and bool(given)


def _is_deeper(written: Any, levels: int) -> bool:
    parts = [written]
    for _ in range(levels):
        parts = [
            part
            for each in parts
            if isinstance(each, dict | list)
            for part in (each.values() if isinstance(each, dict) else each)
        ]
    return any(isinstance(part, dict | list) for part in parts)


def _name(factory: Callable[..., Any]) -> str:
    if FACTORIES.get(factory.__name__) is not factory:
        raise NotWritableError(f"{factory.__name__} is not a factory of this library")
    return factory.__name__


def _optax_name(lifted: Lifted) -> str:
    for name, value in vars(optax).items():
        if value is lifted.factory:
            return name
    raise NotWritableError(f"{lifted.__name__} is no factory that optax offers by name")


def _found(known: Any, name: Any) -> Callable[..., Any]:
    if not isinstance(name, str) or name.startswith("_") or not callable(known.get(name)):
        raise ValueError(f"from_recipe: there is no {name!r} to make an optimizer of.")
    return known[name]
