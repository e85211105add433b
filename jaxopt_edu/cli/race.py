"""`jaxopt-edu race`: optimizers side by side."""

import argparse
import textwrap
from collections.abc import Callable, Container
from importlib.util import find_spec

from jaxopt_edu import problems
from jaxopt_edu.cli.arguments import positive
from jaxopt_edu.cli.console import console, progress, table, text
from jaxopt_edu.cli.named_problems import problem_called
from jaxopt_edu.cli.signals import signals_end
from jaxopt_edu.cli.words import optax_factory
from jaxopt_edu.core.editing import replace
from jaxopt_edu.core.transform import Optimizer
from jaxopt_edu.files import check_folder, whole_folder
from jaxopt_edu.optimizers import STORY
from jaxopt_edu.race import (
    LEARNING_RATES,
    Report,
    animated,
    animation_work,
    apply_settings,
    article_settings,
    data_report,
    default_settings,
    problem_report,
    race_on_data,
    race_on_problem,
    race_on_surface,
    surface_report,
)

MARKER = "race.txt"
DATA = ("digits", "mnist")
SURFACE_STEPS = 30
DATA_STEPS = 500
EVALUATE_EVERY = 20  # steps; looking twice as often would take a tenth longer

EPILOG = """\
examples:
  jaxopt-edu race                                       the bowl and the digits, all seven methods
  jaxopt-edu race --problem beale --steps 200           another surface; each method at its best learning rate
  jaxopt-edu race --problem digits --methods adam,sgd --seeds 10
  jaxopt-edu race --methods adam,muon,optax.lion        any page, and optax's own
  jaxopt-edu race --problem bowl --set sgd.learning_rate=1.01    see it diverge
  jaxopt-edu race --problem saddle --animate            as a moving picture too
  jaxopt-edu race --problem mnist --data FOLDER         MNIST-format files of your own
  jaxopt-edu race --problem cancer_raw --problem zipf   problems of the suite, chosen on validation data

On the bowl the settings are the article's, on the saddles each method's defaults. On other surfaces and on
data every method tries the same learning rates, and its best one is shown; a learning rate given by --set is
the only one that its method tries.
"""


