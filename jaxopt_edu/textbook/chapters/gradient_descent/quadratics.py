"""What chapter 1 measures on quadratics, where theory says what must come out."""

import numpy as np

from jaxopt_edu import problems
from jaxopt_edu.optimizers import sgd
from jaxopt_edu.race.surface import target
from jaxopt_edu.textbook.chapter import Finding
from jaxopt_edu.textbook.figures import LinesFigure, PathsFigure, Series
from jaxopt_edu.textbook.measures import (
    band,
    contraction,
    crossings,
    distances,
    exponent,
    first_at_most,
    plain,
)
from jaxopt_edu.textbook.numerals import point
from jaxopt_edu.textbook.quadratics import REDUCTION, at_best, directions, fastest, steps_needed
from jaxopt_edu.textbook.runs import on_surface, random_starts, surface_paths
from jaxopt_edu.textbook.theory import sgd_contraction, steps_to_shrink
from jaxopt_edu.textbook.ways import BOWL


def path_on_the_bowl(seed: int = 0, *, starts: int = 1000, steps: int = 30) -> Finding:
    """Where the gradient points, and what way the steps along it make.

    Args:
        seed: draws the starting points.
        starts: number of points at which the direction is measured.
        steps: length of the paths drawn.

    Returns:
        Angles between −g and the direction to the minimum, and three paths.
    """
    surface = problems.bowl
    first = on_surface(surface, [sgd(learning_rate=0.01)], random_starts(surface, seed, starts), steps=1)
    here, there = np.asarray(first.params[0, :, 0], np.float64), np.asarray(first.params[0, :, 1], np.float64)
    angles = _degrees_between(there - here, np.array(surface.minima[0]) - here)
    quartiles = np.quantile(angles, [0.25, 0.5, 0.75])
    rates = (0.1, 0.5, 0.95)
    paths = surface_paths(surface, {f"η = {rate:g}": sgd(learning_rate=rate) for rate in rates}, steps=steps)
    reached = [first_at_most(path.values, target(surface)) for path in paths]
    crossed = [int(crossings(path.points[:, 1])) for path in paths]
    return Finding(
        name="path-on-the-bowl",
        claim="The negative gradient points to the minimum.",
        verdict="holds" if quartiles[1] < 5 else "fails",
        measured=(
            f"From {starts} random points of the bowl the direction of the first step is off by a median of "
            f"{quartiles[1]:.0f}° (quartiles {quartiles[0]:.0f}° and {quartiles[2]:.0f}°): it points down, "
            f"across the valley. With η = 0.95 the path crosses the valley's floor {crossed[2]} times in "
            f"{steps} steps and comes within 1 % of the start's height after {reached[2]:.0f}; with η = 0.1 "
            + (f"it needs {reached[0]:.0f} steps" if np.isfinite(reached[0]) else "it does not get there")
            + (" and does not cross it." if crossed[0] == 0 else f" and crosses it {crossed[0]} times.")
        ),
        setting=(
            f"The bowl x²/20 + y²; angle between −g and the way to the minimum at {starts} points drawn "
            f"evenly from its window with seed {seed}; paths of {steps} steps from {point(surface.start)}."
        ),
        data=plain(
            {
                "angles_in_degrees": {"quartiles": quartiles, "mean": angles.mean()},
                "learning_rates": rates,
                "crossings": crossed,
                "steps_to_one_percent": reached,
                "last_values": [path.values[-1] for path in paths],
            }
        ),
        figures=(PathsFigure(surface, paths, play=True, method="SGD"),),
    )


