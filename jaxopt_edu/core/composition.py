"""Chains of transforms that are still pytrees of all their numbers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import optax
from jax.tree_util import Partial

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
    for position, transform in enumerate(transforms):
        if not isinstance(transform, optax.GradientTransformation):
            raise TypeError(
                f"chain: argument {position} is {transform!r}, not an optax transform. "
                "Call the factory first, as in chain(sgd(learning_rate=0.1))."
            )
    inits = tuple(map(_init_leaf, transforms))
    updates = tuple(map(_update_leaf, transforms))
    return Optimizer(Partial(chain_init, inits), Partial(chain_update, updates))


def chain_init(inits: Sequence[Callable], params: "chex.ArrayTree") -> tuple[Any, ...]:
    """The states of all transforms of a chain."""
    return tuple(init(params) for init in inits)


def chain_update(
    update_functions: Sequence[Callable],
    updates: "chex.ArrayTree",
    state: Any,
    params: "chex.ArrayTree | None" = None,
    **extra: Any,
) -> tuple["chex.ArrayTree", tuple[Any, ...]]:
    """Pass the updates through all transforms of a chain.

    Raises:
        ValueError: the state is not a tuple with one entry a transform.
    """
    if not isinstance(state, tuple) or hasattr(state, "_fields") or len(state) != len(update_functions):
        raise ValueError(
            f"chain.update was given a {type(state).__name__} as its state; it needs the tuple of "
            f"{len(update_functions)} states that the chain's own init(params) returns."
        )
    new_states = []
    for update, inner_state in zip(update_functions, state, strict=True):
        updates, new_state = update(updates, inner_state, params, **extra)
        new_states.append(new_state)
    return updates, tuple(new_states)


def members(optimizer: optax.GradientTransformation) -> list[Optimizer] | None:
    """The transforms of a chain, in order; None if it is not a chain of ours."""
    if getattr(optimizer.update, "func", None) is not chain_update:
        return None
    inits, updates = optimizer.init.args[0], optimizer.update.args[0]  # type: ignore[attr-defined]
    return [Optimizer(*pair) for pair in zip(inits, updates, strict=True)]


@dataclass(frozen=True)
class ForeignWithoutExtraArguments(Foreign):
    """The update of an optax transform that takes no extra arguments, made to ignore them."""

    def __call__(self, updates: Any, state: Any, params: Any = None, **extra: Any) -> Any:
        """Call the update without the extra arguments."""
        return super().__call__(updates, state, params)


def _init_leaf(transform: optax.GradientTransformation) -> Partial:
    return transform.init if isinstance(transform.init, Partial) else Partial(Foreign(transform.init))


def _update_leaf(transform: optax.GradientTransformation) -> Partial:
    if isinstance(transform.update, Partial):
        return transform.update
    if isinstance(transform, optax.GradientTransformationExtraArgs):
        return Partial(Foreign(transform.update))
    return Partial(ForeignWithoutExtraArguments(transform.update))
