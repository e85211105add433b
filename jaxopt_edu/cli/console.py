"""How the command line looks: tables, code and progress bars, by rich."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

NUMBERS = ("f at the end", "training loss", "accuracy %", "steps to target", "seconds", "default")


def console(*, stderr: bool = False) -> "Console":
    """Where to print.

    Args:
        stderr: print on standard error.

    Returns:
        A rich console; one that is no terminal is wide enough for the tables.

    Raises:
        ImportError: rich is not installed.
    """
    try:
        from rich.console import Console
    except ImportError:
        raise ImportError('the command line needs rich: pip install "jaxopt-edu[cli]"') from None
    made = Console(stderr=stderr, highlight=False)
    return made if made.is_terminal else Console(stderr=stderr, highlight=False, width=140)


def table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str] = ()
) -> None:
    """Print a table.

    Args:
        title: above it.
        columns: the heads.
        rows: the cells.
        notes: lines below it.
    """
    out = console()
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(title=Text(title), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for column in columns:
        made.add_column(column, justify="right" if column in NUMBERS else "left", overflow="fold")
    for row in rows:
        made.add_row(*(Text(cell) for cell in row))
    out.print(made)
    for note in notes:
        out.print(Text(f"  {note}", style="dim"))
    if notes:
        out.print()


def text(words: str) -> None:
    """Print words as they are; long lines are left to the terminal.

    Args:
        words: any text.
    """
    console().print(words, markup=False, soft_wrap=True)


def code(source: str) -> None:
    """Print Python code.

    Args:
        source: the code.
    """
    out = console()
    from rich.syntax import Syntax

    if out.is_terminal:
        out.print(Syntax(source, "python", theme="ansi_light", background_color="default"))
    else:
        out.print(source, markup=False)


@contextmanager
def progress() -> "Iterator[Progress]":
    """Progress bars on standard error, which stay behind when they are done.

    Yields:
        A rich Progress.
    """
    err: Any = console(stderr=True)
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description:28}"),
        BarColumn(bar_width=30),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("left:"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err) as bars:
        yield bars
