"""The words by which the command line says what to sweep: optimizers, each followed by its hyperparameters.

    adam learning_rate=loguniform(1e-4,1) b1=0,0.9 sgd learning_rate=cosine(peak=[0.1,1],steps=500)

A value is a number, a list, a distribution, or a schedule, whose numbers are values again. Python's parser
reads it, and only these forms are let through: nothing is ever evaluated.
"""

import ast
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import optax

from jaxopt_edu import schedules
from jaxopt_edu.core import distributions
from jaxopt_edu.core.distributions import Distribution
from jaxopt_edu.core.hints import hint
from jaxopt_edu.core.lifting import Lifted, lift
from jaxopt_edu.core.transform import Optimizer
from jaxopt_edu.optimizers import OPTIMIZERS
from jaxopt_edu.sweeps.space.settings import grid, sample

DISTRIBUTIONS = ("uniform", "loguniform", "quniform", "randint", "normal", "choice", "one_minus")
SCHEDULES = [name for name in schedules.__all__ if name != "joined"]  # whose arguments are schedules
FORMS = (
    "a number, a list such as 0.1,0.2, a distribution such as loguniform(1e-4,1), or a schedule such as "
    "cosine(peak=0.1,steps=500)"
)


@dataclass(frozen=True)
class Scheduled:
    """A schedule in words: a number of it may be an axis."""

    function: str
    numbers: dict[str, Any]


class Entry(NamedTuple):
    """An optimizer in words."""

    name: str
    factory: Callable[..., Optimizer]
    values: dict[str, Any]  # numbers, lists, distributions, and Scheduled of such

    @property
    def axes(self) -> dict[str, Any]:
        """The values by name, those of a schedule's numbers as "learning_rate.peak"."""
        return {
            place: value
            for name, given in self.values.items()
            for place, value in (
                [(f"{name}.{part}", number) for part, number in given.numbers.items()]
                if isinstance(given, Scheduled)
                else [(name, given)]
            )
        }

    @property
    def drawn(self) -> bool:
        """Whether a value is a distribution; otherwise all values are lists, and make a grid."""
        return any(isinstance(value, Distribution) for value in self.axes.values())

    def build(self, **numbers: Any) -> Optimizer:
        """The optimizer with one value for each of the axes."""
        arguments = {
            name: getattr(schedules, given.function)(
                **{part: numbers[f"{name}.{part}"] for part in given.numbers}
            )
            if isinstance(given, Scheduled)
            else numbers[name]
            for name, given in self.values.items()
        }
        return self.factory(**arguments)


def read_words(words: Sequence[str]) -> list[Entry]:
    """Read the optimizers with their hyperparameters.

    Args:
        words: names of optimizers, each followed by name=value for some of its hyperparameters.

    Returns:
        One entry for each optimizer, in order; the same one may come twice.

    Raises:
        ValueError: a word is not understood; says which one, and what it could be.

    >>> [entry] = read_words(["adam", "learning_rate=loguniform(1e-4,1)", "b1=0,0.9"])
    >>> entry.name, entry.axes
    ('adam', {'learning_rate': loguniform(0.0001, 1), 'b1': [0, 0.9]})
    """
    entries: list[Entry] = []
    for word in words:
        name, equals, text = (part.strip() for part in word.partition("="))
        if not equals:
            entries.append(Entry(name, _factory(name), {}))
            continue
        if not entries:
            raise ValueError(
                f"{word!r} comes before any optimizer; write the optimizer first, as in adam {word}."
            )
        entry = entries[-1]
        known = inspect.signature(entry.factory).parameters
        if name not in known:
            raise ValueError(
                f"{entry.name} has no hyperparameter {name!r}; it has {', '.join(known)}.{hint(name, known)}"
            )
        if name in entry.values:
            raise ValueError(
                f"{word!r}: {entry.name} has {name} already; several values make one list, {name}=a,b."
            )
        entry.values[name] = read_value(text, word)
    if not entries:
        raise ValueError(f"there is nothing to sweep; name an optimizer: {_optimizers()}.")
    return entries


def settings_of(entries: Sequence[Entry], *, num: int, key: jax.Array, quasi: Any = None) -> list[Optimizer]:
    """The settings that the words stand for.

    Args:
        entries: from `read_words`.
        num: how many to draw for an optimizer with a distribution; one without has its whole grid.
        key: a `jax.random` key, the same for all optimizers.
        quasi: as for `sample`.

    Returns:
        The optimizers.

    Raises:
        ValueError: a value is refused, or a name of optax's is not an optimizer's; says by which optimizer.
    """
    optimizers = []
    for entry in entries:
        try:
            if entry.drawn:
                optimizers += sample(entry.build, num, key=key, quasi=quasi, **entry.axes)
            else:
                optimizers += grid(entry.build, **entry.axes)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{entry.name}: {error}") from error
    return optimizers


