"""The suite: small problems on real data, each with one difficulty that optimizers meet.

`CORE` has their factories by name; `VARIANTS` two other settings of each, which search spaces are never
tuned on.
"""

from collections.abc import Callable, Mapping
from typing import Any

from jaxopt_edu.core.arguments import checked_option
from jaxopt_edu.problems.problem import Problem
from jaxopt_edu.problems.suite.digits_codes import digits_ae, digits_vae, linear_ae
from jaxopt_edu.problems.suite.digits_networks import digits_deep, digits_mlp, digits_residual
from jaxopt_edu.problems.suite.linear_models import cancer_raw, zipf
from jaxopt_edu.problems.suite.quadratic import quadratic_deep
from jaxopt_edu.problems.suite.regressions import completion, diabetes_noisy
from jaxopt_edu.problems.suite.words import words

__all__ = [
    "CORE",
    "VARIANTS",
    "cancer_raw",
    "completion",
    "diabetes_noisy",
    "digits_ae",
    "digits_deep",
    "digits_mlp",
    "digits_residual",
    "digits_vae",
    "linear_ae",
    "problem",
    "quadratic_deep",
    "suite",
    "variants",
    "words",
    "zipf",
]

CORE: Mapping[str, Callable[..., Problem]] = {
    factory.__name__: factory
    for factory in (
        quadratic_deep,
        cancer_raw,
        zipf,
        words,
        linear_ae,
        digits_mlp,
        digits_deep,
        digits_residual,
        digits_ae,
        digits_vae,
        diabetes_noisy,
        completion,
    )
}
VARIANTS: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
    "quadratic_deep": ({"dimension": 50}, {"batch_size": 16}),
    "cancer_raw": ({"decay": 1e-2}, {"decay": 1e-4}),
    "zipf": ({"classes": 32}, {"dimension": 32}),
    "words": ({"vocabulary": 200}, {"dimension": 32}),
    "linear_ae": ({"code": 4}, {"scale": 0.5}),
    "digits_mlp": ({"width": 64}, {"batch_size": 32}),
    "digits_deep": ({"layers": 6}, {"width": 64}),
    "digits_residual": ({"blocks": 6}, {"width": 48}),
    "digits_ae": ({"width": 64}, {"code": 10}),
    "digits_vae": ({"width": 32}, {"code": 4}),
    "diabetes_noisy": ({"width": 64}, {"batch_size": 16}),
    "completion": ({"rank": 16}, {"share": 0.5}),
}
SUITES: Mapping[str, Mapping[str, Callable[..., Problem]]] = {"core": CORE}


def problem(name: str) -> Problem:
    """The problem of this name, as the suite has it.

    Args:
        name: one of those in `CORE`.

    Returns:
        The problem; its data are read now.

    Raises:
        ValueError: there is no such problem.

    >>> problem("zipf").steps
    500
    """
    return CORE[checked_option("problem", "name", name, list(CORE))]()


def variants(name: str) -> tuple[Problem, Problem]:
    """Two problems like this one, for confirming on what nothing was tuned on.

    Args:
        name: one of those in `CORE`.

    Returns:
        The variants.

    Raises:
        ValueError: there is no such problem.

    >>> [each.name for each in variants("quadratic_deep")]
    ['quadratic_deep(dimension=50)', 'quadratic_deep(batch_size=16)']
    """
    name = checked_option("variants", "name", name, list(CORE))
    one, other = (CORE[name](**arguments) for arguments in VARIANTS[name])
    return one, other


def suite(name: str) -> list[Problem]:
    """All problems of a suite.

    Args:
        name: "core".

    Returns:
        The problems, in the order of the table.

    Raises:
        ValueError: there is no such suite.
    """
    chosen = SUITES[checked_option("suite", "name", name, list(SUITES))]
    return [factory() for factory in chosen.values()]
