"""`jaxopt-edu list`: what there is."""

import argparse
import inspect
import sys

from jaxopt_edu import problems
from jaxopt_edu.cli.console import table
from jaxopt_edu.core.reading import describe
from jaxopt_edu.optimizers import OPTIMIZERS


def add_to(commands: argparse._SubParsersAction) -> None:
    """Add the command to a parser."""
    parser = commands.add_parser(
        "list",
        help="the optimizers with their defaults, and the problems",
        description="List the optimizers with their defaults, and the problems they can race on.",
        epilog="example:\n  jaxopt-edu list",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print both tables."""
    table(
        "Optimizers (jaxopt-edu show NAME for the page)",
        ("defaults", "idea"),
        [(describe(factory()), _idea(factory)) for factory in OPTIMIZERS],
    )
    table(
        "Problems (jaxopt-edu race --problem NAME)",
        ("name", "what it is"),
        [(surface.name, f"f(x, y) = {surface.formula}") for surface in problems.SURFACES]
        + [
            ("digits", "8 × 8 handwritten digits, 1437 to train on and 360 to test"),
            ("mnist", "28 × 28 handwritten digits, from a folder of yours (--data FOLDER)"),
        ],
    )


def _idea(factory: object) -> str:
    page = inspect.getdoc(sys.modules[factory.__module__]) or ""
    return page.splitlines()[0].partition(": ")[2]
