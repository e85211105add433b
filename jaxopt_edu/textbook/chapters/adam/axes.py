"""What chapter 7 measures of axes: narrow valleys along them, and across."""

import dataclasses
import math
from collections.abc import Callable

import jax
import numpy as np
from jax.tree_util import Partial

from jaxopt_edu import problems
from jaxopt_edu.core.editing import hyperparameters
from jaxopt_edu.core.transform import Optimizer
from jaxopt_edu.optimizers import adam, momentum, rmsprop, sgd
from jaxopt_edu.race.settings import article_settings
from jaxopt_edu.textbook.chapter import Finding
from jaxopt_edu.textbook.figures import LinesFigure, PathsFigure, Series
from jaxopt_edu.textbook.measures import plain
from jaxopt_edu.textbook.quadratics import REDUCTION, at_best, directions, fastest, steps_needed
from jaxopt_edu.textbook.runs import ADAPTIVE, METHODS, surface_paths

RATES = 10.0 ** (np.arange(-14, 5) / 4)
"""The learning rates that every method tries: quarter decades from 0.0003 to 10."""

STEPS = 4000
"""The length of each run."""


def narrow_valley(seed: int = 0, *, starts: int = 4) -> Finding:
    """How many steps a valley takes, over how narrow it is, along the axes and turned by 45°.

    Args:
        seed: draws the starting directions.
        starts: number of starting points.

    Returns:
        Steps to a thousandth of the distance over the condition number, each at its best learning rate.
    """
    conditions = np.array([1.0, 10.0, 100.0, 1000.0])
    kinds = {
        "Adam, along the axes": (adam, 0.0),
        "Adam, turned by 45°": (adam, 45.0),
        "RMSProp, along the axes": (rmsprop, 0.0),
        "RMSProp, turned by 45°": (rmsprop, 45.0),
        "SGD": (sgd, 45.0),
        "Momentum": (momentum, 45.0),
    }
    needed, rates = {}, {}
    for name, (factory, degrees) in kinds.items():
        needed[name], rates[name] = _tuned(factory, conditions, degrees, seed, starts)
    along, turned = needed["Adam, along the axes"], needed["Adam, turned by 45°"]
    spoilt = bool(np.isnan(turned[-1]) or turned[-1] > 3 * turned[0])
    shown = {name: article_settings()[name.lower()] for name in ("SGD", "AdaGrad", "RMSProp", "Adam")}
    path_figures, apart = _both_bowls(shown)
    used = ", ".join(f"{name} {hyperparameters(each)['learning_rate']:g}" for name, each in shown.items())
    return Finding(
        name="narrow-valley",
        claim="Adam gives every direction its own step, so a narrow valley is no harder than a round bowl.",
        verdict="fails" if along[-1] > 3 * along[0] else "depends" if spoilt else "holds",
        measured=(
            f"A valley along an axis takes Adam {along[0]:.0f} steps when it is round and {along[-1]:.0f} "
            f"when it is {conditions[-1]:g} times as steep across as along. Turned by 45°, the same valley "
            f"takes {_count(turned[-1])}; momentum takes {_count(needed['Momentum'][-1])} and SGD "
            f"{_count(needed['SGD'][-1])}, turned or not. In the two pictures SGD's paths, turned back, "
            f"agree to {apart['SGD']:.0e}; Adam's are {apart['Adam']:.1f} apart."
        ),
        setting=(
            "½(a²/κ + b²), with a along the valley; steps that divide the distance to the minimum by "
            f"{REDUCTION:g} for good, of {STEPS}; {starts} starts on the unit circle (seed {seed}), median; "
            f"every point at the best of {len(RATES)} learning rates, other hyperparameters at their "
            f"defaults. Paths: the bowl x²/20 + y², 60 steps, with η: {used}."
        ),
        data=plain(
            {
                "conditions": conditions,
                "steps": needed,
                "best_rates": rates,
                "last_over_first": {name: steps[-1] / steps[0] for name, steps in needed.items()},
                "paths_apart": apart,
            }
        ),
        figures=(
            *path_figures,
            LinesFigure(
                tuple(Series(name, conditions, steps) for name, steps in needed.items()),
                xlabel="condition number κ",
                ylabel="steps to a thousandth of the distance",
                xscale="log",
                yscale="log",
            ),
        ),
    )


