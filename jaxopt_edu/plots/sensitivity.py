"""Final loss over learning rate: how much a method minds a badly chosen one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from jaxopt_edu.plots.drawing.arguments import checked_arguments
from jaxopt_edu.plots.drawing.labels import LETTERS, wrap
from jaxopt_edu.plots.drawing.limits import limits
from jaxopt_edu.plots.drawing.seeds import (
    Band,
    Mode,
    Summary,
    by_setting,
    caption,
    costs,
    draw_band,
    summarise,
)
from jaxopt_edu.plots.drawing.style import (
    INK,
    LABEL,
    NOTE,
    QUIET,
    Style,
    dress,
    headings,
    new_figure,
    require_matplotlib,
    sample,
    styles,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@checked_arguments
def sensitivity(
    results: Mapping[str, tuple[ArrayLike, ArrayLike]],
    *,
    xlabel: str = "learning rate",
    ylabel: str = "final loss",
    mode: Mode = "min",
    log: bool | None = None,
    band: Band = "range",
    threshold: float | None = None,
    top: float | None = None,
    title: str | None = None,
) -> Figure:
    """Draw the loss reached over a hyperparameter on a logarithmic axis, and mark where runs diverged.

    A broad low valley (in mode "max" a broad ridge) is a method that is easy to tune. A ring marks each
    method's best setting, and the key lists the methods by it, best first. Settings with a seed that
    diverged, or ended above the top of the axis (where lower is better, the two count as the same), are
    marked in a strip along the top edge, one row per method: a filled mark when half of the seeds or more did
    (their line has a gap there), a hollow one when fewer did.

    Args:
        results: from each method's name to its settings, (n,) and positive, in any order, and the losses
            reached with them, (n, seeds) or (n,).
        xlabel: the hyperparameter.
        ylabel: what the losses are.
        mode: "min" where lower values are better, "max" where higher ones are, as of an accuracy.
        log: draw the losses on a logarithmic axis; by default in mode "min".
        band: "range" (lowest to highest finite seed), "quartiles" (first to third) or "none".
        threshold: a loss to mark with a horizontal line.
        top: upper end of the vertical axis. By default all finite losses fit, unless some are more than 100
            times the largest that any method has at its smallest setting (about the loss at the start): then
            the axis ends at 10 times that, if it is logarithmic and lower is better.
        title: written above the plot.

    Returns:
        A matplotlib Figure: one pair of axes, and above it a second one if any setting diverged.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: nothing to draw, a wrong shape, a setting that is not positive, an unknown band, or a
            negative loss on a logarithmic axis.

    Example:
        >>> import numpy as np
        >>> from jaxopt_edu.plots import sensitivity
        >>> rates = np.geomspace(1e-3, 1, 7)
        >>> figure = sensitivity({"sgd": (rates, (np.log10(rates) + 1) ** 2 + 0.1)})
        >>> figure.axes[0].get_xscale()
        'log'
    """
    require_matplotlib()
    log = mode == "min" if log is None else log
    if not results:
        raise ValueError("no results to draw: give at least one name with its settings and losses")
    rates: dict[str, np.ndarray] = {}
    losses: dict[str, np.ndarray] = {}
    for label, (settings, values) in results.items():
        rates[label], losses[label] = _ordered(label, settings, values)
    over = "diverged"
    if mode == "min" and top is None and log:
        top = _top(list(losses.values()))
    if mode == "min" and top is not None:
        over = f"diverged or over {top:.2g}"
        losses = {label: np.where(values > top, np.inf, values) for label, values in losses.items()}
    low, high = limits(
        [values.reshape(-1, 1) for values in losses.values()],
        log=log,
        also=threshold,
        top=top,
        what=ylabel,
    )
    sums = {label: summarise(values, band, mode) for label, values in losses.items()}
    looks = styles(results)
    lost = {label: (~np.isfinite(values)).mean(axis=0) for label, values in losses.items()}
    strips = [label for label in results if lost[label].any()]

    figure = new_figure(6.5 + 0.26 * len(strips))
    if strips:
        axes, strip = _with_strip(figure, len(strips))
    else:
        axes, strip = figure.add_subplot(), None
    dress(axes, xlabel=xlabel, ylabel=ylabel, grid=True)
    axes.set_xscale("log")
    axes.set_yscale("log" if log else "linear")
    smallest, largest = min(x[0] for x in rates.values()), max(x[-1] for x in rates.values())
    slack = max(largest / smallest, 10.0) ** 0.03
    axes.set_xlim(smallest / slack, largest * slack)
    axes.set_ylim(low, high)
    for label, found in sums.items():
        _curve(axes, rates[label], found, looks[label], label, mode, band)
    if threshold is not None:
        axes.axhline(threshold, color=INK, linewidth=1.2, linestyle=(0, (2, 2)), zorder=2)
    _key(axes, rates, sums, looks, mode)
    if strip is not None:
        _marks(strip, strips, rates, lost, looks)
    said = [caption([found.seeds for found in sums.values()], band)]
    if strips:
        several = max(found.seeds for found in sums.values()) > 1
        said.append(
            f"marks in the strip: {over}" + (" (filled: half of the seeds or more)" if several else "")
        )
    headings(axes if strip is None else strip, title, "\n".join(filter(None, said)))
    return figure


def _ordered(label: str, settings: ArrayLike, values: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    x = np.asarray(settings, dtype=np.float64)
    if x.ndim != 1 or not x.size or not (np.isfinite(x) & (x > 0)).all():
        raise ValueError(
            f"the settings of {label!r} have to be positive numbers of shape (n,) for a logarithmic axis: "
            f"got shape {x.shape} with smallest {x.min() if x.size else None}"
        )
    array = by_setting(label, values)
    if array.shape[1] != x.size:
        raise ValueError(
            f"{label!r} has {x.size} settings but losses of shape {np.shape(values)}: "
            f"expected (n,) or (n, seeds)"
        )
    order = np.argsort(x, kind="stable")
    return x[order], array[:, order]


def _top(losses: list[np.ndarray]) -> float | None:
    firsts, all_values = [], np.concatenate([values.ravel() for values in losses])
    for values in losses:
        middle = summarise(values, "none").middle
        firsts += list(middle[np.isfinite(middle) & (middle > 0)][:1])
    finite = all_values[np.isfinite(all_values)]
    if not firsts or finite.max() <= 100 * max(firsts):
        return None
    return float(10 * max(firsts))


def _with_strip(figure: Figure, rows: int) -> tuple[Axes, Axes]:
    parts = figure.add_gridspec(2, 1, height_ratios=[0.26 * rows + 0.1, 5], hspace=0.0)
    axes = figure.add_subplot(parts[1])
    return axes, figure.add_subplot(parts[0], sharex=axes)


def _curve(
    axes: Axes, x: np.ndarray, found: Summary, style: Style, label: str, mode: Mode, band: Band
) -> None:
    drawn = np.isfinite(found.middle)
    if band != "none" and found.seeds > 1:
        draw_band(axes, x, found, style.color)
    axes.add_line(sample(style, data=(x, np.where(drawn, found.middle, np.nan)), label=label, zorder=3))
    if drawn.any():
        best = int(np.argmin(costs(found.middle, mode)))
        axes.plot(
            x[best],
            found.middle[best],
            marker="o",
            markersize=15,
            markerfacecolor="none",
            markeredgecolor=style.color,
            markeredgewidth=1.8,
            zorder=4,
        )


def _key(
    axes: Axes,
    rates: dict[str, np.ndarray],
    sums: dict[str, Summary],
    looks: dict[str, Style],
    mode: Mode,
) -> None:
    digits = 2 if mode == "min" else 3  # accuracies differ in the third
    ranked = sorted(sums, key=lambda label: costs(sums[label].middle, mode).min())
    words = []
    for label in ranked:
        middle = sums[label].middle
        best = int(np.argmin(costs(middle, mode)))
        words.append(
            f"{wrap(label, LETTERS)}\nbest {middle[best]:.{digits}g} at {rates[label][best]:.2g}"
            if np.isfinite(middle[best])
            else f"{wrap(label, LETTERS)}\nalways diverged"
        )
    key = axes.legend(
        [sample(looks[label], size=9.0) for label in ranked],
        words,
        loc="upper left",
        bbox_to_anchor=(1.01, 1.0),
        borderaxespad=0.0,
        frameon=False,
        fontsize=LABEL,
        handlelength=3.0,
        labelspacing=0.7,
    )
    for label, text in zip(ranked, key.get_texts(), strict=True):
        text.set_color(looks[label].text)


def _marks(
    strip: Axes,
    labels: list[str],
    rates: dict[str, np.ndarray],
    lost: dict[str, np.ndarray],
    looks: dict[str, Style],
) -> None:
    dress(strip)
    strip.tick_params(which="both", bottom=False, left=False, labelbottom=False, labelleft=False)
    for spine in strip.spines.values():
        spine.set_visible(False)
    strip.set_facecolor("#F3F3F3")
    strip.set_ylim(len(labels) - 0.4, -0.6)
    strip.set_ylabel("diverged", fontsize=NOTE, color=QUIET, rotation=0, ha="right", va="center")
    for row, label in enumerate(labels):
        style, share = looks[label], lost[label]
        for wanted, face in ((share >= 0.5, style.color), ((share > 0) & (share < 0.5), "white")):
            strip.plot(
                rates[label][wanted],
                np.full(int(wanted.sum()), row),
                linestyle="none",
                marker=style.marker,
                markersize=8.5,
                markerfacecolor=face,
                markeredgecolor=style.color,
                markeredgewidth=1.4,
            )
