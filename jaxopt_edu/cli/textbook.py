"""`jaxopt-edu textbook`: run the experiments and write the page."""

import argparse
import json
from importlib.util import find_spec

from jaxopt_edu.cli.console import console, progress, table, text
from jaxopt_edu.cli.signals import signals_end
from jaxopt_edu.files import check_folder, whole_folder

MARKER = "textbook.txt"
LAB = "lab"
NEEDED = ("bokeh", "jinja2", "latex2mathml", "markdown_it", "pygments", "sklearn")

EPILOG = """\
examples:
  jaxopt-edu textbook                                  everything, in under three minutes on two cores
  jaxopt-edu textbook --chapters momentum,adam         two chapters
  jaxopt-edu textbook --out ~/book                     into another folder

Open index.html in any browser: it holds everything it needs, and asks for nothing over the network.
data.json has the numbers of every finding. Every experiment runs anew each time the page is built.
"""


def add_to(commands: argparse._SubParsersAction) -> None:
    """Add the command to a parser."""
    parser = commands.add_parser(
        "textbook",
        help="the story from SGD to Adam: claims, experiments, live figures, on one page",
        description="Run the textbook's experiments and write one page that works offline: from SGD to\n"
        "Adam, what is usually claimed, and what was measured.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--chapters",
        metavar="A,B,…",
        help="which chapters (default: all); a wrong name is answered with the right ones",
    )
    parser.add_argument(
        "--out",
        default="textbook",
        metavar="FOLDER",
        help="the folder to write (default: %(default)s); replaced as a whole",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Check everything, run the experiments, write the page.

    Raises:
        ValueError: there is no chapter of that name.
        OSError: the folder cannot be written.
        ImportError: an extra is missing.
    """
    check_folder(options.out, MARKER)
    _check_extras()
    from jaxopt_edu.textbook.build import data_of, write_chapter
    from jaxopt_edu.textbook.chapters import CHAPTERS
    from jaxopt_edu.textbook.lab import METHODS, run_lab
    from jaxopt_edu.textbook.page.render import render

    known = [*(chapter.slug for chapter in CHAPTERS), LAB]
    wanted = known if options.chapters is None else [slug.strip() for slug in options.chapters.split(",")]
    for slug in wanted:
        if slug not in known:
            raise ValueError(f"there is no chapter {slug!r}; choose from {', '.join(known)}.")
    chapters = [chapter for chapter in CHAPTERS if chapter.slug in wanted]
    with signals_end(), progress() as bars:
        tasks = [bars.add_task(each.title, total=1 + len(each.experiments)) for each in chapters]
        lab_task = bars.add_task("The lab", total=len(METHODS)) if LAB in wanted else None
        page_task = bars.add_task("The page", total=len(chapters) + (LAB in wanted))
        book = [
            write_chapter(chapter, advance=lambda name, task=task: bars.advance(task))
            for chapter, task in zip(chapters, tasks, strict=True)
        ]
        data = data_of(book)
        lab = None if lab_task is None else run_lab(advance=lambda name: bars.advance(lab_task))
        html = render(book, lab, advance=lambda: bars.advance(page_task))
    with signals_end(), whole_folder(options.out, MARKER) as folder:
        (folder / "index.html").write_text(html, "utf-8")
        (folder / "data.json").write_text(json.dumps(data, indent=1, allow_nan=False) + "\n", "utf-8")
        (folder / MARKER).write_text(
            "Written by jaxopt-edu textbook, which replaces this folder as a whole.\n", "utf-8"
        )
    rows = [(found["chapter"], found["verdict"], found["claim"]) for found in data.values()]
    if rows:
        table("Claims", ("chapter", "verdict", "claim"), rows)
    text(f"wrote {options.out}/: index.html ({len(html.encode()) / 1e6:.1f} MB), data.json")


def _check_extras() -> None:
    # The page comes last; experiments of minutes must not end with the news that it cannot be drawn.
    console()
    for name in NEEDED:
        if find_spec(name) is None:
            raise ImportError(f'the textbook needs {name}: pip install "jaxopt-edu[textbook]"')
