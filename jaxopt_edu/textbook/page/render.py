"""The page: the chapters put into the template, with everything it needs inside it."""

from collections import Counter
from collections.abc import Callable, Sequence
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import bokeh
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from jaxopt_edu.textbook.build import WrittenChapter
from jaxopt_edu.textbook.chapter import Finding
from jaxopt_edu.textbook.lab import Lab
from jaxopt_edu.textbook.page.drawing.look import DARK
from jaxopt_edu.textbook.page.lab import show_lab
from jaxopt_edu.textbook.page.shown import ShownFigure, script_json, show
from jaxopt_edu.textbook.page.words import equation, markdown, rule_source

VERDICTS = {"holds": "Holds", "depends": "Depends", "fails": "Fails"}


class ShownFinding(NamedTuple):
    """A finding with its figures drawn."""

    finding: Finding
    figures: tuple[ShownFigure, ...]


class ShownChapter(NamedTuple):
    """A chapter with everything drawn and turned into HTML."""

    number: int
    slug: str
    title: str
    opening: ShownFinding
    idea: Markup
    equations: tuple[Markup, ...]
    rules: tuple[tuple[str, Markup], ...]
    findings: tuple[ShownFinding, ...]
    costs: Markup
    use: Markup


def render(
    book: Sequence[WrittenChapter],
    lab: Lab | None = None,
    *,
    advance: Callable[[], Any] = lambda: None,
) -> str:
    """Make the page.

    Args:
        book: the chapters.
        lab: what ran for the lab; None leaves it out.
        advance: called when a chapter is drawn, and the lab.

    Returns:
        HTML that asks for nothing from elsewhere.
    """
    chapters = []
    for number, written in enumerate(book, 1):
        chapters.append(_chapter(number, written))
        advance()
    shown_lab = None if lab is None else show_lab(lab)
    if lab is not None:
        advance()
    findings = [each for chapter in chapters for each in (chapter.opening, *chapter.findings)]
    environment = Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    return environment.from_string(_file("template.html")).render(
        chapters=chapters,
        lab=shown_lab,
        counts=Counter(each.finding.verdict for each in findings),
        verdicts=VERDICTS,
        styles=Markup(_file("page.css")),
        bokeh=_inline(Path(bokeh.__file__).with_name("server") / "static" / "js" / "bokeh.min.js"),
        scripts=[Markup(_file(name)) for name in ("page.js", "player.js", "lab.js", "print.js")],
        dark=script_json(DARK),
        versions={name: version(name) for name in ("jaxopt-edu", "jax", "bokeh")},
    )


def _chapter(number: int, written: WrittenChapter) -> ShownChapter:
    chapter = written.chapter
    return ShownChapter(
        number=number,
        slug=chapter.slug,
        title=chapter.title,
        opening=_finding(written.opening),
        idea=markdown(chapter.idea),
        equations=tuple(equation(line) for line in chapter.equations),
        rules=tuple((page.__name__, rule_source(page)) for page in chapter.pages),
        findings=tuple(_finding(finding) for finding in written.findings),
        costs=markdown(chapter.costs),
        use=markdown(chapter.use),
    )


def _finding(finding: Finding) -> ShownFinding:
    figures = tuple(
        show(figure, f"{finding.name}-{number}", finding.measured)
        for number, figure in enumerate(finding.figures, 1)
    )
    return ShownFinding(finding, figures)


def _file(name: str) -> str:
    return files("jaxopt_edu.textbook.page").joinpath("browser", name).read_text("utf-8")


def _inline(path: Path) -> Markup:
    # The closing tag of a script may not occur in it, not even in a text.
    return Markup(path.read_text("utf-8").replace("</script", "<\\/script"))