def add_to(commands: argparse._SubParsersAction) -> None:
    """Add the command to a parser."""
    names = [surface.name for surface in problems.SURFACES]
    parser = commands.add_parser(
        "race",
        help="optimizers side by side, on surfaces and on real data",
        description="Race optimizers against each other: print a table for each problem, and write tables\n"
        "and pictures into a folder.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--problem",
        action="append",
        metavar="NAME",
        help="what to minimise; may be repeated (default: bowl and digits). One of "
        + textwrap.shorten(", ".join([*names, *DATA]), 400)
        + "; or of the suite, as digits_vae (jaxopt-edu list has all), or your own, as mine.py:problem",
    )
    parser.add_argument(
        "--methods",
        metavar="A,B,…",
        default=",".join(factory.__name__ for factory in STORY),
        help="which optimizers (default: %(default)s); `jaxopt-edu list` names all, and optax's are called "
        "optax.lion",
    )
    parser.add_argument(
        "--steps",
        type=positive,
        metavar="N",
        help=f"length of each run (default: {SURFACE_STEPS} on a surface, {DATA_STEPS} on data, and the "
        "problem's own on one of the suite)",
    )
    parser.add_argument(
        "--seeds",
        type=positive,
        metavar="N",
        default=5,
        help="runs of each setting on data (default: %(default)s)",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="METHOD.NAME=VALUE",
        help="a hyperparameter, such as adam.learning_rate=0.1; may be repeated",
    )
    parser.add_argument(
        "--data", metavar="FOLDER", help="where the MNIST-format files are, for --problem mnist"
    )
    parser.add_argument(
        "--animate",
        action="store_true",
        help="also write each surface's race as an animation, NAME-race.webp and NAME-race.gif",
    )
    parser.add_argument(
        "--out",
        default="race",
        metavar="FOLDER",
        help="the folder to write (default: %(default)s); replaced as a whole",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Check everything, race, write, print.

    Raises:
        ValueError: a name or a value is unknown or out of range.
        OSError: the folder cannot be written, or data cannot be read.
        ImportError: an extra is missing.
    """
    check_folder(options.out, MARKER)
    _check_extras()
    methods = [name.strip() for name in options.methods.split(",")]
    surfaces = {surface.name: surface for surface in problems.SURFACES}
    names = list(dict.fromkeys(options.problem or ["bowl", "digits"]))
    trained = {
        name: problem_called(name, [*surfaces, *DATA]) for name in names if name not in (*surfaces, *DATA)
    }
    if options.data is not None and "mnist" not in names:
        raise ValueError(
            f"--data {options.data} is for mnist, which is not in this race; add --problem mnist "
            "or leave --data out."
        )
    if options.animate and not surfaces.keys() & set(names):
        raise ValueError(
            f"--animate shows a race over a surface, and {' and '.join(names)} is none; "
            "add --problem bowl or leave --animate out."
        )
    plans = []
    for name in names:
        if name in surfaces:
            plans.append(_surface_race(surfaces[name], methods, options))
        elif name in trained:
            plans.append(_problem_race(trained[name], methods, options))
        else:
            plans.append(_data_race(name, methods, options))
    with signals_end(), progress() as bars:
        reports = [plan(bars) for plan in plans]
    with signals_end(), whole_folder(options.out, MARKER) as folder:
        files = [file for report in reports for file in report.write(folder)]
        (folder / MARKER).write_text(
            "Written by jaxopt-edu race, which replaces this folder as a whole.\n", "utf-8"
        )
    for report in reports:
        table(report.title, report.columns, report.rows, report.notes)
    text(f"wrote {options.out}/: {', '.join(files)}")


def _check_extras() -> None:
    # The pictures come last; a race of minutes must not end with the news that they cannot be drawn.
    console()
    if find_spec("matplotlib") is None:
        raise ImportError('the pictures need matplotlib: pip install "jaxopt-edu[plots]"')


def _defaults(methods: list[str]) -> dict[str, Optimizer]:
    """Every method with its defaults; those of optax's that have no default learning rate with 0.001."""
    found = default_settings([name for name in methods if not name.startswith("optax.")])
    for name in methods:
        if name not in found:
            factory = optax_factory(name)
            if "learning_rate" not in factory.__signature__.parameters:
                raise ValueError(f"{name} has no learning_rate, of which every method tries the same ones.")
            found[name] = factory(learning_rate=0.001)
    return {name: found[name] for name in methods}


def _surface_race(
    surface: problems.Surface, methods: list[str], options: argparse.Namespace
) -> Callable[..., Report]:
    defaults = _defaults(methods)
    of_article = article_settings()
    shown = of_article if surface is problems.bowl else {}
    given = {name: shown.get(name, defaults[name]) for name in methods}
    optimizers, chosen = apply_settings(given, options.set)
    steps = options.steps or SURFACE_STEPS

    def race(bars) -> Report:
        task = bars.add_task(surface.name, total=len(optimizers))
        results = []
        for name, optimizer in optimizers.items():
            bars.update(task, description=f"{surface.name}: {name}")
            # On a saddle the lowest value is no merit: the longest step off it would always win.
            tuned = name not in shown and surface.minimum is not None
            rates = LEARNING_RATES if tuned and (name, "learning_rate") not in chosen else ()
            results.append(race_on_surface(surface, name, optimizer, steps=steps, learning_rates=rates))
            bars.advance(task)
        bars.update(task, description=surface.name)
        report = surface_report(surface, results)
        if not options.animate:
            return report
        task = bars.add_task(f"{surface.name}: animation", total=animation_work())
        return animated(report, surface, results, advance=lambda done: bars.advance(task, done))

    return race


def _data_race(name: str, methods: list[str], options: argparse.Namespace) -> Callable[..., Report]:
    optimizers, chosen = apply_settings(_defaults(methods), options.set)
    if name == "mnist" and options.data is None:
        raise ValueError("mnist needs --data FOLDER, the folder with the MNIST-format files.")
    data = problems.digits() if name == "digits" else problems.mnist(options.data)
    steps = options.steps or DATA_STEPS

    def race(bars) -> Report:
        task = bars.add_task(name, total=len(optimizers) * steps)
        results = []
        for method, optimizer in optimizers.items():
            bars.update(task, description=f"{name}: {method}")
            results.append(
                race_on_data(
                    data,
                    method,
                    _tried(method, optimizer, chosen),
                    steps=steps,
                    seeds=options.seeds,
                    every=EVALUATE_EVERY,
                    advance=lambda made: bars.advance(task, made),
                )
            )
        bars.update(task, description=name)
        return data_report(name, results, seeds=options.seeds)

    return race


def _problem_race(
    problem: problems.Problem, methods: list[str], options: argparse.Namespace
) -> Callable[..., Report]:
    optimizers, chosen = apply_settings(_defaults(methods), options.set)
    steps = options.steps or problem.steps

    def race(bars) -> Report:
        task = bars.add_task(problem.name, total=len(optimizers) * steps)
        results = []
        for method, optimizer in optimizers.items():
            bars.update(task, description=f"{problem.name}: {method}")
            tried = _tried(method, optimizer, chosen)
            results.append(
                race_on_problem(
                    problem,
                    method,
                    tried,
                    seeds=options.seeds,
                    steps=steps,
                    advance=lambda made: bars.advance(task, made),
                )
            )
        bars.update(task, description=problem.name)
        return problem_report(problem, results)

    return race


def _tried(method: str, optimizer: Optimizer, chosen: Container[tuple[str, str]]) -> list[Optimizer]:
    """A method at all learning rates, unless one was given."""
    if (method, "learning_rate") in chosen:
        return [optimizer]
    return [replace(optimizer, learning_rate=rate) for rate in LEARNING_RATES]
