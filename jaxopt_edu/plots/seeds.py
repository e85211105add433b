"""What several runs of one method say together, diverged ones included."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

Band = Literal["range", "quartiles", "none"]
BANDS: dict[Band, str] = {
    "range": "band from the lowest to the highest finite seed",
    "quartiles": "band from the first to the third quartile",
    "none": "",
}


class Summary(NamedTuple):
    """The seeds of one method, reduced at every step or setting."""

    middle: np.ndarray  # (points,): the median; +inf where half the seeds or more have diverged
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


def check_band(band: str) -> None:
    """Refuse a band that is not in `BANDS`."""
    if band not in BANDS:
        raise ValueError(f"band is {band!r}: expected one of {', '.join(map(repr, BANDS))}")


def summarise(values: np.ndarray, band: Band) -> Summary:
    """Reduce the seeds to a median and a band.

    A value that is not finite counts as +inf, the worst of losses: leaving it out would let a method look
    better the more of its runs diverge. Only the band "range" leaves it out, as its top would be +inf by one
    lost seed.

    Args:
        values: (seeds, points).
        band: a key of `BANDS`.

    Returns:
        A `Summary`; without a band, `low` and `high` equal `middle`.
    """
    finite = np.isfinite(values)
    worst = np.where(finite, values, np.inf)
    # Half before adding: the sum of two large middle values may overflow where their mean does not.
    ranked = np.sort(worst, axis=0)
    lower, upper = ranked[(len(ranked) - 1) // 2], ranked[len(ranked) // 2]
    middle = np.where(lower == upper, lower, lower / 2 + upper / 2)
    if band == "range":
        low = worst.min(axis=0)
        high = np.where(finite, values, -np.inf).max(axis=0)
    elif band == "quartiles":
        # Without interpolation a quartile is a run that happened, and inf − inf cannot arise.
        low, high = np.quantile(worst, [0.25, 0.75], axis=0, method="inverted_cdf")
    else:
        low = high = middle
    return Summary(middle, low, high, len(values))


def caption(seed_counts: list[int], band: Band) -> str:
    """Say in words what line and band are; one seed everywhere needs no words."""
    few, many = min(seed_counts), max(seed_counts)
    if many == 1:
        return ""
    count = str(few) if few == many else f"{few} to {many}"
    return f"median of {count} seeds" + (f", {BANDS[band]}" if BANDS[band] else "")
