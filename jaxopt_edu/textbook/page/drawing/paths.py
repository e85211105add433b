"""Paths over contours, as a Bokeh plot whose sources the page's player cuts off at a step."""

import dataclasses
from typing import Any

import numpy as np
from bokeh.core.properties import value as fixed
from bokeh.models import ColumnDataSource

from jaxopt_edu.plots.drawing.style import INK, Style
from jaxopt_edu.plots.drawing.ways import before_divergence, worth_seeing
from jaxopt_edu.textbook.figures import Path, PathsFigure
from jaxopt_edu.textbook.page.drawing.canvas import FONT, canvas
from jaxopt_edu.textbook.page.drawing.ground import draw_ground, draw_minima
from jaxopt_edu.textbook.page.drawing.look import PAPER, dash, mark
from jaxopt_edu.textbook.page.drawing.looks import looks_of
from jaxopt_edu.textbook.page.drawing.placing import FRAME, places

WIDTH = 2.2
MARK = 7.0
HEAD = 11.0
REACH = 20.0
START = {"marker": "circle", "size": 11, "fill_color": PAPER, "line_color": INK, "line_width": 2}


def draw_paths(figure: PathsFigure) -> tuple[Any, list[str]]:
    """Draw paths.

    The source "shown:NAME" has a path's points in float32, up to the step that is looked at. Where the paths
    are to be played, "path:NAME" has all of them.

    Args:
        figure: what to draw.

    Returns:
        The Bokeh plot, and notes to stand under it.
    """
    looks = looks_of(figure)
    ways = [before_divergence(np.asarray(path.points, float)) for path in figure.paths]
    window = window_of(figure)
    plot = canvas(window[0], window[1], height=400, right=14, grid=False)
    domain = (tuple(window[0].tolist()), tuple(window[1].tolist()))
    notes = [draw_ground(plot, dataclasses.replace(figure.surface, domain=domain))]
    for path, way in zip(figure.paths, ways, strict=True):
        draw_path(plot, path, looks[path.name], window, marked=marked_steps(way, window), played=figure.play)
    draw_minima(plot, figure.surface)
    begins = np.unique([way[0] for way in ways if len(way)], axis=0).astype(np.float32)
    plot.scatter(begins[:, 0], begins[:, 1], **START)
    minima = np.reshape(np.asarray(figure.surface.minima, float), (-1, 2))
    marks = np.concatenate([begins, minima])
    centres = places(ways, [path.name for path in figure.paths], window, marks=marks)
    for path, centre in zip(figure.paths, centres, strict=True):
        if centre is not None:
            _name(plot, path.name, centre, looks[path.name])
    for path, way in zip(figure.paths, ways, strict=True):
        if len(way) < len(path.points):
            notes.append(f"{path.name} diverges at step {len(way)}.")
    outside = [
        path.name
        for path, way in zip(figure.paths, ways, strict=True)
        if len(way) == len(path.points) and ((way[-1] < window[:, 0]) | (way[-1] > window[:, 1])).any()
    ]
    if outside:
        notes.append(f"Outside the window at the end: {', '.join(outside)}.")
    return plot, notes


def window_of(figure: PathsFigure) -> np.ndarray:
    """The part of the surface's window that is worth showing.

    Args:
        figure: what is drawn.

    Returns:
        The ends of x and the ends of y, shape (2, 2): the whole window, or where the paths and the minima
        take up less than half of it, that part with some room around it.
    """
    return worth_seeing(figure.surface.domain, [path.points for path in figure.paths], figure.surface.minima)


def draw_path(
    plot: Any, path: Path, look: Style, window: np.ndarray, *, marked: np.ndarray, played: bool
) -> None:
    """Draw one path.

    Args:
        plot: the canvas.
        path: its points.
        look: its colour, mark and dash.
        window: the ends of x and the ends of y, shape (2, 2).
        marked: the steps that have a mark.
        played: whether it can be cut off at a step; the rest of it then stays faintly visible.
    """
    points = within_reach(np.asarray(path.points, np.float32), window)
    shape = mark(look, MARK)
    sizes = np.zeros(len(points), np.float32)
    sizes[marked] = shape["size"]
    columns = {
        "x": points[:, 0],
        "y": points[:, 1],
        "f": np.asarray(path.values, np.float32),
        "size": sizes,
    }
    shown = ColumnDataSource(dict(columns), name=f"shown:{path.name}")
    head = ColumnDataSource({key: column[-1:] for key, column in columns.items()}, name=f"head:{path.name}")
    drawn = [
        plot.line("x", "y", source=shown, line_color=PAPER, line_width=WIDTH + 2, line_alpha=0.8),
        plot.line(
            "x",
            "y",
            source=shown,
            line_color=look.color,
            line_width=WIDTH,
            line_dash=dash(look.dash, WIDTH),
            line_join="round",
        ),
    ]
    edge = {"line_color": PAPER, "line_width": 0.8, "fill_color": look.color}
    drawn += [
        plot.scatter("x", "y", source=shown, **(shape | {"size": "size"}), **edge),
        plot.scatter("x", "y", source=head, **mark(look, HEAD), **(edge | {"line_width": 1.4})),
    ]
    if played:
        whole = ColumnDataSource(dict(columns), name=f"path:{path.name}")
        drawn.append(
            plot.line("x", "y", source=whole, line_color=look.color, line_alpha=0.25, level="underlay")
        )
    for renderer in drawn:
        renderer.name = path.name


def within_reach(points: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Leave out what is so far away that a browser can no longer draw dashes on the way to it.

    Args:
        points: shape (n, 2).
        window: the ends of x and the ends of y, shape (2, 2).

    Returns:
        The points, with NaN in place of those more than REACH windows away.
    """
    away = np.abs(points - window.mean(axis=1)) / np.ptp(window, axis=1)
    return np.where((away > REACH).any(axis=1, keepdims=True), np.float32(np.nan), points)


def marked_steps(way: np.ndarray, window: np.ndarray) -> np.ndarray:
    """The steps that have a mark: each a mark's width or more from the one before.

    Args:
        way: points of shape (n, 2).
        window: shape (2, 2): the ends of x, the ends of y.

    Returns:
        Increasing step numbers.
    """
    pixels = way * FRAME / np.ptp(window[0])
    kept: list[int] = []
    for step, place in enumerate(pixels):
        if not kept or np.hypot(*(place - pixels[kept[-1]])) >= 1.5 * MARK:
            kept.append(step)
    return np.array(kept, int)


def _name(plot: Any, name: str, centre: np.ndarray, look: Style) -> None:
    label = plot.text(
        x=[float(centre[0])],
        y=[float(centre[1])],
        text=[name],
        text_color=look.text,
        text_font=fixed(FONT),
        text_font_size="13px",
        text_font_style="bold",
        text_align="center",
        text_baseline="middle",
        background_fill_color=PAPER,
        background_fill_alpha=0.75,
        padding=1,
        border_radius=3,
    )
    label.name = name
    label.tags = ["end"]
