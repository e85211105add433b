"""An optimizer is a pytree: a pair of `Partial`s whose leaves are the hyperparameters."""

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import optax
from jax.tree_util import Partial

from jaxopt_edu.core.by_leaf import is_by_leaf
from jaxopt_edu.core.checks import (
    Limit,
    check_given,
    check_gradient_dtypes,
    check_kinds,
    check_matches,
    check_state,
    checked_number,
    short,
)
from jaxopt_edu.core.trees import ValueInForce

if TYPE_CHECKING:
    import chex


class Optimizer(optax.GradientTransformationExtraArgs):
    """An optax transform that is a pytree of its numbers and says what it is.

    >>> import jaxopt_edu as jo
    >>> jo.sgd(learning_rate=0.5)
    sgd(learning_rate=0.5)
    """

    __slots__ = ()

    def __repr__(self) -> str:
        """The optimizer in one line, as `describe` writes it."""
        # Only who knows every way of building an optimizer can say what it is, and those build on this file.
        from jaxopt_edu.core.reading import describe

        return describe(self)


Hyperparameter = float | jax.Array | Callable[[jax.Array], Any]


def build(
    factory: Callable[..., Optimizer],
    state_type: type,
    init: Callable[..., Any],
    update: Callable[..., Any],
    limits: Mapping[str, Limit],
    *,
    static: Mapping[str, Any] | None = None,
    inner: Mapping[str, Optimizer] | None = None,
    evaluated_at: Callable[..., "chex.ArrayTree"] | None = None,
    traits: tuple[str, ...] = (),
    **hyperparameters: Hyperparameter,
) -> Optimizer:
    """Make an optimizer out of its page's functions and its hyperparameters.

    Args:
        factory: the function that users call, such as `adam`; `replace` calls it again.
        state_type: the NamedTuple that `init` returns; it has a field `count`.
        init: `init(params) -> state`.
        update: `update(gradients, state, **hyperparameters) -> (updates, state)`, given the
            hyperparameters in force at this step. One that has an argument `params` reads the parameters:
            `update(gradients, state, params, **hyperparameters)`, and a call without them is refused.
        limits: which values each hyperparameter may take.
        static: arguments of the factory that are no numbers and no leaves, such as a count of iterations or a
            function; hashable. `update` gets them by name, and so does `init` if it has arguments so named.
        inner: arguments of the factory that are optimizers; their numbers are called "others.learning_rate".
            `update` gets them by name, and `init` their inits.
        evaluated_at: `evaluated_at(params, state, **hyperparameters) -> params`, for an optimizer whose
            result is at another point than the one that it holds; see `evaluation_params`.
        traits: why it may not stand inside of something else; see jaxopt_edu/wrappers/order.py.
        **hyperparameters: numbers, or schedules (functions of the step count).

    Returns:
        An optax transform, `(init, update)`, that is a pytree of its hyperparameters:
        `optimizer.update.keywords` holds them.

    Raises:
        TypeError: a hyperparameter is neither a number nor a schedule.
        ValueError: a hyperparameter is outside its limit.
    """
    name = factory.__name__
    if without := hyperparameters.keys() - limits.keys():
        key = min(without)
        raise TypeError(
            f"{name}: {key} = {hyperparameters[key]!r} is given to build as a hyperparameter, but limits has "
            "none for it; a number needs a limit there, and what is no number belongs in static={…}."
        )
    leaves = {
        key: checked_hyperparameter(name, key, value, limits[key]) for key, value in hyperparameters.items()
    }
    constants = tuple((static or {}).items())
    page = Page(factory, state_type, update, tuple(sorted(limits.items())), constants, evaluated_at, traits)
    named = tuple((key, value) for key, value in constants if key in _arguments(init))
    inits = {key: optimizer.init for key, optimizer in (inner or {}).items()}
    return Optimizer(
        Partial(Init(init, named) if named else init, **inits), Partial(page, **leaves, **(inner or {}))
    )


@dataclass(frozen=True)
class Init:
    """The init of an optimizer with arguments that are no numbers."""

    function: Callable[..., Any]
    static: tuple[tuple[str, Any], ...]

    def __call__(self, params: "chex.ArrayTree", **inits: Callable[..., Any]) -> Any:
        """The first state."""
        return self.function(params, **dict(self.static), **inits)


