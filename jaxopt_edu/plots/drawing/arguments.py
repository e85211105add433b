"""What pictures are asked with: arguments that several of them share are checked by their names."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ParamSpec, TypeVar

import numpy as np

from jaxopt_edu.core.arguments import (
    checked_flag,
    checked_function,
    checked_option,
    checked_path,
    checked_text,
    kind_of,
    optional,
)
from jaxopt_edu.core.checks import POSITIVE, checked_number, checked_whole, short

Arguments = ParamSpec("Arguments")
Drawn = TypeVar("Drawn")


def checked_arguments(function: Callable[Arguments, Drawn]) -> Callable[Arguments, Drawn]:
    """Let a picture check what it is given before it draws; all its errors begin with its name.

    Args:
        function: one that makes a picture, whose arguments are called as in `CHECKS`.

    Returns:
        The same function, which raises TypeError or ValueError in one line.
    """
    owner, signature = function.__name__, inspect.signature(function)

    @functools.wraps(function)
    def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Drawn:
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(
                f"{owner}: {error}; its arguments are {', '.join(signature.parameters)}."
            ) from None
        for name, value in bound.arguments.items():
            if (check := CHECKS.get(name)) is not None:
                check(owner, name, value)
            elif (number := NUMBERS.get(name)) is not None:
                bound.arguments[name] = number(owner, name, value)
        try:
            return function(*bound.args, **bound.kwargs)
        except (TypeError, ValueError) as error:
            if type(error) not in (TypeError, ValueError) or str(error).startswith(f"{owner}: "):
                raise
            raise type(error)(f"{owner}: {error}") from error

    return call


def _numbers(owner: str, name: str, value: Any) -> np.ndarray:
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        array = np.zeros(())
    if array.ndim == 0:
        raise TypeError(f"{owner}: {name} = {short(value)} is no array of numbers.")
    return array


def _by_label(check: Callable[[str, str, Any], Any], holds: str) -> Callable[..., None]:
    def checked(owner: str, name: str, value: Any) -> None:
        if not isinstance(value, Mapping):
            raise TypeError(
                f"{owner}: {name} = {short(value)} is {kind_of(value)}; it must be a dict of {holds} by name."
            )
        for label, each in value.items():
            checked_text(owner, f"a name in {name}", label)
            check(owner, f"{name}[{label!r}]", each)

    return checked


def _settings_and_values(owner: str, name: str, value: Any) -> None:
    if owner != "sensitivity":
        _numbers(owner, name, value)
        return
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise TypeError(f"{owner}: {name} = {short(value)} is no pair (settings, values).")
    for part in value:
        _numbers(owner, name, part)


def _finite(owner: str, name: str, value: Any) -> float:
    number = isinstance(value, int | float | np.number | np.ndarray) or hasattr(value, "__array__")
    if isinstance(value, bool | np.bool_) or not number:
        raise TypeError(f"{owner}: {name} = {short(value)} is {kind_of(value)}; it must be a number.")
    if np.ndim(value) or not math.isfinite(float(value)):
        raise ValueError(f"{owner}: {name} = {short(value)} must be a single finite number.")
    return float(value)


def _point(owner: str, name: str, value: Any) -> None:
    if (shape := _numbers(owner, name, value).shape) != (2,):
        raise ValueError(f"{owner}: {name} = {short(value)} has shape {shape}; a point has shape (2,).")


def _points(owner: str, name: str, value: Any) -> None:
    array = _numbers(owner, name, value)
    if array.size and (array.ndim != 2 or array.shape[1] != 2):
        raise ValueError(
            f"{owner}: {name} = {short(value)} has shape {array.shape}; points have shape (n, 2)."
        )


def _labels(owner: str, name: str, value: Any) -> None:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise TypeError(f"{owner}: {name} = {short(value)} is {kind_of(value)}; it must be a list of texts.")
    if isinstance(value, list | tuple):  # what can be looked at twice
        for label in value:
            checked_text(owner, f"one of {name}", label)


def _seconds(owner: str, name: str, value: Any) -> float:
    return float(checked_number(owner, name, value, POSITIVE._replace(wording="a positive time")))


def _anything(owner: str, name: str, value: Any) -> None:
    """A column of a table holds words, numbers and gaps; the picture looks at each."""


def _one_of(*options: str) -> Callable[[str, str, Any], str]:
    return lambda owner, name, value: checked_option(owner, name, value, options)


CHECKS: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(("xlabel", "ylabel", "label"), checked_text),
    "title": optional(checked_text),
    "mode": _one_of("min", "max"),
    "band": _one_of("range", "quartiles", "none"),
    "middle": _one_of("median", "mean"),
    "layout": _one_of("auto", "together", "separate"),
    **dict.fromkeys(("log", "xlog", "ylog"), optional(checked_flag)),
    "function": lambda owner, name, value: checked_function(owner, name, value, "point"),
    "advance": lambda owner, name, value: checked_function(owner, name, value, "frames"),
    "histories": _by_label(_numbers, "histories"),
    "trajectories": _by_label(_numbers, "points"),
    "results": _by_label(_settings_and_values, "values"),
    "columns": _by_label(_anything, "values"),
    "logs": optional(_by_label(checked_flag, "True or False")),
    "marks": optional(_by_label(_point, "points")),
    **dict.fromkeys(("x", "y", "values", "domain", "rates", "losses"), _numbers),
    **dict.fromkeys(("steps", "smoothed", "interval"), optional(_numbers)),
    "minima": _points,
    "start": optional(_point),
    "labels": _labels,
    "path": checked_path,
}
# Of whatever kind they are given, pictures are drawn with Python's.
NUMBERS: dict[str, Callable[..., int | float | None]] = {
    **dict.fromkeys(("threshold", "top", "first", "suggestion"), optional(_finite)),
    "smooth": checked_whole,
    "best": optional(lambda owner, name, value: checked_whole(owner, name, value, 0)),
    "seconds": _seconds,
}
