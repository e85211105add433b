"""What schedules are made of: checked numbers, and the two ways that lead from one value to another."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.tree_util import Partial

from jaxopt_edu.core.checks import Limit, checked_number

Schedule = Callable[[jax.typing.ArrayLike], jax.Array]
Number = float | jax.Array


def of_numbers(function: Callable[..., jax.Array], **numbers: tuple[Any, Limit]) -> Schedule:
    """A schedule as a pytree of its numbers.

    Args:
        function: gives the value at a step; called as its factory is, with an underscore before the name.
        **numbers: each number with its limit.

    Returns:
        A Partial, whose leaves are the numbers.

    Raises:
        ValueError: a number is out of range.
        TypeError: a number is not one.
    """
    name = function.__name__.removeprefix("_")
    return Partial(function, **{key: checked_number(name, key, *pair) for key, pair in numbers.items()})


def ends_at(
    end: Callable[..., Any],
) -> Callable[[Callable[..., jax.Array]], Callable[..., jax.Array]]:
    """Say of a schedule's function after how many steps it has done what it is for.

    Args:
        end: gives that number, or None for never, of the schedule's numbers by name.

    Returns:
        A decorator, which leaves the function as it is.
    """

    def noted(function: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
        _ENDS[function] = end
        return function

    return noted


_ENDS: dict[Callable[..., jax.Array], Callable[..., Any]] = {}


def end_of(schedule: Any) -> float | None:
    """The step at which a schedule comes to its last value, which it keeps from then on.

    Args:
        schedule: a schedule of ours, or anything else.

    Returns:
        The step. None for a schedule that goes on for ever or is meant to be held, such as a warm-up; for one
        of another library; and for one whose end is not known before it runs.

    >>> from jaxopt_edu.schedules import constant, cosine, joined
    >>> end_of(cosine(peak=0.1, steps=100)), end_of(constant(0.1))
    (100.0, None)
    >>> end_of(joined([constant(0.1), cosine(peak=0.1, steps=100)], boundaries=[50]))
    150.0
    """
    function: Any = getattr(schedule, "func", None)
    if function not in _ENDS:
        return None
    end = _ENDS[function](**schedule.keywords)
    return float(end) if single(end) else None


def single(*numbers: Any) -> bool:
    """Whether each is one number, which can be looked at now."""
    return known(*numbers) and all(number is not None and np.ndim(number) == 0 for number in numbers)


def known(*numbers: Any) -> bool:
    """Whether numbers can be compared now: none of them is traced."""
    return not any(isinstance(number, Tracer) for number in numbers)


def floating(number: Any) -> jax.Array:
    """A number in the working dtype; passed or closed over, it is rounded alike."""
    return jax.lax.optimization_barrier(jnp.asarray(number).astype(jnp.result_type(float)))


def line(step: Any, initial: Number, final: Number, steps: Number) -> jax.Array:
    """The value on a straight line from initial to final, and final from `steps` on."""
    step, initial, final, steps = map(floating, (step, initial, final, steps))
    return initial + (final - initial) * jnp.clip(step / steps, 0, 1)


def half_cosine(step: Any, initial: Number, final: Number, steps: Number) -> jax.Array:
    """The value on half a cosine from initial to final, and final from `steps` on."""
    step, initial, steps, final = map(floating, (step, initial, steps, final))
    return final + (initial - final) * (1 + jnp.cos(jnp.pi * jnp.clip(step / steps, 0, 1))) / 2
