"""Histories over steps: one line per method, with a band over its seeds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from jaxopt_edu.plots.drawing.arguments import checked_arguments
from jaxopt_edu.plots.drawing.labels import End, end_labels
from jaxopt_edu.plots.drawing.limits import limits
from jaxopt_edu.plots.drawing.seeds import Band, Mode, caption, draw_band, matrix, summarise
from jaxopt_edu.plots.drawing.style import (
    INK,
    NOTE,
    dress,
    headings,
    new_figure,
    require_matplotlib,
    sample,
    styles,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@checked_arguments
def curves(
    histories: Mapping[str, ArrayLike],
    *,
    ylabel: str,
    xlabel: str = "step",
    steps: ArrayLike | None = None,
    mode: Mode = "min",
    log: bool | None = None,
    band: Band = "range",
    smooth: int = 1,
    threshold: float | None = None,
    top: float | None = None,
    title: str | None = None,
) -> Figure:
    """Draw how a loss falls (or an accuracy rises): the median over seeds as a line, their spread as a band.

    A value that is not finite counts as infinitely bad, so a line ends where half of its seeds or more have
    diverged; how many did, or at which step the only one did, stands next to the name. What line and band are
    stands above the plot.

    Args:
        histories: from each method's name to its losses, (seeds, steps) or (steps,).
        ylabel: what the values are.
        xlabel: what is counted along the horizontal axis.
        steps: where the values were taken, (steps,), when that is not 0, 1, 2, …; the same for all methods.
        mode: "min" where lower values are better, "max" where higher ones are; a diverged value is the worst.
        log: draw the values on a logarithmic axis, off whose lower edge zeros fall; by default in mode "min".
        band: "range" (lowest to highest finite seed), "quartiles" (first to third) or "none".
        smooth: draw the mean of the last `smooth` values of every seed instead of the values; said above the
            plot.
        threshold: a value to mark with a horizontal line.
        top: upper end of the vertical axis. By default all finite values fit; if some seed diverged, those of
            the other seeds do, and the first of the diverged ones.
        title: written above the plot.

    Returns:
        A matplotlib Figure with one pair of axes.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: nothing to draw, a wrong shape, an unknown band, or a negative value on a logarithmic
            axis.

    Example:
        >>> import numpy as np
        >>> from jaxopt_edu.plots import curves
        >>> figure = curves({"sgd": 0.9 ** np.arange(50), "adam": 0.7 ** np.arange(50)}, ylabel="loss")
        >>> [text.get_text() for text in figure.axes[0].texts if text.get_text()]
        ['sgd', 'adam']
    """
    require_matplotlib()
    log = mode == "min" if log is None else log
    if not histories:
        raise ValueError("no histories to draw: give at least one name with its losses")
    runs = {label: matrix(label, values) for label, values in histories.items()}
    places = {label: _places(label, values.shape[1], steps) for label, values in runs.items()}
    smoothed = {label: running_mean(values, smooth) for label, values in runs.items()}
    sums = {label: summarise(values, band, mode) for label, values in smoothed.items()}
    shown = list(runs.values()) if smooth == 1 else list(smoothed.values())
    low, high = limits(shown, log=log, also=threshold, top=top, what=ylabel)

    notes = {label: _note(runs[label], places[label], xlabel, high) for label in runs}
    rows = sum(2 if note else 1 for note in notes.values())
    figure = new_figure(max(6.5, 2.0 + 0.27 * rows + 0.06 * len(notes)))
    axes = figure.add_subplot()
    dress(axes, xlabel=xlabel, ylabel=ylabel, grid=True)
    axes.set_yscale("log" if log else "linear")
    left, right = min(x[0] for x in places.values()), max(x[-1] for x in places.values())
    axes.set_xlim(left, right if right > left else left + 1)
    axes.set_ylim(low, high)

    looks = styles(runs)
    ends = []
    for position, (label, found) in enumerate(sums.items()):
        x, style = places[label], looks[label]
        if band != "none" and found.seeds > 1:
            draw_band(axes, x, found, style.color)
        every = max(1, len(x) // 8)
        line = sample(
            style,
            data=(x, np.where(np.isfinite(found.middle), found.middle, np.nan)),
            label=label,
            markevery=(position * every // len(sums), every),
            zorder=3,
        )
        axes.add_line(line)
        x_end, y_end = _end(x, found.middle, right, high)
        ends.append(End(label, notes[label], x_end, y_end, style))
    if threshold is not None:
        axes.axhline(threshold, color=INK, linewidth=1.2, linestyle=(0, (2, 2)), zorder=2)
        axes.annotate(
            f"{threshold:g}",
            (0, threshold),
            xycoords=axes.get_yaxis_transform(),
            xytext=(6, 3),
            textcoords="offset points",
            fontsize=NOTE,
            color=INK,
            va="bottom",
        )
    said = [caption([found.seeds for found in sums.values()], band)]
    said.append(f"running mean over {smooth} values" if smooth > 1 else "")
    headings(axes, title, "; ".join(filter(None, said)))
    end_labels(axes, ends)
    return figure


def running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Return the mean of the last `window` values at every step, of as many as there are at the first ones.

    Args:
        values: (seeds, steps).
        window: how many; 1 changes nothing.

    Returns:
        (seeds, steps); not finite wherever the window holds a value that is not.
    """
    if window == 1:
        return values
    steps = values.shape[1]
    window = min(window, steps)
    begun = [values[:, :stop].mean(axis=1, keepdims=True) for stop in range(1, window)]
    full = np.lib.stride_tricks.sliding_window_view(values, window, axis=1).mean(axis=-1)
    return np.concatenate([*begun, full], axis=1)


def _places(label: str, count: int, steps: ArrayLike | None) -> np.ndarray:
    if steps is None:
        return np.arange(count, dtype=np.float64)
    x = np.asarray(steps, dtype=np.float64)
    if x.shape != (count,) or not (np.diff(x) > 0).all():
        raise ValueError(
            f"steps has shape {x.shape}, but {label!r} has {count} values: "
            f"give one increasing step per value, or leave steps out"
        )
    return x


def _note(values: np.ndarray, x: np.ndarray, xlabel: str, high: float) -> str:
    finite = np.isfinite(values)
    lost = int((~finite).any(axis=1).sum())
    if lost and len(values) == 1:
        return f"diverged at {xlabel} {x[int(np.argmin(finite[0]))]:g}"
    if lost:
        return f"{lost} of {len(values)} seeds diverged"
    outside = (values > high).any(axis=0)
    return f"over the top from {xlabel} {x[int(np.argmax(outside))]:g}" if outside.any() else ""


def _end(x: np.ndarray, middle: np.ndarray, right: float, high: float) -> tuple[float, float]:
    """Return where a line is last seen; one that went over the top is named at the top right corner."""
    finite = np.flatnonzero(np.isfinite(middle))
    if not finite.size or middle[finite[-1]] > high:
        return right, high
    return float(x[finite[-1]]), float(middle[finite[-1]])
