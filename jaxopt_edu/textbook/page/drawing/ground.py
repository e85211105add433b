"""A surface under the paths: shades and contour lines."""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from bokeh.models import ColumnDataSource, LinearColorMapper
from contourpy import contour_generator

from jaxopt_edu.plots.drawing.contours import CONTOUR, evaluate, grid, surface
from jaxopt_edu.plots.drawing.style import INK
from jaxopt_edu.problems import Surface
from jaxopt_edu.textbook.page.drawing.look import GROUND, PAPER

EVERY = 2  # of the grid that contours are drawn from: half of it is enough on a screen


class Ground(NamedTuple):
    """What is drawn of a surface.

    Attributes:
        shades: uint8 array, y first: from 0 in the valley to 255 on the heights.
        lines: float32 array of shape (n, 2): the contour lines, one after the other, with NaN between them.
        note: what the contours mean, in words.
    """

    shades: np.ndarray
    lines: np.ndarray
    note: str


@lru_cache(maxsize=64)
def ground_of(of: Surface) -> Ground:
    """Choose levels as `jaxopt_edu.plots` does, and trace them.

    Args:
        of: the surface; its domain is the window.

    Returns:
        Shades and lines.
    """
    window = np.asarray(of.domain, float)
    x, y, pairs = grid(window)
    minima = np.reshape(np.asarray(of.minima, float), (-1, 2))
    values = evaluate(of.function, np.concatenate([pairs, minima]))
    map_ = surface(x, y, values[: len(pairs)], values[len(pairs) :])
    heights = np.ma.filled(map_.heights, np.nan)[::EVERY, ::EVERY]
    levels = map_.levels
    # Between two levels the shade changes evenly, so that it says as much in the valley as on the heights.
    below, above = (2 * levels[0] - levels[1], 2 * levels[-1] - levels[-2])
    knots = np.concatenate([[below], levels, [above]])
    shades = np.interp(heights, knots, np.linspace(0, 255, len(knots)))
    tracer = contour_generator(x[::EVERY], y[::EVERY], np.ma.masked_invalid(heights))
    pieces: list[np.ndarray] = []
    for level in levels:
        for line in tracer.lines(level):
            pieces += [np.asarray(line, np.float32), np.full((1, 2), np.nan, np.float32)]
    # A value found on a grid in float32 is 0 when it is nothing against the first level.
    flattest = 0.0 if abs(map_.reference) < 0.01 * np.abs(levels).min() else map_.reference
    far = "high above the minimum" if map_.lowest else f"far from f = {flattest:.2g}"
    note = f"Contours: each {map_.ratio:.2g} times as {far}."
    return Ground(np.nan_to_num(shades, nan=255).round().astype(np.uint8), np.concatenate(pieces), note)


def image_place(domain: Any) -> dict[str, float]:
    """Where the shades belong: a cell of the image lies around its point of the grid.

    Args:
        domain: the window, ((x_low, x_high), (y_low, y_high)).

    Returns:
        Corner and size, as Bokeh's image wants them.
    """
    (left, right), (bottom, top) = domain
    cells = len(range(0, 241, EVERY))
    width, height = (right - left) / (cells - 1), (top - bottom) / (cells - 1)
    return {
        "x": left - width / 2,
        "y": bottom - height / 2,
        "dw": right - left + width,
        "dh": top - bottom + height,
    }


def draw_ground(plot: Any, of: Surface) -> str:
    """Draw a surface.

    Args:
        plot: an empty canvas.
        of: the surface.

    Returns:
        What the contours mean.
    """
    ground = ground_of(of)
    place = image_place(of.domain)
    plot.image(
        image="image",
        **dict.fromkeys(("x", "y", "dw", "dh")) | {key: key for key in place},
        source=ColumnDataSource(
            {"image": [ground.shades], **{key: [value] for key, value in place.items()}}, name="shades"
        ),
        color_mapper=LinearColorMapper(palette=GROUND, low=0, high=255),
        level="image",
    )
    plot.line(
        "x",
        "y",
        source=ColumnDataSource({"x": ground.lines[:, 0], "y": ground.lines[:, 1]}, name="contours"),
        line_color=CONTOUR,
        line_width=1,
        level="underlay",
    )
    return ground.note


def draw_minima(plot: Any, of: Surface) -> None:
    """Mark a surface's minima, over the paths that lead there, without hiding them.

    Args:
        plot: the canvas.
        of: the surface.
    """
    minima = np.reshape(np.asarray(of.minima, np.float32), (-1, 2))
    source = ColumnDataSource({"x": minima[:, 0], "y": minima[:, 1]}, name="minima")
    for color, width in ((PAPER, 3.5), (INK, 1.5)):
        plot.scatter(
            "x", "y", source=source, marker="star", size=17, fill_alpha=0, line_color=color, line_width=width
        )
