"""All methods race over one contour map, as a moving picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from jaxopt_edu.plots.drawing.animation import Animation, Palette
from jaxopt_edu.plots.drawing.arguments import checked_arguments
from jaxopt_edu.plots.drawing.style import require_matplotlib
from jaxopt_edu.plots.drawing.ways import checked_points, checked_window
from jaxopt_edu.plots.film.heads import Names
from jaxopt_edu.plots.film.stage import Stage, build

FRAME = 80  # milliseconds
BEGIN, END = 600, 2400  # how long the first and the last frame are shown, in milliseconds


@checked_arguments
def animate(
    function: Callable,
    domain: ArrayLike,
    trajectories: Mapping[str, ArrayLike],
    *,
    minima: Sequence[ArrayLike] = (),
    start: ArrayLike | None = None,
    title: str | None = None,
    seconds: float = 8.0,
    advance: Callable[[int], None] = lambda frames: None,
) -> Animation:
    """Let optimizers race over the contours of a function of two variables.

    Every method is a mark that draws its trail behind it and carries its name, without what follows a comma;
    between two steps it moves in a straight line. The key below the map shows the value that each has
    reached, at which step it left the window, or that it diverged. 720 pixels wide, which is a phone at twice
    its points. The same arguments give the same frames.

    Args:
        function: maps an array (2,) to a scalar; traceable by jax.
        domain: the window, ((x₀, x₁), (y₀, y₁)).
        trajectories: from each method's name to its points, (steps + 1, 2), the start first.
        minima: points (2,) to mark as minima.
        start: the point (2,) to mark as the start; by default the first point of every path.
        title: written above.
        seconds: how long the race takes, apart from a pause before it begins again.
        advance: called with the number of frames just drawn, for a progress bar; `frame_count(seconds)` in
            all.

    Returns:
        An `Animation`, for `save` and for Jupyter.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: no trajectories, a wrong shape, an empty domain, a function with no contours there, or
            `seconds` that is not positive.

    Example:
        >>> import numpy as np
        >>> from jaxopt_edu.plots import animate
        >>> points = np.array([-7.0, 2.0]) * np.array([0.9, -0.8]) ** np.arange(20)[:, None]
        >>> bowl = lambda w: w[0] ** 2 / 20 + w[1] ** 2
        >>> animation = animate(bowl, ((-8, 8), (-4, 4)), {"sgd": points}, seconds=0.4)
        >>> len(animation.frames), animation.frames[0].size[0]
        (6, 720)
    """
    require_matplotlib()
    window = checked_window(domain)
    ways = checked_points(trajectories)
    count = frame_count(seconds)
    marked = np.reshape(np.asarray(minima, dtype=np.float64), (-1, 2))
    origin = None if start is None else np.asarray(start, dtype=np.float64)
    stage = build(function, window, ways, marked, origin, title)
    return _film(stage, np.linspace(0.0, stage.steps, count), advance)


@checked_arguments
def frame_count(seconds: float) -> int:
    """Say how many frames a race has.

    Args:
        seconds: how long it takes.

    Returns:
        The number of frames of `animate(…, seconds=seconds)`.

    Raises:
        ValueError: `seconds` is not positive.
    """
    return round(1000 * seconds / FRAME) + 1


def _film(stage: Stage, times: np.ndarray, advance: Callable[[int], None]) -> Animation:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(stage.figure)
    canvas.draw()
    still = canvas.copy_from_bbox(stage.figure.bbox)

    def picture(time: float, names: Names) -> np.ndarray:
        canvas.restore_region(still)
        names.follow(run_to(stage, time))
        for artist in stage.moving():
            artist.draw(canvas.get_renderer())
        return np.array(canvas.buffer_rgba())[:, :, :3]

    # From the whole race, as trails and heads overlap in more and more ways.
    palette = Palette([picture(times[place], Names(stage)) for place in (0, len(times) // 2, -1)])
    names, frames = Names(stage), []
    for time in times:
        frames.append(palette.image(picture(time, names)))
        advance(1)
    shown = [BEGIN, *[FRAME] * (len(frames) - 2), END] if len(frames) > 1 else [END]
    return Animation(tuple(frames), tuple(shown))


def run_to(stage: Stage, time: float) -> np.ndarray:
    """Put trails, heads and key to a time in steps; return the heads in pixels, (n, 2), NaN if not seen."""
    heads = np.full((len(stage.runners), 2), np.nan)
    step = int(time + 1e-9)
    for index, runner in enumerate(stage.runners):
        runner.score.set_text(runner.said[min(step, len(runner.said) - 1)])
        if not len(runner.points):
            continue
        last = min(step, len(runner.points) - 1)
        ahead = runner.points[min(last + 1, len(runner.points) - 1)]
        share = time - step
        head = (1 - share) * runner.points[last] + share * ahead
        for line in runner.trail:
            line.set_data(*np.vstack([runner.points[: last + 1], head]).T)
        runner.head.set_data(head[:1], head[1:])
        place = stage.axes.transData.transform(head)
        heads[index] = place if stage.axes.bbox.contains(*place) else np.nan
    stage.clock.set_text(f"step {step} of {stage.steps}; below, the value of f")
    return heads
