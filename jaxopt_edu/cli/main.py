"""From the words of the command line to the command, and from its errors to one line."""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import jaxopt_edu
from jaxopt_edu.cli import listing, race, show, sweep, textbook
from jaxopt_edu.cli.cache import keep_compiled_programs
from jaxopt_edu.cli.devices import use_all_cores
from jaxopt_edu.cli.signals import Ended
from jaxopt_edu.processes import LostProcessError

DESCRIPTION = """\
Gradient-descent optimizers for JAX that can be read, trusted and swept.

Start with:
  jaxopt-edu race          seven optimizers race, on a bowl and on handwritten digits
  jaxopt-edu sweep digits adam 'learning_rate=loguniform(1e-4,1)'    64 learning rates at once
  jaxopt-edu textbook      from SGD to Adam: what is claimed, and what was measured, on one page
  jaxopt-edu list          what there is
  jaxopt-edu show adam     one optimizer: idea, equations, hyperparameters, paper, code
"""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Print what was wrong and where to look, and leave with status 2."""
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: the words after the program's name; None for the process's own.

    Returns:
        The exit status: 0, or 2 for a bad name, value or folder (SystemExit for words that cannot be parsed);
        130 after Ctrl-C, and SystemExit with 143 after SIGTERM in a sweep.
        Where another process of a distributed sweep has died, the process ends at once, with status 3.
    """
    parser = Parser(
        prog="jaxopt-edu", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"jaxopt-edu {jaxopt_edu.__version__}")
    commands = parser.add_subparsers(title="commands", dest="command", required=True, metavar="COMMAND")
    for command in (race, sweep, textbook, listing, show):
        command.add_to(commands)
    options = parser.parse_args(arguments)
    keep_compiled_programs()
    use_all_cores()
    try:
        options.run(options)
    except LostProcessError as error:
        print(f"jaxopt-edu {options.command}: {error}", file=sys.stderr, flush=True)
        # An ordinary end would wait for the lost process, and then abort with a stack of C++.
        os._exit(3)
    except (ValueError, OSError, ImportError) as error:
        message = " ".join(str(error).split())
        print(f"jaxopt-edu {options.command}: {message}", file=sys.stderr)
        return 2
    except Ended as error:
        print(f"jaxopt-edu {options.command}: ended by {error}; nothing was written.", file=sys.stderr)
        return 128 + error.number
    except KeyboardInterrupt as error:
        print(f"jaxopt-edu {options.command}: {str(error) or 'interrupted.'}", file=sys.stderr)
        return 130
    return 0
