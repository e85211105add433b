"""Where on a map the names of the paths stand, so that they hide as little as possible."""

from collections.abc import Sequence

import numpy as np

LETTER = 8.0  # pixels, of the names' type
LINE = 15.0
GAP = 11.0
FRAME = 620.0  # pixels, the width that the places are found for; a narrower screen has the key above


def places(
    ways: Sequence[np.ndarray], names: Sequence[str], window: np.ndarray, *, marks: np.ndarray
) -> list[np.ndarray | None]:
    """Find a place for each name beside its path, the later on the path the better.

    Every name tries eight sides of some of its path's points, and takes the place where it covers the fewest
    stretches of path, no other name, and nothing outside the window.

    Args:
        ways: points of shape (n, 2), in data coordinates, finite.
        names: one a path.
        window: shape (2, 2): the ends of x, the ends of y.
        marks: points of shape (m, 2) that have a mark, such as the start.

    Returns:
        The centres of the names in data coordinates, shape (2,); None for a path that is not in the window.
    """
    size = np.array([FRAME, FRAME * np.ptp(window[1]) / np.ptp(window[0])])
    scale = size / np.ptp(window, axis=1)
    on_screen = [(np.asarray(way, float) - window[:, 0]) * scale for way in ways]
    traces = [filled(way) for way in on_screen]
    # To hide a mark is as bad as to hide 80 pixels of path.
    everything = np.concatenate([*traces, np.repeat((marks - window[:, 0]) * scale, 20, axis=0)])
    taken: list[tuple[np.ndarray, np.ndarray]] = []
    found: list[np.ndarray | None] = []
    for way, name in zip(on_screen, names, strict=True):
        half = np.array([LETTER * len(name), LINE]) / 2
        inside = np.flatnonzero(((way >= 0) & (way <= size)).all(axis=1))
        if not len(inside):
            found.append(None)
            continue
        steps = inside[np.unique(np.linspace(0, len(inside) - 1, 24).astype(int))]
        best, lowest = way[steps[-1]], np.inf
        for step in steps:
            for side in _SIDES:
                centre = way[step] + side * (half + GAP)
                if (centre - half < 2).any() or (centre + half > size - 2).any():
                    continue
                covered = (np.abs(everything - centre) < half + 2).all(axis=1).sum()
                clashes = sum(bool((np.abs(centre - other) < half + room + 2).all()) for other, room in taken)
                # Half a pixel of path for each step away from the end: ties go to the end.
                cost = covered + 1e4 * clashes + 40 * (1 - step / max(steps[-1], 1))
                if cost < lowest:
                    best, lowest = centre, cost
        taken.append((best, half))
        found.append(best / scale + window[:, 0])
    return found


def quietest(centres: np.ndarray, half: np.ndarray, traces: np.ndarray, size: np.ndarray) -> int:
    """Which of some places covers the fewest points; one that leaves the frame is the last resort.

    Args:
        centres: of a box, shape (n, 2), in pixels.
        half: half of the box's width and height.
        traces: points of shape (m, 2), in pixels.
        size: the frame's width and height.

    Returns:
        An index of `centres`, the first of the best.
    """
    covered = (np.abs(traces[None] - centres[:, None]) < half + 2).all(axis=-1).sum(axis=1)
    outside = ((centres - half < 0) | (centres + half > size)).any(axis=1)
    return int(np.argmin(covered + 1e6 * outside))


_SIDES = np.array([(1, 0), (1, 1), (1, -1), (0, 1), (0, -1), (-1, 1), (-1, -1), (-1, 0)], float)


def filled(way: np.ndarray) -> np.ndarray:
    """Put points between those of a path, so that long steps count as much as many short ones.

    Args:
        way: points of shape (n, 2), in pixels.

    Returns:
        All points of the path and others, at most about 4 pixels apart.
    """
    lengths = np.linalg.norm(np.diff(way, axis=0), axis=1)
    pieces = [way]
    for first, last, length in zip(way[:-1], way[1:], np.minimum(lengths, 4 * FRAME), strict=True):
        share = np.arange(4.0, length, 4.0) / max(length, 1e-9)
        pieces.append(first + share[:, None] * (last - first))
    return np.concatenate(pieces)
