"""What the chapters share to run things: many descents in one compiled program.

Runs have two leading axes. The first is over settings (optimizers of one kind), the second over runs of the
same setting, which differ in their start or in their noise.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from jaxopt_edu.core.editing import stack
from jaxopt_edu.core.transform import Optimizer
from jaxopt_edu.optimizers import adadelta, adagrad, adam, momentum, nesterov, rmsprop, sgd
from jaxopt_edu.problems import Surface
from jaxopt_edu.textbook.figures import Path
from jaxopt_edu.training import Carry, descend, start
from jaxopt_edu.training.objective import as_pytree_function

METHODS: dict[str, Callable[..., Optimizer]] = {
    "SGD": sgd,
    "Momentum": momentum,
    "Nesterov": nesterov,
    "AdaGrad": adagrad,
    "Adadelta": adadelta,
    "RMSProp": rmsprop,
    "Adam": adam,
}
"""The methods by the names that the chapters show, in the order of the story."""

ADAPTIVE = {"AdaGrad", "Adadelta", "RMSProp", "Adam"}
"""Those that divide by the size of past gradients, coordinate by coordinate."""


class Runs(NamedTuple):
    """Where the runs went, and what their optimizers remembered.

    Attributes:
        params: pytree of arrays of shape (settings, runs, steps + 1, …), from the start on.
        states: the optimizers' states, in the same way.
    """

    params: Any
    states: Any


def run_all(
    loss: Callable[[Any, Any], jax.Array] | Sequence[Partial],
    optimizers: Sequence[Optimizer],
    starts: Any,
    batches: Any = None,
    *,
    steps: int | None = None,
) -> Runs:
    """Descend with every setting from every start.

    Args:
        loss: takes parameters and a batch. A sequence of losses that differ in their numbers only, such as
            those of `problems.noisy_quadratic`, gives every setting a problem of its own.
        optimizers: the settings; they differ in their numbers only.
        starts: pytree of arrays of shape (runs, …).
        batches: pytree of arrays of shape (runs, steps, …), such as keys for the noise; all settings see the
            same. None for a loss that ignores its batch.
        steps: number of steps; needed only where batches is None.

    Returns:
        The parameters and states before each step and after the last.

    >>> import jaxopt_edu as jo
    >>> rates = [jo.sgd(learning_rate=0.5), jo.sgd(learning_rate=1.0)]
    >>> runs = run_all(lambda w, _: jnp.sum(w**2) / 2, rates, jnp.ones((1, 1)), steps=2)
    >>> runs.params.shape, runs.params[:, 0, :, 0].tolist()
    ((2, 1, 3, 1), [[1.0, 0.5, 0.25], [1.0, 0.0, 0.0]])
    """
    shared = callable(loss)
    losses = as_pytree_function(loss) if shared else jax.tree.map(_stacked, *loss)
    return Runs(
        *jax.tree.map(np.asarray, _run_all(losses, shared, stack(optimizers), starts, batches, steps))
    )


def without_batch(function: Callable[[jax.Array], jax.Array]) -> Partial:
    """A function of the parameters as a loss that ignores its batch.

    Args:
        function: takes parameters, returns a scalar; the numbers of a Partial stay leaves.

    Returns:
        A loss for `run_all`; the same function compiles once.
    """
    return Partial(_without_batch, as_pytree_function(function))


def slope(w: jax.Array, gradient: jax.Array) -> jax.Array:
    """The loss g w, whose gradient is the batch: for `run_all` with gradients that do not depend on w.

    Args:
        w: one parameter, shape ().
        gradient: g, shape ().

    Returns:
        g w.
    """
    return gradient * w


def on_surface(surface: Surface, optimizers: Sequence[Optimizer], starts: Any, *, steps: int) -> Runs:
    """Descend over a surface with every setting from every start.

    Args:
        surface: what to minimise.
        optimizers: the settings; they differ in their numbers only.
        starts: points of shape (runs, 2).
        steps: number of steps.

    Returns:
        The points, shape (settings, runs, steps + 1, 2), and the states.
    """
    starts = jnp.asarray(starts, jnp.result_type(float))
    return run_all(without_batch(surface.function), optimizers, starts, steps=steps)


def random_starts(surface: Surface, seed: int, count: int) -> np.ndarray:
    """Points drawn evenly from a surface's window.

    Args:
        surface: whose window.
        seed: of the draw.
        count: how many points.

    Returns:
        The points; float32, shape (count, 2).
    """
    low, high = np.array(surface.domain).T
    return np.random.default_rng(seed).uniform(low, high, (count, 2)).astype(np.float32)


def surface_paths(
    surface: Surface,
    optimizers: dict[str, Optimizer],
    *,
    steps: int,
    start: tuple[float, float] | None = None,
) -> tuple[Path, ...]:
    """One path over a surface for each named optimizer, whatever their kinds.

    Args:
        surface: what to minimise.
        optimizers: by the name to show.
        steps: number of steps.
        start: where all begin; None for the surface's own start.

    Returns:
        The paths, in the same order.
    """
    begin = [surface.start if start is None else start]
    paths = []
    for name, optimizer in optimizers.items():
        points = on_surface(surface, [optimizer], begin, steps=steps).params[0, 0]
        paths.append(Path(name, points, heights(surface.function, points)))
    return tuple(paths)


def heights(function: Callable[[jax.Array], jax.Array], points: Any) -> np.ndarray:
    """A function's values at many points.

    Args:
        function: takes one point, shape (n,), returns a scalar.
        points: shape (…, n).

    Returns:
        The values, shape (…).
    """
    points = jnp.asarray(points)
    values = _heights(as_pytree_function(function), points.reshape(-1, points.shape[-1]))
    return np.asarray(values).reshape(points.shape[:-1])


def _stacked(*leaves: Any) -> jax.Array:
    return jnp.stack([jnp.asarray(leaf, float) for leaf in leaves])


def _without_batch(function: Callable[[jax.Array], jax.Array], point: jax.Array, batch: Any) -> jax.Array:
    return function(point)


# Everything that differs between two calls of one shape is data, so they compile once.
@partial(jax.jit, static_argnums=(1, 5))
def _run_all(
    losses: Any, shared: bool, settings: Optimizer, starts: Any, batches: Any, steps: int | None
) -> tuple[Any, Any]:
    def run(loss: Partial, optimizer: Optimizer, first: Any, batches: Any) -> Carry:
        begun = start(optimizer, first)
        _, _, records = descend(loss, optimizer, begun, batches, steps=steps, record=lambda carry: carry)
        return jax.tree.map(lambda one, rest: jnp.concatenate([one[None], rest]), begun, records)

    over_runs = jax.vmap(run, in_axes=(None, None, 0, 0))
    carries = jax.vmap(over_runs, in_axes=(None if shared else 0, 0, None, None))(
        losses, settings, starts, batches
    )
    return carries.params, carries.state


@jax.jit
def _heights(function: Partial, points: jax.Array) -> jax.Array:
    return jax.vmap(function)(points)
