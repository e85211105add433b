"""`jaxopt-edu sweep`: thousands of settings of some optimizers on one problem."""

import argparse
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_edu import problems
from jaxopt_edu.cli.arguments import positive
from jaxopt_edu.cli.console import console, text
from jaxopt_edu.cli.devices import join_processes
from jaxopt_edu.cli.named_problems import problem_called
from jaxopt_edu.cli.words import read_words, settings_of
from jaxopt_edu.problems import mlp
from jaxopt_edu.race.learning import BATCH_SIZE, Network, evaluation
from jaxopt_edu.sweeps.folder.spec import SPEC
from jaxopt_edu.sweeps.pruning import Halving, Hyperband, MedianStopping
from jaxopt_edu.sweeps.results.report import write
from jaxopt_edu.sweeps.results.runs import Mode
from jaxopt_edu.sweeps.sweep import sweep

DRAWN = 64
DATA = ("digits", "mnist")
SURFACES = {surface.name: surface for surface in problems.SURFACES}
PRUNERS = {"halving": Halving(), "hyperband": Hyperband(), "median": MedianStopping()}
METRICS: dict[str, Mode] = {"loss": "min", "accuracy": "max"}

EPILOG = """\
values:
  b1=0.9                              one number
  b1=0,0.9                            a list
  learning_rate=loguniform(1e-4,1)    a distribution: loguniform, uniform, quniform(low,high,step),
                                      randint(low,high), normal(mean,deviation), choice(a,b,…)
  learning_rate=cosine(peak=0.1,steps=500)
                                      a schedule; its numbers are values again, as in peak=loguniform(1e-3,1)

Of an optimizer that has only lists, every combination is tried. Of one with a distribution, --num settings
are drawn, its lists being choices. Quote what has brackets.

examples:
  jaxopt-edu sweep digits adam 'learning_rate=loguniform(1e-4,1)' b1=0,0.9 --num 64 --seeds 5 --out runs/adam
  jaxopt-edu sweep digits sgd learning_rate=0.01,0.1,1 optax.lion learning_rate=0.0001,0.001
  jaxopt-edu sweep digits adam 'learning_rate=cosine(peak=loguniform(1e-3,1),steps=500)' --quasi sobol
  jaxopt-edu sweep digits adam 'learning_rate=loguniform(1e-4,1)' --num 256 --prune halving
  jaxopt-edu sweep bowl sgd learning_rate=0.1,0.5,1,1.9 --steps 30    on a surface, from its start
  jaxopt-edu sweep digits_vae adam 'learning_rate=loguniform(1e-4,0.1)'         on a problem of the suite
  jaxopt-edu sweep mine.py:problem adam 'learning_rate=loguniform(1e-4,0.1)'    on one in a file of yours
  jaxopt-edu sweep …the same words… --resume      go on after a kill, or with further optimizers or seeds

On digits and mnist it trains an MLP with two hidden layers of 32, in batches of 128; jaxopt-edu show NAME
tells of the other problems. Within a seed all settings start from the same parameters and see the same
batches. In the folder afterwards: summary.txt, the table, pictures, and all that
jaxopt_edu.sweeps.load("FOLDER") and --resume need.
"""


