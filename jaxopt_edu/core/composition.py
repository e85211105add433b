"""Transforms made of others that are still pytrees of all their numbers."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import jax
import optax
from jax.tree_util import Partial

from jaxopt_edu.core.by_leaf import holds_schedule, is_by_leaf
from jaxopt_edu.core.checks import Limit, short
from jaxopt_edu.core.foreign import Transform, as_transform, init_leaf, is_transform, update_leaf
from jaxopt_edu.core.transform import Hyperparameter, Optimizer, Page, checked_hyperparameter
from jaxopt_edu.core.trees import ValueInForce

if TYPE_CHECKING:
    import chex

# The members of a composed transform, and their update functions: in order, or by name.
Transforms = Sequence[Transform] | Mapping[Any, Any]
UpdateFunctions = Any


# The trait of what tells leaves apart; hyperparameters with a number for each leaf do.
NAMES_LEAVES = "names_leaves"


class Step(Protocol):
    """How a transform made of others makes a step; hashable, so that equal ones compile once.

    One whose result is at another point than the parameters that it is given (an average of them, say) has
    `evaluates_elsewhere = True` and `evaluated_at(asks, state, params, **numbers) -> params`, where
    asks[i](state, params) is the same question to member i, and the numbers are its own in force. One that
    shows its members other parameters or states than its own has `evaluated_at` alone. All others are asked
    member by member, in order.

    One that does not ask its members at every update has `updates_inside(updates, numbers)`: how many they
    make in so many of its own, with its own numbers as given; None if that is not known.

    One whose own numbers act on some leaves only has `reaches(params)`, a boolean for each leaf.

    What may not stand inside of something else says so with a trait, a class attribute that is True:
    `updates_are_final` (its updates have to be added to the parameters as they are), and those that
    jaxopt_edu/wrappers/order.py tells of.
    """

    def inner_states(self, state: Any, size: int) -> tuple[Any, ...]:
        """The states of the members, out of the whole state."""
        ...

    def __call__(
        self, update_functions: Sequence[Callable], updates: Any, state: Any, params: Any, **extra: Any
    ) -> tuple[Any, Any]:
        """The updates and the new state, with the members' own update functions."""
        ...


@dataclass(frozen=True)
class Composition:
    """The static half of a transform made of others. Called, it is the transform's update."""

    factory: Callable[..., Optimizer]
    step: Step
    # Of the numbers of its own. Not in the text by which a stored optimizer is known, as in `Page`.
    limits: tuple[tuple[str, Limit], ...] = field(default=(), repr=False)

    @property
    def name(self) -> str:
        """The factory's name."""
        return self.factory.__name__

    def numbers_in_force(self, keywords: Mapping[str, Any], state: Any) -> dict[str, Any]:
        """Its own numbers: schedules are asked at the state's count.

        Raises:
            TypeError: there is a schedule, but no count in the state.
        """
        numbers = {name: keywords[name] for name, _ in self.limits}
        # Every tuple has a method of this name.
        if any(map(holds_schedule, numbers.values())) and "count" not in getattr(state, "_fields", ()):
            raise TypeError(
                f"{self.name}: the state is a {type(state).__name__} without a count to ask a schedule at; "
                f"it needs the state that {self.name}(…).init(params) returns."
            )
        count = getattr(state, "count", None)
        return {name: value(count) if callable(value) else value for name, value in numbers.items()}

    def values(self, keywords: Mapping[str, Any], state: Any) -> dict[str, ValueInForce]:
        """Its own numbers as `step` gets them: to be cast to a leaf's dtype."""
        limits = dict(self.limits)
        in_force = self.numbers_in_force(keywords, state).items()
        return {name: ValueInForce(value, limits[name], f"{self.name}: {name}") for name, value in in_force}

    def __call__(
        self,
        update_functions: "UpdateFunctions",
        updates: "chex.ArrayTree",
        state: Any,
        params: "chex.ArrayTree | None" = None,
        **keywords: Any,
    ) -> tuple["chex.ArrayTree", Any]:
        """One step."""
        return self.step(update_functions, updates, state, params, **keywords | self.values(keywords, state))


@dataclass(frozen=True)
class Constants:
    """An argument without its numbers, hashable: the other leaves, None where there was a number."""

    leaves: tuple[Any, ...]
    treedef: Any


@dataclass(frozen=True)
class WithConstants:
    """A factory of composed transforms together with those of its arguments that are no numbers."""

    factory: Callable[..., Optimizer]
    constants: tuple[tuple[str, Constants], ...]

    def values(self) -> dict[str, Any]:
        """The constants by name, as they were given."""
        return {name: jax.tree.unflatten(each.treedef, each.leaves) for name, each in self.constants}

    @property
    def __name__(self) -> str:
        """The factory's name."""
        return self.factory.__name__

    def __call__(self, *args: Any, **numbers: Any) -> Optimizer:
        """The transform, with the constants."""
        return self.factory(*args, **self.values(), **numbers)


