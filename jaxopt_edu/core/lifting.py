"""Any optax factory, with its numeric arguments as leaves."""

import functools
import inspect
import sys
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import optax
from jax.tree_util import Partial

from jaxopt_edu.core.by_leaf import is_by_leaf
from jaxopt_edu.core.checks import FRACTION, NON_NEGATIVE, Limit, checked_number, short
from jaxopt_edu.core.composition import Constants
from jaxopt_edu.core.extra import call_update
from jaxopt_edu.core.foreign import as_transform, is_transform
from jaxopt_edu.core.hints import unknown_argument
from jaxopt_edu.core.reading import show
from jaxopt_edu.core.transform import Optimizer

# Up to and with 1: a sum of all past gradients is a limiting case that optax allows.
SHARE = Limit(0.0, float(np.nextafter(1.0, 2.0)), "a number in [0, 1]")
# What is known of a number by the name that optax gives it.
KNOWN = {
    "learning_rate": NON_NEGATIVE,
    "b1": FRACTION,
    "b2": FRACTION,
    "b3": FRACTION,
    "decay": SHARE,
    "momentum": Limit(
        -1.0, float(np.nextafter(1.0, 2.0)), "a number in [−1, 1]"
    ),  # below 0 it is used in games
    "rho": SHARE,
    "eps": NON_NEGATIVE,
    "eps_root": NON_NEGATIVE,
    "max_norm": NON_NEGATIVE,
    "max_delta": NON_NEGATIVE,
    "initial_accumulator_value": NON_NEGATIVE,
}
# Where the same name means something else, or a sign is part of what is meant.
UNLIMITED = {"scale_by_learning_rate": ("learning_rate",), "trace": ("decay",)}
Factory = Callable[..., optax.GradientTransformation | optax.MultiSteps]


def lift(factory: Factory, *, static: tuple[str, ...] = ()) -> "Lifted":
    """Make a factory of pytree optimizers out of any factory of optax transforms.

    Every number that the lifted factory is given (defaults included) becomes a leaf; so do the numbers
    inside a transform that it is given, and those of our schedules. Booleans, strings, None, dtypes and plain
    callables stay static, and so do whole numbers where the annotation says `int` (alone or among others
    than float), which optax uses as shapes and in branches.

    Args:
        factory: such as `optax.lion` or `optax.clip_by_global_norm`.
        static: names of further arguments that must not be traced.

    Returns:
        A factory with the same signature. Its optimizers give the same updates as optax's own to the last
        bit while they are closed over. Passed through `jax.jit`, optax's own arithmetic on
        Python floats (such as 1 − b2) happens in float32 instead of float64.

    Raises:
        TypeError: factory is not callable, or takes a variable number of arguments.
        ValueError: static names an argument that the factory does not have.

    >>> import jax, jaxopt_edu as jo, optax
    >>> opt = jo.lift(optax.lion)(learning_rate=1e-4)
    >>> jo.hyperparameters(opt)
    {'learning_rate': 0.0001, 'b1': 0.9, 'b2': 0.99, 'weight_decay': 0.001}
    """
    if not callable(factory) or isinstance(factory, optax.GradientTransformation):
        raise TypeError(
            f"lift: factory = {short(factory)} is not a factory; pass the function itself, "
            "as in lift(optax.lion)(learning_rate=1e-4)."
        )
    parameters = inspect.signature(factory).parameters
    for parameter in parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise TypeError(
                f"lift: {_name(factory)} takes a variable number of arguments ({parameter}). "
                "Write a function with named arguments around it (for optax.chain there is chain)."
            )
    if not isinstance(static, tuple | list) or not all(isinstance(name, str) for name in static):
        raise TypeError(
            f"lift: static = {short(static)} is not a tuple of names; it must be those of arguments that are "
            'not to be traced, such as ("memory_size",).'
        )
    if unknown := set(static) - set(parameters):
        raise ValueError(
            f"lift: {_name(factory)} has no argument {sorted(unknown)}; it has {list(parameters)}."
        )
    annotated = tuple(name for name, parameter in parameters.items() if parameter.annotation in (int, "int"))
    return Lifted(factory, tuple(sorted({*static, *annotated})))


