"""A chart of lines, with the name of each at its end."""

from typing import Any

import numpy as np
from bokeh.core.properties import value as fixed
from bokeh.models import ColumnDataSource, Span

from jaxopt_edu.plots.drawing.labels import spread, wrap
from jaxopt_edu.plots.drawing.limits import limits
from jaxopt_edu.plots.drawing.style import QUIET, Style
from jaxopt_edu.textbook.figures import LinesFigure, Series
from jaxopt_edu.textbook.page.drawing.canvas import FONT, Scale, canvas, share
from jaxopt_edu.textbook.page.drawing.look import PAPER, dash, mark
from jaxopt_edu.textbook.page.drawing.looks import looks_of
from jaxopt_edu.textbook.page.drawing.placing import LETTER, LINE, filled, quietest

HEIGHT = 380
FRAME = HEIGHT - 34 - 52  # pixels, without what stands above and below the axes
PLACED = 640.0  # pixels, the frame's width that words are placed for
LETTERS = 22  # of a name's line
WIDTH = 2.2
MARKS = 9  # at most so many on a line


def draw_lines(figure: LinesFigure) -> tuple[Any, list[str]]:
    """Draw lines.

    Args:
        figure: what to draw.

    Returns:
        The Bokeh plot, and notes to stand under it.
    """
    x_marks = [value for axis, value, _ in figure.marks if axis == "x"]
    y_marks = [value for axis, value, _ in figure.marks if axis == "y"]
    x = _ends([series.x for series in figure.series] + [np.array(x_marks)], figure.xscale)
    # A band may be infinitely wide where runs diverge; the window is that of the lines.
    y = limits(
        [np.atleast_2d(part) for series in figure.series for part in _finite_parts(series, figure.yscale)],
        log=figure.yscale == "log",
        also=y_marks[0] if y_marks else None,
        top=None,
        what=figure.ylabel,
    )
    y = (min([y[0], *y_marks]), max([y[1], *y_marks]))
    names = {series.name: wrap(series.name, LETTERS) for series in figure.series}
    longest = max(len(line) for name in names.values() for line in name.split("\n"))
    plot = canvas(
        x,
        y,
        xlabel=figure.xlabel,
        ylabel=figure.ylabel,
        xscale=figure.xscale,
        yscale=figure.yscale,
        height=HEIGHT,
        right=28 + round(7.4 * longest),
        grid=True,
    )
    looks = looks_of(figure)
    for series in figure.series:
        _line(plot, series, looks[series.name])
    for axis, value, words in figure.marks:
        _theory(plot, figure, axis, value, words, x, y)
    _names(plot, figure, names, looks, y)
    notes = {
        "No value where a line has a gap or ends early": [
            series.name for series in figure.series if not np.isfinite(series.y).all()
        ],
        "0 somewhere, where a logarithmic axis draws nothing": [
            series.name
            for series in figure.series
            if (figure.xscale == "log" and (np.asarray(series.x) <= 0).any())
            or (figure.yscale == "log" and (np.asarray(series.y) <= 0).any())
        ],
    }
    return plot, [f"{words}: {', '.join(names)}." for words, names in notes.items() if names]


def _finite_parts(series: Series, scale: Scale) -> list[np.ndarray]:
    parts = [np.asarray(part, float) for part in (series.y, series.low, series.high) if part is not None]
    kept = [part[np.isfinite(part) & (part > 0 if scale == "log" else True)] for part in parts]
    return [part for part in kept if len(part)]


def _ends(columns: list[np.ndarray], scale: Scale) -> tuple[float, float]:
    values = np.concatenate([np.asarray(column, float) for column in columns])
    values = values[np.isfinite(values) & (values > 0 if scale == "log" else True)]
    low, high = float(values.min()), float(values.max())
    if scale == "log":
        reach = max(np.log10(high / low), 0.2) * 0.02
        return low / 10**reach, high * 10**reach
    reach = (high - low or 1.0) * 0.02
    return low - reach, high + reach


def _line(plot: Any, series: Series, look: Style) -> None:
    x, y = np.asarray(series.x, np.float32), np.asarray(series.y, np.float32)
    source = ColumnDataSource({"x": x, "y": y}, name=f"line:{series.name}")
    drawn = []
    if series.low is not None and series.high is not None:
        # An area has no gaps: the band ends where its line does.
        kept = np.isfinite(series.low) & np.isfinite(series.high)
        drawn.append(
            plot.varea(
                x=x[kept],
                y1=np.asarray(series.low, np.float32)[kept],
                y2=np.asarray(series.high, np.float32)[kept],
                fill_color=look.color,
                fill_alpha=0.14,
            )
        )
    drawn.append(
        plot.line(
            "x",
            "y",
            source=source,
            line_color=look.color,
            line_width=WIDTH,
            line_dash=dash(look.dash, WIDTH),
            line_join="round",
        )
    )
    if look.marker:
        finite = np.flatnonzero(np.isfinite(y))
        some = finite[np.unique(np.linspace(0, len(finite) - 1, min(MARKS, len(finite))).round().astype(int))]
        drawn.append(
            plot.scatter(
                x[some], y[some], **mark(look, 8.0), fill_color=look.color, line_color=PAPER, line_width=0.8
            )
        )
    for renderer in drawn:
        renderer.name = series.name


