"""The key above a figure: each name with its line and mark, as a switch that hides and shows it."""

from collections.abc import Mapping
from typing import NamedTuple

from markupsafe import Markup

from jaxopt_edu.plots.drawing.style import Style
from jaxopt_edu.textbook.figures import Figure
from jaxopt_edu.textbook.page.drawing.look import DARK, dash
from jaxopt_edu.textbook.page.drawing.looks import looks_of

_MARKS = {
    "o": '<circle cx="17" cy="7" r="4"/>',
    "s": '<rect x="13.5" y="3.5" width="7" height="7"/>',
    "^": '<path d="M17 2.5 21.5 11h-9z"/>',
    "v": '<path d="M17 11.5 21.5 3h-9z"/>',
    "D": '<path d="M17 1.8 21 7 17 12.2 13 7z"/>',
    "P": '<path d="M15.3 2.5h3.4v2.8h2.8v3.4h-2.8v2.8h-3.4V8.7h-2.8V5.3h2.8z"/>',
    "X": '<path d="M15.3 2.5h3.4v2.8h2.8v3.4h-2.8v2.8h-3.4V8.7h-2.8V5.3h2.8z" transform="rotate(45 17 7)"/>',
}


class Entry(NamedTuple):
    """One line of a key.

    Attributes:
        name: of the method or the setting.
        swatch: an SVG with its line and mark.
        light: the colour of its words on light paper.
        dark: the colour on dark paper.
    """

    name: str
    swatch: Markup
    light: str
    dark: str


def key_of(figure: Figure) -> tuple[Entry, ...]:
    """The key of a figure.

    Args:
        figure: any of the kinds.

    Returns:
        Its entries, in the order in which they are drawn; none for a heat map, whose colours have a bar.
    """
    return entries(looks_of(figure))


def entries(looks: Mapping[str, Style]) -> tuple[Entry, ...]:
    """The key of some names.

    Args:
        looks: by name, in the order in which they are drawn.

    Returns:
        One entry a name.
    """
    return tuple(Entry(name, swatch(look), look.text, DARK[look.text]) for name, look in looks.items())


def swatch(look: Style) -> Markup:
    """Draw a short piece of a line with its mark.

    Args:
        look: the line's.

    Returns:
        An SVG element in the colour of the text around it.
    """
    dashes = " ".join(str(length) for length in dash(look.dash, 2.2))
    return Markup(
        '<svg class="swatch" width="34" height="14" viewBox="0 0 34 14" aria-hidden="true">'
        f'<path d="M1 7h32" stroke="currentColor" stroke-width="2.2" stroke-dasharray="{dashes}"/>'
        f'<g fill="currentColor">{_MARKS.get(look.marker, "")}</g></svg>'
    )