@dataclass(frozen=True)
class Lifted:
    """A factory of optax transforms whose products are pytrees of their numbers."""

    factory: Factory
    static: tuple[str, ...]

    @property
    def __name__(self) -> str:
        """The name of the optax factory."""
        return _name(self.factory)

    @property
    def limits(self) -> dict[str, Limit]:
        """Which values its arguments may take, where the name of one says it: of optax's own factories."""
        function = _innermost(self.factory)
        if not getattr(function, "__module__", "").startswith("optax."):
            return {}
        unlimited = UNLIMITED.get(self.__name__, ())
        names = self.__signature__.parameters
        return {name: limit for name, limit in KNOWN.items() if name in names and name not in unlimited}

    @property
    def __signature__(self) -> inspect.Signature:
        """The signature of the optax factory."""
        return inspect.signature(self.factory)

    def __call__(self, *args: Any, **kwargs: Any) -> Optimizer:
        """Build one optimizer from the factory's arguments."""
        parameters = self.__signature__.parameters
        for name in kwargs:
            if name not in parameters:
                raise TypeError(unknown_argument(self.__name__, name, parameters))
        bound = self._bound(*args, **kwargs)
        numbers, constants = {}, []
        for name, value in bound.arguments.items():
            counts = type(value) is int and _is_whole(parameters[name].annotation)
            self._check(name, value, parameters[name].annotation)
            tree, rest = _split(self.__name__, name, value, keep_static=counts or name in self.static)
            constants.append((name, rest))
            if jax.tree.leaves(tree):
                numbers[name] = tree
        # optax may read a number in init too (an initial accumulator), so both halves carry them.
        page = LiftedPage(self, tuple(constants))
        optimizer = Optimizer(Partial(LiftedInit(page), **numbers), Partial(page, **numbers))
        page.rebuild(numbers)
        return optimizer

    def _bound(self, *args: Any, **kwargs: Any) -> inspect.BoundArguments:
        try:
            bound = self.__signature__.bind(*args, **kwargs)
        except TypeError as error:
            known = ", ".join(self.__signature__.parameters)
            raise TypeError(f"{self.__name__}: {error}; its arguments are {known}.") from None
        bound.apply_defaults()
        return bound

    def _check(self, name: str, value: Any, annotation: Any) -> None:
        if is_by_leaf(value):
            raise TypeError(
                f"{self.__name__}: {name} = {show(value)} has a value for each leaf, and optax's rules take "
                "one number; give each to an optimizer of its own with partition."
            )
        is_schedule = callable(value) and not isinstance(value, type)
        if is_schedule and not is_transform(value) and self._takes_only_numbers(annotation):
            raise TypeError(
                f"{self.__name__}: {name} = {show(value)} is a schedule, and it takes one number there, the "
                "same at every step. What takes schedules for all its numbers is "
                f"lift(optax.inject_hyperparams(optax.{self.__name__}))."
            )
        limit = self.limits.get(name)
        if limit is not None and _is_number(value) and getattr(value, "shape", ()) == ():
            checked_number(self.__name__, name, value, limit)

    def _takes_only_numbers(self, annotation: Any) -> bool:
        # inject_hyperparams keeps the signature of what it wraps, but asks schedules itself.
        if hasattr(self.factory, "__wrapped__") or annotation is inspect.Parameter.empty:
            return False
        text = annotation if isinstance(annotation, str) else str(annotation)
        return not any(word in text for word in ("Callable", "Schedule", "Any")) and any(
            word in text for word in ("float", "Array", "Numeric")
        )


