"""A sheet of equal panels, the names above them, and the key."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from jaxopt_edu.plots.drawing.labels import wrap
from jaxopt_edu.plots.drawing.style import (
    INK,
    LABEL,
    NOTE,
    QUIET,
    TITLE,
    WIDTH,
    Style,
    dress,
    in_points,
    new_figure,
    sample,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Inches. Panels that keep their shape leave gaps under matplotlib's own layouts, so they are placed by hand.
RIGHT, GAP = 0.2, 0.3
NAME, REMARK, ABOVE, BELOW = 0.25, 0.21, 0.1, 0.15
TICKS, KEY, HEAD = 0.65, 0.27, 0.45
TICK_COUNT = 5
MOST_HIGH = 4.2  # of a panel among others, inches
MOST_COLUMNS = 4  # with more, a panel is too small to follow a path at half size


class Heading(NamedTuple):
    """What stands above a panel: a name with its mark and dash, and a note under it."""

    name: str
    note: str
    style: Style | None


class Sheet(NamedTuple):
    """A figure and its panels, row by row."""

    figure: Figure
    axes: list[Axes]


class _Plan(NamedTuple):
    """Where things go, in inches."""

    columns: int
    rows: int
    left: float  # of the first panel
    width: float  # of a panel
    high: float

    @property
    def sheet_width(self) -> float:
        return self.left + self.columns * self.width + (self.columns - 1) * GAP + RIGHT


def sheet(
    headings: Sequence[Sequence[Heading]],
    window: np.ndarray,
    *,
    entries: Mapping[str, dict[str, Any]],
    title: str | None,
) -> Sheet:
    """Return a figure with one panel for each group of headings, in the arrangement nearest to a page.

    Args:
        headings: for each panel, what stands above it, from the top.
        window: ((x_low, x_high), (y_low, y_high)). Between 3 by 1 and 2 by 3 the panels keep its
            shape, so that a gradient looks at right angles to its contour; a longer strip is squeezed.
        entries: the key, from words to a line's properties; it fills the last cell if that is empty, and
            stands below the panels otherwise.
        title: written above everything.
    """
    count = len(headings)
    plans = [_plan(count, columns, window) for columns in range(1, min(count, MOST_COLUMNS) + 1)]
    plan = min(plans, key=lambda plan: _cost(count, plan))
    columns, rows, left, width, high = plan
    letters = max(10, int((width * 72 - 40) / (0.68 * LABEL)))
    wrapped = [[group._replace(name=wrap(group.name, letters)) for group in panel] for panel in headings]
    tops = [
        max(sum(map(_heading_height, panel)) for panel in wrapped[row * columns : (row + 1) * columns])
        for row in range(rows)
    ]
    spare = rows * columns > count
    key_columns = next((n for n in (len(entries), 2) if left + _key_width(entries, n) < plan.sheet_width), 1)
    if spare or key_columns == 1:
        lines = int((width if spare else plan.sheet_width - left) * 72 / (0.56 * NOTE)) - 5
        entries = {wrap(words, lines): look for words, look in entries.items()}
    folds = sum(words.count("\n") for words in entries)
    key = 0.0 if spare else KEY * (math.ceil(len(entries) / key_columns) + folds) + 0.1
    head = HEAD if title else 0.12
    height = head + sum(tops) + rows * high + (rows - 1) * BELOW + TICKS + key
    figure = new_figure(height, width=plan.sheet_width, layout=None)

    def place(x: float, y: float) -> tuple[float, float]:
        return x / plan.sheet_width, y / height

    all_axes: list[Axes] = []
    bottom = height - head + BELOW
    for position, panel in enumerate(wrapped):
        row, column = divmod(position, columns)
        if column == 0:
            bottom -= BELOW + tops[row] + high
        axes = figure.add_axes((*place(left + column * (width + GAP), bottom), *place(width, high)))
        _frame(axes, window, width, lowest=position + columns >= count, first=column == 0)
        lift = 6.0
        for group in reversed(panel):
            lift = _write(axes, group, lift)
        all_axes.append(axes)
    if spare:
        corner = place(left + count % columns * (width + GAP), bottom + high)
        _key(figure, entries, corner, "upper left", 1)
    else:
        _key(figure, entries, place(left, 0.12), "lower left", key_columns)
    if title:
        figure.text(
            *place(left, height - 0.12),
            title,
            fontsize=TITLE,
            fontweight="bold",
            color=INK,
            ha="left",
            va="top",
        )
    return Sheet(figure, all_axes)


def _plan(count: int, columns: int, window: np.ndarray) -> _Plan:
    from matplotlib.ticker import MaxNLocator

    ticks = MaxNLocator(TICK_COUNT).tick_values(*window[1])
    left = 0.45 + 0.11 * max(len(f"{tick:g}") for tick in ticks)
    sides = np.ptp(window, axis=1)
    shape = float(np.clip(sides[1] / sides[0], 1 / 3, 1.5))
    width = (WIDTH - left - RIGHT - GAP * (columns - 1)) / columns
    high = min(width * shape, MOST_HIGH if count > 1 else 1.6 * MOST_HIGH)
    return _Plan(columns, math.ceil(count / columns), left, high / shape, high)


def _cost(count: int, plan: _Plan) -> float:
    height = plan.rows * (plan.high + NAME + REMARK + ABOVE + BELOW) + HEAD + TICKS
    # One empty cell is welcome, as the key goes there.
    empty = max(0, plan.rows * plan.columns - count - 1)
    return abs(math.log(plan.sheet_width / height / 1.5)) + 0.5 * empty


def _heading_height(group: Heading) -> float:
    return NAME * (group.name.count("\n") + 1) + (REMARK if group.note else 0.0) + ABOVE


def _frame(axes: Axes, window: np.ndarray, width: float, *, lowest: bool, first: bool) -> None:
    dress(axes)
    axes.set_xlim(*window[0])
    axes.set_ylim(*window[1])
    axes.locator_params(axis="y", nbins=TICK_COUNT)
    longest = max(len(f"{tick:g}") for tick in axes.get_xticks())
    axes.locator_params(axis="x", nbins=int(np.clip(width / (0.11 * longest + 0.15), 2, TICK_COUNT)))
    axes.tick_params(labelbottom=lowest, labelleft=first)
    places = [place for place in axes.get_xticks() if window[0, 0] <= place <= window[0, 1]]
    axes.set_xticks(places)
    for place, tick in zip(places, axes.xaxis.get_major_ticks(len(places)), strict=True):
        # At the very edge a centred number would run into that of the panel beside it.
        edge = np.isclose(place, window[0], rtol=0, atol=0.02 * np.ptp(window[0]))
        tick.label1.set_horizontalalignment("left" if edge[0] else "right" if edge[1] else "center")
    if lowest:
        axes.set_xlabel("x", fontsize=LABEL, color=INK, labelpad=1)
    if first:
        axes.set_ylabel("y", fontsize=LABEL, color=INK, rotation=0, labelpad=6, va="center")


def _write(axes: Axes, group: Heading, lift: float) -> float:
    """Write one heading from `lift` points above the axes up, and return where the next may begin."""
    frame = in_points(axes, 0, 1)
    top = lift + (_heading_height(group) - ABOVE) * 72
    if group.note:
        axes.text(0, lift, group.note, transform=frame, fontsize=NOTE, color=QUIET, va="bottom")
    axes.text(
        38 if group.style else 0,
        top - 2,
        group.name,
        transform=frame,
        fontsize=LABEL,
        fontweight="bold",
        color=group.style.text if group.style else INK,
        va="top",
    )
    if group.style:
        middle = top - 2 - 0.48 * LABEL
        line = sample(
            group.style, data=((0, 15, 30), (middle,) * 3), transform=frame, markevery=[1], size=9.0, zorder=6
        )
        line.set_clip_on(False)
        axes.add_artist(line)
    return top + ABOVE * 72


def _key_width(entries: Collection[str], columns: int) -> float:
    """Return about how many inches the key takes, rather too many."""
    words = list(entries)
    rows = math.ceil(len(words) / columns)
    return sum(
        0.095 * max(map(len, words[first : first + rows])) + 0.6 for first in range(0, len(words), rows)
    )


def _key(
    figure: Figure,
    entries: Mapping[str, dict[str, Any]],
    corner: tuple[float, float],
    location: Literal["upper left", "lower left"],
    columns: int,
) -> None:
    from matplotlib.lines import Line2D

    figure.legend(
        [Line2D([], [], **look) for look in entries.values()],
        list(entries),
        loc=location,
        bbox_to_anchor=corner,
        ncols=columns,
        frameon=False,
        fontsize=NOTE,
        labelcolor=QUIET,
        handlelength=1.5,
        handletextpad=0.7,
        columnspacing=1.6,
        labelspacing=0.8,
        borderaxespad=0.0,
        borderpad=0.0,
    )
