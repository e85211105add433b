"""Real paths and losses to draw, computed in NumPy."""

import numpy as np
import pytest

METHODS = ("sgd", "momentum", "nesterov", "adagrad", "adadelta", "rmsprop", "adam")


def descend(rate: float, decay: float = 0.0, steps: int = 30) -> np.ndarray:
    """Momentum (sgd at decay 0) on x²/20 + y² from (−7, 2): points (steps + 1, 2)."""
    points, velocity = [np.array([-7.0, 2.0])], np.zeros(2)
    for _ in range(steps):
        velocity = decay * velocity - rate * points[-1] * np.array([0.1, 2.0])
        points.append(points[-1] + velocity)
    return np.array(points)


@pytest.fixture(scope="session")
def descents() -> dict[str, np.ndarray]:
    """Seven different paths over the bowl, all inside the window ((−8, 8), (−4, 4))."""
    return {
        name: descend(rate, decay)
        for name, rate, decay in zip(
            METHODS,
            (0.95, 0.1, 0.08, 0.3, 0.02, 0.6, 0.05),
            (0.0, 0.9, 0.8, 0.0, 0.5, 0.3, 0.7),
            strict=True,
        )
    }


@pytest.fixture(scope="session")
def losses(descents) -> dict[str, np.ndarray]:
    """f along those paths, for three scaled starts: (3, 31)."""
    scales = np.array([1.0, 1.1, 0.8])[:, None]
    return {
        name: scales**2 * (points[:, 0] ** 2 / 20 + points[:, 1] ** 2) for name, points in descents.items()
    }


@pytest.fixture(scope="session")
def clashes():
    """Pairs of texts in a figure whose boxes on the screen overlap, and texts that reach outside it."""

    def find(figure) -> list[tuple[str, str]]:
        from matplotlib.text import Text

        figure.draw_without_rendering()
        width, height = figure.bbox.width, figure.bbox.height
        seen = {}
        for text in figure.findobj(Text):
            if text.get_text().strip() and text.get_visible():
                box = text.get_window_extent()
                if box.width and box.height:
                    seen[id(text)] = (text.get_text(), box)
        # Ticks beyond the limits of an axis exist as texts, but are not drawn.
        for axes in figure.axes:
            for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
                slack = 1e-9 * abs(high - low)
                for tick in axis.get_major_ticks() + axis.get_minor_ticks():
                    if not low - slack <= tick.get_loc() <= high + slack:
                        seen.pop(id(tick.label1), None)
                    seen.pop(id(tick.label2), None)
        boxes = list(seen.values())
        found = [
            (first, second)
            for i, (first, one) in enumerate(boxes)
            for second, other in boxes[i + 1 :]
            if one.x0 < other.x1 and other.x0 < one.x1 and one.y0 < other.y1 and other.y0 < one.y1
        ]
        outside = [
            (words, "the figure's edge")
            for words, box in boxes
            if box.x0 < 0 or box.y0 < 0 or box.x1 > width or box.y1 > height
        ]
        return found + outside

    return find
