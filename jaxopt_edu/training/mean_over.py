"""Means of a loss and its metrics over a whole data set, batch by batch."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.tree_util import Partial

from jaxopt_edu.core.arguments import checked_function, named
from jaxopt_edu.core.checks import checked_whole, short
from jaxopt_edu.core.trees import working_dtype
from jaxopt_edu.training.arrays import as_arrays, holds_arrays, number_of_examples
from jaxopt_edu.training.objective import as_pytree_function, objective, traced_call


def mean_over(
    function: Callable[..., Any], data: Any, *, batch_size: int | None = None
) -> Callable[..., dict[str, Any]]:
    """An `evaluate` for `fit` and `sweep`: means over a whole data set, in batches that fit into memory.

        mean = Σᵢ sizeᵢ · function(params, batchᵢ) / Σᵢ sizeᵢ

    No example is left out or counted twice: the last batch is smaller, and counts for less. With arrays it is
    one compiled program, a `jax.lax.scan` over the full batches and one call for the rest; it may be jitted,
    mapped by `jax.vmap` and differentiated.

    Args:
        function: `function(params, batch)`, a mean over its batch: a loss_fn, which gives a loss or (loss,
            dict of metrics); or what gives a dict of numbers. With a model state `function(params,
            model_state, batch)`, which gives (loss, model_state) or (loss, model_state, metrics) as a loss_fn
            does, or a number or a dict; the new model state is thrown away.
        data: a pytree of arrays with a leading example axis; or a loader, an object that gives batches as
            often as it is iterated. They may be of unequal size; each size is a program. A loader cannot be
            read in `sweep`, or within any other compiled code. As in `fit`, a list of arrays is a pytree.
        batch_size: examples in a batch of arrays; None takes all at once.

    Returns:
        `evaluate(params)`, or `evaluate(params, model_state)`: a dict of the means by name, "loss" for the
        loss. Of arrays they are floating scalars, in float32 at least, and evaluate is a pytree whose leaves
        are the arrays; of a loader they are floats.

    Raises:
        TypeError: function cannot be called, or data is no arrays and no loader.
        ValueError: arrays have no common leading axis, or batch_size is out of range. When it is called: a
            loader gives no batch, or other names from batch to batch.

    >>> evaluate = mean_over(lambda w, x: jnp.mean((w - x) ** 2), jnp.arange(5.0), batch_size=2)
    >>> {name: float(value) for name, value in evaluate(jnp.array(2.0)).items()}
    {'loss': 2.0}
    """
    try:
        checked_function("mean_over", "function", function, "params", "model_state", "batch")
    except TypeError:
        checked_function("mean_over", "function", function, "params", "batch")
    function = as_pytree_function(function)
    if isinstance(data, Iterator):
        raise TypeError(
            f"mean_over: data = {short(data)} is an iterator, which is at its end after one evaluation; give "
            "what can be iterated again, such as a loader."
        )
    if holds_arrays(data):
        arrays = as_arrays("mean_over: data", data)
        examples = number_of_examples("mean_over: data", arrays)
        size = examples if batch_size is None else checked_whole("mean_over", "batch_size", batch_size, 1)
        batches = Batches(jax.tree.map(jnp.asarray, arrays), examples, min(size, examples))
        return Partial(_mean_over_arrays, function, batches)
    if not isinstance(data, Iterable) or isinstance(data, str | bytes | type):
        raise TypeError(
            f"mean_over: data = {short(data)} is {type(data).__name__}; it has to be a pytree of arrays with "
            "a leading example axis, or a loader of batches."
        )
    if batch_size is not None:
        raise ValueError(
            f"mean_over: batch_size = {short(batch_size)} is for arrays; the batches of a loader are as it "
            "makes them: leave it out."
        )
    return LoaderMean(function, data)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Batches:
    """Arrays to be read in batches; a pytree of the arrays.

    Attributes:
        arrays: pytree with a leading example axis.
        examples: its length.
        size: examples in a batch, all but the last one.
    """

    arrays: Any
    examples: int = field(metadata={"static": True})
    size: int = field(metadata={"static": True})

    def batch(self, start: Any, size: int) -> Any:
        """So many examples from one on."""
        return jax.tree.map(lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, start, size), self.arrays)


class LoaderMean:
    """Means over the batches of a loader.

    Args:
        function: a pytree; see `mean_over`.
        loader: of batches; can be iterated again.
    """

    def __init__(self, function: Callable[..., Any], loader: Iterable[Any]) -> None:
        self.function, self.loader = function, loader

    def __call__(self, *arguments: Any) -> dict[str, float]:
        """The means by name.

        Raises:
            TypeError: it is called from compiled code.
            ValueError: there is no batch, or batches give other names.
        """
        if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(arguments)):
            raise TypeError(
                "mean_over: data is a loader, which compiled code (sweep, jit, vmap) cannot read; give the "
                "arrays themselves."
            )
        sizes: list[int] = []
        rows: list[dict[str, np.ndarray]] = []
        for batch in self.loader:
            arrays = as_arrays("mean_over: the batch", batch)
            sizes.append(number_of_examples("mean_over: the batch", arrays))
            # Fetched before the next batch is asked for: a loader may fill the same buffer again.
            rows.append(jax.device_get(_mean_of_batch(self.function, arrays, *arguments)))
            if rows[-1].keys() != rows[0].keys():
                raise ValueError(
                    f"mean_over: function gave {list(rows[-1])} for batch {len(rows) - 1}, but "
                    f"{list(rows[0])} for the first one; the names have to be the same every time."
                )
        if not rows:
            raise ValueError("mean_over: data gave no batch; give a loader that can be iterated again.")
        with np.errstate(invalid="ignore"):  # infinities of both signs: the mean is NaN, as it should be
            columns = {name: np.array([row[name] for row in rows], np.float64) for name in rows[0]}
            return {name: float(np.average(column, weights=sizes)) for name, column in columns.items()}


@jax.jit
def _mean_over_arrays(
    function: Callable[..., Any], batches: Batches, *arguments: Any
) -> dict[str, jax.Array]:
    full, rest = divmod(batches.examples, batches.size)

    def measured(start: Any, size: int) -> dict[str, jax.Array]:
        return _means(function, batches.batch(start, size), *arguments)

    if full == 1:
        means = measured(0, batches.size)
    else:
        starts = batches.size * jnp.arange(full)
        _, each = jax.lax.scan(lambda _, start: (None, measured(start, batches.size)), None, starts)
        means = {name: jnp.mean(values) for name, values in each.items()}
    if not rest:
        return means
    share = rest / batches.examples
    last = measured(batches.examples - rest, rest)
    return {name: (1 - share) * mean + share * last[name] for name, mean in means.items()}


@jax.jit
def _mean_of_batch(function: Callable[..., Any], batch: Any, *arguments: Any) -> dict[str, jax.Array]:
    return _means(function, batch, *arguments)


def _means(function: Callable[..., Any], batch: Any, params: Any, *model_state: Any) -> dict[str, jax.Array]:
    """What the function gives for one batch, by name."""
    stateful = len(model_state) > 0
    checked_function("mean_over", "function", function, "params", *["model_state"][:stateful], "batch")
    given = traced_call(function, "mean_over: function", params, *model_state, batch)
    if isinstance(given, tuple):
        of_loss = objective(lambda *_: given, stateful=stateful)
        with named("mean_over"):
            loss, outcome = of_loss(params, *model_state or (None,), batch)
        if "loss" in outcome.metrics:
            raise ValueError(
                'mean_over: function gave a metric named "loss", which is the loss itself; rename it.'
            )
        given = {"loss": loss} | outcome.metrics
    elif not isinstance(given, dict):
        given = {"loss": given}
    return {name: _real(name, value) for name, value in given.items()}


def _real(name: Any, value: Any) -> jax.Array:
    """A number in at least float32."""
    wanted = "it has to be one real number, the mean over its batch."
    if not isinstance(name, str) or not isinstance(value, jax.Array | np.ndarray | np.generic | float | int):
        raise TypeError(f"mean_over: function gave {name!r} as {type(value).__name__}; {wanted}")
    number = jnp.asarray(value)
    if number.shape != () or jnp.iscomplexobj(number):
        raise TypeError(
            f"mean_over: function gave {name!r} with shape {number.shape} and dtype {number.dtype}; {wanted}"
        )
    floating = jnp.issubdtype(number.dtype, jnp.floating)
    return number.astype(working_dtype(number.dtype if floating else jnp.float32))
