"""What pictures of colored cells share: the bar that says what a color means, and hatching where none is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jaxopt_edu.plots.drawing.scales import number, ticks
from jaxopt_edu.plots.drawing.style import INK, LABEL, NOTE, QUIET, RULE, figure_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable

HATCHED: dict[str, Any] = {"facecolor": "#EDEDED", "edgecolor": RULE, "hatch": "///", "linewidth": 0.0}
HATCHING: Any = {"hatch.linewidth": 1.0, "hatch.color": RULE}  # patches take these from rcParams only


def hatch(axes: Axes) -> None:
    """Hatch the whole of the axes, below the cells: what has no color shows it."""
    from matplotlib import rc_context
    from matplotlib.patches import Rectangle

    with rc_context(HATCHING):
        axes.add_patch(Rectangle((0, 0), 1, 1, transform=axes.transAxes, zorder=0.2, **HATCHED))


def color_bar(axes: Axes, mapped: ScalarMappable, label: str, *, log: bool, **place: Any) -> Axes:
    """Draw the bar that says which color is which number, beside the axes.

    Args:
        axes: where the cells are.
        mapped: the cells, or marks.
        label: what the numbers are.
        log: whether the colors are spaced logarithmically.
        **place: of matplotlib's `colorbar`, such as aspect.

    Returns:
        The bar's own axes.
    """
    bar = figure_of(axes).colorbar(mapped, ax=axes, pad=0.03, fraction=0.05, **place)
    norm: Any = mapped.norm
    places = ticks(norm.vmin, norm.vmax, log=log)
    bar.set_ticks(list(places), labels=[number(place) for place in places])
    bar.minorticks_off()
    bar.set_label(label, fontsize=LABEL, color=INK)
    bar.ax.tick_params(labelsize=NOTE, labelcolor=QUIET, color=RULE, width=0.8, length=4)
    frame: Any = bar.outline
    frame.set(edgecolor=RULE, linewidth=0.8)
    return bar.ax
