"""How many steps a method needs on quadratics of growing condition number, for every chapter that asks."""

import math
from collections.abc import Callable, Sequence

import jax
import numpy as np
from jax.tree_util import Partial

from jaxopt_edu.core.transform import Optimizer
from jaxopt_edu.textbook.measures import distances, stays_at_most
from jaxopt_edu.textbook.runs import run_all

REDUCTION = 1000.0
"""By what the distance to the minimum is to be divided."""

CONDITIONS = 10.0 ** np.arange(1, 4.1, 0.5)
"""Condition numbers κ from 10 to 10⁴."""

RATE_SHARES, FLATTEST_SHARES = (0.7, 0.8, 0.9, 1.0), (0.35, 0.5, 0.7, 1.0)
"""Theory's best pair is that of the long run. A tuned method tries these shares of its η, with the α that
belongs to these shares of the flattest curvature."""


def around_the_best(
    factory: Callable[[float, float], Optimizer],
    best: Callable[[np.ndarray], tuple[float, float]],
    condition: float,
) -> list[Optimizer]:
    """Pairs of learning rate and momentum near theory's best for ½(x²/κ + y²), to be tried.

    Args:
        factory: `momentum` or `nesterov`.
        best: gives the best pair for some curvatures, such as `theory.best_momentum`.
        condition: κ.

    Returns:
        Sixteen optimizers.
    """
    rate, _ = best(np.array([1 / condition, 1.0]))
    momenta = [best(np.array([share / condition, 1.0]))[1] for share in FLATTEST_SHARES]
    return [factory(share * rate, kept) for share in RATE_SHARES for kept in momenta]


def directions(seed: int, count: int) -> np.ndarray:
    """Starting points on the unit circle.

    Args:
        seed: of the draw.
        count: how many.

    Returns:
        The points; float32, shape (count, 2).
    """
    angles = np.random.default_rng(seed).uniform(0, 2 * np.pi, count)
    return np.stack([np.cos(angles), np.sin(angles)], axis=-1).astype(np.float32)


def steps_needed(
    conditions: np.ndarray,
    settings: Sequence[Sequence[Optimizer]],
    starts: np.ndarray,
    *,
    budget: int,
    degrees: float = 0.0,
) -> np.ndarray:
    """Steps until the distance to the minimum of ½(a²/κ + b²) is divided by `REDUCTION` for good.

    Args:
        conditions: κ, shape (n,); the largest curvature L is 1.
        settings: for every κ the same number of optimizers of one kind.
        starts: points of shape (runs, 2), at distance 1 from the minimum.
        budget: steps after which a run is given up.
        degrees: the angle between the valley's axis a and the x axis.

    Returns:
        The steps, shape (n, settings, runs); NaN where the budget did not suffice.

    >>> import jaxopt_edu as jo
    >>> rates = [[jo.sgd(learning_rate=1.0), jo.sgd(learning_rate=1.6)]]
    >>> steps_needed(np.array([4.0]), rates, directions(0, 1), budget=50).tolist()
    [[[23.0], [14.0]]]
    """
    radians = math.radians(degrees)
    losses = [
        Partial(_valley, flattest=1 / float(condition), cosine=math.cos(radians), sine=math.sin(radians))
        for condition, each in zip(conditions, settings, strict=True)
        for _ in each
    ]
    optimizers = [optimizer for each in settings for optimizer in each]
    runs = run_all(losses, optimizers, starts, steps=budget)
    needed = stays_at_most(distances(runs.params, (0.0, 0.0)), 1 / REDUCTION)
    return needed.reshape(len(conditions), -1, len(starts))


def fastest(steps: np.ndarray) -> np.ndarray:
    """For every κ the setting whose slowest run is the fastest.

    Args:
        steps: shape (n, settings, runs), from `steps_needed`.

    Returns:
        The settings' positions; int, shape (n,).
    """
    return np.where(np.isfinite(steps), steps, np.inf).max(axis=2).argmin(axis=1)


def at_best(steps: np.ndarray) -> np.ndarray:
    """The steps of the fastest setting for every κ.

    Args:
        steps: shape (n, settings, runs), from `steps_needed`.

    Returns:
        The steps, shape (n, runs).
    """
    return steps[np.arange(len(steps)), fastest(steps)]


def _valley(
    point: jax.Array, batch: None, *, flattest: jax.Array, cosine: jax.Array, sine: jax.Array
) -> jax.Array:
    x, y = point
    return (flattest * (cosine * x + sine * y) ** 2 + (cosine * y - sine * x) ** 2) / 2
