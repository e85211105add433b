"""Run the experiments of the chapters and collect what they gave."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from jaxopt_edu.textbook.chapter import Chapter, Finding
from jaxopt_edu.textbook.numerals import typeset


class WrittenChapter(NamedTuple):
    """A chapter with what its experiments gave.

    Attributes:
        chapter: its words.
        opening: what the opening experiment gave.
        findings: what the others gave, in the order of the page.
    """

    chapter: Chapter
    opening: Finding
    findings: tuple[Finding, ...]


def write_chapter(
    chapter: Chapter, *, seed: int = 0, advance: Callable[[str], Any] = lambda name: None
) -> WrittenChapter:
    """Run a chapter's experiments.

    Args:
        chapter: which.
        seed: given to every experiment.
        advance: called after each experiment with the name of what it found.

    Returns:
        The chapter and its findings.
    """
    found = []
    for experiment in (chapter.opening, *chapter.experiments):
        finding = experiment(seed=seed)
        words = {name: typeset(getattr(finding, name)) for name in ("claim", "measured", "setting")}
        found.append(finding._replace(**words))
        advance(found[-1].name)
    return WrittenChapter(chapter, found[0], tuple(found[1:]))


def data_of(book: Sequence[WrittenChapter]) -> dict[str, Any]:
    """What stands in data.json: every finding with its numbers.

    Args:
        book: the chapters.

    Returns:
        Findings by name.

    Raises:
        ValueError: two findings have the same name.
    """
    found: dict[str, Any] = {}
    for chapter, opening, findings in book:
        for finding in (opening, *findings):
            if finding.name in found:
                raise ValueError(f"two findings are named {finding.name!r}; anchors and data need one each.")
            found[finding.name] = {
                "chapter": chapter.slug,
                "claim": finding.claim,
                "verdict": finding.verdict,
                "measured": finding.measured,
                "setting": finding.setting,
                "data": finding.data,
            }
    return found