def stability_limit(seed: int = 0, *, starts: int = 8, steps: int = 400) -> Finding:
    """At which learning rate descent on a quadratic begins to diverge.

    Args:
        seed: draws the starting points.
        starts: number of starting points of each run.
        steps: length of each run.

    Returns:
        The factor by which the distance shrinks at a step, over the learning rate, beside max |1 − η λ|.
    """
    limit = 2 / BOWL.max()
    rates = np.linspace(0.01875, 1.19375, 95) * limit  # the limit itself lies between two of them
    runs = on_surface(
        problems.bowl,
        [sgd(learning_rate=float(rate)) for rate in rates],
        random_starts(problems.bowl, seed, starts),
        steps=steps,
    )
    factors = contraction(distances(runs.params, (0.0, 0.0)))
    theory = sgd_contraction(rates, BOWL)
    measured_limit = float(rates[(factors < 1).all(axis=1)].max())
    gap = float(np.abs(factors - theory[:, None]).max())
    best = int(np.median(factors, axis=1).argmin())
    spacing = float(rates[1] - rates[0])
    return Finding(
        name="stability-limit",
        claim="On a quadratic, descent converges for every η below 2/L, and diverges above it.",
        verdict="holds" if abs(measured_limit - limit) <= spacing and gap < 0.01 else "fails",
        measured=(
            f"L = {BOWL.max():g}, so that 2/L = {limit:g}. The largest η of the sweep at which all {starts} "
            f"runs shrink is {measured_limit:.4g}, the next one, {measured_limit + spacing:.4g}, diverges. "
            f"The factor per step agrees with max |1 − ηλ| to {gap:.1g}; it is smallest at η = "
            f"{rates[best]:.3g}, {rates[best] / limit:.0%} of the limit: the best learning rate is "
            "close to those that diverge."
        ),
        setting=(
            f"The bowl x²/20 + y²; {len(rates)} learning rates from {starts} starts (seed {seed}), {steps} "
            "steps; factor from the slope of log ‖w‖ over the later half of the run."
        ),
        data=plain(
            {
                "limit": limit,
                "measured_limit": measured_limit,
                "spacing": spacing,
                "learning_rates": rates,
                "factors": factors.T,
                "theory": theory,
            }
        ),
        figures=(
            LinesFigure(
                (band("measured", rates, factors.T), Series("max |1 − ηλ|", rates, theory, theory=True)),
                method="SGD",
                xlabel="learning rate η",
                ylabel="factor on the distance, per step",
                marks=(("x", limit, "2/L"), ("y", 1.0, "neither shrinks nor grows")),
            ),
        ),
    )


def condition_number(seed: int = 0, *, starts: int = 8) -> Finding:
    """How the number of steps grows with the condition number κ = L/μ.

    Args:
        seed: draws the starting directions.
        starts: number of starting directions.

    Returns:
        Steps that divide the distance by a thousand: at the best learning rate of a sweep and at 1/L.
    """
    conditions = np.array([3.0, 10.0, 30.0, 100.0, 300.0])
    shares = np.unique([*np.linspace(0.5, 0.95, 10), *conditions / (conditions + 1)])
    budget = int(1.3 * steps_to_shrink(1 - 1 / conditions[-1], REDUCTION))
    rates = [[sgd(learning_rate=float(2 * share)) for share in shares]] * len(conditions)
    needed = steps_needed(conditions, rates, directions(seed, starts), budget=budget)
    best, tuned, cautious = fastest(needed), at_best(needed), needed[:, 0]
    theory = steps_to_shrink((conditions - 1) / (conditions + 1), REDUCTION)
    middle = np.median(tuned, axis=1)
    power = exponent(conditions[1:], middle[1:])
    price = float(np.median(cautious[-1]) / middle[-1])
    return Finding(
        name="condition-number",
        claim="The number of steps grows in proportion to the condition number.",
        verdict="holds" if 0.9 < power < 1.1 else "fails",
        measured=(
            f"At the best η of the sweep it takes {middle[0]:.0f} steps at κ = {conditions[0]:g} and "
            f"{middle[-1]:.0f} at κ = {conditions[-1]:g}; from κ = 10 on they grow like κ to the power "
            f"{power:.2f}. Theory says ln {REDUCTION:g} / ln((κ+1)/(κ−1)), {theory[-1]:.0f} at the "
            f"largest. The best η is {2 * shares[best[-1]]:.4g}/L there; the cautious 1/L takes {price:.1f} "
            "times as long."
        ),
        setting=(
            f"½(μx² + Ly²) with L = 1, κ = L/μ; steps that divide the distance by {REDUCTION:g}; {starts} "
            f"random directions (seed {seed}); {len(shares)} learning rates from 1/L to 2/L, the one whose "
            f"slowest start is fastest; at most {budget} steps."
        ),
        data=plain(
            {
                "conditions": conditions,
                "learning_rates_times_L": 2 * shares,
                "best_learning_rate_times_L": 2 * shares[best],
                "steps_at_best": tuned,
                "steps_at_1_over_L": cautious,
                "theory": theory,
                "exponent": power,
            }
        ),
        figures=(
            LinesFigure(
                (
                    band("best η", conditions, tuned.T),
                    band("η = 1/L", conditions, cautious.T),
                    Series("theory for the best η", conditions, theory, theory=True),
                ),
                method="SGD",
                xlabel="condition number κ",
                ylabel="steps to a thousandth of the distance",
                xscale="log",
                yscale="log",
            ),
        ),
    )


def _degrees_between(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    cosine = (first * second).sum(axis=-1) / np.linalg.norm(first, axis=-1) / np.linalg.norm(second, axis=-1)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))
