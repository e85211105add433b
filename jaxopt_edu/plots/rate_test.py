"""Losses over learning rates, with the rate they suggest and how sure it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from jaxopt_edu.plots.drawing.arguments import checked_arguments
from jaxopt_edu.plots.drawing.seeds import caption, draw_band, matrix, summarise
from jaxopt_edu.plots.drawing.style import (
    INK,
    LINE,
    METHODS,
    NOTE,
    QUIET,
    dress,
    headings,
    new_figure,
    require_matplotlib,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOSSES, CHOSEN = METHODS["momentum"].color, METHODS["adam"]


@checked_arguments
def rate_test(
    rates: ArrayLike,
    losses: ArrayLike,
    *,
    smoothed: ArrayLike | None = None,
    first: float | None = None,
    suggestion: float | None = None,
    interval: ArrayLike | None = None,
    xlabel: str = "learning rate",
    ylabel: str = "training loss",
    title: str | None = None,
) -> Figure:
    """Draw the losses that learning rates gave, a dot for each seed, and the smoothed ones as a line.

    Losses further above the first than the lowest is below it stand at the upper edge; where a run diverged
    there is a cross.

    Args:
        rates: (n,), positive and rising.
        losses: (seeds, n) or (n,); not finite where a run diverged.
        smoothed: the same shape: their median is the line, and their range the band; None for the losses.
        first: the loss before the first step, a dashed line.
        suggestion: a rate to mark.
        interval: (2,), the ends of what it may be.
        xlabel: what was varied.
        ylabel: what the losses are.
        title: written above the plot.

    Returns:
        A matplotlib Figure with one pair of axes.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: the shapes do not fit, rates are not positive and rising, or nothing is finite.

    Example:
        >>> import numpy as np
        >>> from jaxopt_edu.plots import rate_test
        >>> rates = np.geomspace(1e-3, 1, 7)
        >>> figure = rate_test(rates, (np.log10(rates) + 1) ** 2, suggestion=0.1, interval=(0.05, 0.2))
        >>> figure.axes[0].get_xscale()
        'log'
    """
    require_matplotlib()
    x = np.asarray(rates, dtype=np.float64)
    if x.ndim != 1 or not x.size or not (np.isfinite(x) & (x > 0)).all() or (np.diff(x) <= 0).any():
        raise ValueError(f"rates has to be positive numbers of shape (n,), each above the one before: {x}")
    values = matrix("losses", losses)
    line = values if smoothed is None else matrix("smoothed", smoothed)
    for name, each in (("losses", values), ("smoothed", line)):
        if each.shape != (len(values), len(x)):
            raise ValueError(
                f"{name} has shape {each.shape}, but there are {len(x)} rates and {len(values)} seeds"
            )
    finite = values[np.isfinite(values)]
    if not finite.size:
        raise ValueError("losses has no finite value: every run diverged, so there is nothing to draw")
    low, high = _limits(finite, first)
    ends = _checked_ends(suggestion, interval)

    figure = new_figure(6.5)
    axes = figure.add_subplot()
    dress(axes, xlabel=xlabel, ylabel=ylabel, grid=True)
    axes.set_xscale("log")
    axes.set_xlim(x[0] / 1.15, x[-1] * 1.15)
    axes.set_ylim(low, high)
    _dots(axes, x, values, high)
    found = summarise(line, "range")
    if found.seeds > 1:
        draw_band(axes, x, found, LOSSES)
    axes.plot(
        x, np.where(np.isfinite(found.middle), found.middle, np.nan), color=LOSSES, linewidth=LINE, zorder=3
    )
    if first is not None:
        axes.axhline(first, color=INK, linewidth=1.2, linestyle=(0, (2, 2)), zorder=2)
        axes.annotate(
            "at the start",
            (1, first),
            xycoords=axes.get_yaxis_transform(),
            xytext=(6, 0),
            textcoords="offset points",
            fontsize=NOTE,
            color=INK,
            va="center",
        )
    lost = int((~np.isfinite(values)).sum())
    said = [
        caption([found.seeds], "range"),
        "" if smoothed is None else "line smoothed over the rate",
        f"crosses: {lost} of {values.size} diverged" if lost else "",
    ]
    chosen = "" if suggestion is None else _mark(axes, suggestion, ends)
    headings(axes, title, "\n".join(filter(None, ["; ".join(filter(None, said)), chosen])))
    return figure


def _limits(finite: np.ndarray, first: float | None) -> tuple[float, float]:
    lowest, highest = float(finite.min()), float(finite.max())
    begun = highest if first is None else first
    # Above the start there is nothing to be learnt but that there is no way.
    roof = begun + max(0.5 * (begun - lowest), 0.0) if first is not None else highest
    high = max(min(highest, roof), begun)
    margin = 0.06 * (high - lowest or abs(high) or 1.0)
    return lowest - margin, high + margin


def _dots(axes: Axes, x: np.ndarray, values: np.ndarray, high: float) -> None:
    for seed in values:
        known = np.isfinite(seed)
        axes.plot(
            x[known],
            np.minimum(seed[known], high),
            linestyle="none",
            marker="o",
            markersize=4.0,
            color=LOSSES,
            alpha=0.45,
            markeredgewidth=0,
            clip_on=False,
        )
        axes.plot(
            x[~known],
            np.full(int((~known).sum()), high),
            linestyle="none",
            marker="x",
            markersize=6.0,
            color=QUIET,
            clip_on=False,
        )


def _checked_ends(suggestion: float | None, interval: ArrayLike | None) -> np.ndarray | None:
    if suggestion is not None and not suggestion > 0:
        raise ValueError(f"suggestion is {suggestion:g}: a logarithmic axis shows what is above 0")
    if interval is None:
        return None
    ends = np.asarray(interval, dtype=np.float64)
    if ends.shape != (2,) or not 0 < ends[0] <= ends[1]:
        raise ValueError(f"interval is {interval!r}: expected its two ends, above 0, the lower one first")
    return ends


def _mark(axes: Axes, suggestion: float, ends: np.ndarray | None) -> str:
    axes.axvline(suggestion, color=CHOSEN.color, linewidth=LINE, zorder=2)
    if ends is None:
        return f"suggestion {suggestion:.2g}"
    axes.axvspan(ends[0], ends[1], color=CHOSEN.color, alpha=0.15, linewidth=0, zorder=1)
    return f"suggestion {suggestion:.2g} (95 % interval {ends[0]:.2g} to {ends[1]:.2g})"