def read_value(text: str, word: str) -> Any:
    """Read one value.

    Args:
        text: what stands after "=".
        word: the whole word, for the error.

    Returns:
        A number, True, False or None; a list of such; a distribution; or a Scheduled.

    Raises:
        ValueError: the text is none of these.
    """
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ValueError(f"{word!r}: {text!r} cannot be read; a value is {FORMS}.") from None
    return _value(tree, word)


def _value(node: ast.expr, word: str) -> Any:
    match node:
        case ast.Constant(value=bool() | int() | float() | None):
            return node.value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            return -number
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            return [_option(part, word) for part in parts]
        case ast.Call(func=ast.Name(id=name)) if name in DISTRIBUTIONS:
            return _distribution(name, node, word)
        case ast.Call(func=ast.Name(id=name)) if name in SCHEDULES:
            return _schedule(name, node, word)
        case ast.Call(func=ast.Name(id=name)):
            raise ValueError(
                f"{word!r}: there is no {name!r}; distributions are {', '.join(DISTRIBUTIONS)}, and "
                f"schedules are {', '.join(SCHEDULES)}."
            )
    raise ValueError(f"{word!r}: {ast.unparse(node)!r} is no value; a value is {FORMS}.")


def _option(node: ast.expr, word: str) -> Any:
    value = _value(node, word)
    if isinstance(value, list | Distribution):
        raise ValueError(
            f"{word!r}: {ast.unparse(node)!r} cannot stand in a list; a list has numbers or schedules."
        )
    if not isinstance(value, Scheduled):
        return value
    if any(isinstance(number, list | Distribution) for number in value.numbers.values()):
        raise ValueError(
            f"{word!r}: a schedule in a list has single numbers, but {ast.unparse(node)!r} has several."
        )
    return _called(getattr(schedules, value.function), value.numbers, word)


def _distribution(name: str, node: ast.Call, word: str) -> Distribution:
    function = getattr(distributions, name)
    if name == "choice" and len(node.args) != 1:
        return _called(function, {"options": [_option(part, word) for part in node.args]}, word)
    return _called(function, _arguments(function, node, word), word)


def _called(function: Callable[..., Any], arguments: dict[str, Any], word: str) -> Any:
    try:
        return function(**arguments)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{word!r}: {error}") from None


def _schedule(name: str, node: ast.Call, word: str) -> Scheduled:
    numbers = _arguments(getattr(schedules, name), node, word)
    for part, number in numbers.items():
        if isinstance(number, Scheduled) or number is None:
            raise ValueError(f"{word!r}: {part} of {name} must be a number, a list or a distribution.")
    return Scheduled(name, numbers)


def _arguments(function: Callable[..., Any], node: ast.Call, word: str) -> dict[str, Any]:
    positional = [_value(part, word) for part in node.args]
    named = {str(keyword.arg): _value(keyword.value, word) for keyword in node.keywords}
    parameters = list(inspect.signature(function).parameters)
    try:
        inspect.signature(function).bind(*positional, **named)
    except TypeError as error:
        usage = f"{function.__name__}({', '.join(parameters)})"
        raise ValueError(f"{word!r}: {ast.unparse(node)} does not fit {usage}: {error}.") from None
    # In the order in which they were written, as the last axis of a grid is the fastest.
    return dict(zip(parameters, positional, strict=False)) | named


def _factory(name: str) -> Callable[..., Optimizer]:
    known = {factory.__name__: factory for factory in OPTIMIZERS}
    if name in known:
        return known[name]
    return optax_factory(name)


def optax_factory(name: str) -> Lifted:
    """One of optax's factories, lifted.

    Args:
        name: such as "optax.lion".

    Returns:
        The lifted factory.

    Raises:
        ValueError: optax has none of this name, or it is none that can be lifted.
    """
    module, _, function = name.partition(".")
    factory: Any = getattr(optax, function, None)
    if module != "optax" or function.startswith("_") or factory is None:
        raise ValueError(f"there is no optimizer {name!r}; choose from {_optimizers()}.")
    try:
        return lift(factory)
    except TypeError as error:
        raise ValueError(f"{name}: {error}") from None


def _optimizers() -> str:
    return ", ".join(factory.__name__ for factory in OPTIMIZERS) + ", or one of optax's as optax.lion"
