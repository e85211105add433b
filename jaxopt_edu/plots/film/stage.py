"""The map, the marks and the key of a race, before anything moves."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxopt_edu.plots.drawing.contours import draw, evaluate, grid, surface
from jaxopt_edu.plots.drawing.labels import wrap
from jaxopt_edu.plots.drawing.scales import number
from jaxopt_edu.plots.drawing.style import (
    DPI,
    INK,
    LABEL,
    NOTE,
    QUIET,
    Style,
    dress,
    new_figure,
    sample,
    styles,
)
from jaxopt_edu.plots.drawing.ways import before_divergence, outside, until_left
from jaxopt_edu.plots.paths import MINIMUM, START

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.text import Text

# Inches. 4.5 make 720 pixels: a phone at twice its points.
WIDE, EDGE, TICKS, LINE, ROW = 4.5, 0.14, 0.42, 0.27, 0.27
FLATTEST, TALLEST = 0.4, 1.25  # the map's height over its width
SHORT = (
    12  # letters of a name that goes along with its head, up to a comma; a longer one stands in the key only
)


class Runner(NamedTuple):
    """One method: where it is at each step, and the artists that show it."""

    points: np.ndarray  # (drawn, 2): to one past the last inside the window
    said: list[str]  # what the key says at each step
    trail: tuple[Line2D, Line2D]  # a white line under one in the method's style
    head: Line2D
    name: Text
    lead: Line2D  # from the head to its name
    score: Text


class Stage(NamedTuple):
    """A figure whose still parts are drawn once, and whose moving ones in every frame."""

    figure: Figure
    axes: Axes
    runners: list[Runner]
    clock: Text
    steps: int

    def moving(self) -> list[Artist]:
        """Return what moves, the lowest first."""
        layers = [
            *(line for runner in self.runners for line in runner.trail),
            *(runner.lead for runner in self.runners),
            *(runner.head for runner in self.runners),
            *(runner.name for runner in self.runners),
            *(runner.score for runner in self.runners),
        ]
        return [*layers, self.clock]


def build(
    function: Callable,
    window: np.ndarray,
    ways: Mapping[str, np.ndarray],
    minima: np.ndarray,
    start: np.ndarray | None,
    title: str | None,
) -> Stage:
    """Return the stage for checked paths.

    Args:
        function: maps an array (2,) to a scalar.
        window: (2, 2).
        ways: each method's points, (steps + 1, 2).
        minima: (m, 2).
        start: (2,), or None for where the paths begin.
        title: written above.
    """
    from matplotlib.lines import Line2D
    from matplotlib.ticker import MaxNLocator

    finite = {label: before_divergence(points) for label, points in ways.items()}
    # Only values inside the window are said; elsewhere float32 might overflow.
    held = {
        label: np.where(outside(points, window)[:, np.newaxis], window[:, 0], points)
        for label, points in finite.items()
    }
    x, y, pairs = grid(window)
    values = evaluate(function, np.concatenate([pairs, minima, *held.values()]))
    ground = surface(x, y, values[: len(pairs)], values[len(pairs) : len(pairs) + len(minima)])
    parts = np.split(values[len(pairs) + len(minima) :], np.cumsum([len(one) for one in held.values()])[:-1])
    said = {
        label: _said(points, finite[label], reached, window)
        for (label, points), reached in zip(ways.items(), parts, strict=True)
    }

    heading = wrap(title, 34).split("\n") if title else []
    looks = styles(ways)
    columns = 2 if len(ways) > 1 and max(map(len, ways)) <= SHORT else 1
    names = {label: wrap(label, SHORT if columns == 2 else 24) for label in ways}
    deep = [name.count("\n") + 1 for name in names.values()]
    rows = math.ceil(len(ways) / columns)
    sides = np.ptp(window, axis=1)
    ticks = MaxNLocator(4).tick_values(*window[1])
    left = 0.2 + 0.1 * max(len(f"{tick:g}") for tick in ticks)
    wide = WIDE - left - EDGE
    high = wide * float(np.clip(sides[1] / sides[0], FLATTEST, TALLEST))
    top = EDGE + LINE * (len(heading) + 1.1)
    below = TICKS + ROW * (rows if columns == 2 else sum(deep)) + EDGE
    height = round((top + high + below) * DPI / 2) * 2 / DPI  # an even number of pixels
    figure = new_figure(height, width=WIDE, layout=None)

    def place(right: float, down: float) -> tuple[float, float]:
        return right / WIDE, 1 - down / height

    axes = figure.add_axes((*place(left, top + high), wide / WIDE, high / height))
    dress(axes)
    axes.set_xlim(*window[0])
    axes.set_ylim(*window[1])
    axes.set_yticks([tick for tick in ticks if window[1, 0] <= tick <= window[1, 1]])
    axes.locator_params(axis="x", nbins=4)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda tick, _: number(tick))
    draw(axes, ground)
    starts = np.array([points[0] for points in finite.values() if len(points)] if start is None else [start])
    origin: dict[str, Any] = START | {"markersize": 7, "zorder": 2}
    goal: dict[str, Any] = MINIMUM | {"zorder": 2}
    for point in np.unique(starts.reshape(-1, 2), axis=0):
        axes.add_line(Line2D(point[:1], point[1:], **origin))
    for point in minima:
        axes.add_line(Line2D(point[:1], point[1:], **goal))
    for row, words in enumerate(heading):
        spot = place(EDGE, EDGE + LINE * (row + 0.7))
        figure.text(*spot, words, fontsize=LABEL, fontweight="bold", color=INK)
    spot = place(EDGE, EDGE + LINE * (len(heading) + 0.6))
    clock = figure.text(*spot, "", fontsize=NOTE, color=QUIET, animated=True)

    runners = []
    cell = (WIDE - 2 * EDGE + 0.15) / columns
    for index, label in enumerate(ways):
        column, row = divmod(index, rows)
        down = top + high + TICKS + ROW * (row if columns == 2 else sum(deep[:index]))
        score = _key(figure, place, EDGE + column * cell, cell - 0.15, down, names[label], looks[label])
        drawn = until_left(finite[label], window)
        runners.append(_runner(axes, label, drawn, said[label], looks[label], score))
    return Stage(figure, axes, runners, clock, max(map(len, ways.values())) - 1)


def _said(points: np.ndarray, finite: np.ndarray, values: np.ndarray, window: np.ndarray) -> list[str]:
    """Return what the key says about a method at each of its steps."""
    out = outside(finite, window)
    left = len(finite) - int(np.argmin(out[::-1])) if not out.all() else 0
    said = [
        number(float(value), 2) if not gone else f"out at {left}" if step >= left else "outside"
        for step, (value, gone) in enumerate(zip(values, out, strict=True))
    ]
    return said + ["diverged"] * (len(points) - len(finite))


def _key(
    figure: Figure,
    place: Callable[[float, float], tuple[float, float]],
    left: float,
    wide: float,
    down: float,
    name: str,
    style: Style,
) -> Text:
    """Write a method into the key, and return the text that is to say how far it is."""
    x, y = place(left + 0.09, down + 0.5 * ROW)
    figure.add_artist(sample(style, data=([x], [y]), size=9.0))
    for row, words in enumerate(name.split("\n")):
        spot = place(left + 0.25, down + ROW * (row + 0.68))
        figure.text(*spot, words, fontsize=NOTE, color=style.text)
    spot = place(left + wide, down + 0.68 * ROW)
    return figure.text(*spot, "", fontsize=NOTE, color=INK, ha="right", animated=True)


def _runner(axes: Axes, label: str, points: np.ndarray, said: list[str], style: Style, score: Text) -> Runner:
    from matplotlib.transforms import IdentityTransform

    under = sample(style, marker="", color="white", linewidth=3.6, linestyle="-", alpha=0.8, animated=True)
    over = sample(style, marker="", linewidth=1.8, animated=True)
    head = sample(style, size=10.0, animated=True)
    lead = sample(
        style, marker="", linewidth=0.9, linestyle="-", animated=True, transform=IdentityTransform()
    )
    for line in (under, over, head):
        axes.add_line(line)
    lead.set_figure(axes.figure)
    called = label.split(",")[0]
    name = axes.figure.text(
        0,
        0,
        called if len(called) <= SHORT else "",
        transform=IdentityTransform(),
        fontsize=NOTE,
        color=style.text,
        ha="center",
        va="center",
        animated=True,
        bbox={"boxstyle": "square,pad=0.05", "facecolor": "white", "edgecolor": "none", "alpha": 0.75},
    )
    return Runner(points, said, (under, over), head, name, lead, score)
