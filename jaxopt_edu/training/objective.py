"""What users write as a loss, in the one form that the loop works with."""

import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from jaxopt_edu.core.arguments import kind_of
from jaxopt_edu.core.checks import short
from jaxopt_edu.core.transform import is_pytree


def as_pytree_function(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that can be passed to compiled code as an argument.

    Args:
        function: any callable; one that is a pytree already (a Partial, an Equinox module) keeps its arrays
            as leaves.

    Returns:
        The function itself if it is a pytree, else a Partial of it. The same function compiles once.
    """
    return function if is_pytree(function) else Partial(function)


def around(owner: str, step: Callable[..., Any], loss_fn: Any, *held: Any) -> Partial:
    """A loss with something around it.

    Args:
        owner: what makes it, for the error.
        step: hashable; called as `step(loss_fn, *held, params, batch)`. It has the trait `around_loss`, and
            `step.with_loss_scale(scale, loss_fn, *held)`, which tells what is inside (see `with_loss_scale`).
        loss_fn: any loss function.
        *held: further pytrees.

    Returns:
        A loss function, a pytree.

    Raises:
        TypeError: loss_fn is no function.
    """
    if not callable(loss_fn) or isinstance(loss_fn, type):
        raise TypeError(
            f"{owner}: loss_fn = {short(loss_fn)} is {kind_of(loss_fn)}, not a function; it is called as "
            "loss(params, batch)."
        )
    return Partial(step, as_pytree_function(loss_fn), *held)


def with_loss_scale(loss_fn: Callable[..., Any], scale: jax.Array) -> Callable[..., Any]:
    """Tell a loss by what its value is going to be multiplied before it is differentiated.

    What computes gradients before it is asked for them needs to know; nothing else changes.

    Args:
        loss_fn: a pytree function.
        scale: a number; shape ().

    Returns:
        The same loss.
    """
    if not _is_around(loss_fn):
        return loss_fn
    static: Any = loss_fn
    return static.func.with_loss_scale(scale, *static.args)


def innermost(loss_fn: Any) -> Any:
    """The loss that the user wrote, out of what stands around it.

    Args:
        loss_fn: any callable.

    Returns:
        The loss inside of all of them.
    """
    while _is_around(loss_fn):
        loss_fn = loss_fn.args[0]
    return loss_fn


def _is_around(loss_fn: Any) -> bool:
    return isinstance(loss_fn, Partial) and getattr(loss_fn.func, "around_loss", False)


# How the errors begin that say what a loss function has to return.
BEGINNINGS = ("loss_fn", "with a model_state")


class Outcome(NamedTuple):
    """What one evaluation of the loss gives besides its value."""

    model_state: Any  # the new one; None for a model without
    metrics: dict[str, jax.Array]


def objective(loss_fn: Callable[..., Any], *, stateful: bool) -> Callable[..., tuple[jax.Array, Outcome]]:
    """Bring a loss function into the form `(params, model_state, batch, key=None) -> (loss, Outcome)`.

    Args:
        loss_fn: `loss_fn(params, batch)`, which returns a loss or (loss, metrics); if stateful
            `loss_fn(params, model_state, batch)`, which returns (loss, model_state) or
            (loss, model_state, metrics). It gets a random key as `key=`, if there is one.
        stateful: whether there is a model state.

    Returns:
        The function, to be differentiated with has_aux=True.

    Raises:
        TypeError: when it is traced, if the loss is not a real scalar or the metrics are no dict.
    """

    def plain(params: Any, model_state: Any, batch: Any, key: Any = None) -> tuple[jax.Array, Outcome]:
        result = traced_call(loss_fn, "loss_fn", params, batch, **with_key(key))
        if isinstance(result, tuple) and len(result) != 2:
            raise TypeError(
                "loss_fn(params, batch) has to return a loss or (loss, metrics), not a tuple of "
                f"{len(result)}; "
                "(loss, model_state, metrics) needs model_state=."
            )
        loss, metrics = result if isinstance(result, tuple) else (result, {})
        return _scalar(loss), Outcome(None, _metrics(metrics))

    def with_state(params: Any, given: Any, batch: Any, key: Any = None) -> tuple[jax.Array, Outcome]:
        result = traced_call(loss_fn, "loss_fn", params, given, batch, **with_key(key))
        if not isinstance(result, tuple) or len(result) not in (2, 3):
            raise TypeError(
                "with a model_state, loss_fn(params, model_state, batch) has to return (loss, model_state) "
                "or "
                f"(loss, model_state, metrics), not {type(result).__name__}."
            )
        loss, model_state, metrics = result if len(result) == 3 else (*result, {})
        _check_model_state(given, model_state)
        return _scalar(loss), Outcome(model_state, _metrics(metrics))

    return with_state if stateful else plain


def with_key(key: jax.Array | None) -> dict[str, jax.Array]:
    """What a loss is called with by name: its key, if it has one."""
    return {} if key is None else {"key": key}


def traced_call(function: Callable[..., Any], what: str, *arguments: Any, **keywords: Any) -> Any:
    """Call a function of the user's that is being compiled; say where it asks a traced array for its number.

    Args:
        function: the user's.
        what: it is, for the error.
        *arguments: what it is called with.
        **keywords: likewise, by name.

    Returns:
        What it returns.

    Raises:
        TypeError: it asks for the number that an array will hold; names the line.
    """
    try:
        return function(*arguments, **keywords)
    except jax.errors.JAXTypeError as error:
        place = _line_of_the_user(error)
        raise TypeError(
            f"{what} is compiled, where arrays have no numbers yet{place}: leave out float(), int(), "
            "bool(), if, and "
            "NumPy, and use jax.numpy, jax.lax.cond or jnp.where."
        ) from error


def _line_of_the_user(error: BaseException) -> str:
    ours = (os.path.dirname(jax.__file__), str(Path(__file__).parents[1]))
    frames = [
        each for each in traceback.extract_tb(error.__traceback__) if not each.filename.startswith(ours)
    ]
    if not frames:
        return ""
    # A library between the user and JAX only hands on what it was given.
    own = [each for each in frames if "site-packages" not in Path(each.filename).parts]
    last = (own or frames)[-1]
    return f", and line {last.lineno} of {os.path.basename(last.filename)} asks for one ({last.line})"


def _scalar(loss: Any) -> jax.Array:
    try:
        loss = jnp.asarray(loss)
    except (TypeError, ValueError):
        raise TypeError(
            f"loss_fn returned {type(loss).__name__} as its loss; it has to be one real number, such as "
            "the mean over "
            "the batch"
            f"{': is a return statement missing?' if loss is None else '.'}"
        ) from None
    if loss.shape != () or not jnp.issubdtype(loss.dtype, jnp.floating):
        raise TypeError(
            f"loss_fn returned a loss of shape {loss.shape} and dtype {loss.dtype}; it has to be one real "
            "number: "
            "take the mean over the batch (and the real part or magnitude of complex values)."
        )
    return loss


def _check_model_state(given: Any, returned: Any) -> None:
    """Refuse a model's state of another structure, shape or dtype than the one that the step began with."""
    trees = [jax.tree_util.tree_flatten_with_path(tree)[0] for tree in (given, returned)]
    paths = [[jax.tree_util.keystr(path) for path, _ in leaves] for leaves in trees]
    if jax.tree.structure(given) != jax.tree.structure(returned):
        odd = [path for path in (*paths[0], *paths[1]) if (path in paths[0]) != (path in paths[1])]
        where = f": {odd[0]} is in one only" if odd else ""
        raise TypeError(
            f"loss_fn returned a model_state of another structure than it was given{where}; every "
            "step has to return all of it."
        )
    for (path, leaf), (_, new) in zip(*trees, strict=True):
        before, after = (f"{jnp.result_type(each)}{list(jnp.shape(each))}" for each in (leaf, new))
        weak = getattr(leaf, "weak_type", True)
        if jnp.shape(leaf) != jnp.shape(new) or (not weak and before != after):
            raise TypeError(
                f"loss_fn returned model_state{jax.tree_util.keystr(path)} as {after}, but it was "
                f"given {before}; shapes and dtypes have to stay."
            )


def _metrics(metrics: Any) -> dict[str, jax.Array]:
    if not isinstance(metrics, dict):
        raise TypeError(
            f"loss_fn returned metrics as {type(metrics).__name__}; they have to be a dict, "
            'such as {"accuracy": accuracy}.'
        )
    for name, value in metrics.items():
        if not isinstance(name, str) or not jax.tree_util.all_leaves([value]):
            raise TypeError(
                f"loss_fn returned the metric {name!r} as {type(value).__name__}; each has to be one array, "
                "its name a string: give the parts of a tree names of their own."
            )
    return metrics
