"""Trajectories over a window: checked, and where they leave it or diverge."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike


def checked_window(domain: ArrayLike) -> np.ndarray:
    """Return ((x_low, x_high), (y_low, y_high)) as float64 (2, 2), or say what is wrong with it."""
    window = np.asarray(domain, dtype=np.float64)
    if window.shape != (2, 2) or not (np.isfinite(window).all() and (window[:, 0] < window[:, 1]).all()):
        raise ValueError(f"domain is {domain!r}: expected ((x_low, x_high), (y_low, y_high)), low below high")
    return window


def checked_points(trajectories: Mapping[str, ArrayLike]) -> dict[str, np.ndarray]:
    """Return each method's points as float64 (steps + 1, 2), or say whose are wrong."""
    if not trajectories:
        raise ValueError("no trajectories to draw: give at least one name with its points")
    ways = {}
    for label, values in trajectories.items():
        points = np.asarray(values, dtype=np.float64)
        if points.ndim != 2 or points.shape[1] != 2 or not len(points):
            raise ValueError(
                f"the trajectory of {label!r} has shape {points.shape}: expected (steps + 1, 2), the start "
                f"first"
            )
        ways[label] = points
    return ways


def before_divergence(points: np.ndarray) -> np.ndarray:
    """Return the points before the first that is not finite."""
    bad = np.any(~np.isfinite(points), axis=1)
    return points[: int(np.argmax(bad))] if bad.any() else points


def outside(points: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Return which points (n, 2) lie outside the window, (n,)."""
    return np.any((points < window[:, 0]) | (points > window[:, 1]), axis=1)


def until_left(points: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Return the points to draw: to one past the last inside. More of a growing zigzag is a wall."""
    inside = np.flatnonzero(~outside(points, window))
    return points[: int(inside[-1]) + 2 if inside.size else 1]
