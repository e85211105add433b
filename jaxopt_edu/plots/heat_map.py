"""One number over two hyperparameters: colored cells with contours, or colored marks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from jaxopt_edu.plots.drawing.arguments import checked_arguments
from jaxopt_edu.plots.drawing.cells import HATCHED, HATCHING, color_bar, hatch
from jaxopt_edu.plots.drawing.scales import (
    Shading,
    check_positive,
    chosen_logarithmically,
    number,
    shading,
    ticks,
)
from jaxopt_edu.plots.drawing.seeds import Mode, chosen_best, costs
from jaxopt_edu.plots.drawing.style import (
    INK,
    NOTE,
    QUIET,
    dress,
    figure_of,
    headings,
    new_figure,
    require_matplotlib,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

CROSS: dict[str, Any] = {
    "linestyle": "none",
    "marker": "x",
    "markersize": 7,
    "color": QUIET,
    "markeredgewidth": 1.4,
}
# Black with a white edge, so that they can be seen on any color.
POINTS = ("P", "X", "D", "^", "s", "v")
RING: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 17, "markerfacecolor": "none"}


@checked_arguments
def heat_map(
    x: ArrayLike,
    y: ArrayLike,
    values: ArrayLike,
    *,
    xlabel: str,
    ylabel: str,
    label: str,
    mode: Mode = "min",
    xlog: bool | None = None,
    ylog: bool | None = None,
    log: bool | None = None,
    top: float | None = None,
    best: int | None = None,
    marks: Mapping[str, tuple[float, float]] | None = None,
    title: str | None = None,
) -> Figure:
    """Draw one number over two hyperparameters, the best darkest and ringed.

    A grid becomes one cell a setting, with contours at the ticks of the color bar; nothing is smoothed.
    Settings scattered at random become one mark each: a third hyperparameter that varies too would make a
    surface through them untrue. Settings that diverged, or ended beyond `top` (the two count as the same),
    have no color: a hatched cell, or a cross.

    Args:
        x: one hyperparameter: (n,) of a grid, in any order, or (k,) of scattered settings.
        y: the other: (m,) of a grid, or (k,).
        values: (m, n) on a grid, y first; (k,) for scattered settings. Not finite where a run diverged.
        xlabel: the hyperparameter along the horizontal axis.
        ylabel: the hyperparameter along the vertical axis.
        label: what the values are.
        mode: "min" where lower values are better, "max" where higher ones are.
        xlog: whether the horizontal axis is logarithmic; by default where that spreads x more evenly.
        ylog: whether the vertical axis is logarithmic; as xlog.
        log: whether the colors are spaced logarithmically; by default where positive values reach over a
            factor of 30.
        top: the value at the pale end of the colors (the lowest, in mode "max"); by default the worst that is
            no outlier.
        best: which of the values, counted through row by row, is ringed as the best, where that is for the
            caller to say: a run that ended early may be no match for a whole one. By default the best value.
        marks: further points (x, y) to mark, by the words for the key, as "theory": (0.1, 0.9).
        title: written above.

    Returns:
        A matplotlib Figure: the map, and the color bar.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: shapes that do not fit, a hyperparameter that is not finite or not positive on a
            logarithmic axis, nothing finite to draw, a best that is not finite, or an unknown mode.

    Example:
        >>> import numpy as np
        >>> from jaxopt_edu.plots import heat_map
        >>> rates, momenta = np.geomspace(1e-3, 1, 5), np.linspace(0, 0.9, 4)
        >>> losses = np.log10(rates / 0.1) ** 2 + (momenta[:, None] - 0.6) ** 2 + 0.01
        >>> figure = heat_map(rates, momenta, losses, xlabel="learning rate", ylabel="momentum", label="loss")
        >>> figure.axes[0].get_xscale(), figure.axes[0].get_yscale()
        ('log', 'linear')
    """
    require_matplotlib()
    across, up = _places(xlabel, x), _places(ylabel, y)
    heights = np.asarray(values, dtype=np.float64)
    on_grid = heights.ndim == 2
    if heights.shape != ((up.size, across.size) if on_grid else (across.size,)) or across.size < 2:
        raise ValueError(
            f"values have shape {heights.shape}, but there are {across.size} of {xlabel} and {up.size} of "
            f"{ylabel}: expected ({up.size}, {across.size}) on a grid, or as many of all three; two or more"
        )
    if not on_grid and up.size != across.size:
        raise ValueError(
            f"scattered settings need one {ylabel} for each {xlabel}: got {up.size} for {across.size}"
        )
    look = shading(label, heights, mode=mode, log=log, worst=top)
    best = chosen_best(heights.ravel(), mode, best)
    reached = heights.ravel()[best]
    heights = np.where(look.lost(heights), np.nan, heights)
    point = (across[best % across.size], up[best // across.size]) if on_grid else (across[best], up[best])
    logs = [
        chosen_logarithmically(places) if asked is None else asked
        for places, asked in ((across, xlog), (up, ylog))
    ]
    for places, name, chosen in ((across, xlabel, logs[0]), (up, ylabel, logs[1])):
        if chosen:
            check_positive(name, places)

    figure = new_figure(7.6, width=9.6)
    axes = figure.add_subplot()
    dress(axes, xlabel=xlabel, ylabel=ylabel)
    axes.set_xscale("log" if logs[0] else "linear")
    axes.set_yscale("log" if logs[1] else "linear")
    if on_grid:
        order = np.ix_(np.argsort(up, kind="stable"), np.argsort(across, kind="stable"))
        across, up, heights = np.sort(across), np.sort(up), heights[order]
        mapped = _cells(axes, across, up, heights, look, logs)
    else:
        mapped = _scatter(axes, across, up, heights, look, mode)
    color_bar(axes, mapped, label, log=look.log, aspect=28)
    _ring(axes, point)
    headings(
        axes,
        title,
        f"best {number(reached)} at {xlabel} {number(point[0])}, {ylabel} {number(point[1])}",
    )
    _key(axes, marks or {}, on_grid=on_grid, lost=look.lost_words if np.isnan(heights).any() else "")
    return figure


def _places(name: str, values: ArrayLike) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not array.size or not np.isfinite(array).all():
        raise ValueError(f"{name} has shape {array.shape}: expected (n,), finite numbers only")
    return array


def _cells(
    axes: Axes, x: np.ndarray, y: np.ndarray, values: np.ndarray, look: Shading, logs: list[bool]
) -> ScalarMappable:
    edges = [_edges(places, log) for places, log in zip((x, y), logs, strict=True)]
    axes.set_xlim(edges[0][0], edges[0][-1])
    axes.set_ylim(edges[1][0], edges[1][-1])
    finite = np.ma.masked_invalid(values)
    if finite.mask.any():
        hatch(axes)
    cells = axes.pcolormesh(*edges, finite, norm=look.norm, cmap=look.colors, rasterized=True, zorder=0.5)
    levels = [level for level in ticks(look.low, look.high, log=look.log) if look.low < level < look.high]
    if levels and min(values.shape) > 1:
        # White on the dark colors of the good values, dark on the pale ones.
        inks = ["white" if sum(look.colors(look.norm(level))[:3]) < 1.9 else "#33475B" for level in levels]
        axes.contour(x, y, finite, levels=levels, colors=inks, linewidths=0.9, zorder=1)
    return cells


def _scatter(
    axes: Axes, x: np.ndarray, y: np.ndarray, values: np.ndarray, look: Shading, mode: Mode
) -> ScalarMappable:
    axes.grid(True, which="major", color="#E6E6E6", linewidth=0.8, linestyle="-")
    lost = ~np.isfinite(values)
    axes.plot(x[lost], y[lost], **CROSS, zorder=2)
    axes.margins(0.05)
    # The best come last, on top.
    order = np.argsort(-costs(values, mode), kind="stable")[int(lost.sum()) :]
    return axes.scatter(
        x[order],
        y[order],
        c=values[order],
        s=110,
        marker="o",
        norm=look.norm,
        cmap=look.colors,
        edgecolors="white",
        linewidths=0.8,
        zorder=3,
    )


def _edges(places: np.ndarray, log: bool) -> np.ndarray:
    scaled = np.log10(places) if log else places
    if scaled.size == 1:
        half = np.array([0.5]) if log else np.array([abs(scaled[0]) / 2 or 0.5])
        found = np.concatenate([scaled - half, scaled + half])
    else:
        middles = (scaled[1:] + scaled[:-1]) / 2
        found = np.concatenate([[2 * scaled[0] - middles[0]], middles, [2 * scaled[-1] - middles[-1]]])
    return 10.0**found if log else found


def _ring(axes: Axes, point: tuple[float, float]) -> None:
    for color, width in (("white", 4.6), (INK, 2.0)):
        axes.plot(*point, **RING, markeredgecolor=color, markeredgewidth=width, zorder=6)


def _key(axes: Axes, marks: Mapping[str, tuple[float, float]], *, on_grid: bool, lost: str) -> None:
    from matplotlib import rc_context
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    entries: dict[str, Any] = {
        "best measured": Line2D(
            [], [], **(RING | {"markersize": 12, "markeredgecolor": INK, "markeredgewidth": 1.8})
        )
    }
    for position, (words, point) in enumerate(marks.items()):
        mark: dict[str, Any] = {"linestyle": "none", "marker": POINTS[position % len(POINTS)], "color": INK}
        axes.plot(*point, **mark, markersize=11, markeredgecolor="white", markeredgewidth=1.2, zorder=7)
        entries[words] = Line2D([], [], **mark, markersize=9, markeredgewidth=0)
    with rc_context(HATCHING):
        if lost:
            entries[lost] = Patch(**HATCHED) if on_grid else Line2D([], [], **CROSS)
        figure_of(axes).legend(
            list(entries.values()),
            list(entries),
            loc="outside lower center",
            ncols=min(len(entries), 4),
            frameon=False,
            fontsize=NOTE,
            labelcolor=QUIET,
            handletextpad=0.6,
            columnspacing=1.8,
        )
