"""The numbers of a figure as a table, for those who would rather read than look."""

from typing import NamedTuple

import numpy as np

from jaxopt_edu.textbook.figures import Figure, HeatFigure, LinesFigure, PathsFigure
from jaxopt_edu.textbook.numerals import number, typeset

WHOLE = 41  # a series of at most so many points is listed whole
ROWS = 13  # of a longer one so many are; data.json beside the page has what the finding rests on
STEPS = 6  # of a path
COLUMNS = 9  # of a map


class Table(NamedTuple):
    """A table of a figure's numbers.

    Attributes:
        caption: what the numbers are, and which are left out.
        head: one text a column.
        rows: one text a cell; the first of each row is its name.
    """

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def table_of(figure: Figure) -> Table:
    """Make a figure's table.

    Args:
        figure: any of the kinds.

    Returns:
        All points of a short series, 13 of a long one: evenly chosen, the first and the last among them. The
        caption says how many were left out.
    """
    if isinstance(figure, PathsFigure):
        return _of_paths(figure)
    if isinstance(figure, LinesFigure):
        return _of_lines(figure)
    return _of_heat(figure)


def chosen(count: int, most: int) -> np.ndarray:
    """Evenly chosen indices, the first and the last among them.

    Args:
        count: how many there are.
        most: how many to choose.

    Returns:
        Increasing indices.

    >>> chosen(31, 4).tolist()
    [0, 10, 20, 30]
    """
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))


def _of_paths(figure: PathsFigure) -> Table:
    rows = []
    for path in figure.paths:
        for step in chosen(len(path.points), STEPS):
            x, y = path.points[step]
            rows.append((path.name, number(step), number(x), number(y), number(path.values[step])))
    return Table(
        f"Places and values of f on {figure.surface.name.replace('_', ' ')}, f = {figure.surface.formula}"
        f"{_left_out(max(len(path.points) for path in figure.paths), STEPS, 'steps on a path')}.",
        ("path", "step", "x", "y", "f(x, y)"),
        tuple(rows),
    )


def _of_lines(figure: LinesFigure) -> Table:
    first = figure.series[0]
    most = max(len(series.x) for series in figure.series)
    rows_each = most if most <= WHOLE else ROWS
    left_out = _left_out(most, rows_each, "points on a line")
    bands = any(series.low is not None for series in figure.series)
    if not bands and all(np.array_equal(series.x, first.x) for series in figure.series):
        kept = chosen(len(first.x), rows_each)
        return Table(
            f"{figure.ylabel}, by {figure.xlabel}{left_out}.",
            (figure.xlabel, *(series.name for series in figure.series)),
            tuple((number(first.x[i]), *(number(series.y[i]) for series in figure.series)) for i in kept),
        )
    rows = []
    for series in figure.series:
        for i in chosen(len(series.x), rows_each):
            row = (series.name, number(series.x[i]), number(series.y[i]))
            if bands:
                ends = (series.low, series.high)
                row += tuple("—" if end is None else number(end[i]) for end in ends)
            rows.append(row)
    return Table(
        f"{figure.ylabel}, by {figure.xlabel}{left_out}.",
        ("line", figure.xlabel, figure.ylabel, *(("band from", "to") if bands else ())),
        tuple(rows),
    )


def _of_heat(figure: HeatFigure) -> Table:
    columns, rows = chosen(len(figure.x), COLUMNS), chosen(len(figure.y), ROWS)
    left_out = _left_out(len(figure.x) * len(figure.y), len(columns) * len(rows), "cells")
    return Table(
        f"{figure.label}: {figure.xlabel} to the right, {figure.ylabel} downwards{left_out}.",
        (figure.ylabel, *(number(figure.x[i]) for i in columns)),
        tuple((number(figure.y[j]), *(number(figure.values[j][i]) for i in columns)) for j in rows),
    )


def _left_out(count: int, most: int, what: str) -> str:
    return typeset(f"; {most} of up to {count} {what}") if count > most else ""
