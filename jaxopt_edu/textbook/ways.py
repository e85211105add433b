"""How methods cross the bowl: in how many steps, how often across the valley's floor, with what detour."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxopt_edu.core.transform import Optimizer
from jaxopt_edu.problems import bowl
from jaxopt_edu.textbook.measures import crossings, distances, path_lengths, stays_at_most
from jaxopt_edu.textbook.runs import on_surface

BOWL = np.array([0.1, 2.0])
"""The curvatures of the bowl, x²/20 + y², along x and y."""


class Ways(NamedTuple):
    """Of the way until the distance to the minimum is divided by a number, and stays so.

    Attributes:
        steps: how many; NaN where the budget did not suffice. Arrays are over settings and runs, medians of
            one setting are floats.
        crossings: how often it crossed the valley's floor, y = 0.
        detours: its length over that of the straight line to the minimum.
        along: how far it went past the minimum in x, over the x it started from.
        across: the same in y.
    """

    steps: Any
    crossings: Any
    detours: Any
    along: Any
    across: Any


def ways_over_the_bowl(
    optimizers: Sequence[Optimizer], starts: np.ndarray, *, reduction: float, budget: int
) -> Ways:
    """Descend over x²/20 + y², and describe the ways.

    Args:
        optimizers: the settings; they differ in their numbers only.
        starts: points of shape (runs, 2).
        reduction: by what the distance is to be divided.
        budget: steps after which a run is given up.

    Returns:
        Arrays over settings and runs.

    >>> import jaxopt_edu as jo
    >>> ways = ways_over_the_bowl([jo.sgd(0.95)], np.array([[-7.0, 2.0]]), reduction=2, budget=30)
    >>> int(ways.steps[0, 0]), int(ways.crossings[0, 0])
    (7, 7)
    """
    points = on_surface(bowl, optimizers, starts, steps=budget).params
    lengths = distances(points, bowl.minima[0])
    steps = stays_at_most(lengths / lengths[:, :, :1], 1 / reduction)
    last = np.where(np.isfinite(steps), steps, budget).astype(int)[..., None, None]
    # A run that is there stands still: what it does afterwards is not counted.
    after = np.arange(budget + 1)[:, None] > last
    way = np.where(after, np.take_along_axis(points, last, axis=2), points).astype(np.float64)
    past = np.maximum(0.0, -(way / way[:, :, :1]).min(axis=2))
    detours = path_lengths(way) / lengths[:, :, 0]
    return Ways(steps, crossings(way[..., 1]), detours, past[..., 0], past[..., 1])


def fastest_over_the_bowl(
    optimizers: Sequence[Optimizer], starts: np.ndarray, *, reduction: float, budget: int
) -> tuple[Optimizer, Ways]:
    """The setting whose slowest run is the fastest.

    Args:
        optimizers: the settings; they differ in their numbers only.
        starts: points of shape (runs, 2).
        reduction: by what the distance is to be divided.
        budget: steps after which a run is given up.

    Returns:
        The optimizer, and the medians of its ways.
    """
    ways = ways_over_the_bowl(optimizers, starts, reduction=reduction, budget=budget)
    best = int(np.where(np.isfinite(ways.steps), ways.steps, np.inf).max(axis=1).argmin())
    return optimizers[best], Ways(*(float(np.median(each[best])) for each in ways))
