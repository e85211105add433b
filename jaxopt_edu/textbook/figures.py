"""What a chapter draws, as data: the page decides how it looks.

Arrays are NumPy's, in float32 or float64; NaN is a gap. Every series has the name of the method or setting
that it shows; methods keep the colour they have in `jaxopt_edu.plots`, and nothing else has it.
"""

from typing import Literal, NamedTuple

import numpy as np

from jaxopt_edu.problems import Surface


class Path(NamedTuple):
    """The way of one run over a surface.

    Attributes:
        name: of the method or the setting.
        points: float array of shape (steps + 1, 2), from the start on.
        values: f at the points; shape (steps + 1,).
    """

    name: str
    points: np.ndarray
    values: np.ndarray


class PathsFigure(NamedTuple):
    """Paths over contours.

    Attributes:
        surface: what the contours are of, and the window.
        paths: in the order in which they are drawn.
        play: whether they are played step by step (with play, pause and a slider) or shown whole.
        method: whose settings the paths are, where their names do not begin with a method's.
    """

    surface: Surface
    paths: tuple[Path, ...]
    play: bool = False
    method: str = ""


class Series(NamedTuple):
    """One line of a chart.

    Attributes:
        name: of the method or the setting.
        x: shape (n,).
        y: shape (n,); NaN where there is nothing to show, such as a run that diverged.
        low: lower end of the band around the line, shape (n,); None for no band.
        high: upper end of the band.
        theory: whether it is calculated and not measured.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    theory: bool = False


class LinesFigure(NamedTuple):
    """A chart of lines.

    Attributes:
        series: the lines.
        xlabel: what x is, with its unit.
        ylabel: what y is, with its unit.
        xscale: "linear" or "log".
        yscale: "linear" or "log".
        marks: horizontal or vertical lines that theory gives, as (axis, value, words).
        method: whose settings the lines are, where their names do not begin with a method's.
    """

    series: tuple[Series, ...]
    xlabel: str
    ylabel: str
    xscale: Literal["linear", "log"] = "linear"
    yscale: Literal["linear", "log"] = "linear"
    marks: tuple[tuple[Literal["x", "y"], float, str], ...] = ()
    method: str = ""


class HeatFigure(NamedTuple):
    """A map of one number over two hyperparameters.

    Attributes:
        x: increasing, shape (n,).
        y: increasing, shape (m,).
        values: shape (m, n); NaN where the run diverged.
        xlabel: what x is.
        ylabel: what y is.
        label: what the values are.
        xscale: "linear" or "log".
        yscale: "linear" or "log".
        points: places worth a mark, as (x, y, words).
    """

    x: np.ndarray
    y: np.ndarray
    values: np.ndarray
    xlabel: str
    ylabel: str
    label: str
    xscale: Literal["linear", "log"] = "linear"
    yscale: Literal["linear", "log"] = "linear"
    points: tuple[tuple[float, float, str], ...] = ()


Figure = PathsFigure | LinesFigure | HeatFigure
