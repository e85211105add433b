"""What a picture and a film of a race on a surface share: the names of the paths and the window."""

from collections.abc import Sequence

import numpy as np

from jaxopt_edu.core.naming import hyperparameters
from jaxopt_edu.plots.drawing.ways import worth_seeing
from jaxopt_edu.problems import Surface
from jaxopt_edu.race.surface import SurfaceResult


def named_paths(results: Sequence[SurfaceResult]) -> dict[str, np.ndarray]:
    """The paths by what made them.

    Args:
        results: one a method.

    Returns:
        From names such as "adam, η = 0.3" to points, (steps + 1, 2); the method's name alone where its
        learning rate is no single number.
    """
    return {_name(result): result.path for result in results}


def race_window(surface: Surface, results: Sequence[SurfaceResult]) -> np.ndarray:
    """The part of a surface's window in which something happens.

    Args:
        surface: the surface raced on.
        results: one a method.

    Returns:
        The ends of x and the ends of y, (2, 2).
    """
    paths = [result.path for result in results]
    return worth_seeing(surface.domain, paths, [surface.start, *surface.minima])


def _name(result: SurfaceResult) -> str:
    rate = hyperparameters(result.optimizer).get("learning_rate")
    return result.method if rate is None else f"{result.method}, η = {rate:.3g}"
