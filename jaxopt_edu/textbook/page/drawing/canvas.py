"""An empty Bokeh plot in the page's typography."""

import math
import textwrap
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from bokeh.models import BasicTickFormatter, FixedTicker, Range1d, Title
from bokeh.plotting import figure

from jaxopt_edu.plots.drawing.style import INK, QUIET, RULE
from jaxopt_edu.textbook.page.drawing.look import GRID, PAPER

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif"
LETTERS = 40  # of a line of the axis's label, which has to fit on a phone
Scale = Literal["linear", "log"]


def canvas(
    x: tuple[float, float],
    y: tuple[float, float],
    *,
    xlabel: str = "",
    ylabel: str = "",
    xscale: Scale = "linear",
    yscale: Scale = "linear",
    height: int,
    right: int,
    grid: bool,
) -> Any:
    """Make an empty plot as wide as its place on the page.

    Args:
        x: the window's ends.
        y: the window's ends.
        xlabel: under the horizontal axis.
        ylabel: above the plot, where it can be read without turning the head.
        xscale: of the horizontal axis.
        yscale: of the vertical axis.
        height: pixels, with the axes.
        right: pixels kept free at the right, for labels.
        grid: whether lines mark the ticks.

    Returns:
        A `bokeh.plotting.figure` that reacts to nothing: the page's own controls can be reached by keyboard.
    """
    title = Title(
        text=_folded(ylabel),
        text_color=INK,
        text_font=FONT,
        text_font_size="13px",
        text_font_style="normal",
        standoff=8,
    )
    plot = figure(
        x_range=Range1d(start=float(x[0]), end=float(x[1])),
        y_range=Range1d(start=float(y[0]), end=float(y[1])),
        x_axis_type=xscale,
        y_axis_type=yscale,
        x_axis_label=_folded(xlabel) or None,
        title=title if ylabel else None,
        sizing_mode="stretch_width",
        height=height,
        tools="",
        toolbar_location=None,
        # Not transparent: Bokeh paints anew without wiping, and would leave old ticks behind.
        background_fill_color=PAPER,
        border_fill_color=PAPER,
        outline_line_color=None if grid else RULE,
        min_border_top=12,
        min_border_right=right,
        min_border_left=52,
        min_border_bottom=34,
    )
    for axis in plot.axis:
        axis.axis_line_color = RULE
        axis.major_tick_line_color = RULE
        axis.minor_tick_line_color = None
        axis.major_tick_in = 0
        axis.major_label_text_color = QUIET
        axis.major_label_text_font = FONT
        axis.major_label_text_font_size = "12px"
        axis.axis_label_text_color = INK
        axis.axis_label_text_font = FONT
        axis.axis_label_text_font_size = "13px"
        axis.axis_label_text_font_style = "normal"
    for axis, scale, ends in ((plot.xaxis, xscale, x), (plot.yaxis, yscale, y)):
        # On a logarithmic axis of one or two decades Bokeh marks two or three places, all at one end.
        if scale == "log" and 1e-4 < ends[0] < ends[1] < min(1e5, 300 * ends[0]):
            axis.ticker = FixedTicker(ticks=log_ticks(*ends))
            axis.formatter = BasicTickFormatter(use_scientific=False)
    plot.grid.visible = grid
    plot.grid.grid_line_color = GRID
    return plot


def share(value: float, ends: Sequence[float] | np.ndarray, scale: Scale) -> float:
    """Where a value lies on an axis.

    Args:
        value: on the axis.
        ends: increasing numbers; the first and the last are the axis's ends.
        scale: of the axis.

    Returns:
        0 at the low end, 1 at the high end.
    """
    three = np.array([ends[0], value, ends[-1]], float)
    low, at, high = np.log10(three) if scale == "log" else three
    return float((at - low) / (high - low))


def log_ticks(low: float, high: float) -> list[float]:
    """Round numbers on a logarithmic axis.

    Args:
        low: the axis's low end, above 0.
        high: its high end.

    Returns:
        1, 2 and 5 times powers of ten, or only the powers if there are two or more decades.

    >>> log_ticks(3.0, 110.0), log_ticks(0.5, 250.0)
    ([5.0, 10.0, 20.0, 50.0, 100.0], [1.0, 10.0, 100.0])
    """
    factors = (1,) if high / low >= 100 else (1, 2, 5)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = (float(f"{factor}e{power}") for power in powers for factor in factors)
    return [tick for tick in ticks if low <= tick <= high]


def _folded(words: str) -> str:
    return "\n".join(textwrap.wrap(words, LETTERS))
