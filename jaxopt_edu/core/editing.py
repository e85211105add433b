"""Read and change an optimizer's hyperparameters, whatever it is made of."""

import inspect
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer

from jaxopt_edu.core.composition import as_pytree, members, recompose
from jaxopt_edu.core.transform import Foreign, Optimizer


def hyperparameters(optimizer: optax.GradientTransformation, state: Any = None) -> dict[str, Any]:
    """The hyperparameters by name; with a state, the numbers in force at the next update.

    Args:
        optimizer: an optimizer of this library, a lifted one, or a chain. In a chain a name that
            occurs more than once is preceded by the position of its transform: "0.learning_rate".
        state: the optimizer's state. If it is given, schedules are asked at its count.

    Returns:
        Name to value, in the order of the factory's signature. An optax transform that was not lifted
        shows none.

    >>> import jaxopt_edu as jo
    >>> hyperparameters(jo.momentum(learning_rate=0.1))
    {'learning_rate': 0.1, 'momentum': 0.9}
    """
    if (transforms := members(optimizer)) is not None:
        states: Sequence[Any] = [None] * len(transforms)
        if state is not None:
            states = _static(optimizer).step.inner_states(state, len(transforms))
        each = [hyperparameters(*pair) for pair in zip(transforms, states, strict=True)]
        names = [name for values in each for name in values]
        return {
            # A name that begins with a position is one in a chain of its own: "1.0.learning_rate".
            name if names.count(name) == 1 and not name[:1].isdecimal() else f"{position}.{name}": value
            for position, values in enumerate(each)
            for name, value in values.items()
        }
    if (page := _page(optimizer)) is None:
        return {}
    keywords = _keywords(optimizer)
    if state is not None:
        return page.in_force(keywords, state)
    return {name: value for name, value in page.arguments(keywords).items() if name in keywords}


def replace(optimizer: optax.GradientTransformation, **changes: Any) -> Optimizer:
    """The same optimizer with other hyperparameters; the original stays as it was.

    Args:
        optimizer: an optimizer of this library, a lifted one, a chain, or a stack of them.
        **changes: new values by name. In a chain, `**{"0.learning_rate": 0.1}` picks the transform. In a
            stack, a value of shape (n,) gives each optimizer its own.

    Returns:
        A new optimizer of the same structure.

    Raises:
        ValueError: a name is unknown (the known ones are listed), or a value is refused by the factory.
        TypeError: a value is of the wrong type.

    >>> import jaxopt_edu as jo
    >>> jo.describe(replace(jo.sgd(learning_rate=0.1), learning_rate=0.2))
    'sgd(learning_rate=0.2)'
    """
    if (size := _stack_size(optimizer)) is not None:
        rows = [{name: _row(value, i, size) for name, value in changes.items()} for i in range(size)]
        return stack([replace(each, **row) for each, row in zip(unstack(optimizer), rows, strict=True)])
    if (transforms := members(optimizer)) is not None:
        return _replace_in_chain(optimizer, transforms, changes)
    page = _page(optimizer)
    arguments = {} if page is None else page.arguments(_keywords(optimizer))
    for name in changes:
        if name not in arguments:
            raise ValueError(_unknown(optimizer, name, list(arguments)))
    return as_pytree(optimizer) if page is None else page.factory(**(arguments | changes))


def describe(optimizer: optax.GradientTransformation) -> str:
    """One line that says which optimizer it is: "adam(learning_rate=0.001, b1=0.9, …)".

    Args:
        optimizer: any optax transform.

    Returns:
        Text. The numbers of an optax transform that was not lifted cannot be seen and stand as "…".

    >>> import jaxopt_edu as jo
    >>> describe(jo.sgd(learning_rate=jo.schedules.cosine(peak=0.1, steps=100)))
    'sgd(learning_rate=cosine(peak=0.1, steps=100, final=0))'
    """
    if (transforms := members(optimizer)) is not None:
        return f"{_static(optimizer).name}({', '.join(map(describe, transforms))})"
    if (page := _page(optimizer)) is None:
        function = getattr(optimizer.update, "func", optimizer.update)
        return f"{(function if isinstance(function, Foreign) else Foreign(function)).__name__}(…)"
    values = page.arguments(_keywords(optimizer))
    shown = {name: value for name, value in values.items() if name in _keywords(optimizer)}
    return _call(page.name, shown)


def stack(optimizers: Sequence[optax.GradientTransformation]) -> Optimizer:
    """Optimizers of one structure as one optimizer with a leading axis, ready for `jax.vmap`.

    Args:
        optimizers: n optimizers of the same kind.

    Returns:
        An optimizer whose every leaf has a leading axis of length n.

    Raises:
        ValueError: there are none, or two of them differ in structure; names both.

    >>> import jaxopt_edu as jo
    >>> stacked = stack([jo.sgd(learning_rate=0.5), jo.sgd(learning_rate=0.25)])
    >>> hyperparameters(stacked)["learning_rate"].tolist()
    [0.5, 0.25]
    """
    if not optimizers:
        raise ValueError("stack: the list of optimizers is empty; give it at least one.")
    first, *others = optimizers
    for position, other in enumerate(others, start=1):
        if jax.tree.structure(other) != jax.tree.structure(first):
            reason = "only optimizers of one structure can be stacked: group them first"
            if describe(other) == describe(first):
                reason = (
                    "they differ in a function that is no leaf, since each call of an optax factory makes "
                    "new ones: share one transform between them, or lift its factory"
                )
            raise ValueError(
                f"stack: optimizer 0 is {describe(first)} and optimizer {position} is {describe(other)}; "
                f"{reason}."
            )
    return jax.tree.map(_stacked, *optimizers)