@dataclass(frozen=True)
class LiftedPage:
    """The static half of a lifted optimizer. Called, it is the optimizer's update."""

    factory: Lifted
    constants: tuple[tuple[str, Constants], ...]

    @property
    def name(self) -> str:
        """The name of the optax factory."""
        return self.factory.__name__

    @property
    def limits(self) -> tuple[tuple[str, Limit], ...]:
        """Which values the numbers may take whose meaning is known."""
        return tuple(self.factory.limits.items())

    def arguments(self, keywords: Mapping[str, Any]) -> dict[str, Any]:
        """All arguments of the factory, in the order of its signature."""
        return {name: _join(keywords.get(name), rest) for name, rest in self.constants}

    def in_force(self, keywords: Mapping[str, Any], state: Any) -> dict[str, Any]:
        """The numbers, with schedules asked at the state's count.

        Raises:
            ValueError: there is a schedule, but no count in the state.
        """
        return {
            name: value(_count(self.name, name, state)) if callable(value) else value
            for name, value in self.arguments(keywords).items()
            if name in keywords
        }

    def rebuild(self, keywords: Mapping[str, Any]) -> optax.GradientTransformationExtraArgs:
        """The optax transform, made anew from its (perhaps traced) numbers.

        Raises:
            TypeError: the factory makes something else.
        """
        made = as_transform(self.factory.factory(**self.arguments(keywords)))
        if not isinstance(made, optax.GradientTransformation):
            raise TypeError(f"lift: {self.name} makes a {type(made).__name__}, not an optax transform.")
        return optax.with_extra_args_support(made)

    def __call__(self, updates: Any, state: Any, params: Any = None, **keywords: Any) -> tuple[Any, Any]:
        """One step of the optax transform, under the promotion rules that optax was written for."""
        names = {name for name, _ in self.constants}
        numbers = {name: value for name, value in keywords.items() if name in names}
        extra = {name: value for name, value in keywords.items() if name not in names}
        with jax.numpy_dtype_promotion("standard"):
            return call_update(self.rebuild(numbers).update, (updates, state, params), extra)


@dataclass(frozen=True)
class LiftedInit:
    """The static half of a lifted optimizer's init."""

    page: LiftedPage

    def __call__(self, params: Any, **numbers: Any) -> Any:
        """The optax transform's first state."""
        with jax.numpy_dtype_promotion("standard"):
            return self.page.rebuild(numbers).init(params)


def _is_whole(annotation: Any) -> bool:
    # int | None, or int | Callable, as a number of steps is in optax; not float | int, which is any number.
    if isinstance(annotation, str):
        kinds = {part.strip() for part in annotation.split("|")}
        return "int" in kinds and "float" not in kinds
    kinds = typing.get_args(annotation)
    return int in kinds and float not in kinds


def _innermost(factory: Any) -> Any:
    while isinstance(factory, functools.partial):
        factory = factory.func
    return factory


def _name(factory: Callable[..., Any]) -> str:
    # optax.nadam is functools.partial(adam, nesterov=True): only its module knows what it is called.
    function = _innermost(factory)
    # A module that was run from a file need not be among those imported.
    module = getattr(sys.modules.get(getattr(function, "__module__", "")), "__dict__", {})
    name = getattr(function, "__name__", type(function).__name__)
    return next((known for known, value in module.items() if value is factory), name)


def _is_number(leaf: Any) -> bool:
    return isinstance(leaf, int | float | complex | np.number | np.ndarray | jax.Array) and not isinstance(
        leaf, bool
    )


def _split(owner: str, name: str, value: Any, *, keep_static: bool) -> tuple[Any, Constants]:
    leaves, treedef = jax.tree.flatten(value)
    # A NumPy scalar would promote bfloat16 to float32, and compile anew where a Python number does not.
    leaves = [leaf.item() if isinstance(leaf, np.number) else leaf for leaf in leaves]
    dynamic = [not keep_static and _is_number(leaf) for leaf in leaves]
    numbers = jax.tree.unflatten(
        treedef, [leaf if d else None for leaf, d in zip(leaves, dynamic, strict=True)]
    )
    rest = tuple(None if d else leaf for leaf, d in zip(leaves, dynamic, strict=True))
    try:
        hash(rest)
    except TypeError:
        raise TypeError(
            f"{owner}: {name} = {value!r} is neither a number nor hashable, so it can be no part of a "
            "compiled program; pass a function or a tuple instead."
        ) from None
    return numbers, Constants(rest, treedef)


def _join(numbers: Any, rest: Constants) -> Any:
    found = iter(jax.tree.leaves(numbers))
    # The numbers come back in the order in which they were taken out; None marks their places.
    return jax.tree.unflatten(rest.treedef, [next(found) if leaf is None else leaf for leaf in rest.leaves])


def _count(owner: str, name: str, state: Any) -> jax.Array:
    counts = optax.tree_utils.tree_get_all_with_path(state, "count")
    if not counts:
        raise ValueError(f"{owner}: {name} is a schedule, but the state given has no count to ask it at.")
    return counts[0][1]
