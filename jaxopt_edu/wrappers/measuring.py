"""What `monitor` measures of one step, for each layer.

Norms are roots of sums of squares in at least float32, so that what is below 1e-22 counts as 0.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_edu.core.chaining import ChainStep
from jaxopt_edu.core.composition import Composition
from jaxopt_edu.core.numerics import divide, squared_magnitude, squared_root
from jaxopt_edu.core.reductions import product
from jaxopt_edu.core.transform import Page
from jaxopt_edu.core.trees import WeightSum, map_rule, next_count, working_array
from jaxopt_edu.optimizers import (
    adabelief,
    adagrad,
    adam,
    adamw,
    ademamix,
    adopt,
    amsgrad,
    lamb,
    nadam,
    rmsprop,
    yogi,
)
from jaxopt_edu.wrappers.layers import Layers

SHORTER = 1e-3  # a gradient that loses no more than this share of its length was not clipped


class Measures(NamedTuple):
    """What is measured of a step; each of shape (layers,), float32."""

    gradient: jax.Array  # ‖g‖
    update: jax.Array  # ‖u‖
    parameter: jax.Array  # ‖w‖, before the step
    cosine: jax.Array  # −⟨u, g⟩ / (‖u‖ ‖g‖); 0 where one of the two is 0
    clipped: jax.Array  # 1 where the gradient came shorter to the optimizer of a chain, else 0
    below_eps: jax.Array  # the share of coordinates with √v̂ < ε among those that have seen a gradient


class Root(NamedTuple):
    """Which array an optimizer divides by the root of, and what its average keeps at a step."""

    field: str
    decay: str | None = None  # None where nothing is corrected for its start at 0


# Those whose step is divided by √v̂ + ε, or by the larger of the two.
ROOTS: dict[Callable[..., Any], Root] = {
    **dict.fromkeys((adam, adamw, nadam, yogi, lamb, ademamix), Root("v", "b2")),
    adabelief: Root("s", "b2"),
    amsgrad: Root("v_max"),
    adagrad: Root("h"),
    rmsprop: Root("h"),
    adopt: Root("v"),
}


class Watched(NamedTuple):
    """An optimizer's step, and what is to be seen of its inside."""

    updates: Any
    state: Any
    reached: Any  # the gradients as the optimizer in a chain got them; None where nothing stands before it


def watched(update: Any, gradients: Any, state: Any, params: Any, **extra: Any) -> Watched:
    """Make an optimizer's step, and look at what comes out of those transforms of a chain that come first.

    Args:
        update: the optimizer's, a `Partial`.
        gradients: pytree of arrays.
        state: the optimizer's.
        params: pytree of arrays.
        **extra: what else the optimizer is given.

    Returns:
        The updates, the new state, and the gradients behind the first transforms.
    """
    if not (place := in_front(update, state)):
        updates, new = update(gradients, state, params, **extra)
        return Watched(updates, new, None)
    functions = list(update.args[0])
    seen: list[Any] = []

    def remembered(gradients: Any, *arguments: Any, **more: Any) -> Any:
        seen.append(gradients)
        return update.args[0][place](gradients, *arguments, **more)

    functions[place] = remembered
    updates, new = update.func(tuple(functions), gradients, state, params, **update.keywords, **extra)
    return Watched(updates, new, seen[0])


def in_front(update: Any, state: Any) -> int:
    """How many transforms without a state stand at the beginning of a chain, in front of one that has one.

    Args:
        update: an optimizer's, a `Partial`.
        state: the optimizer's.

    Returns:
        The number; 0 for what is no chain, or for one of such transforms alone.
    """
    composition = update.func
    if not (isinstance(composition, Composition) and isinstance(composition.step, ChainStep)):
        return 0
    states = composition.step.inner_states(state, len(update.args[0]))
    return next((place for place, each in enumerate(states) if jax.tree.leaves(each)), 0)


