"""Chains of transforms that are still pytrees of all their numbers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jaxopt_edu.core.composition import bearer, compose
from jaxopt_edu.core.foreign import Transform, as_transform, is_transform
from jaxopt_edu.core.transform import Optimizer

if TYPE_CHECKING:
    import chex


def chain(*transforms: Transform) -> Optimizer:
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
        ValueError: one that is not the last gives updates that must not be changed, as `compensated` does;
            or one takes gradients of a scaled loss, as `loss_scaling` does.

    >>> import jax, jaxopt_edu as jo, optax
    >>> opt = jo.chain(optax.clip_by_global_norm(1.0), jo.sgd(learning_rate=0.1))
    >>> jax.tree.leaves(opt)
    [0.1]
    """
    for transform in transforms:
        if is_transform(transform) and (name := bearer(as_transform(transform), "scales_the_loss")):
            raise ValueError(
                f"chain: {name} has to see the gradients before all others do, and what is left out of them; "
                f"write {name}(chain(…))."
            )
    for transform in transforms[:-1]:
        if is_transform(transform) and (name := bearer(as_transform(transform), "updates_are_final")):
            raise ValueError(
                f"chain: the updates of {name} have to be added to the parameters as they are; put it last, "
                f"or write {name}(chain(…))."
            )
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
