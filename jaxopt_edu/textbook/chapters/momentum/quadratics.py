"""What chapter 2 measures on quadratics: how much faster momentum is, and with which hyperparameters."""

import numpy as np

from jaxopt_edu import problems
from jaxopt_edu.optimizers import momentum, sgd
from jaxopt_edu.textbook.chapter import Finding
from jaxopt_edu.textbook.figures import HeatFigure, LinesFigure, Series
from jaxopt_edu.textbook.measures import band, contraction, distances, exponent, plain
from jaxopt_edu.textbook.quadratics import (
    CONDITIONS,
    REDUCTION,
    around_the_best,
    at_best,
    directions,
    steps_needed,
)
from jaxopt_edu.textbook.runs import on_surface, random_starts
from jaxopt_edu.textbook.theory import best_momentum, momentum_contraction, sgd_contraction, steps_to_shrink
from jaxopt_edu.textbook.ways import BOWL


def acceleration(seed: int = 0, *, starts: int = 8) -> Finding:
    """How the number of steps grows with κ: SGD and momentum at their best, and momentum with α = 0.9.

    Args:
        seed: draws the starting directions.
        starts: number of starting directions.

    Returns:
        Steps that divide the distance by a thousand, for each κ and method.
    """
    first = directions(seed, starts)
    walking = [[sgd(learning_rate=float(2 / (1 + 1 / condition)))] for condition in CONDITIONS]
    tuned = [around_the_best(momentum, best_momentum, condition) for condition in CONDITIONS]
    rates = np.linspace(0.3, 3.75, 24)
    usual = [[momentum(float(rate), 0.9) for rate in rates]] * len(CONDITIONS)
    steps = {
        "SGD": at_best(steps_needed(CONDITIONS, walking, first, budget=35_000)),
        "Momentum, best α": at_best(steps_needed(CONDITIONS, tuned, first, budget=1000)),
        "Momentum, α = 0.9": at_best(steps_needed(CONDITIONS, usual, first, budget=2500)),
    }
    slow = steps_to_shrink((CONDITIONS - 1) / (CONDITIONS + 1), REDUCTION)
    fast = steps_to_shrink((np.sqrt(CONDITIONS) - 1) / (np.sqrt(CONDITIONS) + 1), REDUCTION)
    medians = {name: np.median(each, axis=1) for name, each in steps.items()}
    late = CONDITIONS >= 100
    exponents = {name: exponent(CONDITIONS[late], median[late]) for name, median in medians.items()}
    gain = medians["SGD"] / medians["Momentum, α = 0.9"]
    holds = exponents["SGD"] > 0.9 and 0.4 < exponents["Momentum, best α"] < 0.6
    return Finding(
        name="acceleration",
        claim="Momentum needs the square root of the condition number where SGD needs the condition number.",
        verdict="depends" if holds else "fails",
        measured=(
            "With α and η tuned to κ it does: from κ = 100 on SGD's steps grow like κ to the power "
            f"{exponents['SGD']:.2f}, momentum's like κ to the power {exponents['Momentum, best α']:.2f}; "
            f"at κ = 10⁴ it is {medians['SGD'][-1]:.0f} steps against "
            f"{medians['Momentum, best α'][-1]:.0f}. With α = 0.9 whatever κ is, and η at its best, "
            f"momentum is {_times(gain[0])} at κ = 10, {_times(gain[4])} at κ = 1000 and {_times(gain[-1])} "
            "at κ = 10⁴, where it has become proportional again."
        ),
        setting=(
            f"½(μx² + Ly²) with L = 1; steps that divide the distance by {REDUCTION:g}; medians and 80 % "
            f"bands over {starts} random directions (seed {seed}). SGD: η = 2/(L + μ), the best of chapter "
            f"1's sweep; momentum: the fastest of {len(tuned[0])} pairs around "
            f"theory's best; α = 0.9: the best of {len(rates)} learning rates up to 3.75/L."
        ),
        data=plain(
            {
                "conditions": CONDITIONS,
                "steps": steps,
                "theory": {"SGD": slow, "Momentum, best α": fast},
                "exponents": exponents,
            }
        ),
        figures=(
            LinesFigure(
                (
                    *(band(name, CONDITIONS, each.T) for name, each in steps.items()),
                    Series("theory for SGD", CONDITIONS, slow, theory=True),
                    Series("theory for best α", CONDITIONS, fast, theory=True),
                ),
                xlabel="condition number κ",
                ylabel="steps to a thousandth of the distance",
                xscale="log",
                yscale="log",
            ),
        ),
    )


