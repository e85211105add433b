"""Race over a surface of two parameters: every method from the same place, the same number of steps."""

import time
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_edu.core.editing import replace, stack
from jaxopt_edu.core.transform import Optimizer
from jaxopt_edu.problems import Surface
from jaxopt_edu.training import descend, start


class SurfaceResult(NamedTuple):
    """What one method did on a surface.

    Attributes:
        method: the optimizer's name.
        optimizer: the optimizer that ran, or did best among those tried.
        path: the points visited; float array of shape (steps + 1, 2).
        losses: the surface's value at each point; shape (steps + 1,).
        steps_to_target: the first step whose value is at most the target; None if there is none.
        settings_tried: number of learning rates from which this one was chosen (1: it was given).
        seconds: wall time, compilation included.
    """

    method: str
    optimizer: Optimizer
    path: np.ndarray
    losses: np.ndarray
    steps_to_target: int | None
    settings_tried: int
    seconds: float


def target(surface: Surface) -> float:
    """The value whose first reaching is counted: 1 % of the way from the minimum back to the start.

    On a surface without a minimum it is one unit below its saddle: the method has escaped.

    Args:
        surface: the surface raced on.

    Returns:
        A value of the surface.
    """
    if surface.minimum is None:
        return _height(surface, surface.saddles[0]) - 1.0
    return surface.minimum + 0.01 * (_height(surface, surface.start) - surface.minimum)


def _height(surface: Surface, point: tuple[float, float]) -> float:
    return float(surface.function(jnp.asarray(point, jnp.result_type(float))))


def race_on_surface(
    surface: Surface, method: str, optimizer: Optimizer, *, steps: int, learning_rates: tuple[float, ...] = ()
) -> SurfaceResult:
    """Run one method over a surface.

    Args:
        surface: where to race; the path begins at its start.
        method: the name to show.
        optimizer: with which hyperparameters.
        steps: number of steps.
        learning_rates: if given, all are tried at once, and the one with the lowest last value is kept.

    Returns:
        The path and what is worth saying about it.

    >>> from jaxopt_edu import problems, sgd
    >>> result = race_on_surface(problems.bowl, "sgd", sgd(learning_rate=0.95), steps=30)
    >>> result.path.shape, result.steps_to_target
    ((31, 2), 23)
    """
    begun = time.perf_counter()
    tried = [replace(optimizer, learning_rate=rate) for rate in learning_rates] or [optimizer]
    paths, values = jax.jit(jax.vmap(lambda each: _path(surface, each, steps)))(stack(tried))
    paths, values = np.asarray(paths), np.asarray(values)
    best = int(np.argmin(np.where(np.isfinite(values[:, -1]), values[:, -1], np.inf)))
    reached = np.flatnonzero(values[best] <= target(surface))
    return SurfaceResult(
        method=method,
        optimizer=tried[best],
        path=paths[best],
        losses=values[best],
        steps_to_target=int(reached[0]) if len(reached) else None,
        settings_tried=len(tried),
        seconds=time.perf_counter() - begun,
    )


def _path(surface: Surface, optimizer: Optimizer, steps: int) -> tuple[jax.Array, jax.Array]:
    first = jnp.asarray(surface.start, jnp.result_type(float))
    _, _, points = descend(
        lambda point, _: surface.function(point),
        optimizer,
        start(optimizer, first),
        None,
        steps=steps,
        record=lambda carry: carry.params,
    )
    path = jnp.concatenate([first[None, :], points])
    return path, jax.vmap(surface.function)(path)