def _theory(
    plot: Any,
    figure: LinesFigure,
    axis: str,
    value: float,
    words: str,
    x: tuple[float, float],
    y: tuple[float, float],
) -> None:
    plot.add_layout(
        Span(
            location=float(value),
            dimension="height" if axis == "x" else "width",
            line_color=QUIET,
            line_dash=[2, 3],
            line_width=1.5,
            level="underlay",
        )
    )
    # The words stand at either end of their line, on either side, where they hide the least.
    size, half = np.array([PLACED, FRAME]), np.array([LETTER * len(words), LINE]) / 2
    across, up = (
        share(value, x, figure.xscale) if axis == "x" else 0.0,
        share(value, y, figure.yscale) if axis == "y" else 0.0,
    )
    at = np.array([across, up]) * size
    corners = [(side, end) for side in (1, -1) for end in (1, 0)]
    centres = [
        (at[0] + side * (half[0] + 6), end * FRAME + (1 - 2 * end) * (half[1] + 4))
        if axis == "x"
        else ((1 - end) * PLACED + (2 * end - 1) * (half[0] + 6), at[1] + side * (half[1] + 2))
        for side, end in corners
    ]
    side, end = corners[quietest(np.array(centres), half, _traces(figure, x, y), size)]
    place: dict[str, Any] = (
        {
            "x": [float(value)],
            "y": [y[end]],
            "x_offset": 6 * side,
            "y_offset": 4 if end else -4,
            "text_align": "left" if side > 0 else "right",
            "text_baseline": "top" if end else "bottom",
        }
        if axis == "x"
        else {
            "x": [x[1 - end]],
            "y": [float(value)],
            "x_offset": 6 if end else -6,
            "y_offset": -3 * side,
            "text_align": "left" if end else "right",
            "text_baseline": "bottom" if side > 0 else "top",
        }
    )
    plot.text(
        **place,
        text=[words],
        text_color=QUIET,
        text_font=fixed(FONT),
        text_font_size="12px",
        background_fill_color=PAPER,
        background_fill_alpha=0.75,
    )


def _traces(figure: LinesFigure, x: tuple[float, float], y: tuple[float, float]) -> np.ndarray:
    """All lines as points in pixels, close to each other: (n, 2)."""
    found = [np.zeros((0, 2))]
    for series in figure.series:
        points = np.stack([np.asarray(series.x, float), np.asarray(series.y, float)], axis=1)
        kept = np.isfinite(points).all(axis=1)
        kept &= points[:, 0] > 0 if figure.xscale == "log" else True
        kept &= points[:, 1] > 0 if figure.yscale == "log" else True
        across = [share(value, x, figure.xscale) * PLACED for value in points[kept, 0]]
        up = [share(value, y, figure.yscale) * FRAME for value in points[kept, 1]]
        if across:
            found.append(filled(np.stack([across, up], axis=1)))
    return np.concatenate(found)


def _names(
    plot: Any,
    figure: LinesFigure,
    names: dict[str, str],
    looks: dict[str, Style],
    y: tuple[float, float],
) -> None:
    x = (float(plot.x_range.start), float(plot.x_range.end))
    ends: dict[str, tuple[float, float]] = {}  # as shares of the axes
    for series in figure.series:
        at, height = np.asarray(series.x, float), np.asarray(series.y, float)
        shown = np.isfinite(height) & (height > 0 if figure.yscale == "log" else True)
        if shown.any():
            last = np.argmax(np.where(shown, at, -np.inf))
            ends[series.name] = (
                share(float(at[last]), x, figure.xscale),
                share(float(height[last]), y, figure.yscale),
            )
    # A line that stops early has its name at its end, the others share the margin.
    beside = [name for name, (at, _) in ends.items() if at > 0.85]
    rows = [16.0 * (names[name].count("\n") + 1) for name in beside]
    moved = dict(zip(beside, spread([FRAME * ends[name][1] for name in beside], rows, 0, FRAME), strict=True))
    for name, (at, height) in ends.items():
        label = plot.text(
            x=[x[1] if name in moved else _value(at, x, figure.xscale)],
            y=[_value(moved[name] / FRAME if name in moved else height, y, figure.yscale)],
            text=[names[name]],
            x_offset=10,
            text_color=looks[name].text,
            text_font=fixed(FONT),
            text_font_size="13px",
            text_baseline="middle",
            text_line_height=1.15,
        )
        label.level = "overlay"  # what lies above is not clipped to the frame
        label.name = name
        label.tags = ["end"]


def _value(share: float, ends: tuple[float, float], scale: Scale) -> float:
    low, high = np.log10(ends) if scale == "log" else ends
    at = float(low + share * (high - low))
    return 10.0**at if scale == "log" else at
