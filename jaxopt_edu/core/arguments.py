"""Arguments that are no numbers: each check raises one line that names function, argument and value."""

import inspect
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from jaxopt_edu.core.checks import short


def checked_flag(owner: str, name: str, value: Any) -> bool:
    """Yes or no.

    Args:
        owner: the function's name, for the error.
        name: the argument's name, for the error.
        value: what was given.

    Returns:
        A Python bool.

    Raises:
        TypeError: it is something else, as "no" would count as yes.

    >>> checked_flag("fit", "replacement", np.True_)
    True
    """
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{owner}: {name} = {short(value)} is {kind_of(value)}; it is True or False.")
    return bool(value)


def checked_text(owner: str, name: str, value: Any) -> str:
    """A text, such as a title.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(value, str):
        raise TypeError(f"{owner}: {name} = {short(value)} is {kind_of(value)}; it must be a text.")
    return value


def checked_option(owner: str, name: str, value: Any, options: Sequence[str]) -> str:
    """One of some words.

    Raises:
        ValueError: it is another one, or no word.
    """
    if not isinstance(value, str) or value not in options:
        known = " or ".join(map(repr, options))
        raise ValueError(f"{owner}: {name} = {short(value)}; it is {known}.")
    return value


def checked_path(owner: str, name: str, value: Any, what: str = "a file") -> Path:
    """Where something lies.

    Raises:
        TypeError: it is no path.
    """
    if not isinstance(value, str | os.PathLike):
        raise TypeError(
            f"{owner}: {name} = {short(value)} is {kind_of(value)}; it must be the path of {what}, a text or "
            "a pathlib.Path."
        )
    return Path(os.fsdecode(value))


def checked_function(owner: str, name: str, function: Any, *arguments: str, **keywords: str) -> None:
    """Refuse what cannot be called with so many arguments.

    Args:
        owner: the function's name, for the error.
        name: the argument's name, for the error.
        function: what was given.
        *arguments: what it will be called with.
        **keywords: likewise, by name.

    Raises:
        TypeError: it is no function, or takes other arguments.
    """
    given = [*arguments, *(f"{key}={value}" for key, value in keywords.items())]
    call = f"{name.removesuffix('_fn')}({', '.join(given)})"
    if not callable(function):
        raise TypeError(
            f"{owner}: {name} = {short(function)} is {kind_of(function)}, not a function; it is called as "
            f"{call}."
        )
    try:
        inspect.signature(function).bind(*arguments, **keywords)
    except TypeError as error:
        raise TypeError(
            f"{owner}: {name} is called as {call}, but its signature does not allow that: {error}."
        ) from None
    except ValueError:
        pass  # some builtins have no signature to be seen


def optional(check: Callable[..., Any]) -> Callable[..., Any]:
    """The same check, which lets None through.

    >>> optional(checked_text)("curves", "title", None) is None
    True
    """

    def checked(owner: str, name: str, value: Any, *more: Any) -> Any:
        return None if value is None else check(owner, name, value, *more)

    return checked


def kind_of(value: Any) -> str:
    """What kind of thing it is, in words.

    >>> kind_of(3), kind_of(int)
    ('int', 'a class')
    """
    return "a class" if isinstance(value, type) else type(value).__name__


@contextmanager
def named(owner: str, *beginnings: str) -> Iterator[None]:
    """Let the errors of what is called begin with the name of the function that the user called.

    Args:
        owner: that name.
        *beginnings: of the errors that are meant, where a function of the user's may raise others; all if
            there are none.
    """
    try:
        yield
    except (TypeError, ValueError) as error:
        meant = not beginnings or str(error).startswith(beginnings)
        if type(error) not in (TypeError, ValueError) or str(error).startswith(f"{owner}:") or not meant:
            raise
        raise type(error)(f"{owner}: {error}") from (error.__cause__ or error)
