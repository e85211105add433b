"""A figure as the template wants it."""

import json
from typing import Any, NamedTuple

import numpy as np
from bokeh.core.types import ID
from bokeh.embed import json_item
from markupsafe import Markup

from jaxopt_edu.textbook.figures import Figure, LinesFigure, PathsFigure
from jaxopt_edu.textbook.page.drawing.heat import draw_heat
from jaxopt_edu.textbook.page.drawing.key import Entry, key_of
from jaxopt_edu.textbook.page.drawing.lines import draw_lines
from jaxopt_edu.textbook.page.drawing.paths import draw_paths, window_of
from jaxopt_edu.textbook.page.tables import Table, table_of

TALLEST = 560  # pixels, of a map's frame


class ShownFigure(NamedTuple):
    """What the template needs of a figure.

    Attributes:
        id: its anchor.
        kind: "paths", "lines" or "heat".
        name: what it is, in a few words.
        alt: what it shows, for those who do not see it.
        item: the Bokeh plot as JSON.
        ratio: height over width of the frame; 0 where the height is fixed.
        widest: pixels.
        steps: the number of the last step, if it can be played; else 0.
        key: names with their lines and marks.
        notes: sentences under it.
        table: its numbers.
    """

    id: str
    kind: str
    name: str
    alt: str
    item: Markup
    ratio: float
    widest: int
    steps: int
    key: tuple[Entry, ...]
    notes: tuple[str, ...]
    table: Table


def show(figure: Figure, id: str, measured: str) -> ShownFigure:
    """Draw a figure.

    Args:
        figure: what to draw.
        id: its anchor.
        measured: what was measured: the best part of its description.

    Returns:
        Everything about it that the template needs.
    """
    ratio, widest, steps = 0.0, 900, 0
    if isinstance(figure, PathsFigure):
        kind, (plot, notes) = "paths", draw_paths(figure)
        width, height = np.ptp(window_of(figure), axis=1)
        ratio = float(height / width)
        widest = min(900, round(TALLEST / ratio) + 80)
        steps = max(len(path.points) for path in figure.paths) - 1 if figure.play else 0
        names = ", ".join(path.name for path in figure.paths)
        what = f"Paths over the contours of f = {figure.surface.formula}"
    elif isinstance(figure, LinesFigure):
        kind, (plot, notes) = "lines", draw_lines(figure)
        names = ", ".join(series.name for series in figure.series)
        what = f"Chart of {figure.ylabel} by {figure.xlabel}"
    else:
        kind, (plot, notes) = "heat", draw_heat(figure)
        widest = 720
        names = ""
        what = f"Map of {figure.label} by {figure.xlabel} and {figure.ylabel}"
    return ShownFigure(
        id=id,
        kind=kind,
        name=what,
        alt=f"{what}{': ' if names else ''}{names}. {measured}",
        item=script_json(json_item(plot, ID(id))),
        ratio=ratio,
        widest=widest,
        steps=steps,
        key=key_of(figure),
        notes=tuple(note for note in notes if note),
        table=table_of(figure),
    )


def script_json(value: Any) -> Markup:
    """JSON that may stand inside a <script> element.

    Args:
        value: anything that JSON can say.

    Returns:
        The text.
    """
    return Markup(json.dumps(value, separators=(",", ":")).replace("<", "\\u003c"))