def unstack(optimizer: optax.GradientTransformation) -> list[Optimizer]:
    """The optimizers that were stacked, in order.

    Args:
        optimizer: an optimizer whose every leaf has a leading axis of length n.

    Returns:
        A list of n optimizers.

    Raises:
        ValueError: the leaves have no common leading axis.

    >>> import jaxopt_edu as jo
    >>> [describe(each) for each in unstack(stack([jo.sgd(0.5), jo.sgd(0.25)]))]
    ['sgd(learning_rate=0.5)', 'sgd(learning_rate=0.25)']
    """
    size = _stack_size(optimizer)
    if size is None:
        raise ValueError(
            f"unstack: {describe(optimizer)} is not a stack of optimizers; stack([...]) makes one."
        )
    return [jax.tree.map(lambda leaf, i=i: leaf[i], optimizer) for i in range(size)]


def _stacked(*leaves: Any) -> jax.Array:
    if not any(isinstance(leaf, jax.Array) for leaf in leaves):
        return jnp.asarray(np.stack(leaves))
    arrays = [jnp.asarray(leaf, None if isinstance(leaf, jax.Array) else float) for leaf in leaves]
    # A bfloat16 number beside a Python float must not round it.
    with jax.numpy_dtype_promotion("standard"):
        return jnp.stack(arrays)


def _static(optimizer: optax.GradientTransformation) -> Any:
    return getattr(optimizer.update, "func", None)


def _keywords(optimizer: optax.GradientTransformation) -> dict[str, Any]:
    return getattr(optimizer.update, "keywords", {})


def _page(optimizer: optax.GradientTransformation) -> Any:
    return _static(optimizer) if hasattr(_static(optimizer), "in_force") else None


def _stack_size(optimizer: optax.GradientTransformation) -> int | None:
    sizes = {np.shape(leaf)[:1] for leaf in jax.tree.leaves(optimizer)}
    return sizes.pop()[0] if len(sizes) == 1 and sizes != {()} else None


def _row(value: Any, position: int, size: int) -> Any:
    if callable(value) or np.shape(value) == ():
        return value
    if np.shape(value)[0] != size:
        raise ValueError(f"replace: {size} optimizers are stacked, but a value has shape {np.shape(value)}.")
    return value[position]


def _replace_in_chain(optimizer: Any, transforms: list[Optimizer], changes: dict[str, Any]) -> Optimizer:
    for name, value in changes.items():
        position, _, plain = name.partition(".") if name[:1].isdecimal() else ("", "", name)
        asked = [i for i in range(len(transforms)) if position in ("", str(i))]
        shown = [i for i in asked if plain in hyperparameters(transforms[i])]
        # A lifted transform also has arguments that are no numbers yet, such as momentum=None.
        owners = shown or [i for i in asked if plain in _replaceable(transforms[i])]
        if len(owners) != 1:
            raise ValueError(_unknown(optimizer, name, list(hyperparameters(optimizer))))
        transforms[owners[0]] = replace(transforms[owners[0]], **{plain: value})
    return recompose(optimizer, transforms)


def _replaceable(optimizer: optax.GradientTransformation) -> list[str]:
    if members(optimizer) is not None:
        return list(hyperparameters(optimizer))
    page = _page(optimizer)
    return [] if page is None else list(page.arguments(_keywords(optimizer)))


def _unknown(optimizer: Any, name: str, known: list[str]) -> str:
    return f"{describe(optimizer)} has no hyperparameter {name!r}; it has {', '.join(known) or 'none'}."


def _call(name: str, values: dict[str, Any]) -> str:
    return f"{name}({', '.join(f'{key}={_value(value)}' for key, value in values.items())})"


def _value(value: Any) -> str:
    if type(value) in (tuple, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, optax.GradientTransformation):
        return describe(value)
    if callable(value):
        return _schedule(value)
    if isinstance(value, Tracer):
        return f"traced {value.dtype}{list(value.shape)}"
    if isinstance(value, int | float | np.ndarray | jax.Array):
        numbers = np.asarray(value, np.float64)
        if numbers.ndim == 0:
            return f"{numbers:g}"
        shown = [f"{number:g}" for number in numbers.ravel()[:3]]
        return f"[{', '.join(shown)}{', …' if numbers.size > 3 else ''}]"
    return repr(value)


def _schedule(schedule: Any) -> str:
    function = getattr(schedule, "func", None)
    if function is None:
        return type(schedule).__name__
    if isinstance(function, Foreign):
        return f"{function.__name__}(…)"
    order = [name for name in inspect.signature(function).parameters if name in schedule.keywords]
    return _call(function.__name__.lstrip("_"), {name: schedule.keywords[name] for name in order})
