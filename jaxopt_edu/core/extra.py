"""Extra arguments of an update (value, grad, value_fn, …): each transform is handed those that it takes."""

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

# optax's line searches refuse what they and their value_fn do not know, so this goes only to who names it.
BY_NAME_ONLY = ("grad_fn",)
UNEXPECTED = re.compile(r"got an unexpected keyword argument '(\w+)'")


def takes_any(function: Callable[..., Any]) -> bool:
    """Whether a function has a `**extra` to take arguments that it does not name.

    >>> takes_any(lambda updates, state, params=None, **extra: updates)
    True
    """
    return any(each.kind is each.VAR_KEYWORD for each in _parameters(function).values())


def call_update(update: Callable[..., Any], arguments: tuple[Any, ...], extra: Mapping[str, Any]) -> Any:
    """Call a transform's update with those extra arguments that it takes.

    A signature without `**extra` says which. One with `**extra` may be that of a chain or a wrapper whose
    members take fewer; those are found by being told so.

    Args:
        update: the update function of any optax transform.
        arguments: updates, state, params.
        extra: what is offered.

    Returns:
        What the update returns.

    Raises:
        TypeError: the update takes something else, or one member of it needs what another refuses.

    >>> call_update(lambda updates, state, params=None: updates, (1, (), None), {"value": 2.0})
    1
    """
    named, any_other = _parameters(update), takes_any(update)
    extra = {
        name: value
        for name, value in extra.items()
        if name in named or (any_other and name not in BY_NAME_ONLY)
    }
    refused: list[str] = []
    while True:
        offered = {name: value for name, value in extra.items() if name not in refused}
        try:
            return update(*arguments, **offered)
        except TypeError as error:
            found = UNEXPECTED.search(str(error))
            if found is not None and found.group(1) in offered:
                refused.append(found.group(1))
                continue
            missing = [name for name in refused if f"'{name}'" in str(error)]
            if missing:
                raise TypeError(
                    f"one transform needs {missing[0]}=, and another of the same optax.chain or wrapper "
                    "does not take it; chain them with jaxopt_edu.chain, which hands each what it takes."
                ) from error
            raise


def _parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(function).parameters
    except ValueError:  # some builtins have none to be seen
        return {}
