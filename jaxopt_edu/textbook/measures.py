"""What is measured of runs: arrays in, numbers and lines for the figures out."""

from typing import Any

import jax
import numpy as np

from jaxopt_edu.textbook.figures import Series


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
    """How often a row of numbers changes its sign; steps that land on 0 itself are passed over.

    Args:
        values: shape (…, steps + 1), such as the coordinate across a valley.

    Returns:
        The counts as int, shape (…).

    >>> int(crossings(np.array([1.0, -0.9, 0.0, 0.8, 0.1, 0.0, 0.2, 0.0])))
    2
    """
    signs = np.sign(values)
    last = np.maximum.accumulate(np.where(signs != 0, np.arange(signs.shape[-1]), 0), axis=-1)
    sides = np.take_along_axis(signs, last, axis=-1)
    return (sides[..., 1:] * sides[..., :-1] < 0).sum(axis=-1)


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
    middle, low, high = (np.where(np.isfinite(part), part, np.nan) for part in (middle, low, high))
    return Series(name, np.asarray(x), middle, low, high)


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
