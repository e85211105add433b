"""What chapter 6 measures of ε: how much depends on the number that nobody is asked to tune."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_edu import problems
from jaxopt_edu.core.editing import hyperparameters
from jaxopt_edu.optimizers import adadelta, rmsprop
from jaxopt_edu.textbook.chapter import Finding
from jaxopt_edu.textbook.figures import LinesFigure, PathsFigure, Series
from jaxopt_edu.textbook.measures import arrivals, exponent, first_at_most, plain
from jaxopt_edu.textbook.numerals import number, point
from jaxopt_edu.textbook.runs import heights, on_surface, random_starts, run_all, slope, surface_paths

EPSILONS = 10.0 ** np.arange(-8, -1)
"""The values of ε tried: decades around the default, 1e-6."""


def needs_no_learning_rate(seed: int = 0, *, starts: int = 16, steps: int = 12_000) -> Finding:
    """How the speed on the bowl depends on ε, beside RMSProp's dependence on η.

    Args:
        seed: draws the starting points.
        starts: number of starting points.
        steps: length of each run.

    Returns:
        Steps to one percent of the start's height over the length of the first step, which ε and η set.
    """
    defaults = hyperparameters(adadelta())
    # By the rules, the first step of both is this many times √ε, and η.
    first_step = {
        "Adadelta": np.sqrt(EPSILONS / (1 - defaults["rho"])),
        "RMSProp": np.sqrt(EPSILONS / (1 - defaults["rho"])),
    }
    rates = first_step["RMSProp"] * np.sqrt(1 - hyperparameters(rmsprop())["decay"])
    optimizers = {
        "Adadelta": [adadelta(eps=eps) for eps in EPSILONS.tolist()],
        "RMSProp": [rmsprop(learning_rate=rate) for rate in rates.tolist()],
    }
    first = random_starts(problems.bowl, seed, starts)
    needed = {}
    for name, settings in optimizers.items():
        values = heights(
            problems.bowl.function, on_surface(problems.bowl, settings, first, steps=steps).params
        )
        needed[name] = first_at_most(values, 0.01 * values[..., :1])
    middle = {name: np.median(each, axis=1) for name, each in needed.items()}
    lengths = first_step["Adadelta"]
    exponents = {name: exponent(lengths, each) for name, each in middle.items()}
    ours = middle["Adadelta"]
    default = float(ours[np.isclose(EPSILONS, defaults["eps"])][0])
    best = int(np.nanargmin(ours))
    paths = surface_paths(
        problems.bowl, {f"ε = {number(eps)}": adadelta(eps=eps) for eps in (1e-2, 1e-4, 1e-6)}, steps=150
    )
    return Finding(
        name="needs-no-learning-rate",
        claim="Adadelta needs no learning rate.",
        verdict="fails" if default > 3 * ours[best] else "holds",
        measured=(
            f"ε does its work. At the default, {defaults['eps']:g}, the bowl takes {default:,.0f} steps, at "
            f"{EPSILONS[best]:g} {ours[best]:,.0f}, at {EPSILONS[0]:g} {ours[0]:,.0f}. The steps needed grow "
            f"like the length of the first one to the power {exponents['Adadelta']:.2f}; RMSProp's, set by "
            f"η, to the power {exponents['RMSProp']:.2f}. So Adadelta forgives a bad guess more easily, but "
            "a guess it is."
        ),
        setting=(
            f"The bowl x²/20 + y²; steps to 1 % of the start's height, of {steps:,}; {starts} starts drawn "
            f"evenly from its window (seed {seed}), their median and 80 %; Adadelta with η = 1, ρ = "
            f"{defaults['rho']:g} and {len(EPSILONS)} values of ε; RMSProp with the η that makes its first "
            f"step as long. Paths: 150 steps from {point(problems.bowl.start)}."
        ),
        data=plain(
            {
                "epsilons": EPSILONS,
                "rates_of_rmsprop": rates,
                "first_step": lengths,
                "steps": needed,
                "exponents": exponents,
                "path_ends": {path.name: path.points[-1] for path in paths},
            }
        ),
        figures=(
            PathsFigure(problems.bowl, paths, method="Adadelta"),
            LinesFigure(
                tuple(arrivals(name, lengths, each.T) for name, each in needed.items()),
                xlabel="length of the first step, √(ε/(1 − ρ)) for Adadelta",
                ylabel="steps to 1 % of the start's height",
                xscale="log",
                yscale="log",
                marks=(("x", float(np.sqrt(defaults["eps"] / (1 - defaults["rho"]))), "Adadelta's default"),),
            ),
        ),
    )


def root_of_epsilon(seed: int = 0, *, noise: float = 0.3, runs: int = 8, steps: int = 10_000) -> Finding:
    """How long the steps are on a slope.

    Args:
        seed: draws the gradients.
        noise: standard deviation of the gradients around 1.
        runs: number of draws.
        steps: length of each run.

    Returns:
        The length of the steps for several ε, over the step.
    """
    epsilons = 10.0 ** np.arange(-10, -3, 2)
    # The last run is one without noise.
    scale = jnp.full(runs + 1, noise).at[-1].set(0.0)[:, None]
    gradients = 1 + scale * jax.random.normal(jax.random.key(seed), (runs + 1, steps))
    optimizers = [adadelta(eps=eps) for eps in epsilons.tolist()]
    positions = run_all(slope, optimizers, jnp.zeros(runs + 1), gradients).params
    travelled = np.abs(positions[:, :, 1:]) / np.sqrt(epsilons)[:, None, None]
    # Averaged over ten steps: one gradient alone may be near 0.
    means = np.abs(positions[:, :, 10:] - positions[:, :, :-10]) / 10
    lengths = means[:, :-1].mean(axis=1)
    rho = hyperparameters(adadelta())["rho"]
    first = float(np.median(np.abs(positions[-1, :, 1]))) / np.sqrt(epsilons[-1] / (1 - rho))
    spread = float(np.max(travelled.max(axis=0) / travelled.min(axis=0)) - 1)
    growth = float(lengths[-1, -1] / lengths[-1, 0])
    growth_without_noise = float(means[-1, -1, -1] / means[-1, -1, 0])
    places = np.unique(np.geomspace(1, lengths.shape[1], 100).astype(int))
    return Finding(
        name="root-of-epsilon",
        claim="ε only keeps the division finite; its value does not matter.",
        verdict="fails" if spread < 0.1 else "depends",
        measured=(
            "On a slope the way travelled is √ε times a number that does not depend on ε: from "
            f"{epsilons[0]:g} to {epsilons[-1]:g} it differs by at most {spread:.1%} at any step, while √ε "
            f"differs by a factor of {np.sqrt(epsilons[-1] / epsilons[0]):,.0f}. The first step is "
            f"{first:.3f} √(ε/(1 − ρ)), and after {steps:,} steps they are {growth:.1f} times as long as the "
            f"first ten ({growth_without_noise:.1f} times without noise): √ε is the learning rate, with a "
            "slow start."
        ),
        setting=(
            f"f(w) = g w with g = 1 + {noise:g} ξ, ξ ~ N(0, 1); ρ = {rho:g}, η = 1; {steps:,} steps; {runs} "
            f"runs (seed {seed}), and one without noise; lengths are means over ten steps and all noisy runs."
        ),
        data=plain(
            {
                "epsilons": epsilons,
                "first_over_theory": first,
                "spread": spread,
                "growth": growth,
                "growth_without_noise": growth_without_noise,
                "step": places,
                "length": lengths[:, places - 1],
            }
        ),
        figures=(
            LinesFigure(
                tuple(
                    Series(f"ε = {number(eps)}", places, each[places - 1])
                    for eps, each in zip(epsilons[::-1], lengths[::-1], strict=True)
                ),
                method="Adadelta",
                xlabel="step",
                ylabel="length of a step",
                xscale="log",
                yscale="log",
            ),
        ),
    )
