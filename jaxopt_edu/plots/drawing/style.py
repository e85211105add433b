"""How every picture looks, and how it reaches the disk: the only place that knows colours, marks and sizes.

The palette is Okabe and Ito's (https://jfly.uni-koeln.de/color/), which stays apart under the common forms of
colour blindness. Its yellow is left out, because a yellow line cannot be seen on white. Orange and sky blue
reach only 2.3 : 1 against white, so they are darkened at constant hue to 3 : 1, the least that WCAG 2 asks of
graphics; vermillion is darkened with them, or it would meet the darker orange under deuteranopia. A method
also has a marker and a dash pattern of its own, so that no picture depends on colour alone.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

import numpy as np

from jaxopt_edu.core.checks import short
from jaxopt_edu.files import whole_file
from jaxopt_edu.plots.drawing.animation import Animation
from jaxopt_edu.plots.drawing.arguments import checked_arguments

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.transforms import Transform
    from numpy.typing import ArrayLike

Dash = tuple[float, tuple[float, ...] | None]


class Style(NamedTuple):
    """How one method is drawn."""

    color: str  # of lines and marks: at least 3 : 1 against white
    text: str  # the same hue for words: at least 4.5 : 1 against white
    marker: str
    dash: Dash  # matplotlib's (offset, on-off lengths in line widths)


METHODS: dict[str, Style] = {
    "sgd": Style("#000000", "#000000", "o", (0, None)),
    "momentum": Style("#0072B2", "#0072B2", "s", (0, (6, 1.5))),
    "nesterov": Style("#C58700", "#9D6B00", "^", (0, (3, 1.2))),
    "adagrad": Style("#009E73", "#008560", "D", (0, (6, 1.5, 1, 1.5))),
    "adadelta": Style("#CC79A7", "#A35F85", "v", (0, (1.5, 1))),
    "rmsprop": Style("#499BCA", "#397BA1", "P", (0, (6, 1.5, 1, 1.5, 1, 1.5))),
    "adam": Style("#B54F00", "#B54F00", "X", (0, (10, 2))),
}

INK = "#1A1A1A"  # titles and axis labels
QUIET = "#595959"  # notes and ticks
RULE = "#BFBFBF"  # contour lines, grids, frames

# Points. In figures 12 inches wide, saved at 160 dots per inch, NOTE is 13 pixels high at half size.
TITLE = 17.0
LABEL = 14.0
NOTE = 12.0
LINE = 2.2
MARK = 7.0

WIDTH = 12.0  # inches
DPI = 160


@checked_arguments
def styles(labels: Iterable[str]) -> dict[str, Style]:
    """Give every label its own style.

    The seven methods keep theirs in every figure; `"Adam"` and `"adam(b1=0.8)"` are `"adam"`, unless an
    earlier label took its style. Any other label takes the next style that no label of this figure uses.
    Past the seventh, colours come round again with other marks and dashes.

    Args:
        labels: the names in one figure, in the order they are drawn.

    Returns:
        A dict from each label to its `Style`, in the order given; the same labels always give the same dict.

    Example:
        >>> from jaxopt_edu.plots import styles
        >>> styles(["sgd", "adam"])["adam"].color
        '#B54F00'
        >>> styles(["my method", "sgd"])["my method"].color
        '#0072B2'
    """
    labels = list(dict.fromkeys(labels))
    known: dict[str, Style] = {}
    for label in labels:
        style = METHODS.get(re.split("[^a-z]", label.casefold(), maxsplit=1)[0])
        if style is not None and style not in known.values():
            known[label] = style
    palette = list(METHODS.values())
    count = len(palette)
    spare = [style for style in palette if style not in known.values()]
    for turn in range(1, len(labels) // count + 2):
        spare += [
            Style(
                style.color,
                style.text,
                palette[(i + turn) % count].marker,
                palette[(i + 2 * turn) % count].dash,
            )
            for i, style in enumerate(palette)
        ]
    others = iter(spare)
    return {label: known[label] if label in known else next(others) for label in labels}


def require_matplotlib() -> None:
    """Say how to get matplotlib if it is missing; every public function that draws begins with this."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise ImportError(
            'jaxopt_edu.plots draws with matplotlib, which is not installed: pip install "jaxopt-edu[plots]"'
        ) from None


def new_figure(
    height: float, *, width: float = WIDTH, layout: Literal["constrained"] | None = "constrained"
) -> Figure:
    """Return an empty white figure that belongs to no global state and shows itself in Jupyter.

    Args:
        height: inches.
        width: inches.
        layout: "constrained" lets matplotlib make room for labels; None leaves axes where they are put.
    """
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    from jaxopt_edu.plots.drawing.picture import Picture

    figure = Picture(figsize=(width, height), dpi=DPI, facecolor="white")
    figure.set_layout_engine(ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12) if layout else "none")
    return figure


