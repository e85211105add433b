"""`jaxopt-edu list`: what there is."""

import argparse
import inspect
import sys
from types import ModuleType

from jaxopt_edu import problems
from jaxopt_edu.cli.console import table
from jaxopt_edu.core.reading import describe
from jaxopt_edu.optimizers import FAMILIES


def add_to(commands: argparse._SubParsersAction) -> None:
    """Add the command to a parser."""
    parser = commands.add_parser(
        "list",
        help="the optimizers with their defaults, and the problems",
        description="List the optimizers with their defaults, and the problems they can race on.",
        epilog="examples:\n  jaxopt-edu list\n  jaxopt-edu list problems",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "what", nargs="?", choices=("optimizers", "problems"), help="one of the two (default: both)"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print a table for each family of optimizers, and those of the problems."""
    if options.what != "problems":
        _optimizers()
    if options.what != "optimizers":
        _problems()


def _optimizers() -> None:
    for family in FAMILIES:
        table(
            _title(family),
            ("defaults", "idea"),
            [(describe(factory()), _idea(sys.modules[factory.__module__])) for factory in family.OPTIMIZERS],
        )


def _problems() -> None:
    table(
        "Problems of the suite (jaxopt-edu show NAME tells more; race --problem NAME, sweep NAME …)",
        ("name", "what it is"),
        [(name, (inspect.getdoc(factory) or "").splitlines()[0]) for name, factory in problems.CORE.items()],
    )
    table(
        "Problems to look at (jaxopt-edu race --problem NAME, jaxopt-edu sweep NAME …)",
        ("name", "what it is"),
        [(surface.name, f"f(x, y) = {surface.formula}") for surface in problems.SURFACES]
        + [
            ("digits", "8 × 8 handwritten digits, 1437 to train on and 360 to test"),
            ("mnist", "28 × 28 handwritten digits, from a folder of yours (--data FOLDER)"),
        ],
    )


def _title(family: ModuleType) -> str:
    name = (inspect.getdoc(family) or "").partition(":")[0]
    return f"{name} (jaxopt-edu show NAME for the page)"


def _idea(page: ModuleType) -> str:
    return (inspect.getdoc(page) or "").splitlines()[0].partition(": ")[2]
