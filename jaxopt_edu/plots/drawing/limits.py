"""Vertical limits that a diverging run cannot push out of sight."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

MARGIN = 0.05  # of the axis, above and below the values


def limits(
    runs: Sequence[np.ndarray], *, log: bool, also: float | None, top: float | None, what: str
) -> tuple[float, float]:
    """Return the ends of the vertical axis.

    Args:
        runs: each method's values, (seeds, points).
        log: whether the axis is logarithmic.
        also: a further value to show.
        top: an upper end that the caller insists on. Without it, seeds with a value that is not finite count
            with their first value only: a run on its way to infinity would flatten all others.
        what: the name of the values, for the message.

    Raises:
        ValueError: a logarithmic axis has nothing positive to show, or a negative value; or top is not above
            the lowest value.
    """
    kept: list[np.ndarray] = []
    for values in runs:
        whole = np.isfinite(values).all(axis=1)
        kept += [values[whole].ravel(), values[~whole, 0]]
    shown = np.concatenate([*kept, [] if also is None else [also]])
    shown = shown[np.isfinite(shown)]
    if log:
        everything = np.concatenate([values.ravel() for values in runs])
        negative = everything[np.isfinite(everything) & (everything < 0)]
        if negative.size:
            raise ValueError(
                f"{what} reaches {negative.min():g}, which a logarithmic axis cannot show: "
                f"pass log=False, or values that are not negative"
            )
        shown = shown[shown > 0]
        if not shown.size and everything.size and not np.isfinite(everything).any():
            shown = np.ones(1)
        if not shown.size:
            raise ValueError(f"{what} has no positive value for a logarithmic axis to show: pass log=False")
    elif not shown.size:
        shown = np.zeros(1)
    low, high = float(shown.min()), float(shown.max()) if top is None else top
    if top is not None and not top > low:
        raise ValueError(f"top is {top:g}, but the lowest {what} is {low:g}: choose a higher top")
    if log:
        reach = max(np.log10(high) - np.log10(low), 0.2) * MARGIN
        return low / 10**reach, high * (10**reach if top is None else 1.0)
    reach = (high - low or abs(high) or 1.0) * MARGIN
    return low - reach, high + (reach if top is None else 0.0)