@dataclass(frozen=True, repr=False)
class Page:
    """The static half of an optimizer: which page it is from. Called, it is the optimizer's update."""

    factory: Callable[..., Optimizer]
    state_type: type
    update: Callable[..., Any]
    limits: tuple[tuple[str, Limit], ...]
    static: tuple[tuple[str, Any], ...] = ()
    evaluated_at: Callable[..., Any] | None = None
    traits: tuple[str, ...] = ()

    def __repr__(self) -> str:
        # The text by which a stored optimizer is known. A limit's wording may change, and so may the
        # folder in which a page lies.
        package, _, page = self.state_type.__module__.partition(".optimizers.")
        module = f"{package}.optimizers.{page.rpartition('.')[2]}" if page else package
        state_type = f"<class '{module}.{self.state_type.__qualname__}'>"
        static = f", static={self.static!r}" if self.static else ""
        return f"Page(factory={self.factory!r}, state_type={state_type}, update={self.update!r}{static})"

    @property
    def name(self) -> str:
        """The factory's name."""
        return self.factory.__name__

    def arguments(self, keywords: Mapping[str, Any]) -> dict[str, Any]:
        """Everything that the factory was given, in the order of its signature."""
        given = {**dict(self.static), **keywords}
        return {name: given[name] for name in _arguments(self.factory)}

    def in_force(self, keywords: Mapping[str, Any], state: Any) -> dict[str, Any]:
        """The hyperparameters as numbers: schedules are asked at the state's count."""
        check_state(self.name, state, self.state_type)
        return {
            name: value(state.count) if callable(value) else value
            for name, value in self.arguments(keywords).items()
            if name in keywords
        }

    def values(self, keywords: Mapping[str, Any], state: Any) -> dict[str, "ValueInForce"]:
        """The hyperparameters as `update` and `evaluated_at` get them: to be cast to a leaf's dtype."""
        limits = dict(self.limits)
        in_force = self.in_force(keywords, state).items()
        return {
            name: ValueInForce(value, limits[name], f"{self.name}: {name}") if name in limits else value
            for name, value in in_force
        }

    def __call__(
        self,
        updates: "chex.ArrayTree",
        state: Any,
        params: "chex.ArrayTree | None" = None,
        **keywords: Any,
    ) -> tuple["chex.ArrayTree", Any]:
        """One step: gradients in, updates out. Extra arguments that optax passes along are let through."""
        values = self.values(keywords, state) | dict(self.static)
        check_gradient_dtypes(updates)
        if params is not None:
            check_matches("gradient", updates, "parameter", params)
            check_kinds(updates, params)
        if "params" not in _arguments(self.update):
            return self.update(updates, state, **values)
        if jax.tree.leaves(updates):  # of no parameters at all, None is the tree
            check_given(self.name, params)
        return self.update(updates, state, params, **values)


@functools.lru_cache(maxsize=256)
def _arguments(function: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(inspect.signature(function).parameters)


def checked_hyperparameter(owner: str, name: str, value: Any, limit: Limit) -> Any:
    """A hyperparameter as it stands among an optimizer's leaves.

    Args:
        owner: the factory's name, for the error.
        name: the hyperparameter's name, for the error.
        value: a number, a schedule, or a number for each leaf (see `where`).
        limit: which numbers are allowed.

    Returns:
        The number, or what changes with the step or the leaf, as a pytree.

    Raises:
        TypeError: value is neither.
        ValueError: value is a number outside the limit.
    """
    if isinstance(value, type):
        raise TypeError(
            f"{owner}: {name} = {short(value)} is a class; it must be {limit.wording}, or a schedule."
        )
    if is_by_leaf(value):
        rule: Any = value.func
        numbers = {
            part: checked_hyperparameter(owner, f"{name}.{part}", number, rule.limit(part, limit))
            for part, number in value.keywords.items()
        }
        return Partial(rule, **numbers)
    if not callable(value):
        return checked_number(owner, name, value, limit)
    return as_schedule(value)


def as_schedule(function: Callable[[jax.Array], Any]) -> Callable[[jax.Array], Any]:
    """A schedule that may stand among an optimizer's leaves.

    Args:
        function: a schedule of ours (a pytree of its numbers), or any function of the step count,
            such as an optax schedule, whose numbers then stay constants.

    Returns:
        The schedule itself if it is a pytree already, else the function wrapped in one.
    """
    return function if is_pytree(function) else Partial(Foreign(function))


def is_pytree(function: Callable[..., Any]) -> bool:
    """Whether compiled code can take a function as an argument, with its arrays as leaves.

    Args:
        function: any callable.

    Returns:
        True for a Partial or an Equinox module, False for a plain function.
    """
    leaves = jax.tree.leaves(function)
    # Not ==, which a NumPy array among the leaves would answer with an array.
    return not (len(leaves) == 1 and leaves[0] is function)


@dataclass(frozen=True)
class Foreign:
    """A function of another library, called under the promotion rules that it was written for."""

    function: Callable[..., Any]

    @property
    def __name__(self) -> str:
        """The name of the outermost function that made it."""
        function = self.function
        while isinstance(function, functools.partial):
            function = function.func
        return getattr(function, "__qualname__", type(function).__name__).split(".")[0]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        with jax.numpy_dtype_promotion("standard"):
            return self.function(*args, **kwargs)
