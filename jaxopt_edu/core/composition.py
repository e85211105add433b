"""Chains of transforms that are still pytrees of all their numbers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import jax
import optax
from jax.tree_util import Partial

from jaxopt_edu.core.extra import call_update, takes_any
from jaxopt_edu.core.transform import Foreign, Optimizer

if TYPE_CHECKING:
    import chex


def chain(*transforms: optax.GradientTransformation) -> Optimizer:
    """Apply transforms one after another, as `optax.chain` does, and stay a pytree of their numbers.

    Updates are those of `optax.chain(*transforms)` to the last bit, and so is the state: a tuple with
    one entry a transform. A transform of optax's own keeps its numbers to itself (they are constants of
    the chain); `lift(optax.clip_by_global_norm)(max_norm=1.0)` makes leaves of them.

    Args:
        *transforms: optimizers of this library, lifted ones, or any optax transforms.

    Returns:
        A transform whose leaves are the leaves of all transforms, in order.

    Raises:
        TypeError: an argument is not an optax transform.

    >>> import jax, jaxopt_edu as jo, optax
    >>> opt = jo.chain(optax.clip_by_global_norm(1.0), jo.sgd(learning_rate=0.1))
    >>> jax.tree.leaves(opt)
    [0.1]
    """
    return compose(chain, chain_init, ChainStep(), transforms)


def chain_init(inits: Sequence[Callable], params: "chex.ArrayTree") -> tuple[Any, ...]:
    """The states of all transforms of a chain."""
    return tuple(init(params) for init in inits)


@dataclass(frozen=True)
class ChainStep:
    """How a chain makes a step: the updates pass through all its transforms."""

    def inner_states(self, state: Any, size: int) -> tuple[Any, ...]:
        """The states of the transforms.

        Raises:
            ValueError: the state is not a tuple with one entry a transform.
        """
        if not isinstance(state, tuple) or hasattr(state, "_fields") or len(state) != size:
            raise ValueError(
                f"the chain was given a {type(state).__name__} as its state; it needs the tuple of "
                f"{size} states that the chain's own init(params) returns."
            )
        return state

    def __call__(
        self, update_functions: Sequence[Callable], updates: Any, state: Any, params: Any, **extra: Any
    ) -> tuple["chex.ArrayTree", tuple[Any, ...]]:
        """Pass the updates through."""
        new_states = []
        states = self.inner_states(state, len(update_functions))
        for update, inner_state in zip(update_functions, states, strict=True):
            updates, new_state = update(updates, inner_state, params, **extra)
            new_states.append(new_state)
        return updates, tuple(new_states)


class Step(Protocol):
    """How a transform made of others makes a step; hashable, so that equal ones compile once.

    One whose result is at another point than the parameters that it is given (an average of them, say) has
    `evaluates_elsewhere = True` and `evaluated_at(asks, state, params) -> params`, where asks[i](state,
    params) is the same question to member i. One that shows its members other parameters or states than its
    own has `evaluated_at` alone. All others are asked member by member, in order.
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

    @property
    def name(self) -> str:
        """The factory's name."""
        return self.factory.__name__

    def __call__(
        self,
        update_functions: Sequence[Callable],
        updates: "chex.ArrayTree",
        state: Any,
        params: "chex.ArrayTree | None" = None,
        **extra: Any,
    ) -> tuple["chex.ArrayTree", Any]:
        """One step."""
        return self.step(update_functions, updates, state, params, **extra)


def compose(
    factory: Callable[..., Optimizer],
    init: Callable[..., Any],
    step: Step,
    transforms: Sequence[optax.GradientTransformation],
    *arguments: Any,
) -> Optimizer:
    """Make a transform out of others that stays a pytree of all their numbers.

    Args:
        factory: called as `factory(*transforms, *arguments)`; `replace` calls it again.
        init: `init(member_inits, *arguments, params) -> state`.
        step: how the members' updates make one update.
        transforms: the members, any optax transforms.
        *arguments: further leaves that `init` needs, such as a random key.

    Returns:
        The transform.

    Raises:
        TypeError: a member is not an optax transform.
    """
    for position, transform in enumerate(transforms):
        if not isinstance(transform, optax.GradientTransformation):
            raise TypeError(
                f"{factory.__name__}: argument {position} is {transform!r}, not an optax transform. "
                f"Call the factory first, as in {factory.__name__}(sgd(learning_rate=0.1))."
            )
    inits = tuple(map(_init_leaf, transforms))
    updates = tuple(map(_update_leaf, transforms))
    return Optimizer(Partial(init, inits, *arguments), Partial(Composition(factory, step), updates))


def as_pytree(transform: optax.GradientTransformation) -> Optimizer:
    """Any optax transform as a pytree that compiled code can take as an argument.

    Args:
        transform: ours stays as it is; of another one the functions become static, so that the same transform
            compiles once.

    Returns:
        A transform with the same updates, whose update takes extra arguments.
    """
    return Optimizer(_init_leaf(transform), _update_leaf(transform))


def members(optimizer: optax.GradientTransformation) -> list[Optimizer] | None:
    """The transforms that another was composed of, in order; None if it was not composed."""
    if not isinstance(getattr(optimizer.update, "func", None), Composition):
        return None
    init, update = _partials(optimizer)
    return [Optimizer(*pair) for pair in zip(init.args[0], update.args[0], strict=True)]


def rest_of(optimizer: optax.GradientTransformation) -> tuple[Callable[..., Optimizer], tuple[Any, ...]]:
    """What a composed transform was made with besides its members.

    Args:
        optimizer: a composed transform.

    Returns:
        The factory, and the arguments that follow the members.
    """
    init, update = _partials(optimizer)
    return update.func.factory, tuple(init.args[1:])


def recompose(optimizer: optax.GradientTransformation, transforms: Sequence[Optimizer]) -> Optimizer:
    """The same composition of other members.

    Args:
        optimizer: a composed transform.
        transforms: its new members.

    Returns:
        The composed transform.
    """
    factory, further = rest_of(optimizer)
    return factory(*transforms, *further)


def _partials(optimizer: optax.GradientTransformation) -> tuple[Any, Any]:
    # optax's types know two functions; in a composition they are Partials.
    return optimizer.init, optimizer.update


@dataclass(frozen=True)
class ForeignUpdate(Foreign):
    """The update of another library's transform, handed those extra arguments that it takes."""

    def __call__(self, *arguments: Any, **extra: Any) -> Any:
        """Call the update."""
        with jax.numpy_dtype_promotion("standard"):
            return call_update(self.function, arguments, extra)


def _init_leaf(transform: optax.GradientTransformation) -> Partial:
    return transform.init if isinstance(transform.init, Partial) else Partial(Foreign(transform.init))


def _update_leaf(transform: optax.GradientTransformation) -> Partial:
    update: Any = transform.update
    if not isinstance(update, Partial):
        return Partial(ForeignUpdate(update))
    # A Partial of the user's own may take no extra arguments; its leaves stay what they are.
    return (
        update
        if takes_any(update.func)
        else Partial(ForeignUpdate(update.func), *update.args, **update.keywords)
    )
