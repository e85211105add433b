"""The point at which an optimizer's result is to be looked at, where it is not the one that it holds.

Most optimizers hold the parameters that they recommend. Some hold the point at which the next gradient is
wanted, or the newest of many that they average, and keep in their state what leads to the other one.
"""

import functools
from typing import Any, TypeVar

import jax
import optax

from jaxopt_edu.core.composition import members
from jaxopt_edu.core.foreign import checked_transform
from jaxopt_edu.core.naming import keywords_of, page_of
from jaxopt_edu.core.reading import describe
from jaxopt_edu.core.transform import Page

Tree = TypeVar("Tree")


def evaluation_params(optimizer: optax.GradientTransformation, state: Any, params: Tree) -> Tree:
    """The parameters to evaluate, keep and publish; train on with the ones that were given.

    Args:
        optimizer: any optimizer. Chains, wrappers, groups and lifted transforms are looked into; what an
            optax transform that was not lifted holds cannot be seen.
        state: the optimizer's state.
        params: the parameters that its updates were added to; pytree of floating or complex arrays.

    Returns:
        The parameters at the point that the optimizer recommends, in their dtypes; for all optimizers that
        hold this point themselves, params as they are.

    Raises:
        ValueError: a lifted transform keeps the state of such an optimizer where it cannot be found.

    >>> import jax.numpy as jnp, jaxopt_edu as jo
    >>> opt, params = jo.adam(), {"w": jnp.ones(2)}
    >>> evaluation_params(opt, opt.init(params), params) is params
    True
    """
    optimizer = checked_transform("evaluation_params", "optimizer", optimizer)
    if not evaluates_elsewhere(optimizer):
        return params
    if (transforms := members(optimizer)) is not None:
        return _in_composition(optimizer, transforms, state, params)
    page, keywords = page_of(optimizer), keywords_of(optimizer)
    if isinstance(page, Page):
        values = page.values(keywords, state) | dict(page.static)
        return page.evaluated_at(params, state, **values)  # type: ignore[misc]  # there is one, it was asked above
    for inner in _transforms(page.arguments(keywords)):
        if evaluates_elsewhere(inner):
            params = evaluation_params(inner, _state_of(optimizer, inner, state, params), params)
    return params


def evaluates_elsewhere(optimizer: optax.GradientTransformation) -> bool:
    """Whether an optimizer's result is at another point than the one that it holds.

    Args:
        optimizer: any optimizer.

    Returns:
        False where `evaluation_params` is the identity.
    """
    if (transforms := members(optimizer)) is not None:
        step = optimizer.update.func.step  # type: ignore[attr-defined]  # that of a Composition
        return getattr(step, "evaluates_elsewhere", False) or any(map(evaluates_elsewhere, transforms))
    page = page_of(optimizer)
    if page is None or isinstance(page, Page):
        return page is not None and page.evaluated_at is not None
    return any(map(evaluates_elsewhere, _transforms(page.arguments(keywords_of(optimizer)))))


def _in_composition(optimizer: Any, transforms: Any, state: Any, params: Any) -> Any:
    composition, keywords = optimizer.update.func, optimizer.update.keywords
    step = composition.step
    asks = [functools.partial(evaluation_params, each) for each in transforms]
    if hasattr(step, "evaluated_at"):
        return step.evaluated_at(asks, state, params, **composition.values(keywords, state))
    for ask, inner in zip(asks, step.inner_states(state, len(asks)), strict=True):
        params = ask(inner, params)
    return params


def _transforms(arguments: dict[str, Any]) -> list[optax.GradientTransformation]:
    is_transform = lambda node: isinstance(node, optax.GradientTransformation)  # noqa: E731
    return [leaf for leaf in jax.tree.leaves(arguments, is_leaf=is_transform) if is_transform(leaf)]


def _state_of(optimizer: Any, inner: Any, state: Any, params: Any) -> Any:
    wanted = jax.tree.structure(jax.eval_shape(inner.init, params))
    is_wanted = lambda node: jax.tree.structure(node) == wanted  # noqa: E731
    found = [node for node in jax.tree.leaves(state, is_leaf=is_wanted) if is_wanted(node)]
    if len(found) != 1:
        raise ValueError(
            f"evaluation_params: {len(found)} parts of the state given, a {type(state).__name__}, are states "
            f"of {describe(inner)}, and {describe(optimizer)} should hold one. Give evaluation_params the "
            "inner optimizer and its own part of the state."
        )
    return found[0]
