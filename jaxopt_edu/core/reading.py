"""Say what an optimizer is, in one line."""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import numpy as np
import optax
from jax.core import Tracer
from jax.tree_util import Partial

from jaxopt_edu.core.by_leaf import is_by_leaf
from jaxopt_edu.core.composition import (
    composition_of,
    member_names,
    members,
    own_constants,
    own_numbers,
    rest_of,
)
from jaxopt_edu.core.foreign import checked_transform, is_transform
from jaxopt_edu.core.naming import is_key, is_number, keywords_of, page_of, parts
from jaxopt_edu.core.transform import Foreign

# How many entries of an array, and of a dict or a tuple that is no number, are shown.
SHOWN_NUMBERS, SHOWN_PARTS = 3, 4


def describe(optimizer: optax.GradientTransformation | optax.MultiSteps) -> str:
    """One line that says which optimizer it is: "adam(learning_rate=0.001, b1=0.9, …)".

    Args:
        optimizer: any optax transform.

    Returns:
        Text, the same in every process: all numbers, and those other arguments that are not the default. The
        numbers of an optax transform that was not lifted cannot be seen and stand as "…".

    >>> import jaxopt_edu as jo, optax
    >>> describe(jo.sgd(learning_rate=jo.schedules.cosine(peak=0.1, steps=100)))
    'sgd(learning_rate=cosine(peak=0.1, steps=100, final=0))'
    >>> describe(jo.lift(optax.masked)(jo.sgd(learning_rate=0.1), mask={"b": False, "w": True}))
    'masked(inner=sgd(learning_rate=0.1), mask={b: False, w: True})'
    """
    transform = checked_transform("describe", "optimizer", optimizer)
    if composition_of(transform) is not None:
        own = {name: show(value) for name, value in own_numbers(transform).items()}
        return _composition(transform, describe, own)
    if (page := page_of(transform)) is None:
        return f"{_foreign_name(transform)}(…)"
    numbers = keywords_of(transform)
    arguments = page.arguments(numbers)
    shown = [name for name in arguments if name in numbers or _is_new(page.factory, name, arguments[name])]
    return _call(page.name, {name: show(arguments[name]) for name in shown})


def kind(optimizer: optax.GradientTransformation | optax.MultiSteps) -> str:
    """What an optimizer is apart from its numbers: optimizers of one structure are of one kind.

    Args:
        optimizer: any optax transform.

    Returns:
        The name, with the schedules that it has, those static arguments that are not the default, and "…" for
        a number where the default is none.

    >>> import jaxopt_edu as jo, optax
    >>> kind(jo.chain(jo.lift(optax.clip)(1.0), jo.sgd(jo.schedules.cosine(peak=0.1, steps=100))))
    'chain(clip, sgd(learning_rate=cosine))'
    >>> kind(jo.lift(optax.sgd)(0.1, nesterov=True))
    'sgd(nesterov=True)'
    """
    transform = checked_transform("kind", "optimizer", optimizer)
    if composition_of(transform) is not None:
        own = {name: _kind_of(value) for name, value in own_numbers(transform).items() if callable(value)}
        return _composition(transform, kind, own)
    if (page := page_of(transform)) is None:
        return _foreign_name(transform)
    numbers = keywords_of(transform)
    defaults = inspect.signature(page.factory).parameters
    marks = {}
    for name, value in page.arguments(numbers).items():
        structured = callable(value) or _holds_transforms(value)
        if name in numbers and not structured and defaults[name].default is not None:
            continue
        if _is_new(page.factory, name, value):
            marks[name] = _kind_of(value) if name in numbers or structured else show(value)
    return _call(page.name, marks) if marks else page.name


def show(value: Any) -> str:
    """A hyperparameter's value as `describe` writes it.

    Args:
        value: a number, an array, a schedule, an optimizer, or a static argument.

    Returns:
        Text, without memory addresses. Of arrays and of large trees it shows the beginning.
    """
    if is_transform(value):
        return describe(value)
    if isinstance(value, Mapping):
        return _several("{", [f"{key}: {show(part)}" for key, part in value.items()], "}", value)
    if type(value) in (tuple, list):
        return _several("[", map(show, value), "]", value)
    if isinstance(value, Tracer):
        return f"traced {value.dtype}{list(value.shape)}"
    if is_number(value):
        return _numbers(value)
    if is_key(value):
        return f"random key{list(value.shape) or ''}"
    if isinstance(dtype := getattr(value, "dtype", value), np.dtype):
        return dtype.name
    if callable(value):
        return _function(value)
    text = repr(value)
    return text if " at 0x" not in text else type(value).__name__