def add_to(commands: argparse._SubParsersAction) -> None:
    """Add the command to a parser."""
    parser = commands.add_parser(
        "sweep",
        help="thousands of settings of some optimizers in one compiled program each",
        description="Sweep hyperparameters: train with every setting and seed, print which did best, and "
        "write tables\nand pictures into a folder.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "problem",
        metavar="PROBLEM",
        help="what to train on: digits, mnist, a surface such as bowl, one of the suite such as digits_vae "
        "(jaxopt-edu list has all), or your own, as in mine.py:problem",
    )
    parser.add_argument(
        "words",
        nargs="+",
        metavar="OPTIMIZER [NAME=VALUE …]",
        help="optimizers, each followed by hyperparameters; optax's are called optax.lion",
    )
    parser.add_argument(
        "--num",
        type=positive,
        metavar="N",
        help=f"settings drawn of each optimizer that has a distribution (default: {DRAWN})",
    )
    parser.add_argument(
        "--quasi",
        choices=("sobol", "halton"),
        help="draw points that fill the space more evenly than independent ones",
    )
    parser.add_argument("--key", type=int, default=0, metavar="N", help="draws other settings (default: 0)")
    parser.add_argument(
        "--seeds", type=positive, metavar="N", help="runs of each setting (default: 5; 1 on a surface)"
    )
    parser.add_argument(
        "--steps", type=positive, metavar="N", help="length of a run (default: 500, or the problem's own)"
    )
    parser.add_argument(
        "--metric",
        choices=tuple(METRICS),
        help="what decides on digits and mnist: loss on the training set or accuracy on the test set "
        "(default: loss)",
    )
    parser.add_argument("--prune", choices=tuple(PRUNERS), help="end hopeless settings early")
    parser.add_argument(
        "--data", metavar="FOLDER", help="where the MNIST-format files are, for the problem mnist"
    )
    parser.add_argument(
        "--out", default="sweep", metavar="FOLDER", help="the folder to write (default: %(default)s)"
    )
    parser.add_argument("--resume", action="store_true", help="go on with what the folder holds")
    parser.add_argument(
        "--distributed",
        action="store_true",
        help="be one of several processes; where no cluster says so itself, with the next three",
    )
    parser.add_argument("--coordinator", metavar="HOST:PORT", help="where process 0 is")
    parser.add_argument("--processes", type=positive, metavar="N", help="how many processes there are")
    parser.add_argument("--process", type=int, metavar="I", help="which one this is, from 0")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Check everything, sweep, write, print.

    Raises:
        ValueError: a word, a name or a value is not understood or out of range.
        OSError: the folder cannot be written, or data cannot be read.
        ImportError: an extra is missing.
    """
    entries = read_words(options.words)
    _check(options, any(entry.drawn for entry in entries))
    if options.distributed:
        join_processes(options.coordinator, options.processes, options.process)
    optimizers = settings_of(
        entries, num=options.num or DRAWN, key=jax.random.key(options.key), quasi=options.quasi
    )
    task = _task(options)
    leads = jax.process_index() == 0
    result = sweep(
        task.loss,
        task.first,
        optimizers,
        task.data,
        steps=options.steps or task.steps,
        seeds=options.seeds or task.seeds,
        batch_size=task.batch_size,
        evaluate=task.evaluate,
        metric=task.metric,
        mode=task.mode,
        prune=PRUNERS.get(options.prune),
        path=options.out,
        resume=options.resume,
        progress=leads,
    )
    if leads:
        files = write(result, options.out)
        text(result.summary())
        text(f"\nwrote {options.out}/: {', '.join(files)}")


class Task(NamedTuple):
    """What is trained: the arguments of `sweep` that a problem decides."""

    loss: Callable[..., Any]
    first: Any
    data: Any
    batch_size: int | None
    evaluate: Callable[..., Any]
    metric: str
    mode: Mode
    steps: int = 500
    seeds: int = 5


def _task(options: argparse.Namespace) -> Task:
    name, metric = options.problem, options.metric or "loss"
    if name in SURFACES:
        return _on_surface(SURFACES[name])
    if name in DATA:
        data = problems.digits() if name == "digits" else problems.mnist(options.data)
        return _on_data(data, metric)
    problem = problem_called(name, (*DATA, *SURFACES))
    steps = problem.steps
    return Task(problem.loss, problem.init, steps=steps, **problem.setup)


def _on_data(data: problems.Dataset, metric: str) -> Task:
    network = Network(data.train.inputs.shape[1], data.classes)
    # The data are arguments of the compiled program, not constants in it.
    judged = jax.tree_util.Partial(evaluation, data)
    batch_size = min(BATCH_SIZE, len(data.train.labels))
    return Task(mlp.loss, network, data.train, batch_size, judged, metric, METRICS[metric])


def _on_surface(surface: problems.Surface) -> Task:
    def value(point: jax.Array) -> dict[str, jax.Array]:
        return {"loss": surface(point)}

    first = jnp.asarray(surface.start, jnp.result_type(float))
    return Task(surface, first, None, None, value, "loss", "min", seeds=1)


def _check(options: argparse.Namespace, drawn: bool) -> None:
    # The pictures come last; a sweep of hours must not end with the news that they cannot be drawn.
    console()
    if find_spec("matplotlib") is None:
        raise ImportError('the pictures need matplotlib: pip install "jaxopt-edu[plots]"')
    for name in ("num", "quasi"):
        if getattr(options, name) is not None and not drawn:
            raise ValueError(
                f"--{name} is for distributions, and all values are lists, which are tried in full; "
                f"write choice(a,b) for a list to draw from, or leave --{name} out."
            )
    if options.problem in SURFACES and options.metric not in (None, "loss"):
        raise ValueError(
            f"--metric {options.metric} is for data; a surface has its value only, which is loss."
        )
    if options.problem not in (*DATA, *SURFACES) and options.metric is not None:
        raise ValueError(f"--metric is for digits and mnist; {options.problem} has a metric of its own.")
    if (options.problem == "mnist") != (options.data is not None):
        raise ValueError(
            "mnist needs --data FOLDER with the MNIST-format files, and no other problem takes it."
        )
    if not options.distributed and (options.coordinator or options.processes or options.process is not None):
        raise ValueError("--coordinator, --processes and --process are for --distributed; add it.")
    if (Path(options.out) / SPEC).is_file() and not options.resume:
        raise FileExistsError(
            f"{options.out} holds a sweep already; add --resume to go on with it, or choose another --out."
        )
