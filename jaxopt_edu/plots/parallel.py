"""Parallel coordinates: every setting a line through its hyperparameters to what it reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from jaxopt_edu.plots.drawing.arguments import checked_arguments
from jaxopt_edu.plots.drawing.scales import (
    Shading,
    check_positive,
    chosen_logarithmically,
    number,
    shading,
    ticks,
)
from jaxopt_edu.plots.drawing.seeds import Mode, chosen_best, costs
from jaxopt_edu.plots.drawing.style import (
    INK,
    LABEL,
    NOTE,
    QUIET,
    WIDTH,
    headings,
    new_figure,
    require_matplotlib,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Along an axis from 0 to 1: where lines go that have no place on it, and how far apart they are spread.
ASIDE = 0.13
SPREAD = 0.035

# Behind words, so that no line hides them.
PAPER = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.85}


class _Axis(NamedTuple):
    """One hyperparameter: where each setting lies between 0 and 1, and what is written there."""

    name: str
    places: np.ndarray  # (settings,); NaN where a setting has none
    texts: list[str]  # (settings,)
    ticks: list[tuple[float, str]]
    words: bool  # whether its values are words


@checked_arguments
def parallel(
    columns: Mapping[str, Sequence[float | str | None] | ArrayLike],
    values: ArrayLike,
    *,
    label: str,
    mode: Mode = "min",
    logs: Mapping[str, bool] | None = None,
    log: bool | None = None,
    top: float | None = None,
    best: int | None = None,
    title: str | None = None,
) -> Figure:
    """Draw every setting as a line through its hyperparameters to the value it reached.

    The better the value the darker the line, and better ones lie on top; the best is drawn thick, with its
    numbers. A setting that lacks a hyperparameter (None or NaN) passes below that axis; one that diverged is
    a dashed grey line that ends beyond the last axis. Lines that share a word are spread a little, in the
    order of their values.

    Args:
        columns: from each hyperparameter's name to its values in all settings, (n,): numbers, or words such
            as the optimizers' names. None or NaN where a setting has none.
        values: what the settings reached, (n,); not finite where one diverged.
        label: what the values are.
        mode: "min" where lower values are better, "max" where higher ones are.
        logs: whether a column's axis is logarithmic, by name; by default where that spreads its numbers more
            evenly.
        log: whether the last axis is; by default where positive values reach over a factor of 30.
        top: the last value on that axis (the lowest, in mode "max"); by default the worst that is no outlier.
            Worse ones count as diverged.
        best: which setting is drawn as the best, where that is for the caller to say: a run that ended early
            may be no match for a whole one. By default the one with the best value.
        title: written above.

    Returns:
        A matplotlib Figure with one pair of axes.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: no columns, lengths that differ, a column with words and numbers mixed, a number that a
            logarithmic axis cannot show, nothing finite to draw, a best that is not finite, an unknown mode.

    Example:
        >>> from jaxopt_edu.plots import parallel
        >>> columns = {
        ...     "optimizer": ["sgd", "sgd", "adam", "adam"],
        ...     "learning_rate": [0.01, 0.1, 0.001, 0.01],
        ...     "b1": [None, None, 0.9, 0.8],
        ... }
        >>> figure = parallel(columns, [1.2, 0.4, 0.2, float("nan")], label="loss")
        >>> {"sgd", "adam", "none", "diverged"} <= {text.get_text() for text in figure.axes[0].texts}
        True
    """
    require_matplotlib()
    reached = np.asarray(values, dtype=np.float64)
    if not columns:
        raise ValueError("no columns to draw: give at least one hyperparameter with its values")
    for name in logs or {}:
        if name not in columns:
            raise ValueError(f"logs names {name!r}, but the columns are {', '.join(columns)}")
    if reached.ndim != 1:
        raise ValueError(f"values have shape {reached.shape}: expected (settings,)")
    look = shading(label, reached, mode=mode, log=log, worst=top)
    ranks = np.argsort(np.argsort(costs(reached, mode), kind="stable"), kind="stable")
    axes_of = [
        _axis(name, list(np.asarray(entries, dtype=object).ravel()), len(reached), (logs or {}).get(name))
        for name, entries in columns.items()
    ]
    lost = look.lost(reached)
    places = [_spread(axis, ranks) for axis in axes_of]
    beyond = 1 + ASIDE if mode == "min" else -ASIDE
    last = np.where(lost, beyond, np.asarray(look.norm(np.where(lost, look.worst, reached))))
    if lost.any():
        last[lost] += SPREAD * np.linspace(-1, 1, int(lost.sum()))[np.argsort(np.argsort(ranks[lost]))]
    heights = np.stack([*places, last], axis=1)

    figure = new_figure(6.5)
    axes = figure.add_subplot()
    axes.set_axis_off()
    _lines(axes, heights, reached, ranks, lost, look)
    best = chosen_best(reached, mode, best)
    texts = ["" if axis.words else axis.texts[best] for axis in axes_of]
    for position, axis in enumerate(axes_of):
        _draw_axis(axes, position, axis, said=texts[position])
    _draw_values(axes, len(axes_of), look, lost=bool(lost.any()))
    lowest = float(min(0.0, heights.min()))
    _names(axes, [*columns, label], lowest)
    _best(axes, heights[best], [*texts, number(reached[best])], look.colors(look.norm(reached[best])))
    axes.set_xlim(-0.1, len(axes_of) + 0.25)
    axes.set_ylim(lowest - 0.03, float(max(1.0, heights.max())) + 0.03)
    note = f"{len(reached)} settings, the best drawn thick"
    if lost.any():
        note += f"; dashed: {int(lost.sum())} that {look.lost_words}"
    headings(axes, title, note)
    return figure


def _axis(name: str, entries: list, count: int, log: bool | None) -> _Axis:
    if len(entries) != count:
        raise ValueError(f"{name} has {len(entries)} values for {count} settings: give one each, or None")
    given = [entry for entry in entries if entry is not None and entry == entry]  # NaN differs from itself
    words = [isinstance(entry, str | bool | np.bool_) for entry in given]
    if any(words) and not all(words):
        raise ValueError(
            f"{name} mixes words and numbers: {given[0]!r} and {given[words.index(not words[0])]!r}"
        )
    if any(words):
        kinds = list(dict.fromkeys(map(str, given)))
        middles = {kind: 1 - (place + 0.5) / len(kinds) for place, kind in enumerate(kinds)}
        places = [np.nan if entry is None or entry != entry else middles[str(entry)] for entry in entries]
        marked = [(place, kind) for kind, place in middles.items()]
        return _Axis(name, np.array(places), [str(entry) for entry in entries], marked, True)
    numbers = np.array([np.nan if entry is None else entry for entry in entries], dtype=np.float64)
    finite = np.unique(numbers[np.isfinite(numbers)])
    texts = ["" if np.isnan(value) else number(value, 2) for value in numbers]
    if finite.size < 2:
        marked = [(0.5, number(value)) for value in finite]
        return _Axis(name, np.where(np.isnan(numbers), np.nan, 0.5), texts, marked, False)
    log = chosen_logarithmically(numbers) if log is None else log
    if log:
        check_positive(name, numbers)

    def place(values: np.ndarray) -> np.ndarray:
        scaled, ends = (np.log10(part) if log else part for part in (values, finite[[0, -1]]))
        return (scaled - ends[0]) / (ends[1] - ends[0])

    few = finite.size <= 8 and np.diff(place(finite)).min() >= 0.06
    marked = finite if few else ticks(finite[0], finite[-1], log=log, most=6)
    pairs = zip(place(marked).tolist(), map(number, marked), strict=True)
    return _Axis(name, place(numbers), texts, list(pairs), False)


def _spread(axis: _Axis, ranks: np.ndarray) -> np.ndarray:
    """Return where the lines cross the axis, (settings,): aside where a setting has no value."""
    found = np.where(np.isnan(axis.places), -ASIDE, axis.places)
    for place in np.unique(found):
        here = found == place
        if axis.words or place == -ASIDE:
            reach = min(SPREAD, 0.3 / max(1, len(axis.ticks)))
            order = np.argsort(np.argsort(ranks[here]))
            found[here] += reach * (2 * order / max(1, here.sum() - 1) - 1 if here.sum() > 1 else 0 * order)
    return found


def _lines(
    axes: Axes,
    heights: np.ndarray,
    values: np.ndarray,
    ranks: np.ndarray,
    lost: np.ndarray,
    look: Shading,
) -> None:
    from matplotlib.collections import LineCollection

    across = np.broadcast_to(np.arange(heights.shape[1], dtype=np.float64), heights.shape)
    lines = np.stack([across, heights], axis=-1)
    order = np.argsort(-ranks)
    kept, dropped = order[~lost[order]], order[lost[order]]
    # Thousands of opaque lines would be one area.
    alpha = float(np.clip(8 / np.sqrt(len(lines)), 0.2, 0.9))
    axes.add_collection(
        LineCollection(
            list(lines[dropped]), colors="#B5B5B5", linewidths=1.0, linestyles="dashed", alpha=alpha, zorder=1
        )
    )
    axes.add_collection(
        LineCollection(
            list(lines[kept]),
            colors=list(look.colors(look.norm(values[kept]))),
            linewidths=1.5,
            alpha=alpha,
            zorder=2,
        )
    )


def _draw_axis(axes: Axes, position: int, axis: _Axis, *, said: str) -> None:
    """Draw an axis; the number that the best setting says there itself is not written twice."""
    missing = bool(np.isnan(axis.places).any())
    axes.plot([position, position], [0, 1], color=QUIET, linewidth=1.0, zorder=3)
    marks = [*axis.ticks, *([(-ASIDE, "none")] if missing else [])]
    for place, words in marks:
        axes.plot([position - 0.02, position], [place, place], color=QUIET, linewidth=1.0, zorder=3)
        if words != said:
            _write(axes, position - 0.035, place, words, right=False)


def _draw_values(axes: Axes, position: int, look: Shading, *, lost: bool) -> None:
    """Draw the last axis, which is the color bar too."""
    shades = np.linspace(0, 1, 256)[:, np.newaxis]
    axes.imshow(
        shades,
        cmap=look.colors,
        interpolation="nearest",
        extent=(position, position + 0.05, 0, 1),
        origin="lower",
        aspect="auto",
        zorder=3,
    )
    for tick in ticks(look.low, look.high, log=look.log):
        _write(axes, position + 0.08, float(look.norm(tick)), number(tick), right=True)
    if lost:
        _write(axes, position + 0.08, 1 + ASIDE if look.mode == "min" else -ASIDE, "diverged", right=True)


def _names(axes: Axes, names: list[str], lowest: float) -> None:
    room = 72 * 0.9 * WIDTH / len(names)
    for position, name in enumerate(names):
        fits = 0.6 * LABEL * len(name) <= room
        lines = [name] if fits else name.replace("_", "_\n").replace(" ", "\n").split("\n")
        for row, words in enumerate(lines):
            axes.annotate(
                words,
                (position, lowest),
                xytext=(0, -36 - 1.25 * LABEL * row),
                textcoords="offset points",
                fontsize=LABEL,
                color=INK,
                ha="center",
            )


def _write(axes: Axes, x: float, y: float, words: str, *, right: bool) -> None:
    axes.text(
        x,
        y,
        words,
        fontsize=NOTE,
        color=INK,
        ha="left" if right else "right",
        va="center",
        zorder=6.5,  # above all lines, the best's too
        bbox=PAPER,
    )


def _best(axes: Axes, heights: np.ndarray, texts: list[str], color: tuple) -> None:
    across = np.arange(len(heights), dtype=np.float64)
    axes.plot(across, heights, color="white", linewidth=6.0, zorder=4)
    axes.plot(
        across,
        heights,
        color=color,
        linewidth=3.2,
        marker="o",
        markersize=9,
        markeredgecolor="white",
        markeredgewidth=1.4,
        zorder=6,
    )
    for x, y, words in zip(across, heights, texts, strict=True):
        if words:
            axes.text(
                x + (0.06 if x < across[-1] else -0.06),
                y + 0.025,
                words,
                fontsize=NOTE,
                fontweight="bold",
                color=INK,
                ha="left" if x < across[-1] else "right",
                va="bottom",
                zorder=7,
                bbox=PAPER,
            )
