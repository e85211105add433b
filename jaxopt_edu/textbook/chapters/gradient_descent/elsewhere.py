"""What chapter 1 measures where the surface is no bowl: far from the minimum, and on a saddle."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import random

from jaxopt_edu import problems
from jaxopt_edu.optimizers import sgd
from jaxopt_edu.problems import Surface
from jaxopt_edu.race.surface import target
from jaxopt_edu.textbook.chapter import Finding, Verdict
from jaxopt_edu.textbook.figures import LinesFigure, Series
from jaxopt_edu.textbook.measures import band, first_at_most, plain
from jaxopt_edu.textbook.runs import heights, on_surface, random_starts, run_all

SURFACES = {
    "Bowl": problems.bowl,
    "Himmelblau": problems.himmelblau,
    "three-hump camel": problems.three_hump_camel,
    "Beale": problems.beale,
}


def limit_elsewhere(seed: int = 0, *, starts: int = 200, steps: int = 200) -> Finding:
    """Whether 2/L, with L measured at the minimum, is the limit on surfaces that are not quadratic.

    Args:
        seed: draws the starting points.
        starts: number of starting points.
        steps: length of each run.

    Returns:
        For four surfaces, the share of starts that end lower than they began, over η in units of 2/L.
    """
    shares = np.geomspace(0.01, 1.5, 40)
    lower, limits = {}, {}
    for name, surface in SURFACES.items():
        limits[name] = 2 / _largest_curvature(surface)
        optimizers = [sgd(learning_rate=float(share * limits[name])) for share in shares]
        runs = on_surface(surface, optimizers, random_starts(surface, seed, starts), steps=steps)
        ends = heights(surface.function, runs.params[:, :, [0, -1]])
        lower[name] = (ends[..., 1] < ends[..., 0]).mean(axis=1)
    below, above = shares[shares < 1][-1], shares[shares > 1][0]
    exact = lower["Bowl"][shares < 1].min() == 1 and lower["Bowl"][shares > 1].max() == 0
    at_limit = {name: float(share[shares < 1][-1]) for name, share in lower.items()}
    small = {name: float(np.interp(0.1, shares, share)) for name, share in lower.items()}
    _, *others = SURFACES
    verdict: Verdict = "holds" if min(at_limit.values()) == 1 else "depends" if exact else "fails"
    return Finding(
        name="limit-elsewhere",
        claim="Stay below 2/L, with L the curvature at the minimum, and descent is safe.",
        verdict=verdict,
        measured=(
            f"On the bowl it is: every start goes down up to η = {below:.2f} · 2/L, none from {above:.2f} · "
            "2/L on. Elsewhere the curvature at the start counts too. Just below 2/L the share of starts "
            "that end lower than they began is "
            + ", ".join(f"{at_limit[name]:.0%} on {name}" for name in others)
            + "; at a tenth of it "
            + ", ".join(f"{small[name]:.0%}" for name in others)
            + "."
        ),
        setting=(
            f"{', '.join(SURFACES)}; {starts} starts drawn evenly from "
            f"each window (seed {seed}), {len(shares)} learning rates, {steps} steps; a run counts if its "
            "last value is finite and below its first."
        ),
        data=plain({"shares_of_limit": shares, "limits": limits, "share_lower": lower}),
        figures=(
            LinesFigure(
                tuple(Series(name, shares, values) for name, values in lower.items()),
                xlabel="learning rate η, in units of 2/L",
                ylabel="share of starts that end lower",
                xscale="log",
                marks=(("x", 1.0, "2/L at the minimum"),),
            ),
        ),
    )


def escaping_a_saddle(
    seed: int = 0, *, learning_rate: float = 0.1, seeds: int = 32, steps: int = 250
) -> Finding:
    """How long a saddle holds descent that begins near its ridge, and what noise does.

    Args:
        seed: draws the noise.
        learning_rate: η.
        seeds: number of noisy runs of each strength.
        steps: length of each run.

    Returns:
        Steps until the value is one unit below the saddle, over the distance δ from the ridge or over the
        strength of the noise with δ = 0.
    """
    surface = problems.saddle
    across = surface.start[0]
    distances = 10.0 ** -np.arange(2, 11)
    optimizers = [sgd(learning_rate=learning_rate)]
    starts = [(across, distance) for distance in (*distances, 0.0)]
    runs = on_surface(surface, optimizers, starts, steps=steps)
    level = target(surface)
    *exact, on_ridge = first_at_most(heights(surface.function, runs.params[0]), level)
    growth = 1 + 2 * learning_rate
    theory = np.log(np.sqrt(-level) / distances) / np.log(growth)

    noises = 10.0 ** -np.arange(2, 11)
    losses = [problems.noisy_quadratic([2.0, -2.0], noise_scale=float(noise)).loss for noise in noises]
    keys = random.split(random.key(seed), (seeds, steps))
    ridge = np.tile(np.array([across, 0.0], np.float32), (seeds, 1))
    noisy_runs = run_all(losses, optimizers * len(noises), ridge, keys)
    noisy = first_at_most(heights(surface.function, noisy_runs.params), level)

    decade = float(-np.polyfit(np.log10(distances), exact, 1)[0])
    stuck = bool((runs.params[0, -1, :, 1] == 0).all())
    freed = np.isfinite(noisy).mean(axis=1)
    verdict: Verdict = "fails" if not stuck else "depends" if freed.all() else "holds"
    return Finding(
        name="escaping-a-saddle",
        claim="Gradient descent gets stuck at saddle points.",
        verdict=verdict,
        measured=(
            f"From δ = 0.01 beside the ridge it is out after {exact[0]:.0f} steps, from δ = 10⁻¹⁰ after "
            f"{exact[-1]:.0f}: each decade costs {decade:.1f} more (theory: ln 10 / ln(1 + 2η) = "
            f"{np.log(10) / np.log(growth):.1f}). From δ = 0 "
            + ("it stays on the ridge forever. " if stuck else f"it is out after {on_ridge:.0f}. ")
            + f"Noise of 10⁻¹⁰ in the gradient frees {freed[-1]:.0%} of the runs from there, after a median "
            f"of {np.median(noisy[-1]):.0f} steps."
        ),
        setting=(
            f"The saddle x² − y² from x = {across:g}, y = δ, η = {learning_rate:g}, until f is {level:g} or "
            f"less; noise: a normal deviate in each component of the gradient, δ = 0, {seeds} runs of each "
            f"strength (seed {seed})."
        ),
        data=plain(
            {
                "distances": distances,
                "steps": exact,
                "steps_from_the_ridge": on_ridge,
                "theory": theory,
                "noises": noises,
                "steps_with_noise": noisy,
            }
        ),
        figures=(
            LinesFigure(
                (
                    Series("start at distance δ", distances, np.array(exact)),
                    Series("theory", distances, theory, theory=True),
                    band("noise, start on the ridge", noises, noisy.T),
                ),
                method="SGD",
                xlabel="distance δ from the ridge, or standard deviation of the noise",
                ylabel="steps to escape",
                xscale="log",
            ),
        ),
    )


def _largest_curvature(surface: Surface) -> float:
    hessian = jax.hessian(surface.function)(jnp.asarray(surface.minima[0], jnp.result_type(float)))
    return float(jnp.linalg.eigvalsh(hessian)[-1])
