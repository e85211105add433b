"""What several runs of one method say together, diverged ones included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Mode = Literal["min", "max"]  # whether the lowest value is the best, as of a loss, or the highest
Band = Literal["range", "quartiles", "none"]
BANDS: dict[Band, str] = {
    "range": "band from the lowest to the highest finite seed",
    "quartiles": "band from the first to the third quartile",
    "none": "",
}


class Summary(NamedTuple):
    """The seeds of one method, reduced at every step or setting."""

    middle: np.ndarray  # (points,): the median; ±inf, the worst, where half the seeds or more have diverged
    low: np.ndarray  # (points,)
    high: np.ndarray  # (points,)
    seeds: int


def matrix(label: str, values: ArrayLike) -> np.ndarray:
    """Return one method's values as float64 (seeds, points), or say what is wrong with them."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim == 1:
        array = array[np.newaxis]
    if array.ndim != 2 or array.size == 0:
        raise ValueError(
            f"the values of {label!r} have shape {np.shape(values)}: expected (points,) for one seed "
            f"or (seeds, points), with at least one of each"
        )
    return array


def by_setting(label: str, values: ArrayLike) -> np.ndarray:
    """Return one method's values, (settings, seeds) or (settings,), as float64 (seeds, settings)."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim not in (1, 2) or array.size == 0:
        raise ValueError(
            f"the values of {label!r} have shape {array.shape}: expected (settings,) or (settings, seeds), "
            f"with at least one of each"
        )
    return matrix(label, array if array.ndim == 1 else array.T)


def sign(mode: str) -> float:
    """Return what makes a cost of a value: 1 for "min", −1 for "max"; refuse any other mode."""
    if mode not in ("min", "max"):
        raise ValueError(f"mode is {mode!r}: expected 'min' where lower is better, or 'max'")
    return 1.0 if mode == "min" else -1.0


def costs(values: np.ndarray, mode: Mode) -> np.ndarray:
    """Return values of which lower is better, with +inf, the worst, for all that are not finite."""
    return np.where(np.isfinite(values), sign(mode) * values, np.inf)


def chosen_best(values: np.ndarray, mode: Mode, best: int | None) -> int:
    """Return which value is marked as the best: the one asked for, or the best there is.

    Raises:
        ValueError: the one asked for is not among them, or not finite.
    """
    if best is None:
        return int(np.argmin(costs(values, mode)))
    if not 0 <= best < len(values) or not np.isfinite(values[best]):
        raise ValueError(f"best is {best}: expected the place of a finite value, from 0 to {len(values) - 1}")
    return best


def summarise(values: np.ndarray, band: Band, mode: Mode = "min") -> Summary:
    """Reduce the seeds to a median and a band.

    A value that is not finite counts as the worst: leaving it out would let a method look better the more of
    its runs diverge. Only the band "range" leaves it out, as its end would be infinite by one lost seed.

    Args:
        values: (seeds, points).
        band: a key of `BANDS`.
        mode: which values are the best.

    Returns:
        A `Summary`; without a band, `low` and `high` equal `middle`.
    """
    finite, factor = np.isfinite(values), sign(mode)
    worst = costs(values, mode)
    # Half before adding: the sum of two large middle values may overflow where their mean does not.
    ranked = np.sort(worst, axis=0)
    lower, upper = ranked[(len(ranked) - 1) // 2], ranked[len(ranked) // 2]
    middle = np.where(lower == upper, lower, lower / 2 + upper / 2)
    if band == "range":
        low = worst.min(axis=0)
        high = np.where(finite, worst, -np.inf).max(axis=0)
    elif band == "quartiles":
        # Without interpolation a quartile is a run that happened, and inf − inf cannot arise.
        low, high = np.quantile(worst, [0.25, 0.75], axis=0, method="inverted_cdf")
    else:
        low = high = middle
    ends = (low, high) if mode == "min" else (high, low)
    return Summary(factor * middle, factor * ends[0], factor * ends[1], len(values))


def draw_band(axes: Axes, x: np.ndarray, found: Summary, color: str, *, alpha: float = 0.14) -> None:
    """Shade the band where the line is drawn; the limits of the axes must be final.

    A quartile may be infinite beside a finite median: there the band reaches the edge of the axes.
    """
    drawn = np.isfinite(found.middle)
    floor, roof = axes.get_ylim()
    axes.fill_between(
        x,
        np.where(drawn, np.maximum(found.low, np.minimum(floor, found.middle)), np.nan),
        np.where(drawn, np.minimum(found.high, np.maximum(roof, found.middle)), np.nan),
        color=color,
        alpha=alpha,
        linewidth=0,
    )


def caption(seed_counts: list[int], band: Band) -> str:
    """Say in words what line and band are; one seed everywhere needs no words."""
    few, many = min(seed_counts), max(seed_counts)
    if many == 1:
        return ""
    count = str(few) if few == many else f"{few} to {many}"
    return f"median of {count} seeds" + (f", {BANDS[band]}" if BANDS[band] else "")
