"""What chapter 3 measures of momentum's overshoot, and of the speed that avoiding it costs or brings."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_edu import problems
from jaxopt_edu.core.editing import hyperparameters
from jaxopt_edu.core.transform import Optimizer
from jaxopt_edu.optimizers import momentum, nesterov
from jaxopt_edu.textbook.chapter import Finding, Verdict
from jaxopt_edu.textbook.figures import LinesFigure, PathsFigure, Series
from jaxopt_edu.textbook.measures import band, distances, exponent, path_lengths, plain
from jaxopt_edu.textbook.numerals import point, span
from jaxopt_edu.textbook.quadratics import (
    CONDITIONS,
    REDUCTION,
    around_the_best,
    at_best,
    directions,
    steps_needed,
)
from jaxopt_edu.textbook.runs import on_surface, random_starts, run_all, surface_paths
from jaxopt_edu.textbook.theory import best_momentum, best_nesterov, steps_to_shrink
from jaxopt_edu.textbook.ways import BOWL, fastest_over_the_bowl

Factory = Callable[[float, float], Optimizer]

METHODS: dict[str, Factory] = {"Momentum": momentum, "Nesterov": nesterov}


def two_balls(seed: int = 0, *, learning_rate: float = 0.1, starts: int = 64, steps: int = 60) -> Finding:
    """Momentum and Nesterov with the same numbers on the bowl.

    Args:
        seed: draws the starting points of the measurement.
        learning_rate: η of both; α is 0.9.
        starts: number of starting points.
        steps: length of the paths.

    Returns:
        The two paths, and for many starts how long they are and how close they come.
    """
    optimizers = {name: factory(learning_rate, 0.9) for name, factory in METHODS.items()}
    first = random_starts(problems.bowl, seed, starts)
    lengths, left = {}, {}
    for name, optimizer in optimizers.items():
        points = on_surface(problems.bowl, [optimizer], first, steps=steps).params[0].astype(np.float64)
        far = distances(points, (0.0, 0.0))
        lengths[name] = path_lengths(points) / far[:, 0]
        left[name] = far[:, -1] / far[:, 0]
    shorter = float((lengths["Nesterov"] < lengths["Momentum"]).mean())
    closer = float((left["Nesterov"] < left["Momentum"]).mean())
    return Finding(
        name="two-balls",
        claim="With the same η and α Nesterov's ball swings less than momentum's.",
        verdict="holds" if shorter > 0.95 else "fails" if shorter < 0.05 else "depends",
        measured=(
            f"Nesterov's path is the shorter one from {shorter:.0%} of {starts} starts: a median of "
            f"{np.median(lengths['Nesterov']):.2f} times the straight line, against "
            f"{np.median(lengths['Momentum']):.2f} for momentum. After {steps} steps it is closer to the "
            f"minimum from {closer:.0%} of them. It brakes where the valley is steep; along its floor the "
            "two swing alike."
        ),
        setting=(
            f"The bowl x²/20 + y², η = {learning_rate:g}, α = 0.9, {steps} steps; paths from "
            f"{point(problems.bowl.start)}, lengths from {starts} starts drawn from its window (seed {seed})."
        ),
        data=plain({"lengths": lengths, "left": left, "share_shorter": shorter, "share_closer": closer}),
        figures=(
            PathsFigure(problems.bowl, surface_paths(problems.bowl, optimizers, steps=steps), play=True),
        ),
    )


def overshoot(seed: int = 0, *, steps: int = 1500, starts: int = 16) -> Finding:
    """How far beyond the minimum the two roll, at equal settings and at each one's best.

    Args:
        seed: draws the starting points of the comparison at the best settings.
        steps: length of the runs in one dimension.
        starts: number of starting points.

    Returns:
        The overshoot as a share of the starting distance, over η λ, for α = 0.9 and 0.99.
    """
    products, momenta = np.geomspace(1e-3, 1.3, 48), (0.9, 0.99)
    beyond = {}
    for name, factory in METHODS.items():
        settings = [factory(float(product), kept) for kept in momenta for product in products]
        way = run_all(_parabola, settings, jnp.ones((1, 1)), steps=steps).params[:, 0, :, 0]
        beyond[name] = np.maximum(0.0, -way.min(axis=1)).reshape(len(momenta), len(products))
    swings = beyond["Momentum"] > 0.01
    ratio = np.where(swings, beyond["Nesterov"] / np.where(swings, beyond["Momentum"], 1.0), np.nan)
    worse = products[(ratio > 1).any(axis=0)]
    first = random_starts(problems.bowl, seed, starts)
    best = {name: _best_on_the_bowl(factory, first) for name, factory in METHODS.items()}
    long_run = [
        f"η = {rate:.2f}, α = {kept:.2f} ({name})"
        for name, (rate, kept) in {
            "Momentum": best_momentum(BOWL),
            "Nesterov": best_nesterov(BOWL),
        }.items()
    ]
    middle = int(np.abs(products - 0.1).argmin())
    verdict: Verdict = "holds" if not len(worse) else "fails" if (ratio[swings] > 1).all() else "depends"
    return Finding(
        name="overshoot",
        claim="Nesterov overshoots less than momentum.",
        verdict=verdict,
        measured=(
            f"At equal η and α it does, up to ηλ = {worse[0] if len(worse) else products[-1]:.2f}; beyond, "
            f"near its limit of stability, it overshoots more. With α = 0.9 and ηλ = {products[middle]:.2f} "
            f"momentum rolls past the minimum by {beyond['Momentum'][0, middle]:.0%} of the starting "
            f"distance, Nesterov by {beyond['Nesterov'][0, middle]:.0%}; where ηλ is tiny they hardly "
            f"differ ({beyond['Momentum'][1, 0]:.0%} and {beyond['Nesterov'][1, 0]:.0%} with α = 0.99 at "
            f"{products[0]:g}). Each at its best on the bowl: "
            + "; ".join(
                f"{name} (η = {way['learning_rate']:.2f}, α = {way['momentum']:.2f}) overshoots by "
                f"{way['along']:.0%} along the valley and {way['across']:.0%} across, and needs "
                f"{way['steps']:.0f} steps"
                for name, way in best.items()
            )
            + "."
        ),
        setting=(
            f"½λw² from rest, {steps} steps (the share does not depend on the start); best on the bowl: "
            f"fewest steps to a thousandth of the distance from the slowest of {starts} starts (seed "
            f"{seed}) among 504 pairs (η, α) each, overshoots as medians. The smallest factor in the long "
            f"run is at another pair: in theory {' and '.join(long_run)}."
        ),
        data=plain({"products": products, "momenta": momenta, "overshoot": beyond, "best": best}),
        figures=(
            LinesFigure(
                tuple(
                    Series(f"{name}, α = {kept:g}", products, beyond[name][row])
                    for row, kept in enumerate(momenta)
                    for name in METHODS
                ),
                xlabel="learning rate times curvature, ηλ",
                ylabel="overshoot, over the starting distance",
                xscale="log",
            ),
        ),
    )


def speed_at_best(seed: int = 0, *, starts: int = 8) -> Finding:
    """Which of the two is faster on quadratics, each tuned.

    Args:
        seed: draws the starting directions.
        starts: number of starting directions.

    Returns:
        Steps that divide the distance by a thousand, for each κ.
    """
    first = directions(seed, starts)
    best_pairs = {"Momentum": best_momentum, "Nesterov": best_nesterov}
    steps = {}
    for name, factory in METHODS.items():
        settings = [around_the_best(factory, best_pairs[name], condition) for condition in CONDITIONS]
        steps[name] = at_best(steps_needed(CONDITIONS, settings, first, budget=1200))
    theory = {
        "Momentum": steps_to_shrink((np.sqrt(CONDITIONS) - 1) / (np.sqrt(CONDITIONS) + 1), REDUCTION),
        "Nesterov": steps_to_shrink(1 - 2 / np.sqrt(3 * CONDITIONS + 1), REDUCTION),
    }
    medians = {name: np.median(each, axis=1) for name, each in steps.items()}
    ratio = medians["Nesterov"] / medians["Momentum"]
    powers = {name: exponent(CONDITIONS[2:], each[2:]) for name, each in medians.items()}
    return Finding(
        name="speed-at-best",
        claim="Nesterov is the faster of the two.",
        verdict="holds" if (ratio < 1).all() else "fails" if (ratio > 1).all() else "depends",
        measured=(
            f"On quadratics, each tuned to κ, it needs {span(ratio.min(), ratio.max(), '.2f')} times as many "
            f"steps as momentum: {medians['Nesterov'][-1]:.0f} against {medians['Momentum'][-1]:.0f} at κ = "
            f"10⁴. Theory says √3 times in the long run. Both grow like √κ (measured powers "
            f"{powers['Nesterov']:.2f} and {powers['Momentum']:.2f})."
        ),
        setting=(
            f"½(μx² + Ly²) with L = 1; steps that divide the distance by {REDUCTION:g}; medians and 80 % "
            f"bands over {starts} random directions (seed {seed}); for each κ and method the fastest of "
            f"{len(settings[0])} pairs (η, α) around theory's best."
        ),
        data=plain(
            {"conditions": CONDITIONS, "steps": steps, "theory": theory, "ratio": ratio, "powers": powers}
        ),
        figures=(
            LinesFigure(
                (
                    *(band(name, CONDITIONS, each.T) for name, each in steps.items()),
                    *(
                        Series(f"theory for {name}", CONDITIONS, each, theory=True)
                        for name, each in theory.items()
                    ),
                ),
                xlabel="condition number κ",
                ylabel="steps to a thousandth of the distance",
                xscale="log",
                yscale="log",
            ),
        ),
    )


def _parabola(params: jax.Array, batch: None) -> jax.Array:
    return jnp.sum(params**2) / 2


def _best_on_the_bowl(factory: Factory, starts: np.ndarray) -> dict[str, float]:
    pairs = [
        factory(float(rate), float(kept))
        for kept in np.linspace(0, 0.85, 18)
        for rate in np.linspace(0.2, 1.55, 28)
    ]
    best, way = fastest_over_the_bowl(pairs, starts, reduction=REDUCTION, budget=120)
    return {**hyperparameters(best), **way._asdict()}
