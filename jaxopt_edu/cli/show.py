"""`jaxopt-edu show NAME`: one optimizer's page, or what is known of a problem."""

import argparse
import inspect
import sys

import jax

from jaxopt_edu import problems
from jaxopt_edu.cli.console import code, table, text
from jaxopt_edu.cli.named_problems import problem_called
from jaxopt_edu.cli.words import optax_factory
from jaxopt_edu.core.reading import show
from jaxopt_edu.optimizers import OPTIMIZERS


def add_to(commands: argparse._SubParsersAction) -> None:
    """Add the command to a parser."""
    parser = commands.add_parser(
        "show",
        help="one optimizer's page: idea, equations, hyperparameters, paper, code; or one problem's",
        description="Show one optimizer's page: idea, equations, hyperparameters, paper and code. Or what is "
        "known of a problem.",
        epilog="examples:\n  jaxopt-edu show adam\n  jaxopt-edu show digits_vae\n"
        "  jaxopt-edu show mine.py:problem",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "name", metavar="NAME", help="such as adam, optax.lion or digits_vae; jaxopt-edu list names ours"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print the page.

    Raises:
        ValueError: there is no such optimizer and no such problem.
    """
    if options.name in problems.CORE or ":" in options.name:
        show_problem(problem_called(options.name))
        return
    if options.name.startswith("optax."):
        _show_optax(options.name)
        return
    factories = {factory.__name__: factory for factory in OPTIMIZERS}
    if options.name not in factories:
        raise ValueError(
            f"there is no optimizer {options.name!r}; choose from {', '.join(factories)}, or one of "
            f"optax's as optax.lion. Problems are {', '.join(problems.CORE)}."
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


def show_problem(problem: problems.Problem) -> None:
    """Print what is known of a problem."""
    factory = problems.CORE.get(problem.name)
    text(f"{problem.name}: {problem.why}\n\n{inspect.getdoc(factory) or ''}".rstrip())
    params = jax.eval_shape(problem.init, jax.random.key(0))
    data, computation = problem.fingerprint
    facts = {
        "parameters": f"{sum(leaf.size for leaf in jax.tree.leaves(params)):,}",
        "batch": "all at every step" if problem.batch_size is None else f"{problem.batch_size}",
        "steps": f"{problem.steps:,}",
        "chosen by": f"{problem.metric}, the {'lower' if problem.mode == 'min' else 'higher'} the better",
        "without training": f"{problem.trivial:.4g} ({problem.trivial_is})",
        "best possible": "not known" if problem.optimum is None else f"{problem.optimum:g}",
        "from": problem.reference,
        "fingerprint": f"{data} of the data, {computation} of the computation; version {problem.version}",
    }
    if callable(problem.data):
        facts["batch"] = "drawn at every step"
    if factory is not None:
        facts["variants"] = ", ".join(each.name for each in problems.variants(problem.name))
    table("Facts", ("", "what it is"), [(name, fact) for name, fact in facts.items() if fact])
