"""Trajectories over a window: checked, and where they leave it or diverge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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


def worth_seeing(domain: ArrayLike, ways: Sequence[np.ndarray], marks: Sequence[ArrayLike]) -> np.ndarray:
    """Return the part of a window that is worth showing, (2, 2).

    It is the whole window, or where the ways (each (n, 2)) and the marked points take up less than half of
    it, that part with some room around it.
    """
    whole = np.asarray(domain, np.float64)
    points = np.concatenate([before_divergence(np.asarray(way, np.float64)) for way in ways])
    inside = points[~outside(points, whole)]
    seen = np.concatenate([inside, np.reshape(np.asarray(marks, np.float64), (-1, 2))])
    low, high = seen.min(axis=0), seen.max(axis=0)
    size = 1.3 * (high - low)
    # Neither a strip nor a tower.
    size = np.maximum(size, [0.8 * size[1], 0.45 * size[0]])
    middle = (low + high) / 2
    window = np.clip(np.stack([middle - size / 2, middle + size / 2], axis=1), whole[:, :1], whole[:, 1:])
    return window if np.ptp(window, axis=1).prod() < 0.5 * np.ptp(whole, axis=1).prod() else whole
