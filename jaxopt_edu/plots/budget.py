"""Performance against budget: what a method reaches when only n of its settings are tried."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike

from jaxopt_edu.plots.drawing.arguments import checked_arguments
from jaxopt_edu.plots.drawing.labels import End, end_labels
from jaxopt_edu.plots.drawing.limits import limits
from jaxopt_edu.plots.drawing.scales import spans_decades
from jaxopt_edu.plots.drawing.seeds import Mode, Summary, by_setting, costs, draw_band, sign, summarise
from jaxopt_edu.plots.drawing.style import dress, headings, new_figure, require_matplotlib, sample, styles

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 200  # points of a line
Middle = Literal["median", "mean"]


@checked_arguments
def budget(
    results: Mapping[str, ArrayLike],
    *,
    ylabel: str = "final loss",
    xlabel: str = "settings tried",
    mode: Mode = "min",
    middle: Middle = "median",
    log: bool | None = None,
    title: str | None = None,
) -> Figure:
    """Draw the best of n settings over n: which method to take depends on how many one can afford to try.

    n settings are drawn at random, without replacement, from those that were run, and the best is kept. The
    line is the median (or the mean) of that best over all draws and the band its quartiles, in closed form:
    with values v₁ … v_N, best first, P(the best of n is vᵢ) = C(N − i, n − 1) / C(N, n). A setting's value is
    the median of its seeds. Diverged runs are the worst of values, so a line begins where its median (or
    mean) is finite.

    Args:
        results: from each method's name to what its settings reached, (settings, seeds) or (settings,), in
            any order; a random sample of settings, or a grid taken as one.
        ylabel: what the values are.
        xlabel: what is counted along the horizontal axis.
        mode: "min" where lower values are better, "max" where higher ones are.
        middle: "median" or "mean", which one bad setting pulls far away, and one diverged makes infinite.
        log: draw the values on a logarithmic axis; by default where lower is better and the finite ones are
            positive and reach over a factor of 30.
        title: written above.

    Returns:
        A matplotlib Figure with one pair of axes.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: nothing to draw, a wrong shape, an unknown mode or middle, or a value that a logarithmic
            axis cannot show.

    Example:
        >>> from jaxopt_edu.plots import budget
        >>> figure = budget({"sgd": [2.0, 0.3, 1.1], "adam": [0.5, 0.4, 0.6]})
        >>> [float(y) for y in figure.axes[0].get_lines()[0].get_ydata()]
        [1.1, 0.3, 0.3]
    """
    require_matplotlib()
    if not results:
        raise ValueError("no results to draw: give at least one name with the values of its settings")
    runs = {label: by_setting(label, values) for label, values in results.items()}
    settled = {label: summarise(values, "none", mode).middle for label, values in runs.items()}
    sums = {label: best_of(values, counts(len(values)), mode, middle) for label, values in settled.items()}
    if log is None:
        log = mode == "min" and spans_decades(np.concatenate(list(settled.values())))
    low, high = limits(
        [_shown(found, log) for found in sums.values()], log=log, also=None, top=None, what=ylabel
    )

    figure = new_figure(6.5)
    axes = figure.add_subplot()
    dress(axes, xlabel=xlabel, ylabel=ylabel, grid=True)
    most = max(len(values) for values in settled.values())
    axes.set_xscale("log")
    axes.set_yscale("log" if log else "linear")
    axes.set_xlim(1, most if most > 1 else 2)
    axes.set_ylim(low, high)
    _count(axes, most)
    looks, ends = styles(results), []
    for label, found in sums.items():
        tried, style = counts(len(settled[label])).astype(np.float64), looks[label]
        drawn = np.isfinite(found.middle)
        draw_band(axes, tried, found, style.color, alpha=0.09)
        line = sample(
            style,
            data=(tried, np.where(drawn, found.middle, np.nan)),
            label=label,
            markevery=_spaced(tried),
            zorder=3,
        )
        axes.add_line(line)
        lost = int((~np.isfinite(settled[label])).sum())
        note = f"{lost} of {len(settled[label])} settings diverged" if lost else ""
        end = float(found.middle[-1]) if drawn[-1] else (high if mode == "min" else low)
        ends.append(End(label, note, float(tried[-1]), end, style))
    counted = sorted({len(values) for values in runs.values()})
    seeds = " to ".join(str(one) for one in counted[:: max(1, len(counted) - 1)])
    headings(
        axes,
        title,
        f"{middle} of the best of n settings drawn at random, band from the first to the third quartile"
        + (f"\na setting's value: the median of its {seeds} seeds" if counted[-1] > 1 else ""),
    )
    end_labels(axes, ends)
    return figure


def counts(settings: int) -> np.ndarray:
    """Return the numbers of settings to try that are drawn: all, or of very many a geometric selection."""
    if settings <= MOST:
        return np.arange(1, settings + 1)
    return np.unique(np.geomspace(1, settings, MOST).round().astype(int))


def best_of(values: np.ndarray, tried: np.ndarray, mode: Mode, middle: Middle) -> Summary:
    """Return the distribution of the best of n values drawn without replacement.

    Args:
        values: (N,); one that is not finite is the worst.
        tried: the numbers n, (points,), whole, from 1 to N.
        mode: which values are the best.
        middle: what to put into the `Summary`'s middle.

    Returns:
        A `Summary` with the quartiles as low and high, each (points,).
    """
    ranked = np.sort(costs(values, mode))
    count = len(ranked)
    # P(none of the first i values is among n drawn) = C(N − i, n) / C(N, n), by logarithms of factorials.
    factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, count + 1)))])
    others = count - np.arange(1, count + 1)
    left = others - tried[:, np.newaxis]
    logarithms = factorials[others] - factorials[np.maximum(left, 0)]
    logarithms += (factorials[count - tried] - factorials[count])[:, np.newaxis]
    reached = 1.0 - np.where(left >= 0, np.exp(logarithms), 0.0)

    def quantile(share: float) -> np.ndarray:
        # Where the distribution is exactly `share` between two values, half way: as the median of two is.
        lower = ranked[np.argmax(reached >= share - 1e-9, axis=1)]
        upper = ranked[np.argmax(reached > share + 1e-9, axis=1)]
        return np.where(lower == upper, lower, lower / 2 + upper / 2)

    first, half, third = (quantile(share) for share in (0.25, 0.5, 0.75))
    if middle == "mean":
        chances = np.diff(reached, axis=1, prepend=0.0)
        # A value that cannot be the best of n is no part of their mean, infinite or not.
        half = np.where(chances > 0, chances * np.where(chances > 0, ranked, 0.0), 0.0).sum(axis=1)
    factor = sign(mode)
    ends = (first, third) if mode == "min" else (third, first)
    return Summary(factor * half, factor * ends[0], factor * ends[1], 1)


def _shown(found: Summary, log: bool) -> np.ndarray:
    """Return what the vertical axis is to hold, (values, 1): the line, and the band unless it is far off."""
    line = found.middle[np.isfinite(found.middle)]
    band = np.concatenate([found.low, found.high])
    band = band[np.isfinite(band)]
    if log and line.size:
        band = np.minimum(band, 10 * line.max())
    held = np.concatenate([line, band])
    return (held if held.size else np.full(1, np.nan))[:, np.newaxis]


def _count(axes: Axes, most: int) -> None:
    """Mark whole numbers along the horizontal axis."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    places = [part * 10**k for k in range(6) for part in (1, 2, 5) if part * 10**k <= most]
    axes.xaxis.set_major_locator(FixedLocator(places))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda place, _: f"{place:g}"))
    axes.xaxis.set_minor_locator(NullLocator())


def _spaced(tried: np.ndarray) -> list[int]:
    """Return the places to mark, about evenly spaced on the logarithmic axis."""
    wanted = np.geomspace(1, tried[-1], 9)
    return sorted({int(np.abs(tried - place).argmin()) for place in wanted})