def dress(axes: Axes, *, xlabel: str = "", ylabel: str = "", grid: bool = False) -> None:
    """Set the typography of one pair of axes; a user's rcParams do not reach it."""
    axes.set_facecolor("white")
    axes.set_axisbelow(True)
    axes.set_xlabel(xlabel, fontsize=LABEL, color=INK)
    axes.set_ylabel(ylabel, fontsize=LABEL, color=INK)
    axes.tick_params(
        which="both", labelsize=NOTE, labelcolor=QUIET, color=RULE, width=0.8, direction="out", length=4
    )
    axes.tick_params(which="minor", length=2)
    for name, spine in axes.spines.items():
        spine.set(color=RULE, linewidth=0.8, visible=not grid or name in ("left", "bottom"))
    axes.grid(False, which="both")
    if grid:
        axes.grid(True, which="major", color="#E6E6E6", linewidth=0.8, linestyle="-")


def sample(
    style: Style, *, data: tuple[ArrayLike, ArrayLike] = ((), ()), size: float = MARK, **more: Any
) -> Line2D:
    """Return a line in one method's style: what is drawn, and what keys show.

    Args:
        style: the method's.
        data: x (n,) and y (n,).
        size: of the marks, in points.
        **more: properties of `matplotlib.lines.Line2D` that are to differ.
    """
    from matplotlib.lines import Line2D

    settings: dict[str, Any] = {
        "color": style.color,
        "linestyle": style.dash,
        "linewidth": LINE,
        "marker": style.marker,
        # The white edge leaves little of a cross, so crosses are drawn larger.
        "markersize": size * (1.3 if style.marker in ("P", "X") else 1.0),
        "markeredgecolor": "white",
        "markeredgewidth": 0.09 * size,
    }
    return Line2D(np.asarray(data[0]), np.asarray(data[1]), **(settings | more))


def figure_of(axes: Axes) -> Figure:
    """Return the figure that the axes stand in; no picture here has subfigures."""
    return cast("Figure", axes.figure)


def in_points(axes: Axes, x: float, y: float) -> Transform:
    """Return the transform from points, counted from the place (x, y) of the axes, 0 to 1, to the screen."""
    from matplotlib.transforms import Affine2D, ScaledTranslation

    corner = ScaledTranslation(x, y, axes.transAxes)  # pyright: ignore[reportArgumentType]
    return Affine2D().scale(1 / 72) + figure_of(axes).dpi_scale_trans + corner


def headings(axes: Axes, title: str | None, note: str) -> None:
    """Write a bold title and a quiet note under it above the axes, both flush with their left edge."""
    frame = in_points(axes, 0, 1)
    rows = note.count("\n") + 1 if note else 0
    if note:
        axes.text(0, 8, note, transform=frame, fontsize=NOTE, color=QUIET, va="bottom", linespacing=1.3)
    if title:
        height = 12 + rows * NOTE * 1.45
        axes.text(
            0, height, title, transform=frame, fontsize=TITLE, fontweight="bold", color=INK, va="bottom"
        )


FORMATS = {
    ".png": {},
    ".svg": {"Date": None},
    ".pdf": {"CreationDate": None},
}  # no clock: same figure, same bytes
MOVING = (".webp", ".gif")


@checked_arguments
def save(picture: Figure | Animation, path: str | os.PathLike[str]) -> Path:
    """Write a picture whole: a reader sees the old file or the new one, never half of one.

    The picture goes to a temporary file in the same folder, is forced to the disk and then takes the place of
    `path`. If anything fails, an existing file stays as it was.

    Args:
        picture: any Figure of matplotlib's, or an `Animation`.
        path: where to; the suffix says the format: one of .png, .svg, .pdf, or .webp and .gif for an
            animation.

    Returns:
        The path written.

    Raises:
        ValueError: the suffix names no format.
        OSError: the folder is missing or cannot be written to; the message names it.

    Example:
        >>> import os, tempfile
        >>> from jaxopt_edu.plots import curves, save
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = save(curves({"sgd": [3.0, 2.0, 1.0]}, ylabel="loss"), os.path.join(folder, "loss.png"))
        ...     path.name, path.stat().st_size > 1000
        ('loss.png', True)
    """
    path = Path(path)
    if not isinstance(picture, Animation) and not hasattr(picture, "savefig"):
        raise TypeError(
            f"save: picture = {short(picture)} is no picture; give what a function of this module returned."
        )
    suffix = path.suffix.lower()
    moving = isinstance(picture, Animation)
    formats = MOVING if moving else tuple(FORMATS)
    if suffix not in formats:
        raise ValueError(
            f"cannot tell the {'animation' if moving else 'picture'}'s format from {str(path)!r}: its suffix "
            f"is {path.suffix!r}; end the name with one of {', '.join(formats)}"
        )
    if isinstance(picture, Animation):
        content = picture.encode(suffix)
        with whole_file(path) as file:
            file.write(content)
        return path
    from matplotlib import rc_context

    with whole_file(path) as file, rc_context({"svg.hashsalt": "jaxopt_edu"}):
        picture.savefig(file, format=suffix[1:], dpi=DPI, metadata=FORMATS[suffix])
    return path
