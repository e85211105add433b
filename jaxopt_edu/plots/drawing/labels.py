"""Names at the ends of lines, moved apart where they would overlap."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from jaxopt_edu.plots.drawing.style import LABEL, Style, figure_of, in_points, sample

if TYPE_CHECKING:
    from matplotlib.axes import Axes


LETTERS = 24  # of a label's line: a longer one would take the room of the plot


class End(NamedTuple):
    """Where a line stops, and what is to be written there."""

    label: str
    note: str  # a second row, or ""
    x: float  # data coordinates
    y: float
    style: Style


def spread(centres: ArrayLike, sizes: ArrayLike, low: float, high: float) -> np.ndarray:
    """Move intervals on a line apart so that none overlap, as little as possible in the squared sense.

    With pᵢ the new centres in the order of the old ones and cᵢ the room the earlier intervals need, the task
    is min Σ (pᵢ − tᵢ)² subject to pᵢ₊₁ − cᵢ₊₁ ≥ pᵢ − cᵢ: isotonic regression of tᵢ − cᵢ, solved by pooling
    adjacent violators.

    Args:
        centres: wanted centres, (n,).
        sizes: lengths of the intervals, (n,).
        low: where the first interval may begin.
        high: where the last interval may end.

    Returns:
        The new centres, (n,), in the order of `centres`. If the intervals need more room than there is, they
        stand end to end around the middle of it.
    """
    targets, lengths = np.asarray(centres, float), np.asarray(sizes, float)
    order = np.argsort(targets, kind="stable")
    targets, lengths = targets[order], lengths[order]
    room = np.cumsum(lengths) - lengths / 2
    pools: list[tuple[float, int]] = []
    for value in targets - room:
        mean, count = float(value), 1
        while pools and pools[-1][0] > mean:
            earlier, members = pools.pop()
            mean, count = (earlier * members + mean * count) / (members + count), members + count
        pools.append((mean, count))
    shifts = np.repeat([mean for mean, _ in pools], [count for _, count in pools])
    last = high - lengths.sum()
    shifts = np.clip(shifts, low, last) if low <= last else np.full_like(shifts, (low + last) / 2)
    result = np.empty_like(targets)
    result[order] = shifts + room
    return result


def wrap(text: str, width: int) -> str:
    """Break text into lines of at most `width` characters, after a space, a comma or an opening bracket.

    A piece that is still too long is broken after its equals sign.

    Example:
        >>> print(wrap("adam(learning_rate=0.001, b1=0.9)", 24))
        adam(
        learning_rate=0.001,
        b1=0.9)
    """
    lines = [""]
    words = re.findall(r"[^ ,(]*[ ,(]*", text)
    for word in itertools.chain(
        *(re.findall("[^=]*=?", one) if len(one) > width else [one] for one in words)
    ):
        if lines[-1] and len((lines[-1] + word).rstrip()) > width:
            lines.append("")
        lines[-1] += word
    return "\n".join(line.rstrip() for line in lines)


def end_labels(axes: Axes, ends: Sequence[End]) -> None:
    """Write each label to the right of the axes, with its mark and a thin lead to the end of its line.

    The limits of the axes must be final. The figure is laid out once here, because how far apart the labels
    have to stand depends on how high the axes come out.
    """
    figure = figure_of(axes)
    low, high = axes.get_ylim()
    words = [
        axes.text(
            64,
            0,
            "\n".join(filter(None, (wrap(end.label, LETTERS), end.note))),
            transform=in_points(axes, 1, 0.5),
            fontsize=LABEL,
            color=end.style.text,
            va="center",
            linespacing=1.15,
        )
        for end in ends
    ]
    figure.draw_without_rendering()
    box = axes.get_window_extent()
    tips = [
        axes.transAxes.inverted().transform(axes.transData.transform((end.x, min(max(end.y, low), high))))
        for end in ends
    ]
    heights = [1.12 * word.get_window_extent().height / box.height for word in words]
    places = spread([tip[1] for tip in tips], heights, -0.02, 1.02)
    for end, word, tip, place in zip(ends, words, tips, places, strict=True):
        frame = in_points(axes, 1, place)
        word.set_transform(frame)
        axes.annotate(
            "",
            xy=tuple(tip),
            xycoords="axes fraction",
            xytext=(22, 0),
            textcoords=frame,
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": end.style.color,
                "linewidth": 1.0,
                "linestyle": (0, (1, 1.5)),
                "shrinkA": 0,
                "shrinkB": 0,
            },
        )
        key = sample(end.style, data=((24, 41, 58), (0, 0, 0)), transform=frame, markevery=[1], size=9.0)
        key.set_clip_on(False)
        axes.add_artist(key)