def _composition(optimizer: optax.GradientTransformation, each: Callable[[Any], str], own: Any) -> str:
    (factory, _), texts = rest_of(optimizer), list(map(each, members(optimizer) or []))
    if (names := member_names(optimizer)) is not None:
        texts = [f"{{{', '.join(f'{name}: {text}' for name, text in zip(names, texts, strict=True))}}}"]
    constants = {
        name: show(value)
        for name, value in own_constants(optimizer).items()
        if _is_new(getattr(factory, "factory", factory), name, value)
    }
    texts += [f"{name}={text}" for name, text in (own | constants).items()]
    return f"{factory.__name__}({', '.join(texts)})"


def _call(name: str, texts: dict[str, str]) -> str:
    return f"{name}({', '.join(f'{key}={text}' for key, text in texts.items())})"


def _is_new(factory: Callable[..., Any], name: str, value: Any) -> bool:
    default = inspect.signature(factory).parameters[name].default
    # Not ==, which arrays among the values would answer with an array.
    return value is not default and show(value) != show(default)


def _holds_transforms(value: Any) -> bool:
    return any(map(is_transform, jax.tree.leaves(value, is_leaf=is_transform)))


def _kind_of(value: Any) -> str:
    if is_transform(value):
        return kind(value)
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {_kind_of(part)}' for key, part in value.items())}}}"
    if type(value) in (tuple, list):
        return f"[{', '.join(map(_kind_of, value))}]"
    if is_by_leaf(value):
        inside = {name: _kind_of(part) for name, part in parts(value).items() if callable(part)}
        return _call(value.func.__name__, _constants(value) | inside)
    if isinstance(value, Partial):
        return _function_name(value.func).lstrip("_")
    return "…" if is_number(value) else show(value)


def _several(opening: str, texts: Iterable[str], closing: str, value: Any) -> str:
    texts, leaves = list(texts), jax.tree.leaves(value, is_leaf=is_transform)
    # Numbers are never left out; a mask or labels of a large network are.
    if len(texts) > SHOWN_PARTS and not any(is_number(leaf) or is_transform(leaf) for leaf in leaves):
        texts = [*texts[:SHOWN_PARTS], "…"]
    return f"{opening}{', '.join(texts)}{closing}"


def _numbers(value: Any) -> str:
    numbers = np.asarray(value, np.float64)
    if numbers.ndim == 0:
        return f"{numbers:g}"
    first = [f"{number:g}" for number in numbers.ravel()[:SHOWN_NUMBERS]]
    return f"[{', '.join(first)}{', …' if numbers.size > SHOWN_NUMBERS else ''}]"


def _function(function: Any) -> str:
    if not isinstance(function, Partial):
        return _function_name(function)
    if isinstance(function.func, Foreign):
        return f"{function.func.__name__}(…)"
    name = _function_name(function.func).lstrip("_")
    constants = _constants(function) if is_by_leaf(function) else {}
    return _call(name, constants | {part: show(value) for part, value in parts(function).items()})


def _constants(value: Partial) -> dict[str, str]:
    function: Any = value.func
    return {name: show(part) for name, part in function.constants.items()}


def _function_name(function: Any) -> str:
    if isinstance(function, functools.partial) or getattr(function, "__closure__", None):
        # It holds values that cannot be seen: what it is, is said by the function that made it.
        return f"{Foreign(function).__name__}(…)"
    return getattr(function, "__name__", type(function).__name__).replace("<lambda>", "lambda")


def _foreign_name(optimizer: optax.GradientTransformation) -> str:
    function: Any = getattr(optimizer.update, "func", optimizer.update)
    return (function if isinstance(function, Foreign) else Foreign(function)).__name__
