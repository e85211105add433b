"""What the chapters share to run things: many descents in one compiled program, and what to say of them.

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
from jaxopt_edu.textbook.figures import Path, Series
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


def distances(points: Any, place: Any) -> np.ndarray:
    """How far points are from a place.

    Args:
        points: shape (…, n).
        place: shape (n,), such as the minimum.

    Returns:
        The distances, shape (…); in float64, where the square of a float32 does not overflow.
    """
    return np.linalg.norm(np.asarray(points, np.float64) - np.asarray(place, np.float64), axis=-1)


def first_at_most(values: np.ndarray, level: float | np.ndarray) -> np.ndarray:
    """The first step at which a value is at most a level.

    Args:
        values: shape (…, steps + 1).
        level: one number, or one for each run, shape (…, 1).

    Returns:
        The steps as float64, shape (…); NaN where the level is never reached.

    >>> first_at_most(np.array([[4.0, 2.0, 1.0, 2.0], [4.0, 3.0, 3.0, 3.0]]), 2.0)
    array([ 1., nan])
    """
    reached = np.asarray(values) <= level
    return np.where(reached.any(axis=-1), reached.argmax(axis=-1), np.nan)


def contraction(lengths: np.ndarray) -> np.ndarray:
    """By what factor a distance shrinks (or, above 1, grows) at a step, once the start is forgotten.

    It is the slope of log(distance) over the later half of the run, by least squares, which averages over the
    swings of an oscillating run. Distances below 1e-30 and above 1e30, where float32 ends, do not count.

    Args:
        lengths: distances from the minimum at each step, shape (…, steps + 1).

    Returns:
        The factors as float64, shape (…).

    >>> contraction(0.5 ** np.arange(8.0)).round(6)
    np.float64(0.5)
    """
    lengths = np.asarray(lengths, np.float64)
    usable = (lengths > 1e-30) & (lengths < 1e30)
    order = np.cumsum(usable, axis=-1)
    weight = usable & (order > order[..., -1:] / 2)
    count = weight.sum(axis=-1, keepdims=True)
    logarithm = np.log(np.where(usable, lengths, 1.0))
    step = np.arange(lengths.shape[-1]) - np.zeros_like(lengths)
    centred = step - (weight * step).sum(axis=-1, keepdims=True) / count
    return np.exp((weight * centred * logarithm).sum(axis=-1) / (weight * centred**2).sum(axis=-1))


def stays_at_most(values: np.ndarray, level: float | np.ndarray) -> np.ndarray:
    """The first step from which on a value stays at most a level, so that flying by does not count.

    Args:
        values: shape (…, steps + 1).
        level: one number, or one for each run, shape (…, 1).

    Returns:
        The steps as float64, shape (…); NaN where the last value is above the level, or not a number.

    >>> stays_at_most(np.array([[4.0, 1.0, 3.0, 2.0], [4.0, 1.0, 3.0, 3.0]]), 2.0)
    array([ 3., nan])
    """
    above = ~(np.asarray(values) <= level)
    after = above.shape[-1] - above[..., ::-1].argmax(axis=-1)
    return np.where(above[..., -1], np.nan, np.where(above.any(axis=-1), after, 0))


def exponent(x: np.ndarray, y: np.ndarray) -> float:
    """The power of x with which y grows, the slope of log y over log x by least squares.

    Args:
        x: above 0, shape (n,).
        y: above 0, shape (n,); what is not finite does not count.

    Returns:
        The power.

    >>> round(exponent(np.array([1.0, 10.0, 100.0]), np.array([2.0, 20.0, np.nan])), 6)
    1.0
    """
    known = np.isfinite(y)
    return float(np.polyfit(np.log(x[known]), np.log(y[known]), 1)[0])


def crossings(values: np.ndarray) -> np.ndarray:
    """How often a row of numbers changes its sign from one step to the next; onto 0 is no crossing.

    Args:
        values: shape (…, steps + 1), such as the coordinate across a valley.

    Returns:
        The counts as int, shape (…).

    >>> int(crossings(np.array([1.0, -0.9, 0.8, 0.1, 0.0, 0.0])))
    2
    """
    signs = np.sign(values)
    return (signs[..., 1:] * signs[..., :-1] < 0).sum(axis=-1)


def path_lengths(points: np.ndarray) -> np.ndarray:
    """How long paths are.

    Args:
        points: shape (…, steps + 1, n).

    Returns:
        The sum of the lengths of the steps, shape (…).
    """
    return np.linalg.norm(np.diff(points, axis=-2), axis=-1).sum(axis=-1)


def band(name: str, x: np.ndarray, values: np.ndarray, *, inside: float = 0.8) -> Series:
    """A line through the median of runs, with a band that holds most of them.

    Args:
        name: of the method or the setting.
        x: shape (n,).
        values: shape (runs, n).
        inside: the share of the runs that the band holds.

    Returns:
        The line.
    """
    low, middle, high = np.quantile(values, [(1 - inside) / 2, 0.5, (1 + inside) / 2], axis=0)
    return Series(name, np.asarray(x), middle, low, high)


def arrivals(name: str, x: np.ndarray, steps: np.ndarray, *, inside: float = 0.8) -> Series:
    """As `band`, for numbers of steps among which NaN means never: longer than any number.

    Args:
        name: of the method or the setting.
        x: shape (n,).
        steps: shape (runs, n).
        inside: the share of the runs that the band holds.

    Returns:
        The line, with a gap where half of the runs never arrive.

    >>> arrivals("SGD", np.array([0.1, 1.0]), np.array([[4.0, 9.0], [5.0, np.nan], [6.0, np.nan]])).y
    array([ 5., nan])
    """
    filled = np.nan_to_num(steps, nan=np.inf)
    # Between a number and infinity there is nothing to interpolate.
    low, high = np.quantile(filled, [(1 - inside) / 2, (1 + inside) / 2], axis=0, method="nearest")
    middle = np.median(filled, axis=0)
    parts = [np.where(np.isfinite(part), part, np.nan) for part in (middle, low, high)]
    return Series(name, np.asarray(x), *parts)


def plain(value: Any) -> Any:
    """Numbers ready for JSON: arrays become lists, what is not finite becomes None.

    Args:
        value: numbers, strings, arrays, and lists, tuples and dicts of them.

    Returns:
        The same of Python's own types.

    >>> plain({"steps": np.array([3, 4]), "loss": np.float32(0.5), "reached": float("nan")})
    {'steps': [3, 4], 'loss': 0.5, 'reached': None}
    """
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        return plain(np.asarray(value).tolist())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


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
