"""What users write as a loss, in the one form that the loop works with."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

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


class Outcome(NamedTuple):
    """What one evaluation of the loss gives besides its value."""

    model_state: Any  # the new one; None for a model without
    metrics: dict[str, jax.Array]


def objective(loss_fn: Callable[..., Any], *, stateful: bool) -> Callable[..., tuple[jax.Array, Outcome]]:
    """Bring a loss function into the form `(params, model_state, batch) -> (loss, Outcome)`.

    Args:
        loss_fn: `loss_fn(params, batch)`, which returns a loss or (loss, metrics); if stateful
            `loss_fn(params, model_state, batch)`, which returns (loss, model_state) or
            (loss, model_state, metrics).
        stateful: whether there is a model state.

    Returns:
        The function, to be differentiated with has_aux=True.

    Raises:
        TypeError: when it is traced, if the loss is not a real scalar or the metrics are no dict.
    """

    def plain(params: Any, model_state: Any, batch: Any) -> tuple[jax.Array, Outcome]:
        result = loss_fn(params, batch)
        loss, metrics = result if isinstance(result, tuple) else (result, {})
        return _scalar(loss), Outcome(None, _metrics(metrics))

    def with_state(params: Any, model_state: Any, batch: Any) -> tuple[jax.Array, Outcome]:
        result = loss_fn(params, model_state, batch)
        if not isinstance(result, tuple) or len(result) not in (2, 3):
            raise TypeError(
                "with a model_state, loss_fn(params, model_state, batch) has to return (loss, model_state) "
                "or "
                f"(loss, model_state, metrics), not {type(result).__name__}."
            )
        loss, model_state, metrics = result if len(result) == 3 else (*result, {})
        return _scalar(loss), Outcome(model_state, _metrics(metrics))

    return with_state if stateful else plain


def _scalar(loss: Any) -> jax.Array:
    loss = jnp.asarray(loss)
    if loss.shape != () or not jnp.issubdtype(loss.dtype, jnp.floating):
        raise TypeError(
            f"loss_fn returned a loss of shape {loss.shape} and dtype {loss.dtype}; it has to be one real "
            "number: "
            "take the mean over the batch (and the real part or magnitude of complex values)."
        )
    return loss


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
