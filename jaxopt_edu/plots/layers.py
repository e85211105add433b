"""What a monitor has measured of every layer, over the steps: a row of colored cells for each layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxopt_edu.core.arguments import checked_option
from jaxopt_edu.plots.drawing.arguments import checked_arguments
from jaxopt_edu.plots.drawing.cells import color_bar, hatch
from jaxopt_edu.plots.drawing.scales import SHADES
from jaxopt_edu.plots.drawing.style import (
    INK,
    NOTE,
    dress,
    headings,
    new_figure,
    require_matplotlib,
)
from jaxopt_edu.wrappers.readings import Readings, as_readings

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Colormap, Normalize
    from matplotlib.figure import Figure

# From blue over a pale third in the middle to brown; apart under the common forms of colour blindness.
SIDES = ("#1B4F8A", "#4F93C7", "#D5E7F1", "#F3F1EC", "#FBE3C8", "#DD7A3A", "#9C3208")
USUAL = (1e-4, 1e-2)  # the update ratios with which networks train
TALLEST, HEIGHT = 0.34, 14.0  # inches: of a row, and of all of them
MOST_NAMES, LONGEST_NAME = 60, 44  # rows, letters


class Look(NamedTuple):
    """How a quantity becomes colors."""

    words: str
    log: bool
    ends: tuple[float, float] | None = None  # None for those of the values
    shades: tuple[str, ...] = SHADES[::-1]
    note: str = ""


LOOKS: dict[str, Look] = {
    "gradient": Look("gradient norm ‖g‖", log=True),
    "update": Look("update norm ‖u‖", log=True),
    "parameter": Look("weight norm ‖w‖", log=True),
    "update_ratio": Look(
        "update ratio ‖u‖ / ‖w‖", True, (1e-6, 1.0), SIDES, "pale: where networks usually train, 1e−4 to 0.01"
    ),
    "effective_rate": Look("effective learning rate ‖u‖ / ‖g‖", log=True),
    "cosine": Look(
        "cosine of step and gradient", False, (-1.0, 1.0), SIDES[::-1], "blue: downhill; brown: uphill"
    ),
    "clipped": Look("share of clipped steps", log=False, ends=(0.0, 1.0)),
    "below_eps": Look("share of coordinates with √v̂ < ε", log=False, ends=(0.0, 1.0)),
}


@checked_arguments
def layers(record: Any, *, what: str = "update_ratio", title: str | None = None) -> Figure:
    """Draw what was measured of every layer, over the steps.

    A cell is a reading, as wide as the steps since the one before. Ratios have fixed colors, pale where
    networks usually train (1e-4 to 1e-2), blue below and brown above; so have cosines, blue for downhill and
    brown for uphill, and shares. Norms and rates have colors from the lowest to the highest, on a logarithmic
    scale. Hatched is what has no color there: a norm of 0, the ratio of a layer of zeros, a share that cannot
    be seen.

    Args:
        record: what `fit` returned or its history, with a `monitor` in the optimizer; or `Readings`.
        what: "update_ratio", "gradient", "update", "parameter", "effective_rate", "cosine", "clipped" or
            "below_eps"; see `Readings`.
        title: written above.

    Returns:
        A matplotlib Figure: the layers, the first one on top, and the color bar.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: record is something else.
        ValueError: there are no readings, or no quantity of that name.

    Example:
        >>> import numpy as np
        >>> from jaxopt_edu import Readings
        >>> from jaxopt_edu.plots import layers
        >>> values = {"update_ratio": np.geomspace(1e-5, 1, 6).reshape(3, 2)}
        >>> figure = layers(Readings(np.array([10, 20, 30]), ("kernel", "bias"), values))
        >>> [text.get_text() for text in figure.axes[0].get_yticklabels()]
        ['kernel', 'bias']
    """
    require_matplotlib()
    checked_option("layers", "what", what, tuple(LOOKS))
    readings = as_readings("layers", record)
    look = LOOKS[what]
    values = _shown(readings, what, look)
    height = min(max(TALLEST * len(readings.layers), 1.6), HEIGHT)

    figure = new_figure(2.2 + height, width=10.4)
    axes = figure.add_subplot()
    dress(axes, xlabel="step")
    cells = _cells(axes, readings.steps, values, look)
    _names(axes, readings.layers)
    bar = color_bar(axes, cells, look.words, log=look.log, aspect=16, anchor=(0.0, 1.0))
    for place in USUAL if what == "update_ratio" else ():
        bar.axhline(place, color=INK, linewidth=1.2, linestyle=(0, (2, 2)))
    hatched = f"hatched: {'0, or ' if look.log else ''}no number" if np.any(values.mask) else ""
    headings(axes, title, "; ".join(filter(None, [look.note, hatched])))
    return figure


def _shown(readings: Readings, what: str, look: Look) -> np.ma.MaskedArray:
    values = np.ma.masked_invalid(readings.values[what].astype(np.float64).T)
    return np.ma.masked_less_equal(values, 0.0) if look.log else values


def _cells(axes: Axes, steps: np.ndarray, values: np.ma.MaskedArray, look: Look) -> ScalarMappable:
    width = steps[1] - steps[0] if len(steps) > 1 else steps[0]
    edges = np.array([max(steps[0] - width, 0), *steps], dtype=np.float64)
    if np.any(values.mask):
        hatch(axes)
    norm, colors = _norm(values, look), _colors(look)
    rows = np.arange(len(values) + 1) - 0.5
    cells = axes.pcolormesh(edges, rows, values, norm=norm, cmap=colors, rasterized=True, zorder=0.5)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(rows[-1], rows[0])
    for edge in rows[1:-1] if len(rows) < 80 else ():
        axes.axhline(edge, color="white", linewidth=1.2, zorder=1)
    axes.spines[:].set_visible(False)
    return cells


def _norm(values: np.ma.MaskedArray, look: Look) -> Normalize:
    from matplotlib.colors import LogNorm, Normalize

    low, high = look.ends or (1.0, 10.0)
    if look.ends is None and values.count():
        low, high = float(values.min()), float(values.max())
        if high < 2 * low:  # colors over less would make much of little
            low, high = low / 2**0.5, high * 2**0.5
    return (LogNorm if look.log else Normalize)(low, high, clip=True)


def _colors(look: Look) -> Colormap:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("layers", list(look.shades))


def _names(axes: Axes, names: tuple[str, ...]) -> None:
    stride = -(-len(names) // MOST_NAMES)
    places = range(0, len(names), stride)
    short = [name if len(name) <= LONGEST_NAME else f"…{name[1 - LONGEST_NAME :]}" for name in names]
    axes.set_yticks(list(places), labels=[short[place] for place in places])
    axes.tick_params(axis="y", length=0, labelsize=NOTE, labelcolor=INK)
