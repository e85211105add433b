"""Which look each line has: a method has one colour on the whole page, and nothing else has it."""

import re
from collections.abc import Sequence

from jaxopt_edu.plots.drawing.style import METHODS, QUIET, Dash, Style
from jaxopt_edu.textbook.figures import Figure, LinesFigure, PathsFigure
from jaxopt_edu.textbook.page.drawing.look import OTHERS, SHADES_OF

_DOTTED: tuple[Dash, ...] = ((0, (1, 1.2)), (0, (4, 1.2, 1, 1.2)), (0, (8, 2)))
"""The dashes of theory's lines, which have no marks."""


def looks_of(figure: Figure) -> dict[str, Style]:
    """Give every line of a figure its look.

    Args:
        figure: any of the kinds; a heat map has no lines.

    Returns:
        A look for each name, in the figure's order.
    """
    if isinstance(figure, PathsFigure):
        return looks([path.name for path in figure.paths], of=figure.method)
    if isinstance(figure, LinesFigure):
        theory = [series.name for series in figure.series if series.theory]
        return looks([series.name for series in figure.series], theory=theory, of=figure.method)
    return {}


def looks(names: Sequence[str], *, theory: Sequence[str] = (), of: str = "") -> dict[str, Style]:
    """Give names their looks.

    Args:
        names: in the order in which they are drawn.
        theory: those of them that are not measured: grey and dotted, without marks.
        of: the method whose settings the others are, where they do not begin with the name of one.

    Returns:
        A look for each. The first of a method has the method's own; those after it have a shade of its colour
        with other marks and dashes. What belongs to no method has a colour that no method has.

    >>> found = looks(["Momentum, α = 0.5", "Momentum, α = 0.9", "Bowl", "theory"], theory=["theory"])
    >>> found["Momentum, α = 0.5"] == METHODS["momentum"], found["theory"].color == QUIET
    (True, True)
    """
    found: dict[str, Style] = {}
    seen: dict[str, int] = {}
    for name in names:
        kind = "theory" if name in theory else method_of(name) or of.lower()
        count = seen.setdefault(kind, 0)
        seen[kind] += 1
        if kind == "theory":
            found[name] = Style(QUIET, QUIET, "", _DOTTED[count % len(_DOTTED)])
        else:
            found[name] = _variant(kind, count)
    return found


def method_of(name: str) -> str:
    """Which of the seven methods a line is of.

    Args:
        name: the line's.

    Returns:
        The method's name in small letters; "" if the name begins with none.

    >>> method_of("Adam, turned by 45°"), method_of("AMSGrad")
    ('adam', '')
    """
    first = re.split("[^a-z]", name.casefold(), maxsplit=1)[0]
    return first if first in METHODS else ""


def _variant(method: str, count: int) -> Style:
    styles = list(METHODS.values())
    place, shades = (list(METHODS).index(method), SHADES_OF[method]) if method else (0, OTHERS)
    shade = count % len(shades)
    color = shades[shade]
    return Style(
        color,
        # Only a method's own colour is too pale for words.
        METHODS[method].text if method and shade == 0 else color,
        styles[(place + count) % len(styles)].marker,
        styles[(place + 2 * count) % len(styles)].dash,
    )
