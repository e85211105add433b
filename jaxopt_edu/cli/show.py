"""`jaxopt-edu show NAME`: one optimizer's page."""

import argparse
import inspect
import sys

from jaxopt_edu.cli.console import code, table, text
from jaxopt_edu.cli.words import optax_factory
from jaxopt_edu.core.reading import show
from jaxopt_edu.optimizers import OPTIMIZERS


def add_to(commands: argparse._SubParsersAction) -> None:
    """Add the command to a parser."""
    parser = commands.add_parser(
        "show",
        help="one optimizer's page: idea, equations, hyperparameters, paper, code",
        description="Show one optimizer's page: idea, equations, hyperparameters, paper and code.",
        epilog="example:\n  jaxopt-edu show adam",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", metavar="NAME", help="such as adam or optax.lion; jaxopt-edu list names ours")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print the page.

    Raises:
        ValueError: there is no such optimizer.
    """
    if options.name.startswith("optax."):
        _show_optax(options.name)
        return
    factories = {factory.__name__: factory for factory in OPTIMIZERS}
    if options.name not in factories:
        raise ValueError(
            f"there is no optimizer {options.name!r}; choose from {', '.join(factories)}, or one of "
            "optax's as optax.lion."
        )
    factory = factories[options.name]
    page = sys.modules[factory.__module__]
    text(inspect.getdoc(page) or "")
    described = _described(factory)
    table(
        "Hyperparameters",
        ("name", "default", "what it is"),
        [
            (name, show(parameter.default), described[name])
            for name, parameter in inspect.signature(factory).parameters.items()
        ],
    )
    state_type = factory().update.func.state_type  # type: ignore[attr-defined]
    code("\n\n".join(inspect.getsource(piece) for piece in (state_type, page.init, page.update, page.rule)))


def _show_optax(name: str) -> None:
    factory = optax_factory(name)
    text(inspect.getdoc(factory.factory) or "")
    table(
        "Arguments",
        ("name", "default"),
        [
            (argument, "none" if parameter.default is parameter.empty else show(parameter.default))
            for argument, parameter in factory.__signature__.parameters.items()
        ],
    )


def _described(factory: object) -> dict[str, str]:
    lines = (inspect.getdoc(factory) or "").partition("Args:\n")[2].partition("\n\n")[0].splitlines()
    found: dict[str, str] = {}
    for line in lines:
        if line.startswith("        "):
            name = next(reversed(found))
            found[name] += f" {line.strip()}"
        else:
            name, _, description = line.strip().partition(": ")
            found[name] = description
    return found
