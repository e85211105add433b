"""What chapter 7 measures of the first steps: with bias correction, without it, and the wrong way round."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from jaxopt_edu import problems
from jaxopt_edu.core.numerics import bias_correction
from jaxopt_edu.core.transform import Optimizer
from jaxopt_edu.optimizers import adam
from jaxopt_edu.textbook.chapter import Finding
from jaxopt_edu.textbook.figures import LinesFigure
from jaxopt_edu.textbook.measures import arrivals, band, plain, stays_at_most
from jaxopt_edu.textbook.runs import heights, on_surface, random_starts, run_all, slope

CORRECT, OMITTED, MULTIPLIED = "Adam", "correction left out", "correction multiplied"
POWERS = {CORRECT: 0.0, OMITTED: 1.0, MULTIPLIED: 2.0}
"""With which power of (1 − β₁ᵗ)/√(1 − β₂ᵗ) the right step is multiplied in each version."""


def first_steps(seed: int = 0, *, noise: float = 0.3, runs: int = 32, steps: int = 3000) -> Finding:
    """How long Adam's first steps are.

    Args:
        seed: draws the gradients.
        noise: standard deviation of the gradients around 1.
        runs: number of draws.
        steps: length of each run.

    Returns:
        The length of the steps over η, for three versions and two β₂.
    """
    gradients = 1 + noise * jax.random.normal(jax.random.key(seed), (runs, steps))
    short = "left out, β₂ = 0.9"
    versions = {name: version(power) for name, power in POWERS.items()} | {short: version(1.0, b2=0.9)}
    lengths = {
        name: -np.diff(run_all(slope, [optimizer], jnp.zeros(runs), gradients).params[0])
        for name, optimizer in versions.items()
    }
    t = np.arange(1, steps + 1)
    theory = {
        name: (1 - 0.9**t) ** power / (1 - b2**t) ** (power / 2)
        for name, power, b2 in (*((name, power, 0.999) for name, power in POWERS.items()), (short, 1.0, 0.9))
    }
    peak = {name: float(np.median(length, axis=0).max()) for name, length in lengths.items()}
    first = {name: float(np.median(length[:, 0])) for name, length in lengths.items()}
    too_long = peak[OMITTED] > 1.5
    too_short = first[short] < 0.67
    places = np.unique(np.geomspace(1, steps, 200).astype(int))
    return Finding(
        name="first-steps",
        claim="Without bias correction Adam's first steps would be too short, since its averages start at 0.",
        verdict="holds" if not too_long else "depends" if too_short else "fails",
        measured=(
            f"At the default β₂ = 0.999 they are too long: the first is {first[OMITTED]:.1f} η and the "
            f"longest {peak[OMITTED]:.1f} η (theory {theory[OMITTED].max():.1f}), for √v starts further "
            f"below its value than m. With β₂ = 0.9 the first is {first[short]:.2f} η (theory "
            f"{theory[short][0]:.2f}). Multiplied instead of divided, as some have it, steps reach "
            f"{peak[MULTIPLIED]:.0f} η. Adam's own never exceed {peak[CORRECT]:.2f} η."
        ),
        setting=(
            f"f(w) = g w with g = 1 + {noise:g} ξ, ξ ~ N(0, 1); β₁ = 0.9, β₂ = 0.999 but where said; "
            f"{steps:,} steps; {runs} runs (seed {seed}), their median and 80 %; theory without noise. The "
            "other versions are Adam under a schedule: η times a power of (1 − β₁ᵗ)/√(1 − β₂ᵗ)."
        ),
        data=plain(
            {
                "step": places,
                "length_over_rate": {
                    name: np.median(length, axis=0)[places - 1] for name, length in lengths.items()
                },
                "theory": {name: each[places - 1] for name, each in theory.items()},
                "longest": peak,
                "first": first,
                "longest_in_theory": {name: each.max() for name, each in theory.items()},
            }
        ),
        figures=(
            LinesFigure(
                tuple(band(name, places, length[:, places - 1]) for name, length in lengths.items()),
                method="Adam",
                xlabel="step",
                ylabel="length of a step, in η",
                xscale="log",
                yscale="log",
                marks=(("y", 1.0, "η"),),
            ),
        ),
    )


def does_correction_matter(seed: int = 0, *, starts: int = 16, steps: int = 2000) -> Finding:
    """Whether a run on the bowl is slower without bias correction.

    Args:
        seed: draws the starting points.
        starts: number of starting points.
        steps: length of each run.

    Returns:
        Steps to one percent of the start's height over the learning rate, for the three versions.
    """
    rates = 10.0 ** (np.arange(-10, 5) / 4)
    first = random_starts(problems.bowl, seed, starts)
    needed = {}
    for name, power in POWERS.items():
        optimizers = [version(power, learning_rate=rate) for rate in rates.tolist()]
        values = heights(
            problems.bowl.function, on_surface(problems.bowl, optimizers, first, steps=steps).params
        )
        needed[name] = stays_at_most(values, 0.01 * values[..., :1])
    middle = {name: np.median(np.nan_to_num(each, nan=np.inf), axis=1) for name, each in needed.items()}
    best = {name: float(each.min()) for name, each in middle.items()}
    rate = {name: float(rates[each.argmin()]) for name, each in middle.items()}
    good = {name: int((each <= 1.5 * each.min()).sum()) for name, each in middle.items()}
    same = int(middle[CORRECT].argmin())
    prices = [
        best[OMITTED] / best[CORRECT],
        middle[OMITTED][same] / best[CORRECT],
    ]  # tuned, and at the same η
    return Finding(
        name="does-correction-matter",
        claim="Without bias correction Adam is slower.",
        verdict=("fails", "depends", "holds")[sum(price > 1.2 for price in prices)],
        measured=(
            f"At Adam's best η, {rate[CORRECT]:.2g}, it needs {best[CORRECT]:.0f} steps with the correction "
            f"and {_count(middle[OMITTED][same], steps)} without; with the correction multiplied, "
            f"{_count(middle[MULTIPLIED][same], steps)}. Tuned, the version without it needs "
            f"{best[OMITTED]:.0f} at η = {rate[OMITTED]:.2g}, and the multiplied one {best[MULTIPLIED]:.0f} "
            f"at {rate[MULTIPLIED]:.2g}. Long first steps make up for a small η: within half again of its "
            f"best is the right version at {good[CORRECT]} of the {len(rates)} rates, the one without "
            f"correction at {good[OMITTED]}."
        ),
        setting=(
            "The bowl x²/20 + y²; the step from which on it stays below 1 % of the start's height, of "
            f"{steps:,}; {starts} starts drawn evenly from its window (seed {seed}), median and 80 %; "
            f"{len(rates)} learning rates; β₁ = 0.9, β₂ = 0.999."
        ),
        data=plain(
            {"learning_rates": rates, "steps": needed, "best": best, "best_rate": rate, "good_rates": good}
        ),
        figures=(
            LinesFigure(
                tuple(arrivals(name, rates, each.T) for name, each in needed.items()),
                method="Adam",
                xlabel="learning rate η",
                ylabel="steps to stay below 1 % of the start's height",
                xscale="log",
                yscale="log",
            ),
        ),
    )


def version(power: float, *, learning_rate: float = 1.0, b2: float = 0.999) -> Optimizer:
    """Adam with its bias correction right (power 0), left out (1) or multiplied (2).

    Left out, the step is η m/√v = η m̂/√v̂ · (1 − β₁ᵗ)/√(1 − β₂ᵗ), up to ε: Adam with a schedule.

    Args:
        power: of that factor.
        learning_rate: η.
        b2: β₂.

    Returns:
        The optimizer.
    """
    schedule = Partial(_scheduled, peak=learning_rate, power=power, b1=0.9, b2=b2)
    return adam(learning_rate=schedule, b2=b2)


def _scheduled(
    step: jax.Array, *, peak: jax.Array, power: jax.Array, b1: jax.Array, b2: jax.Array
) -> jax.Array:
    t = jnp.asarray(step, float) + 1
    peak, power, b1, b2 = (jnp.asarray(number, float) for number in (peak, power, b1, b2))
    return peak * (bias_correction(b1, t) / jnp.sqrt(bias_correction(b2, t))) ** power


def _count(steps: float, budget: int) -> str:
    return f"more than {budget:,}" if np.isinf(steps) else f"{steps:,.0f}"
