"""What chapter 4 measures of AdaGrad's steps, one length for each coordinate."""

import numpy as np

from jaxopt_edu import problems
from jaxopt_edu.core.editing import hyperparameters
from jaxopt_edu.optimizers import adagrad, sgd
from jaxopt_edu.textbook.chapter import Finding, Verdict
from jaxopt_edu.textbook.figures import LinesFigure, PathsFigure
from jaxopt_edu.textbook.measures import band, exponent, plain
from jaxopt_edu.textbook.numerals import point
from jaxopt_edu.textbook.quadratics import REDUCTION, at_best, directions, steps_needed
from jaxopt_edu.textbook.runs import random_starts, surface_paths
from jaxopt_edu.textbook.ways import BOWL, fastest_over_the_bowl


def straight_path(seed: int = 0, *, starts: int = 16) -> Finding:
    """AdaGrad's way over the bowl beside SGD's, each at its best learning rate.

    Args:
        seed: draws the starting points.
        starts: number of starting points.

    Returns:
        The two paths, and for many starts steps, crossings of the valley's floor and detours.
    """
    first = random_starts(problems.bowl, seed, starts)
    tried = {
        "SGD": [sgd(learning_rate=float(rate)) for rate in np.geomspace(0.15, 0.99, 60)],
        "AdaGrad": [adagrad(learning_rate=float(rate)) for rate in np.geomspace(0.3, 12, 60)],
    }
    best = {
        name: fastest_over_the_bowl(settings, first, reduction=100.0, budget=320)
        for name, settings in tried.items()
    }
    (walking_setting, walking), (scaled_setting, scaled) = best.values()
    rates = {name: hyperparameters(setting)["learning_rate"] for name, (setting, _) in best.items()}
    pretty = adagrad(learning_rate=1.5)
    _, gentle = fastest_over_the_bowl([pretty], first, reduction=100.0, budget=320)
    straighter, faster = scaled.detours < walking.detours, scaled.steps < walking.steps
    verdict: Verdict = "holds" if straighter and faster else "depends" if straighter or faster else "fails"
    return Finding(
        name="straight-path",
        claim="AdaGrad goes straighter to the minimum than SGD, and faster.",
        verdict=verdict,
        measured=(
            f"Each at its best: AdaGrad (η = {rates['AdaGrad']:.2g}) divides the distance by a hundred in a "
            f"median of {scaled.steps:.0f} steps on a path {scaled.detours:.2f} times the straight line, "
            f"with {scaled.crossings:.0f} crossings of the valley's floor; SGD (η = {rates['SGD']:.2g}) in "
            f"{walking.steps:.0f} steps on a path {walking.detours:.2f} times the line, with "
            f"{walking.crossings:.0f}. The smooth path of the usual picture belongs to a smaller η: with "
            f"1.5 it is {gentle.detours:.2f} times the line, and takes {gentle.steps:.0f} steps. Whatever "
            "the gradient, AdaGrad's first step has the length η in every coordinate: it points along a "
            "diagonal."
        ),
        setting=(
            f"The bowl x²/20 + y²; best: the fewest steps from the slowest of {starts} starts (seed {seed}) "
            "among 60 learning rates each, SGD as in chapter 2; its smallest factor in the long run is at "
            f"η = {2 / BOWL.sum():.2f} (theory); paths of 40 steps from {point(problems.bowl.start)}."
        ),
        data=plain(
            {
                **{name: {"learning_rate": rates[name], **way._asdict()} for name, (_, way) in best.items()},
                "AdaGrad, η = 1.5": {"learning_rate": 1.5, **gentle._asdict()},
            }
        ),
        figures=(
            PathsFigure(
                problems.bowl,
                surface_paths(
                    problems.bowl,
                    {
                        f"SGD, η = {rates['SGD']:.2g}": walking_setting,
                        f"AdaGrad, η = {rates['AdaGrad']:.2g}": scaled_setting,
                        "AdaGrad, η = 1.5": pretty,
                    },
                    steps=40,
                ),
                play=True,
            ),
        ),
    )


def per_coordinate(seed: int = 0, *, angle: float = 45.0, starts: int = 8) -> Finding:
    """Steps of AdaGrad over the condition number, along the axes and turned.

    Args:
        seed: draws the starting directions.
        angle: by how many degrees the valley is turned against the axes.
        starts: number of starting directions.

    Returns:
        Steps that divide the distance by a thousand, for each κ.
    """
    conditions = np.array([10.0, 30.0, 100.0, 300.0])
    rates = np.geomspace(0.1, 6.0, 28)
    first = directions(seed, starts)
    walking = [[sgd(learning_rate=float(2 / (1 + 1 / condition)))] for condition in conditions]
    scaled = [[adagrad(learning_rate=float(rate)) for rate in rates]] * len(conditions)
    steps = {
        "SGD": at_best(steps_needed(conditions, walking, first, budget=2400)),
        "AdaGrad, along the axes": at_best(steps_needed(conditions, scaled, first, budget=2400)),
        f"AdaGrad, turned by {angle:g}°": at_best(
            steps_needed(conditions, scaled, first, budget=2400, degrees=angle)
        ),
    }
    medians = {name: np.median(each, axis=1) for name, each in steps.items()}
    powers = {name: exponent(conditions[1:], each[1:]) for name, each in medians.items()}
    walker, straight, turned = medians
    free, bound = powers[straight] < 0.1, powers[turned] > 0.5
    return Finding(
        name="per-coordinate",
        claim="A step length for every coordinate makes AdaGrad indifferent to the condition number.",
        verdict="depends" if free and bound else "holds" if free else "fails",
        measured=(
            f"While the valley lies along an axis it is: {medians[straight][0]:.0f} steps at κ = 10, "
            f"{medians[straight][-1]:.0f} at κ = {conditions[-1]:g}. Turned by {angle:g}° it needs "
            f"{medians[turned][0]:.0f} and {medians[turned][-1]:.0f}, which grow like κ to the power "
            f"{powers[turned]:.2f}; SGD, which knows no axes, needs {medians[walker][0]:.0f} and "
            f"{medians[walker][-1]:.0f}."
        ),
        setting=(
            f"½(μa² + Lb²) with L = 1, a along the valley; steps that divide the distance by {REDUCTION:g}; "
            f"medians and 80 % bands over {starts} random directions (seed {seed}); AdaGrad at the best of "
            f"{len(rates)} learning rates for each κ, SGD at 2/(L + μ)."
        ),
        data=plain({"conditions": conditions, "steps": steps, "powers": powers}),
        figures=(
            LinesFigure(
                tuple(band(name, conditions, each.T) for name, each in steps.items()),
                xlabel="condition number κ",
                ylabel="steps to a thousandth of the distance",
                xscale="log",
                yscale="log",
            ),
        ),
    )