def measures(
    update: Any, layers: Layers, gradients: Any, before: Any, params: Any, step: Watched
) -> Measures:
    """The measures of one step.

    Args:
        update: the optimizer's, a `Partial`.
        layers: those of the parameters.
        gradients: pytree of arrays.
        before: the optimizer's state before the step.
        params: the parameters before the step.
        step: what the optimizer made of them.

    Returns:
        A number for each layer.
    """
    g, u, w = (
        [working_array(leaf) for leaf in jax.tree.leaves(tree)] for tree in (gradients, step.updates, params)
    )
    gradient, moved, parameter = (_norms(layers, leaves) for leaves in (g, u, w))
    inner = _totals(layers, [jnp.sum(product(a, b.astype(a.dtype))) for a, b in zip(g, u, strict=True)])
    # Divided one after the other, since the product of two small norms is 0.
    cosine = divide(divide(-inner, gradient), moved)
    reached = gradient
    if step.reached is not None:
        reached = _norms(layers, [working_array(leaf) for leaf in jax.tree.leaves(step.reached)])
    clipped = (reached < (1 - SHORTER) * gradient).astype(jnp.float32)
    counts = _counts(update, before, step.state, params)
    below, seen = (_totals(layers, [each[column] for each in counts]) for column in (0, 1))
    return Measures(gradient, moved, parameter, cosine, clipped, divide(below, seen))


def covered(update: Any, state: Any, params: Any) -> list[bool]:
    """Of which leaves it can be seen whether ε rules, in the tree's order."""
    found: set[Any] = set()
    # Of the shapes alone: nothing is computed, nor moved to a device.
    jax.eval_shape(lambda state: [found.update(root.arrays) for root in _roots(update, state, state)], state)
    return [path in found for path, _ in jax.tree_util.tree_flatten_with_path(params)[0]]


def _norms(layers: Layers, leaves: Sequence[jax.Array]) -> jax.Array:
    return squared_root(_totals(layers, [jnp.sum(squared_magnitude(leaf)) for leaf in leaves]))


def _totals(layers: Layers, numbers: Sequence[Any]) -> jax.Array:
    sums: list[Any] = [jnp.zeros((), jnp.float32)] * len(layers.names)
    for place, number in zip(layers.places, numbers, strict=True):
        sums[place] = sums[place] + jnp.asarray(number).astype(jnp.float32)
    return jnp.stack(sums) if sums else jnp.zeros(0, jnp.float32)


def _counts(update: Any, before: Any, after: Any, params: Any) -> list[tuple[Any, Any]]:
    """For each leaf how many coordinates are below ε, and how many have seen a gradient."""
    paths, treedef = jax.tree_util.tree_flatten_with_path(params)
    counts: list[tuple[Any, Any]] = [(0.0, 0.0)] * len(paths)
    for root in _roots(update, before, after):
        arrays = [root.arrays.get(path) for path, _ in paths]
        places = [place for place, array in enumerate(arrays) if array is not None]
        below = map_rule(
            below_rule, treedef.unflatten(arrays), eps=root.eps, one_minus_decay_t=root.correction
        )
        for place, number in zip(places, jax.tree.leaves(below), strict=True):
            counts[place] = number, jnp.sum(working_array(arrays[place]) > 0)
    return counts


def below_rule(v: jax.Array, *, eps: jax.Array, one_minus_decay_t: jax.Array) -> jax.Array:
    """How many coordinates of an array have seen a gradient, but √v̂ < ε."""
    return jnp.sum((v > 0) & (v < jnp.square(eps) * one_minus_decay_t)).astype(v.dtype)


class _RootArrays(NamedTuple):
    arrays: dict[Any, Any]  # by their paths, which are those of the parameters
    eps: Any
    correction: Any  # what v is divided by


def _roots(update: Any, before: Any, after: Any) -> Iterator[_RootArrays]:
    """What the optimizers inside of another one divide by, with the states before and after a step."""
    function = update.func
    if isinstance(function, Composition):
        inside = update.args[0].values() if isinstance(update.args[0], Mapping) else update.args[0]
        states = (function.step.inner_states(state, len(inside)) for state in (before, after))
        for each in zip(inside, *states, strict=True):
            yield from _roots(*each)
    elif isinstance(function, Page):
        if "others" in update.keywords:
            yield from _roots(update.keywords["others"].update, before.others, after.others)
        if (root := ROOTS.get(function.factory)) is not None:
            values = function.values(update.keywords, before)
            t = next_count(before.count)
            correction = np.int32(1) if root.decay is None else WeightSum(values[root.decay], t)
            paths = jax.tree_util.tree_flatten_with_path(getattr(after, root.field))[0]
            yield _RootArrays(dict(paths), values["eps"], correction)