def best_pair(seed: int = 0, *, starts: int = 4, steps: int = 200) -> Finding:
    """Which learning rate and momentum are the best on the bowl: a map of all pairs.

    Args:
        seed: draws the starting points.
        starts: number of starting points.
        steps: length of each run.

    Returns:
        The factor on the distance at a step for every (η, α), beside the spectral radius.
    """
    rates, kept = np.linspace(0.04, 2.0, 50), np.linspace(0, 0.98, 50)
    runs = on_surface(
        problems.bowl,
        [momentum(float(rate), float(each)) for each in kept for rate in rates],
        random_starts(problems.bowl, seed, starts),
        steps=steps,
    )
    factors = np.median(contraction(distances(runs.params, (0.0, 0.0))), axis=1)
    factors = factors.reshape(len(kept), len(rates))
    theory = momentum_contraction(rates, kept[:, None], BOWL)
    row, column = np.unravel_index(factors.argmin(), factors.shape)
    found = (float(rates[column]), float(kept[row]))
    best = best_momentum(BOWL)
    optimum = float(np.sqrt(best[1]))
    at_09 = float(factors[np.abs(kept - 0.9).argmin()].min())
    without = float(2 / BOWL.sum())
    alone = float(sgd_contraction(without, BOWL))
    wanted = ((1 + np.sqrt(0.9)) / (1 - np.sqrt(0.9))) ** 2
    disagreement = float(np.median(np.abs(factors - theory)))
    return Finding(
        name="best-pair",
        claim="A momentum of 0.9 is the right one.",
        verdict="holds" if abs(found[1] - 0.9) < 0.05 else "depends",
        measured=(
            f"On the bowl, κ = 20, the fastest of {factors.size} pairs is η = {found[0]:.2f}, α = "
            f"{found[1]:.2f}, with a factor of {factors.min():.3f} a step; theory says η = {best[0]:.2f}, α "
            f"= {best[1]:.2f} and {optimum:.3f}. The best momentum with α = 0.9 has {at_09:.3f} (theory: √α "
            f"= {np.sqrt(0.9):.3f}), the best SGD, at η = {without:.2f}, {alone:.3f}: here α = 0.9 is "
            f"{'worse' if at_09 > alone else 'better'} than none. It is theory's best for κ = {wanted:.0f}."
        ),
        setting=(
            f"The bowl x²/20 + y²; {len(rates)} learning rates × {len(kept)} momenta, {steps} steps, the "
            f"median of {starts} starts (seed {seed}); factor from the slope of log ‖w‖ over the later half "
            "of the run; blank where it is above 1."
        ),
        data=plain(
            {
                "learning_rates": rates,
                "momenta": kept,
                "factors": factors,
                "theory": theory,
                "best": {"learning_rate": found[0], "momentum": found[1], "factor": factors.min()},
                "best_in_theory": {"learning_rate": best[0], "momentum": best[1], "factor": optimum},
                "best_factor_at_0.9": at_09,
                "median_disagreement": disagreement,
            }
        ),
        figures=(
            HeatFigure(
                rates,
                kept,
                np.where(factors < 1, factors, np.nan),
                xlabel="learning rate η",
                ylabel="momentum α",
                label="factor on the distance, per step",
                points=(
                    (*best, "theory's best"),
                    (without, 0.0, "best without momentum"),
                ),
            ),
        ),
    )


def _times(gain: float) -> str:
    return f"{gain:.1f} times as fast" if gain >= 1 else f"{1 / gain:.1f} times as slow"
