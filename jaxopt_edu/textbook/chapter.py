"""What a chapter is made of."""

from collections.abc import Callable
from types import ModuleType
from typing import Any, Literal, NamedTuple

from jaxopt_edu.textbook.figures import Figure

Verdict = Literal["holds", "fails", "depends"]


class Finding(NamedTuple):
    """What an experiment gave.

    Attributes:
        name: short and unique on the page, such as "stability-limit"; the figure's anchor and the data's key.
        claim: what is usually said, in one sentence.
        verdict: whether it holds here.
        measured: what was measured, in one or two sentences with the numbers; also says what the figure shows
            to those who cannot see it.
        setting: surface or data, metric, budget, seeds, in one sentence.
        data: the numbers behind it: dicts, lists, strings and Python numbers, ready for JSON.
        figures: what is drawn of them; usually one.
    """

    name: str
    claim: str
    verdict: Verdict
    measured: str
    setting: str
    data: dict[str, Any]
    figures: tuple[Figure, ...]


class Chapter(NamedTuple):
    """One chapter of the textbook.

    Attributes:
        slug: the anchor, such as "momentum".
        title: such as "Momentum".
        opening: the experiment whose figure opens the chapter.
        idea: the idea in a few paragraphs of Markdown.
        equations: LaTeX, one display equation a line, with the symbols of the optimizer's page.
        pages: the modules whose `rule` is shown as the chapter's source code.
        experiments: functions that run an experiment, in the order of the page, the opening left out. Each
            takes `seed` and may take more settings with defaults; the tests run them at another seed or
            setting too.
        costs: Markdown: memory, time, what it needs tuned.
        use: Markdown: when to use it, and when not.
    """

    slug: str
    title: str
    opening: Callable[..., Finding]
    idea: str
    equations: tuple[str, ...]
    pages: tuple[ModuleType, ...]
    experiments: tuple[Callable[..., Finding], ...]
    costs: str
    use: str
