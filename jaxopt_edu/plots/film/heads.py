"""Names that go along with moving heads and keep out of each other's way."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from jaxopt_edu.plots.film.stage import Stage

# In points.
AWAY = 9.0  # of a name from its head
ROW = 15.0  # between the places above each other that a name may take
ROWS = (0, 1, -1, 2, -2, 3, -3, 4, -4)
STAY = 3.0  # rows nearer that another place has to be before a name leaves its own


class Place(NamedTuple):
    """Where a name stands, relative to its head."""

    side: int  # 1 right of the head, −1 left of it
    row: int  # 0 beside it, 1 a row higher


def seat(
    heads: np.ndarray, sizes: np.ndarray, room: np.ndarray, before: list[Place | None]
) -> list[Place | None]:
    """Choose a place for every name: near its head, inside the map, over no other name and few heads.

    Args:
        heads: (n, 2), in points from the lower left corner of the map; NaN for a head that is not seen.
        sizes: width and height of each name, (n, 2), in points.
        room: width and height of the map, (2,), in points.
        before: the places in the frame before; a name stays where it can.

    Returns:
        A place for each name, or None where there is none.
    """
    taken: list[np.ndarray] = []
    chosen: list[Place | None] = []
    for head, size, last in zip(heads, sizes, before, strict=True):
        best, least = None, np.inf
        for side in (1, -1):
            for row in ROWS:
                place = Place(side, row)
                box = bounds(head, size, place)
                inside = (box[0] >= 0).all() and (box[1] <= room).all()  # False for NaN
                if not inside or any(_overlap(box, other) for other in taken):
                    continue
                covered = np.sum((heads > box[0] - 3).all(axis=1) & (heads < box[1] + 3).all(axis=1))
                cost = (
                    abs(row) + 0.9 * covered + 0.5 * (side == -1) + 1.5 * (last is not None and place != last)
                )
                if cost < least:
                    best, least = place, cost
        chosen.append(best)
        if best is not None:
            taken.append(bounds(head, size, best))
    return chosen


def bounds(head: np.ndarray, size: np.ndarray, place: Place) -> np.ndarray:
    """Return the lower left and the upper right corner of a name, (2, 2)."""
    middle = head + np.array([place.side * (AWAY + size[0] / 2), place.row * ROW])
    return np.array([middle - size / 2, middle + size / 2])


def _overlap(one: np.ndarray, other: np.ndarray) -> bool:
    return bool((one[0] < other[1]).all() and (other[0] < one[1]).all())


class Names:
    """The names beside the heads of a stage; where they stood in the frame before matters."""

    def __init__(self, stage: Stage) -> None:
        self._runners = stage.runners
        self._points = 72 / stage.figure.dpi  # of a pixel
        self._corner, far = stage.axes.bbox.get_points()
        self._room = (far - self._corner) * self._points
        boxes = [runner.name.get_window_extent() for runner in stage.runners]
        self._sizes = np.array([(box.width, box.height) for box in boxes]) * self._points
        self._places: list[Place | None] = [None] * len(stage.runners)

    def follow(self, heads: np.ndarray) -> None:
        """Put the names beside heads given in pixels, (n, 2), with NaN for one that is not seen."""
        named = [runner.name.get_text() != "" for runner in self._runners]
        local = np.where(np.array(named)[:, np.newaxis], (heads - self._corner) * self._points, np.nan)
        self._places = seat(local, self._sizes, self._room, self._places)
        for runner, head, size, place in zip(self._runners, heads, self._sizes, self._places, strict=True):
            runner.name.set_visible(place is not None)
            runner.lead.set_visible(place is not None and abs(place.row) > 1)
            if place is not None:
                low, high = bounds(np.zeros(2), size, place) / self._points
                runner.name.set_position(tuple(head + (low + high) / 2))
                near = low[0] if place.side == 1 else high[0]
                runner.lead.set_data([head[0], head[0] + near], [head[1], head[1] + (low[1] + high[1]) / 2])
