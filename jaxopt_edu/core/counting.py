"""How many updates each hyperparameter is in force for, in a run of so many steps."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import optax
from jax.core import Tracer

from jaxopt_edu.core.composition import composition_of, members, own_numbers
from jaxopt_edu.core.naming import hyperparameters, in_composition, keywords_of, nested, page_of


def updates_of_each(
    optimizer: optax.GradientTransformation, updates: int | None, state: Any = None
) -> dict[str, int | None]:
    """At which count each hyperparameter stands when a run ends.

    Args:
        optimizer: an optimizer of this library, a lifted one, or one made of others.
        updates: how many updates are asked of it; None if that is not known.
        state: its state before them; None for the first one.

    Returns:
        A number of updates by the names that `hyperparameters` has, those before included; None where it
        cannot be seen.

    >>> import jaxopt_edu as jo
    >>> updates_of_each(jo.accumulated(jo.sgd(0.1), steps=4), 100)
    {'steps': 25, 'learning_rate': 25}
    """
    if (composition := composition_of(optimizer)) is None:
        return _of_page(optimizer, updates, state)
    own, inside = own_numbers(optimizer), members(optimizer) or []
    inside_of = getattr(composition.step, "updates_inside", None)
    if inside_of is not None and updates is not None:
        updates = inside_of(updates, own)
    states = [None] * len(inside) if state is None else composition.step.inner_states(state, len(inside))
    each = [updates_of_each(one, updates, inner) for one, inner in zip(inside, states, strict=True)]
    return dict.fromkeys(own, _with_those_before(updates, state)) | in_composition(optimizer, each, each)


def shared_out(updates: int, every: Any) -> int | None:
    """How many updates are made where it takes several gradients for each; None if that is not one number.

    >>> shared_out(100, 4.0), shared_out(100, lambda count: 4)
    (25, None)
    """
    if isinstance(every, Tracer) or not isinstance(every, int | float | np.generic | jax.Array):
        return None
    return updates // int(every) if np.ndim(every) == 0 else None


def _of_page(optimizer: Any, updates: int | None, state: Any) -> dict[str, int | None]:
    found = dict.fromkeys(hyperparameters(optimizer), _with_those_before(updates, state))
    for places in nested(optimizer).values():
        for place in places:
            inside = None if state is not None or updates is None else _inside_of_lifted(optimizer, updates)
            found |= {name: inside for name in found if name.startswith(f"{place}.")}
    return found


def _inside_of_lifted(optimizer: Any, updates: int) -> int | None:
    arguments: Mapping[str, Any] = page_of(optimizer).arguments(keywords_of(optimizer))
    # The one transform of optax that does not ask another at every step.
    return shared_out(updates, arguments["every_k_schedule"]) if "every_k_schedule" in arguments else updates


def _with_those_before(updates: int | None, state: Any) -> int | None:
    if state is None or updates is None:
        return updates
    count = getattr(state, "count", None)
    return None if callable(count) or count is None else updates + int(count)