def compose(
    factory: Callable[..., Optimizer],
    init: Callable[..., Any],
    step: Step,
    transforms: Transforms,
    *arguments: Any,
    constants: Mapping[str, Any] | None = None,
    limits: Mapping[str, Limit] | None = None,
    begins_with: Sequence[str] = (),
    **numbers: Hyperparameter,
) -> Optimizer:
    """Make a transform out of others that stays a pytree of all their numbers.

    Args:
        factory: called as `factory(*transforms, *arguments, **constants, **numbers)`, or with the mapping in
            place of `*transforms` if they have names; `replace` calls it again.
        init: `init(member_inits, *arguments, params) -> state`.
        step: how the members' updates make one update.
        transforms: the members, any optax transforms, in order or by name. Members that have names are
            called by them: "slow.learning_rate". `init` and `step` are given the members' functions in
            the same way, as a tuple or as a mapping.
        *arguments: further leaves that `init` needs, such as a random key.
        constants: the factory's arguments that are neither leaves nor members, by name: functions, or pytrees
            of what can be hashed. `describe` shows them where they are not the default.
        limits: which values each of `numbers` may take.
        begins_with: which of `numbers` the first state is made of; `init` is given these by name too.
        **numbers: hyperparameters of its own, numbers or schedules; `step` is given them by name, as they are
            in force at `state.count`.

    Returns:
        The transform.

    Raises:
        TypeError: a member is not an optax transform, or a number is none.
        ValueError: a number is outside its limit.
    """
    name = factory.__name__
    named = isinstance(transforms, Mapping)
    for place, transform in transforms.items() if named else enumerate(transforms):
        if not is_transform(transform):
            called = f"{name}({{{place!r}: sgd(…)}})" if named else f"{name}(sgd(learning_rate=0.1))"
            where = f"{place!r}" if named else f"argument {place}"
            raise TypeError(
                f"{name}: {where} is {short(transform)}, not an optax transform. "
                f"Call the factory first, as in {called}."
            )
    known = dict(limits or {})
    leaves = {key: checked_hyperparameter(name, key, value, known[key]) for key, value in numbers.items()}
    # An ordered dict, since a plain one comes back from compiled code in another order.
    inits, updates = (
        OrderedDict((place, leaf(as_transform(each))) for place, each in transforms.items())
        if isinstance(transforms, Mapping)
        else tuple(leaf(as_transform(each)) for each in transforms)
        for leaf in (init_leaf, update_leaf)
    )
    flat = {key: jax.tree.flatten(value) for key, value in (constants or {}).items()}
    frozen = tuple((key, Constants(tuple(values), treedef)) for key, (values, treedef) in flat.items())
    made_by = WithConstants(factory, frozen) if frozen else factory
    first = {key: leaves[key] for key in begins_with}
    composition = Composition(made_by, step, tuple(sorted(known.items())))
    return Optimizer(Partial(init, inits, *arguments, **first), Partial(composition, updates, **leaves))


def members(optimizer: optax.GradientTransformation) -> list[Optimizer] | None:
    """The transforms that another was composed of, in order; None if it was not composed."""
    if composition_of(optimizer) is None:
        return None
    init, update = _partials(optimizer)
    pairs = zip(_values(init.args[0]), _values(update.args[0]), strict=True)
    return [Optimizer(*pair) for pair in pairs]


def member_names(optimizer: optax.GradientTransformation) -> list[Any] | None:
    """What the members of a composed transform are called; None if they are known by their positions."""
    init, _ = _partials(optimizer)
    return list(init.args[0]) if isinstance(init.args[0], Mapping) else None


def composition_of(optimizer: optax.GradientTransformation) -> Composition | None:
    """The static half of a composed transform; None if it is another one."""
    static = getattr(optimizer.update, "func", None)
    return static if isinstance(static, Composition) else None


def bearer(optimizer: optax.GradientTransformation, trait: str) -> str | None:
    """Which of the transforms that another is composed of has a trait, the outermost one first.

    Args:
        optimizer: any optax transform.
        trait: an attribute of its `Step`, or one of the traits of its page.

    Returns:
        The name of its factory; None if there is none.
    """
    numbers = getattr(optimizer.update, "keywords", {}).values()
    tells_apart = trait == NAMES_LEAVES and any(map(is_by_leaf, numbers))
    if (composition := composition_of(optimizer)) is None:
        page = getattr(optimizer.update, "func", None)
        if not isinstance(page, Page):
            return None
        if trait in page.traits or tells_apart:
            return page.name
        inside = [each for each in numbers if isinstance(each, optax.GradientTransformation)]
    elif getattr(composition.step, trait, False) or tells_apart:
        return composition.name
    else:
        inside = members(optimizer) or []
    found = (bearer(each, trait) for each in inside)
    return next((name for name in found if name is not None), None)


def own_numbers(optimizer: optax.GradientTransformation) -> dict[str, Any]:
    """The hyperparameters of a composed transform that are none of its members', by name."""
    _, update = _partials(optimizer)
    return {name: update.keywords[name] for name, _ in update.func.limits}


def own_constants(optimizer: optax.GradientTransformation) -> dict[str, Any]:
    """The arguments of a composed transform's factory that are neither numbers nor members, by name."""
    factory, _ = rest_of(optimizer)
    return factory.values() if isinstance(factory, WithConstants) else {}


def rest_of(optimizer: optax.GradientTransformation) -> tuple[Callable[..., Optimizer], tuple[Any, ...]]:
    """What a composed transform was made with besides its members.

    Args:
        optimizer: a composed transform.

    Returns:
        The factory, and the arguments that follow the members.
    """
    init, update = _partials(optimizer)
    return update.func.factory, tuple(init.args[1:])


def recompose(
    optimizer: optax.GradientTransformation, transforms: Sequence[Optimizer], **numbers: Any
) -> Optimizer:
    """The same composition of other members.

    Args:
        optimizer: a composed transform.
        transforms: its new members, in order.
        **numbers: new values of hyperparameters of its own.

    Returns:
        The composed transform.
    """
    factory, further = rest_of(optimizer)
    names = member_names(optimizer)
    given = transforms if names is None else [dict(zip(names, transforms, strict=True))]
    return factory(*given, *further, **own_numbers(optimizer) | numbers)


def _values(functions: Any) -> Any:
    return functions.values() if isinstance(functions, Mapping) else functions


def _partials(optimizer: optax.GradientTransformation) -> tuple[Any, Any]:
    # optax's types know two functions; in a composition they are Partials.
    return optimizer.init, optimizer.update
