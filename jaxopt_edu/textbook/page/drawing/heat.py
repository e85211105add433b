"""A map of one number over two hyperparameters."""

from typing import Any

import numpy as np
from bokeh.core.properties import value as fixed
from bokeh.models import BasicTicker, ColorBar, ColumnDataSource, LinearColorMapper, LogColorMapper
from bokeh.palettes import Viridis256

from jaxopt_edu.plots.drawing.style import INK, QUIET, RULE
from jaxopt_edu.textbook.figures import HeatFigure
from jaxopt_edu.textbook.page.drawing.canvas import FONT, Scale, canvas, share
from jaxopt_edu.textbook.page.drawing.look import PAPER

HEIGHT = 420


def draw_heat(figure: HeatFigure) -> tuple[Any, list[str]]:
    """Draw a map.

    Args:
        figure: what to draw.

    Returns:
        The Bokeh plot, and notes to stand under it.
    """
    x, y = edges(figure.x, figure.xscale), edges(figure.y, figure.yscale)
    plot = canvas(
        (x[0], x[-1]),
        (y[0], y[-1]),
        xlabel=figure.xlabel,
        ylabel=figure.label,
        xscale=figure.xscale,
        yscale=figure.yscale,
        height=HEIGHT,
        right=20,
        grid=False,
    )
    plot.outline_line_color = None
    plot.yaxis.axis_label = figure.ylabel
    values = np.asarray(figure.values, float)
    shown = values[np.isfinite(values)]
    low, high = float(shown.min()), float(shown.max())
    # More than two decades on an even scale would be one colour.
    log = low > 0 and high / low > 100
    kind = LogColorMapper if log else LinearColorMapper
    mapper = kind(palette=Viridis256, nan_color=RULE, low=low, high=high)
    left, bottom = np.meshgrid(x[:-1], y[:-1])
    right, top = np.meshgrid(x[1:], y[1:])
    cells = {"left": left, "right": right, "bottom": bottom, "top": top, "value": values}
    plot.quad(
        left="left",
        right="right",
        bottom="bottom",
        top="top",
        source=ColumnDataSource(
            {key: column.ravel().astype(np.float32) for key, column in cells.items()}, name="cells"
        ),
        fill_color={"field": "value", "transform": mapper},
        line_color={"field": "value", "transform": mapper},  # or hairs of the paper show between the cells
    )
    bar = ColorBar(
        color_mapper=mapper,
        major_label_text_color=QUIET,
        major_label_text_font=FONT,
        major_label_text_font_size="12px",
        background_fill_color=None,
        bar_line_color=None,
        major_tick_line_color=None,
        height=12,
        padding=2,
        margin=0,
    )
    if not log:
        bar.ticker = BasicTicker(desired_num_ticks=5)
    plot.add_layout(bar, "above")
    for x_at, y_at, words in figure.points:
        _point(plot, x_at, y_at, words, share(x_at, x, figure.xscale), share(y_at, y, figure.yscale))
    notes = ["Grey cells: the run diverged."] if len(shown) < values.size else []
    return plot, notes


def edges(centres: np.ndarray, scale: Scale) -> np.ndarray:
    """The borders between cells, half way from centre to centre.

    Args:
        centres: increasing, shape (n,).
        scale: "linear" or "log"; on a logarithmic axis half way is the geometric mean.

    Returns:
        Increasing, shape (n + 1,).

    >>> edges(np.array([1.0, 2.0, 4.0]), "linear").tolist()
    [0.5, 1.5, 3.0, 5.0]
    """
    at = np.log(np.asarray(centres, float)) if scale == "log" else np.asarray(centres, float)
    if len(at) == 1:
        at = np.array([at[0] - 0.5, at[0] + 0.5])
        return np.exp(at) if scale == "log" else at
    middles = (at[:-1] + at[1:]) / 2
    borders = np.concatenate([[2 * at[0] - middles[0]], middles, [2 * at[-1] - middles[-1]]])
    return np.exp(borders) if scale == "log" else borders


def _point(plot: Any, x: float, y: float, words: str, across: float, up: float) -> None:
    plot.scatter(
        [float(x)], [float(y)], marker="circle", size=12, fill_color=PAPER, line_color=INK, line_width=2
    )
    plot.text(
        x=[float(x)],
        y=[float(y)],
        text=[words],
        x_offset=-12 if across > 0.5 else 12,
        y_offset=-8 if up < 0.05 else 8 if up > 0.95 else 0,
        text_align="right" if across > 0.5 else "left",
        text_baseline="middle",
        text_color=INK,
        text_font=fixed(FONT),
        text_font_size="13px",
        background_fill_color=PAPER,
        background_fill_alpha=0.85,
        padding=2,
        border_radius=3,
    )
