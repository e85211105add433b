"""Words for the page: Markdown, equations and code become HTML that needs nothing else."""

import inspect
import re
from types import ModuleType

from latex2mathml.converter import convert
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_inline import StateInline
from markupsafe import Markup
from pygments import highlight
from pygments.formatters.html import HtmlFormatter
from pygments.lexers.python import PythonLexer


def markdown(source: str) -> Markup:
    """Turn Markdown into HTML.

    Args:
        source: CommonMark with tables and `$…$` for equations in a line; HTML in it is shown, not obeyed.

    Returns:
        HTML.

    >>> print(markdown("A *short* step of `adam`."))
    <p>A <em>short</em> step of <code>adam</code>.</p>
    <BLANKLINE>
    """
    reader = MarkdownIt("commonmark", {"html": False, "typographer": False}).enable("table")
    reader.inline.ruler.before("escape", "equation", _equation_in_line)
    reader.add_render_rule("equation", _show_equation)
    # A wide table scrolls by itself, and can be reached by keyboard to do so.
    return Markup(
        reader.render(inspect.cleandoc(source))
        .replace("<table>", '<div class="scroll" tabindex="0" role="group" aria-label="Table"><table>')
        .replace("</table>", "</table></div>")
    )


def equation(latex: str, *, display: bool = True) -> Markup:
    """Turn an equation into MathML.

    Args:
        latex: the equation, without dollar signs.
        display: whether it stands on a line of its own.

    Returns:
        A <math> element.
    """
    made = convert(latex, display="block" if display else "inline")
    # What is written &#x003B7; in MathML is η in the page's own encoding.
    return Markup(re.sub(r"&#x0*([0-9A-F]+);", _character, made))


def rule_source(page: ModuleType) -> Markup:
    """Show the code of a page's `rule`.

    Args:
        page: the optimizer's module.

    Returns:
        HTML with the short classes of Pygments, which page.css colours.
    """
    return Markup(highlight(inspect.getsource(page.rule), PythonLexer(), HtmlFormatter(nowrap=True)))


def _character(match: re.Match[str]) -> str:
    character = chr(int(match[1], 16))
    return match[0] if character in "<>&\"'" else character


def _equation_in_line(state: StateInline, silent: bool) -> bool:
    found = re.compile(r"\$([^$\n]+)\$").match(state.src, state.pos)
    if found is None:
        return False
    if not silent:
        token = state.push("equation", "math", 0)
        token.content = found[1]
    state.pos = found.end()
    return True


def _show_equation(self: RendererHTML, tokens, index: int, options, environment) -> str:
    return equation(tokens[index].content, display=False)
