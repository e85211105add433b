"""The way each optimizer takes over a contour map: one panel per method, all over the same ground."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from jaxopt_edu.plots.drawing.arguments import checked_arguments
from jaxopt_edu.plots.drawing.contours import CONTOUR, Surface, draw, evaluate, grid, surface
from jaxopt_edu.plots.drawing.panels import Heading, sheet
from jaxopt_edu.plots.drawing.style import INK, QUIET, Style, figure_of, require_matplotlib, sample, styles
from jaxopt_edu.plots.drawing.ways import (
    before_divergence,
    checked_points,
    checked_window,
    outside,
    until_left,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Layout = Literal["auto", "together", "separate"]

START: dict[str, Any] = {
    "linestyle": "none",
    "marker": "o",
    "markersize": 9,
    "markerfacecolor": "white",
    "markeredgecolor": INK,
    "markeredgewidth": 1.8,
    "zorder": 5,
}
MINIMUM: dict[str, Any] = START | {
    "marker": "*",
    "markersize": 12,
    "markeredgewidth": 1.0,
    "zorder": 4,
}


@checked_arguments
def paths(
    function: Callable,
    domain: ArrayLike,
    trajectories: Mapping[str, ArrayLike],
    *,
    minima: Sequence[ArrayLike] = (),
    start: ArrayLike | None = None,
    layout: Layout = "auto",
    title: str | None = None,
) -> Figure:
    """Draw the paths of optimizers over the contours of a function of two variables.

    Seven zigzags on one map hide each other, so more than two get a panel each, over the same contours, and a
    last panel shows them together. Contour levels are spaced geometrically above the minimum, f* + a rᵏ; on a
    surface with no minimum in the window, such as x² − y², symmetrically around its flattest value, f₀ ± a
    rᵏ. Under each name stands the value reached, or the step at which the path left the window or diverged.

    Args:
        function: maps an array (2,) to a scalar; traceable by jax.
        domain: the window, ((x₀, x₁), (y₀, y₁)).
        trajectories: from each method's name to its points, (steps + 1, 2), the start first. A path ends
            before the first point that is not finite.
        minima: points (2,) to mark as minima.
        start: the point (2,) to mark as the start; by default the first point of every path.
        layout: "separate" panels, all "together", or "auto": separate from three methods on.
        title: written above.

    Returns:
        A matplotlib Figure with one pair of axes if together, else one per method and one more for all.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: no trajectories, a wrong shape, an empty domain, or a function with no contours there.

    Example:
        >>> import numpy as np
        >>> from jaxopt_edu.plots import paths
        >>> points = np.array([-7.0, 2.0]) * np.array([0.9, -0.8]) ** np.arange(20)[:, None]
        >>> figure = paths(lambda w: w[0] ** 2 / 20 + w[1] ** 2, ((-8, 8), (-4, 4)), {"sgd": points})
        >>> len(figure.axes)
        1
    """
    require_matplotlib()
    window = checked_window(domain)
    ways = checked_points(trajectories)
    marked = np.reshape(np.asarray(minima, dtype=np.float64), (-1, 2))
    finite = {label: before_divergence(points) for label, points in ways.items()}
    # Only a path that ends in the window has its last value shown; elsewhere float32 might overflow.
    lasts = np.array(
        [
            points[-1] if len(points) and not outside(points, window)[-1] else window[:, 0]
            for points in finite.values()
        ]
    )
    x, y, pairs = grid(window)
    values = evaluate(function, np.concatenate([pairs, marked, lasts]))
    at_minima, at_lasts = values[len(pairs) : len(pairs) + len(marked)], values[len(pairs) + len(marked) :]
    ground = surface(x, y, values[: len(pairs)], at_minima)

    notes = {
        label: _note(points, len(finite[label]), window, value)
        for (label, points), value in zip(ways.items(), at_lasts, strict=True)
    }
    drawn = {label: until_left(points, window) for label, points in finite.items()}
    looks = styles(ways)
    names = [Heading(label, notes[label], looks[label]) for label in ways]
    separate = layout == "separate" or (layout == "auto" and len(ways) > 2)
    page = sheet(
        [*([name] for name in names), [Heading("together", f"{len(ways)} paths on one map", None)]]
        if separate
        else [names],
        window,
        entries=_entries(ground, minima=len(marked)),
        title=title,
    )
    starts = np.array([points[0] for points in finite.values() if len(points)] if start is None else [start])
    for axes in page.axes:
        draw(axes, ground)
        for point in np.unique(starts.reshape(-1, 2), axis=0):
            axes.plot(*point, **START)
        for point in marked:
            axes.plot(*point, **MINIMUM)
    for position, (label, points) in enumerate(drawn.items()):
        _path(page.axes[position if separate else 0], points, looks[label], label, window)
        if separate:
            _path(page.axes[-1], points, looks[label], label, window, thin=True)
    return page.figure


def _note(points: np.ndarray, kept: int, window: np.ndarray, value: float) -> str:
    if kept < len(points):
        return f"diverged at step {kept}"
    out = outside(points, window)
    if out[-1]:
        return f"leaves the window at step {len(until_left(points, window)) - 1}"
    if out.any():
        back = len(points) - int(np.argmax(out[::-1]))
        return f"out at step {int(np.argmax(out))}, back at {back}"
    return f"f = {value:.2g} after {len(points) - 1} steps".replace("-", "−")


def _path(
    axes: Axes, points: np.ndarray, style: Style, label: str, window: np.ndarray, *, thin: bool = False
) -> None:
    width, size = (1.3, 3.5) if thin else (2.0, 6.0)
    x, y = points[:, 0], points[:, 1]
    # A white edge keeps a line clear of the contours.
    axes.plot(x, y, color="white", linewidth=width + 1.8, alpha=0.8, solid_joinstyle="round", zorder=2.9)
    line = sample(
        style,
        data=(x, y),
        label=label,
        linewidth=width,
        size=size,
        markevery=_apart(points, window, 1.25 * size / 72, axes),
        zorder=3,
    )
    axes.add_line(line)


def _apart(points: np.ndarray, window: np.ndarray, distance: float, axes: Axes) -> list[int]:
    """Return the steps to mark: each at least `distance` inches from the one marked before it."""
    box = axes.get_position()
    inches = np.array([box.width, box.height]) * figure_of(axes).get_size_inches() / np.ptp(window, axis=1)
    marked: list[int] = []
    for step, place in enumerate(points * inches):
        if not marked or np.hypot(*(place - points[marked[-1]] * inches)) >= distance:
            marked.append(step)
    return marked


def _entries(ground: Surface, *, minima: int) -> dict[str, dict[str, Any]]:
    entries = {"start": START}
    if minima:
        entries["minimum" if minima == 1 else "minima"] = MINIMUM
    far = (
        "high above the minimum"
        if ground.lowest
        else f"far from f\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{ground.reference:.2g}"
    )
    contours = f"contours: each {ground.ratio:.2g} times as {far}".replace("-", "−")
    entries[contours] = {"color": CONTOUR, "linewidth": 1.2}
    entries["steps marked where there is room"] = {
        "linestyle": "none",
        "marker": "d",
        "markersize": 6,
        "color": QUIET,
    }
    return entries
