"""How the page's figures look: colours for light and dark, marks and dashes as Bokeh names them.

Figures are built in the light colours; the page exchanges each for its `DARK` partner where the reader's
system is dark. So every colour in a figure has to be one of this module's.
"""

from typing import Any

import numpy as np

from jaxopt_edu.plots.drawing.contours import CONTOUR
from jaxopt_edu.plots.drawing.style import INK, METHODS, QUIET, RULE, Dash, Style

PAPER = "#FFFFFF"  # the page's background, and the edge that keeps a line clear of the contours
GRID = "#E6E6E6"
SHADES = 32

# At least 4.5 : 1 against the dark paper, for lines and words alike.
_DARK_METHODS = {
    "sgd": "#F2F2F2",
    "momentum": "#4C9FE0",
    "nesterov": "#E8A628",
    "adagrad": "#1FBB8B",
    "adadelta": "#E29BC4",
    "rmsprop": "#8FD0F5",
    "adam": "#F0762B",
}


def _mixed(color: str, other: str, share: float) -> str:
    """A colour with a share of another one."""
    parts = [
        round((1 - share) * int(color[i : i + 2], 16) + share * int(other[i : i + 2], 16)) for i in (1, 3, 5)
    ]
    return "#{:02X}{:02X}{:02X}".format(*parts)


def _shades(low: tuple[int, int, int], high: tuple[int, int, int]) -> list[str]:
    mixed = np.linspace(low, high, SHADES).round().astype(int)
    return ["#{:02X}{:02X}{:02X}".format(*(int(part) for part in color)) for color in mixed]


SHADES_OF = {
    # Black has no darker shade.
    name: (style.color, "#4A4A4A", "#757575")
    if name == "sgd"
    else (style.color, _mixed(style.text, "#000000", 0.35), _mixed(style.text, "#000000", 0.6))
    for name, style in METHODS.items()
}
"""The colours of a method's first, second and third line in one figure."""

_DARK_SHADES = {
    name: (color, "#B4B4B4", "#868686")
    if name == "sgd"
    else (color, _mixed(color, "#FFFFFF", 0.4), _mixed(color, "#FFFFFF", 0.7))
    for name, color in _DARK_METHODS.items()
}

_DARK_OTHERS = {
    "#7B3FA0": "#C79BE8",
    "#8A5A2B": "#D2A679",
    "#B0124F": "#F08BB0",
    "#4F6B12": "#B5CC6A",
    "#2B6E73": "#7CC7CC",
}
OTHERS = tuple(_DARK_OTHERS)
"""The colours of what is no method, such as surfaces."""

GROUND = _shades((254, 254, 255), (213, 221, 229))  # from the valley to the heights

DARK: dict[str, str] = {
    PAPER: "#14171B",
    INK: "#ECEEF0",
    QUIET: "#A9B1BA",
    RULE: "#4B535C",
    GRID: "#2A3037",
    CONTOUR: "#56606B",
    **dict(zip(GROUND, _shades((21, 24, 28), (49, 58, 67)), strict=True)),
    **{style.color: _DARK_METHODS[name] for name, style in METHODS.items()},
    **{style.text: _DARK_METHODS[name] for name, style in METHODS.items()},
    **{
        light: dark
        for name in METHODS
        for light, dark in zip(SHADES_OF[name][1:], _DARK_SHADES[name][1:], strict=True)
    },
    **_DARK_OTHERS,
}

_MARKS = {
    "o": "circle",
    "s": "square",
    "^": "triangle",
    "v": "inverted_triangle",
    "D": "diamond",
    "P": "plus",
    "X": "plus",
}


def mark(style: Style, size: float) -> dict[str, Any]:
    """The settings of a Bokeh scatter that draw a method's mark.

    Args:
        style: the method's.
        size: pixels.

    Returns:
        marker, angle and size; marks of smaller area are made larger.
    """
    larger = {"P": 1.25, "X": 1.25, "D": 1.2}.get(style.marker, 1.0)
    return {
        "marker": _MARKS[style.marker],
        "angle": np.pi / 4 if style.marker == "X" else 0.0,
        "size": size * larger,
    }


def dash(pattern: Dash, width: float) -> list[int]:
    """A dash pattern in pixels.

    Args:
        pattern: matplotlib's, in line widths.
        width: of the line, in pixels.

    Returns:
        Lengths on and off; empty for a solid line.
    """
    return [max(1, round(length * width)) for length in pattern[1] or ()]
