"""What bad input gets: one error that says what was wrong, where, and what to do next."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

if TYPE_CHECKING:
    import chex


class Limit(NamedTuple):
    """The values that a hyperparameter may take: low ≤ value < high."""

    low: float
    high: float
    wording: str


NON_NEGATIVE = Limit(0.0, float("inf"), "a finite number that is at least 0")
FRACTION = Limit(0.0, 1.0, "a number in [0, 1)")
POSITIVE = Limit(float(np.nextafter(0.0, 1.0)), float("inf"), "a finite number above 0")
FINITE = Limit(-float("inf"), float("inf"), "a finite number")


def checked_number(owner: str, name: str, value: Any, limit: Limit) -> float | jax.Array:
    """Check one number of an optimizer or a schedule and give it back, ready to be a leaf.

    Python and NumPy numbers become Python floats, so that 1 and 1.0 compile once; JAX arrays stay
    as they are, and of a traced one only the shape and dtype can be looked at.

    Args:
        owner: the factory's name, for the error.
        name: the hyperparameter's name, for the error.
        value: a number, or an array of shape ().
        limit: which values are allowed.

    Returns:
        A Python float or the JAX array.

    Raises:
        TypeError: value is not a number of shape ().
        ValueError: value is a number outside the limit.
    """
    label = f"{owner}: {name} = {value!r}"
    if isinstance(value, bool | np.bool_ | str | bytes) or value is None:
        raise TypeError(f"{label} is {type(value).__name__}; it must be {limit.wording}, or a schedule.")
    if not isinstance(value, jax.Array):
        try:
            value = np.asarray(value)
        except ValueError:
            raise TypeError(f"{label} is not a number; it must be {limit.wording}.") from None
    if not (jnp.issubdtype(value.dtype, jnp.floating) or jnp.issubdtype(value.dtype, jnp.integer)):
        raise TypeError(f"{label} has dtype {value.dtype}; it must be {limit.wording}.")
    if value.shape != ():
        raise TypeError(
            f"{label} has shape {value.shape}; it must be a single number. For several settings at once "
            f"build one optimizer for each and stack them: stack([{owner}({name}=x) for x in values])."
        )
    if isinstance(value, Tracer):
        return value
    number = float(value)
    if not limit.low <= number < limit.high and not _rounded_to_limit(value, number, limit):
        raise ValueError(f"{label} is out of range; it must be {limit.wording}.")
    return value if isinstance(value, jax.Array) else number


def checked_whole(owner: str, name: str, value: Any, lowest: int = 1) -> int:
    """Check a whole number, of steps or of examples, of whatever type it is.

    Args:
        owner: the function's name, for the error.
        name: the argument's name, for the error.
        value: a Python or NumPy number, or an array of shape (); 4.0 is 4.
        lowest: the smallest number allowed.

    Returns:
        A Python int.

    Raises:
        TypeError: value is not a number, or a traced one.
        ValueError: value is not whole, or too small.

    >>> checked_whole("fit", "steps", np.float32(4))
    4
    """
    label, wording = f"{owner}: {name} = {value!r}", f"must be a whole number of at least {lowest}"
    number = isinstance(value, int | float | np.number | np.ndarray | jax.Array)
    if isinstance(value, bool | Tracer) or not number or np.shape(value) != ():
        raise TypeError(f"{label} is {type(value).__name__}; it {wording}.")
    whole = isinstance(value, int) or (not np.iscomplexobj(value) and float(value).is_integer())
    if not whole or value < lowest:
        raise ValueError(f"{label} {wording}.")
    return int(value)


def short(value: Any) -> str:
    """A value as an error shows it: one line, of a width that can be read.

    >>> short(list(range(100)))
    '[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, …'
    """
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:59]}…"


def check_key(owner: str, name: str, value: Any) -> None:
    """Refuse what is not one random key.

    Args:
        owner: the function's name, for the error.
        name: the argument's name, for the error.
        value: a key of `jax.random.key`, or an old one of `jax.random.PRNGKey`; traced ones and shapes pass.

    Raises:
        TypeError: value is something else.
    """
    dtype, shape = getattr(value, "dtype", None), getattr(value, "shape", None)
    typed = dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key)
    # A stack of optimizers has as many keys; whether one was meant cannot be told from shapes alone.
    if not typed and not (dtype == jnp.uint32 and shape):
        raise TypeError(f"{owner}: {name} = {short(value)} is not a random key; give jax.random.key(0).")


def _rounded_to_limit(value: Any, number: float, limit: Limit) -> bool:
    # optax.inject_hyperparams casts to the parameters' dtype, and bfloat16(0.999) is 1: the caller's
    # number was right. Where it is used it becomes the largest working number below 1.
    small = jnp.issubdtype(value.dtype, jnp.floating) and jnp.finfo(value.dtype).bits < 32
    return limit == FRACTION and number == 1.0 and small


def check_parameters(params: "chex.ArrayTree") -> None:
    """Refuse parameters that have no gradient.

    Args:
        params: pytree of arrays (or of anything with a shape and a dtype).

    Raises:
        TypeError: a leaf is not a floating or complex array; names its path.
    """
    for path, leaf in _leaves(params):
        if not jnp.issubdtype(_dtype("parameter", path, leaf), jnp.inexact):
            raise TypeError(
                f"parameter {path} has dtype {_dtype('parameter', path, leaf)}, and only floating or complex "
                "parameters can be trained. Cast it, or leave it out: optax.masked(optimizer, mask), "
                "optax.partition, or equinox.filter(model, equinox.is_inexact_array)."
            )


def check_matches(kind: str, tree: "chex.ArrayTree", other_kind: str, other: "chex.ArrayTree") -> None:
    """Refuse two trees of which one does not fit the other leaf by leaf.

    Args:
        kind: what `tree` is, in the singular, such as "gradient".
        tree: pytree of arrays.
        other_kind: what `other` is, such as "parameter".
        other: pytree that must have the same structure and shapes.

    Raises:
        ValueError: the structures or the shapes of two leaves differ; names the path and both sides.
    """
    if jax.tree.structure(tree) != jax.tree.structure(other):
        raise ValueError(
            f"the {kind}s and the {other_kind}s are trees of different structure: "
            f"{_first_difference(kind, tree, other_kind, other)}. "
            "Differentiate with respect to the same tree that was given to init; a parameter that is not "
            "trained belongs in neither, or behind optax.masked."
        )
    for (path, leaf), (_, other_leaf) in zip(_leaves(tree), _leaves(other), strict=True):
        if np.shape(leaf) != np.shape(other_leaf):
            raise ValueError(
                f"{kind} {path} has shape {np.shape(leaf)}, but the {other_kind} has shape "
                f"{np.shape(other_leaf)}. Shapes must be equal (nothing is broadcast): look at what the loss "
                "does with this leaf, or call init again for parameters of the new shape."
            )


def check_kinds(gradients: "chex.ArrayTree", params: "chex.ArrayTree") -> None:
    """Refuse complex gradients of real parameters, and the other way round.

    Args:
        gradients: pytree of floating or complex arrays.
        params: pytree of the same structure.

    Raises:
        TypeError: one of a pair is complex; names its path and both dtypes.
    """
    for (path, gradient), (_, parameter) in zip(_leaves(gradients), _leaves(params), strict=True):
        if jnp.iscomplexobj(gradient) != jnp.iscomplexobj(parameter):
            raise TypeError(
                f"gradient {path} has dtype {_dtype('gradient', path, gradient)}, but the parameter has "
                "dtype "
                f"{_dtype('parameter', path, parameter)}. Both are complex or neither: make the loss real, "
                "and "
                "take its gradient by the parameter itself."
            )


def check_gradient_dtypes(gradients: "chex.ArrayTree") -> None:
    """Refuse gradients that are not numbers to descend along.

    Args:
        gradients: pytree of arrays.

    Raises:
        TypeError: a leaf is not a floating or complex array; names its path.
    """
    for path, leaf in _leaves(gradients):
        dtype = _dtype("gradient", path, leaf)
        if not jnp.issubdtype(dtype, jnp.inexact):
            raise TypeError(
                f"gradient {path} has dtype {dtype}; a gradient is floating or complex. "
                "(float0 comes from jax.grad(allow_int=True): leave integer leaves out instead.)"
            )


def check_state(owner: str, state: Any, state_type: type) -> None:
    """Refuse the state of another optimizer.

    Args:
        owner: the optimizer's name.
        state: what update was given.
        state_type: the NamedTuple that init returns.

    Raises:
        TypeError: state is something else; names both structures.
    """
    if not isinstance(state, state_type):
        found = type(state).__name__
        fields = f" with fields {state._fields}" if hasattr(state, "_fields") else ""
        raise TypeError(
            f"{owner}.update was given a {found}{fields} as its state; it needs the {state_type.__name__} "
            f"with fields {getattr(state_type, '_fields', ())} that {owner}(...).init(params) returns. "
            "A chain's state is a tuple with one entry a transform."
        )


def check_given(owner: str, params: Any) -> None:
    """Refuse a call without the parameters that a rule reads.

    Args:
        owner: the optimizer's name.
        params: what update was given.

    Raises:
        ValueError: params is None.
    """
    if params is None:
        raise ValueError(f"{owner}.update needs the parameters: call update(gradients, state, params).")


def _leaves(tree: Any) -> Iterator[tuple[str, Any]]:
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        yield jax.tree_util.keystr(path) or "(the whole tree)", leaf


def _dtype(kind: str, path: str, leaf: Any) -> Any:
    try:
        return leaf.dtype if hasattr(leaf, "dtype") else jnp.result_type(leaf)
    except TypeError:
        raise TypeError(
            f"{kind} {path} is a {type(leaf).__name__}, not an array. Filter it out of the tree first "
            "(for example with equinox.filter or flax.nnx.split)."
        ) from None


def _first_difference(kind: str, tree: Any, other_kind: str, other: Any) -> str:
    paths, other_paths = [dict(_leaves(each)) for each in (tree, other)]
    for path in paths:
        if path not in other_paths:
            return f"there is a {kind} at {path} but no {other_kind}"
    for path in other_paths:
        if path not in paths:
            return f"there is a {other_kind} at {path} but no {kind}"
    return f"{jax.tree.structure(tree)} against {jax.tree.structure(other)}"
