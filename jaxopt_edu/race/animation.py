"""A race over a surface as a moving picture."""

from collections.abc import Callable, Sequence

from jaxopt_edu import plots
from jaxopt_edu.problems import Surface
from jaxopt_edu.race.drawing import named_paths, race_window
from jaxopt_edu.race.report import Report
from jaxopt_edu.race.surface import SurfaceResult

SECONDS = 8.0
FORMATS = (".webp", ".gif")
LETTERS = 34  # of a title's line; the longest formula would take five


def animation_work() -> int:
    """How often `animated` counts.

    Returns:
        The sum of what it passes to `advance`.
    """
    frames = plots.frame_count(SECONDS)
    # Encoding takes about half as long as drawing.
    return frames + len(FORMATS) * (frames // 4)


def animated(
    report: Report,
    surface: Surface,
    results: Sequence[SurfaceResult],
    *,
    advance: Callable[[int], None] = lambda work: None,
) -> Report:
    """Add the animation of a race to its report.

    Args:
        report: what `surface_report` said.
        surface: the surface raced on.
        results: one a method.
        advance: called with the work just done, for a progress bar; `animation_work()` in all.

    Returns:
        The report, with the files `race.webp` and `race.gif`.
    """
    title = f"{surface.name}: {surface.formula}"
    animation = plots.animate(
        surface.function,
        race_window(surface, results),
        named_paths(results),
        minima=surface.minima,
        start=surface.start,
        title=title if len(title) <= LETTERS else surface.name,
        seconds=SECONDS,
        advance=advance,
    )
    files = {}
    for suffix in FORMATS:
        files[f"race{suffix}"] = animation.encode(suffix)
        advance(len(animation.frames) // 4)
    return report._replace(animations=files)
