"""Problems as the command line calls them: by their name in the suite, or by a place in a file."""

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxopt_edu import problems
from jaxopt_edu.problems import Problem


def problem_called(name: str, others: Sequence[str] = ()) -> Problem:
    """The problem of a name, or of a file such as mine.py:problem.

    Args:
        name: one of the suite's, or the path of a Python file, a colon, and what the file calls a Problem or
            a function that makes one.
        others: what else the command knows, for the error.

    Returns:
        The problem.

    Raises:
        ValueError: there is no such name, file or problem, or the file cannot be run; says what it raised.
    """
    if ":" not in name:
        if name not in problems.CORE:
            known = ", ".join((*others, *problems.CORE))
            raise ValueError(
                f"there is no problem {name!r}; choose from {known}, or name one in a file of yours, as "
                "mine.py:problem."
            )
        return problems.problem(name)
    path, _, place = name.rpartition(":")
    module = _run(Path(path))
    if not hasattr(module, place):
        found = [each for each, value in vars(module).items() if isinstance(value, Problem)]
        raise ValueError(f"{path} has no {place!r}; it has these problems: {', '.join(found) or 'none'}.")
    made = getattr(module, place)
    if callable(made) and not isinstance(made, Problem):
        made = made()
    if not isinstance(made, Problem):
        raise ValueError(
            f"{name} is {type(made).__name__}; it has to be a jaxopt_edu.problems.Problem, or a function "
            "without arguments that makes one."
        )
    return made


def _run(path: Path) -> Any:
    if path.suffix != ".py" or not path.is_file():
        raise ValueError(f"{path}: there is no such Python file.")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before = list(sys.path)
    sys.path.insert(0, str(path.resolve().parent))  # what stands beside the file, as `python mine.py` has it
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ValueError(f"{path} cannot be run: {type(error).__name__}: {error}") from error
    finally:
        sys.path[:] = before
    return module
