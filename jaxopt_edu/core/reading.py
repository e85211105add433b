"""Read an optimizer's hyperparameters and say what it is, whatever it is made of."""

import inspect
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np
import optax
from jax.core import Tracer
from jax.tree_util import Partial

from jaxopt_edu.core.checks import Limit
from jaxopt_edu.core.composition import members
from jaxopt_edu.core.transform import Foreign


def hyperparameters(optimizer: optax.GradientTransformation, state: Any = None) -> dict[str, Any]:
    """The hyperparameters by name; with a state, the numbers in force at the next update.

    Args:
        optimizer: an optimizer of this library, a lifted one, or a chain. In a chain a name that
            occurs more than once is preceded by the position of its transform: "0.learning_rate".
        state: the optimizer's state. If it is given, schedules are asked at its count.

    Returns:
        Name to value, in the order of the factory's signature. An optax transform that was not lifted
        shows none.

    >>> import jaxopt_edu as jo
    >>> hyperparameters(jo.momentum(learning_rate=0.1))
    {'learning_rate': 0.1, 'momentum': 0.9}
    """
    if (transforms := members(optimizer)) is not None:
        states: Sequence[Any] = [None] * len(transforms)
        if state is not None:
            states = _static(optimizer).step.inner_states(state, len(transforms))
        each = [hyperparameters(*pair) for pair in zip(transforms, states, strict=True)]
        return _in_chain(each, each)
    if (page := page_of(optimizer)) is None:
        return {}
    keywords = keywords_of(optimizer)
    if state is not None:
        return page.in_force(keywords, state)
    return {name: value for name, value in page.arguments(keywords).items() if name in keywords}


def limits(optimizer: optax.GradientTransformation) -> dict[str, Limit]:
    """Which values each hyperparameter may take.

    Args:
        optimizer: an optimizer of this library, a lifted one, or a chain.

    Returns:
        Name to limit, as `hyperparameters` names them; those of lifted optimizers have none.

    >>> import jaxopt_edu as jo
    >>> limits(jo.momentum())["momentum"].wording
    'a number in [0, 1)'
    """
    if (transforms := members(optimizer)) is not None:
        return _in_chain(
            [limits(each) for each in transforms], [hyperparameters(each) for each in transforms]
        )
    return dict(getattr(page_of(optimizer), "limits", ()))


def settings(optimizer: optax.GradientTransformation) -> dict[str, Any]:
    """Every number of an optimizer by name, those inside schedules too: the columns of a table.

    Args:
        optimizer: an optimizer of this library, a lifted one, or a chain.

    Returns:
        Name to number, in the order of `hyperparameters`. A number inside a schedule is named after its
        place, such as "learning_rate.peak", and `replace` takes that name. The numbers of another library's
        schedule cannot be seen.

    >>> import jaxopt_edu as jo
    >>> settings(jo.momentum(learning_rate=jo.schedules.warmup(peak=0.1, steps=50)))
    {'learning_rate.peak': 0.1, 'learning_rate.steps': 50.0, 'learning_rate.initial': 0.0, 'momentum': 0.9}
    """
    return {
        place: number
        for name, value in hyperparameters(optimizer).items()
        for place, number in _numbers(name, value)
    }


def describe(optimizer: optax.GradientTransformation) -> str:
    """One line that says which optimizer it is: "adam(learning_rate=0.001, b1=0.9, …)".

    Args:
        optimizer: any optax transform.

    Returns:
        Text. The numbers of an optax transform that was not lifted cannot be seen and stand as "…".

    >>> import jaxopt_edu as jo
    >>> describe(jo.sgd(learning_rate=jo.schedules.cosine(peak=0.1, steps=100)))
    'sgd(learning_rate=cosine(peak=0.1, steps=100, final=0))'
    """
    if (transforms := members(optimizer)) is not None:
        return f"{_static(optimizer).name}({', '.join(map(describe, transforms))})"
    if (page := page_of(optimizer)) is None:
        return f"{_foreign_name(optimizer)}(…)"
    return _call(page.name, {name: show(value) for name, value in hyperparameters(optimizer).items()})


def kind(optimizer: optax.GradientTransformation) -> str:
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
    if (transforms := members(optimizer)) is not None:
        return f"{_static(optimizer).name}({', '.join(map(kind, transforms))})"
    if (page := page_of(optimizer)) is None:
        return _foreign_name(optimizer)
    numbers = keywords_of(optimizer)
    defaults = inspect.signature(page.factory).parameters
    marks = {}
    for name, value in page.arguments(numbers).items():
        default = defaults[name].default
        if isinstance(value, optax.GradientTransformation):
            marks[name] = kind(value)
        elif callable(value) and value is not default:
            marks[name] = _schedule_name(value)
        elif name in numbers and default is None:
            marks[name] = "…"
        elif name not in numbers and value != default:
            marks[name] = show(value)
    return _call(page.name, marks) if marks else page.name


def _in_chain(each: list[dict[str, Any]], named: list[dict[str, Any]]) -> dict[str, Any]:
    names = [name for values in named for name in values]
    return {
        # A name that begins with a position is one in a chain of its own: "1.0.learning_rate".
        name if names.count(name) == 1 and not name[:1].isdecimal() else f"{position}.{name}": value
        for position, values in enumerate(each)
        for name, value in values.items()
    }


def parts(value: Any) -> dict[str, Any]:
    """What a hyperparameter that is no number is made of.

    Args:
        value: a schedule, an optimizer, a tuple or list of such, or anything else.

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
    return {}


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
    return _static(optimizer) if hasattr(_static(optimizer), "in_force") else None


def show(value: Any) -> str:
    """A hyperparameter's value as `describe` writes it.

    Args:
        value: a number, an array, a schedule, an optimizer, or a static argument.

    Returns:
        Text.
    """
    if type(value) in (tuple, list):
        return f"[{', '.join(map(show, value))}]"
    if isinstance(value, optax.GradientTransformation):
        return describe(value)
    if callable(value):
        return _schedule(value)
    if isinstance(value, Tracer):
        return f"traced {value.dtype}{list(value.shape)}"
    if _is_number(value):
        numbers = np.asarray(value, np.float64)
        if numbers.ndim == 0:
            return f"{numbers:g}"
        first = [f"{number:g}" for number in numbers.ravel()[:3]]
        return f"[{', '.join(first)}{', …' if numbers.size > 3 else ''}]"
    return repr(value)


def _static(optimizer: optax.GradientTransformation) -> Any:
    return getattr(optimizer.update, "func", None)


def _foreign_name(optimizer: optax.GradientTransformation) -> str:
    function = getattr(optimizer.update, "func", optimizer.update)
    return (function if isinstance(function, Foreign) else Foreign(function)).__name__


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number | np.ndarray | jax.Array) and not isinstance(value, bool)


def _numbers(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if _is_number(value):
        yield name, value
    for part, inner in parts(value).items():
        yield from _numbers(f"{name}.{part}", inner)


def _call(name: str, texts: dict[str, str]) -> str:
    return f"{name}({', '.join(f'{key}={text}' for key, text in texts.items())})"


def _schedule(schedule: Any) -> str:
    function = getattr(schedule, "func", None)
    if function is None:
        return type(schedule).__name__
    if isinstance(function, Foreign):
        return f"{function.__name__}(…)"
    return _call(_schedule_name(schedule), {name: show(part) for name, part in parts(schedule).items()})


def _schedule_name(schedule: Any) -> str:
    function = getattr(schedule, "func", schedule)
    return getattr(function, "__name__", type(function).__name__).lstrip("_")