def angles(seed: int = 0, *, condition: float = 100.0, starts: int = 4) -> Finding:
    """How many steps each method takes when the valley is turned.

    Args:
        seed: draws the starting directions.
        condition: κ.
        starts: number of starting points.

    Returns:
        Steps to a thousandth of the distance over the angle, each at its best learning rate.
    """
    degrees = np.arange(0.0, 91.0, 15.0)
    needed = {
        name: np.concatenate(
            [_tuned(factory, np.array([condition]), float(angle), seed, starts)[0] for angle in degrees]
        )
        for name, factory in METHODS.items()
    }
    middle = len(degrees) // 2
    slowest = {name: float(_filled(steps).max() / steps[0]) for name, steps in needed.items()}
    steady = max(slowest[name] for name in METHODS if name not in ADAPTIVE) < 1.05
    worse = {name for name, factor in slowest.items() if factor > 2}
    return Finding(
        name="angles",
        claim="Turn the axes, and adaptive methods lose their advantage; SGD and momentum do not notice.",
        verdict="fails" if not steady else "holds" if worse >= ADAPTIVE else "depends",
        measured=(
            f"At κ = {condition:g} the worst angle costs "
            + ", ".join(f"{name} {_factor(factor)}" for name, factor in slowest.items())
            + ", in multiples of the steps at 0°. At 45° AdaGrad needs "
            + f"{_count(needed['AdaGrad'][middle])}, RMSProp {_count(needed['RMSProp'][middle])}, Adam "
            + f"{_count(needed['Adam'][middle])} and momentum {_count(needed['Momentum'][middle])}."
        ),
        setting=(
            f"½(a²/κ + b²) with κ = {condition:g}, a along the valley, turned by {len(degrees)} angles; "
            f"steps that divide the distance to the minimum by {REDUCTION:g} for good, of {STEPS}; {starts} "
            f"starts on the unit circle, turned too (seed {seed}), median; every point at the best of "
            f"{len(RATES)} learning rates, other hyperparameters at their defaults."
        ),
        data=plain({"degrees": degrees, "steps": needed, "worst_over_first": slowest}),
        figures=(
            LinesFigure(
                tuple(Series(name, degrees, steps) for name, steps in needed.items()),
                xlabel="angle between valley and axis, degrees",
                ylabel="steps to a thousandth of the distance",
                yscale="log",
            ),
        ),
    )


def _tuned(
    factory: Callable[..., Optimizer], conditions: np.ndarray, degrees: float, seed: int, starts: int
) -> tuple[np.ndarray, np.ndarray]:
    """For every κ the median number of steps at the best of all learning rates, and that rate."""
    settings = [[factory(learning_rate=rate) for rate in RATES.tolist()]] * len(conditions)
    # Starts turn with the valley, so that methods that know no axes see the same problem at every angle.
    first = directions(seed, starts) @ _turn(degrees).T.astype(np.float32)
    steps = steps_needed(conditions, settings, first, budget=STEPS, degrees=degrees)
    return np.median(at_best(steps), axis=1), RATES[fastest(steps)]


def _turn(degrees: float) -> np.ndarray:
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[cosine, -sine], [sine, cosine]])


def _both_bowls(optimizers: dict[str, Optimizer]) -> tuple[tuple[PathsFigure, ...], dict[str, float]]:
    bowl, turn = problems.bowl, _turn(45.0)
    first, second = turn @ np.array(bowl.start)
    turned = dataclasses.replace(
        bowl,
        name="turned_bowl",
        formula="(x + y)²/40 + (y − x)²/2",
        function=Partial(_turned_bowl),
        domain=((-8.0, 8.0), (-8.0, 8.0)),
        start=(float(first), float(second)),
    )
    straight, askew = (surface_paths(surface, optimizers, steps=60) for surface in (bowl, turned))
    apart = {
        one.name: float(np.linalg.norm(two.points @ turn - one.points, axis=-1).max())
        for one, two in zip(straight, askew, strict=True)
    }
    return (PathsFigure(bowl, straight), PathsFigure(turned, askew)), apart


def _turned_bowl(point: jax.Array) -> jax.Array:
    x, y = point
    return (x + y) ** 2 / 40 + (y - x) ** 2 / 2


def _filled(steps: np.ndarray) -> np.ndarray:
    return np.nan_to_num(steps, nan=np.inf)


def _count(steps: float) -> str:
    return f"more than {STEPS:,}" if math.isnan(steps) else f"{steps:,.0f}"


def _factor(factor: float) -> str:
    return "more than all the budget" if math.isinf(factor) else f"{factor:.1f}"
