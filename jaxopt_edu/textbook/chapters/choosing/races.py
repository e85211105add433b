"""What chapter 8 measures in the two famous races: over a contour map, and out of a saddle."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from jaxopt_edu.problems import beale, saddle
from jaxopt_edu.race.surface import target
from jaxopt_edu.textbook.chapter import Finding
from jaxopt_edu.textbook.figures import LinesFigure, Path, PathsFigure, Series
from jaxopt_edu.textbook.measures import arrivals, first_at_most, plain, stays_at_most
from jaxopt_edu.textbook.numerals import point
from jaxopt_edu.textbook.runs import ADAPTIVE, METHODS, heights, on_surface, run_all

RATES = 10.0 ** (np.arange(-14, 7) / 4)
"""The learning rates that every method tries: quarter decades from 0.0003 to 32."""

LONGEST = abs(saddle.start[0]) / 3
"""A step longer than this, a third of the way to the saddle, is a jump over it and no descent."""


def race(seed: int = 0, *, starts: int = 100, spread: float = 0.5, steps: int = 150) -> Finding:
    """Who wins over Beale's surface, from the famous start and from others nearby.

    Args:
        seed: draws the other starts.
        starts: number of other starts.
        spread: their standard deviation around the famous one.
        steps: length of each run.

    Returns:
        The steps each method needs at the learning rate that is best from the famous start.
    """
    famous = np.array(beale.start)
    around = famous + spread * np.random.default_rng(seed).standard_normal((starts, 2))
    first = np.concatenate([famous[None, :], around])
    needed, rates, paths = {}, {}, []
    for name, factory in METHODS.items():
        optimizers = [factory(learning_rate=rate) for rate in RATES.tolist()]
        points = on_surface(beale, optimizers, first, steps=steps).params
        values = heights(beale.function, points)
        arrived = np.nan_to_num(stays_at_most(values, 0.01 * values[..., :1]), nan=np.inf)
        best = int(arrived[:, 0].argmin())
        needed[name], rates[name] = arrived[best], float(RATES[best])
        paths.append(Path(name, points[best, 0], values[best, 0]))
    table = np.stack(list(needed.values()))
    wins = (table == table.min(axis=0)) & np.isfinite(table)
    won = dict(zip(METHODS, wins[:, 1:].mean(axis=1).tolist(), strict=True))
    arrives = {name: float(np.isfinite(each[1:]).mean()) for name, each in needed.items()}
    order = sorted(METHODS, key=lambda name: needed[name][0])
    winner, often, surest = order[0], max(won, key=won.__getitem__), max(arrives, key=arrives.__getitem__)
    shown = np.arange(steps + 1)
    return Finding(
        name="race",
        claim="Who wins the race over the contour map is the best optimizer.",
        verdict=("fails", "depends", "holds")[(won[winner] > 0.5) + (surest == winner)],
        measured=(
            f"From {point(beale.start)}, tuned for this start, the order is "
            + ", ".join(f"{name} {_count(needed[name][0])}" for name in order)
            + f" steps. With the same settings from {starts} other starts nearby, {winner} is first in "
            f"{won[winner]:.0%}"
            + ("" if often == winner else f", {often} most often, in {won[often]:.0%}")
            + f". {surest} arrives from most of them, {arrives[surest]:.0%}; {winner} from "
            f"{arrives[winner]:.0%} and SGD from {arrives['SGD']:.0%}."
        ),
        setting=(
            f"Beale's surface; the step from which on the height stays below 1 % of the start's, of {steps}; "
            f"the best of {len(RATES)} learning rates for the start of the picture, other hyperparameters at "
            f"their defaults; {starts} other starts, normal around it with a standard deviation of "
            f"{spread:g} (seed {seed}); who ties for first counts as first."
        ),
        data=plain(
            {
                "learning_rates": rates,
                "steps_from_the_famous_start": {name: each[0] for name, each in needed.items()},
                "first": won,
                "arrives": arrives,
                "steps": {name: each[1:] for name, each in needed.items()},
            }
        ),
        figures=(
            PathsFigure(beale, tuple(paths), play=True),
            LinesFigure(
                tuple(
                    Series(name, shown, (each[1:, None] <= shown).mean(axis=0))
                    for name, each in needed.items()
                ),
                xlabel="step",
                ylabel="share of the other starts that have arrived",
            ),
        ),
    )


def saddle_race(seed: int = 0, *, learning_rate: float = 0.05, runs: int = 32, steps: int = 400) -> Finding:
    """Who leaves a saddle first when gradients are noisy.

    Args:
        seed: draws the noise.
        learning_rate: η of all methods in the picture.
        runs: number of draws.
        steps: length of each run.

    Returns:
        Steps until the method has left, over the noise, and with tuned learning rates.
    """
    noises = np.array([1e-6, 1e-4, 1e-2, 1e-1, 1.0])
    picture = 2
    strengths = np.concatenate([noises, np.full(len(RATES), noises[picture])])
    losses = [Partial(_noisy_saddle, noise=strength) for strength in strengths.tolist()]
    draws = jax.random.normal(jax.random.key(seed), (runs, steps, 2))
    ridge = jnp.tile(jnp.array([saddle.start[0], 0.0]), (runs, 1))
    equal, tuned, rates, paths = {}, {}, {}, []
    for name, factory in METHODS.items():
        tried = [learning_rate] * len(noises) + RATES.tolist()
        points = run_all(losses, [factory(learning_rate=rate) for rate in tried], ridge, draws).params
        values = heights(saddle.function, points)
        left = first_at_most(values, target(saddle))
        equal[name] = left[: len(noises)]
        tuned[name], rates[name] = _tuned(points[len(noises) :], left[len(noises) :])
        # The first hundred steps: whoever has left goes on to infinity.
        paths.append(Path(name, points[picture, 0, :101], values[picture, 0, :101]))
    median = {name: np.median(np.nan_to_num(each, nan=np.inf), axis=1) for name, each in equal.items()}
    in_picture = {name: float(each[picture]) for name, each in median.items()}
    order = sorted(METHODS, key=in_picture.__getitem__)
    stuck = [name for name, each in median.items() if np.isinf(each).any()]
    held = ADAPTIVE & set(stuck)
    return Finding(
        name="saddle-race",
        claim="SGD gets stuck at a saddle, and adaptive methods do not.",
        verdict="depends" if ("SGD" in stuck) == bool(held) else "fails" if held else "holds",
        measured=(
            f"With η = {learning_rate:g} for all and noise of {noises[picture]:g}, the medians are "
            + ", ".join(f"{name} {_count(in_picture[name])}" for name in order)
            + f" steps. Noise pushes SGD out ({_count(median['SGD'][0])} steps at {noises[0]:g}, "
            f"{_count(median['SGD'][-1])} at {noises[-1]:g}) and holds the adaptive ones back: Adam takes "
            f"{_count(median['Adam'][0])} and {_count(median['Adam'][-1])}"
            + (
                f"; most runs of {' and '.join(stuck)} stay for {steps} steps at one of the noises"
                if stuck
                else ""
            )
            + ". Each with the fastest η that walks and does not jump: "
            + ", ".join(f"{name} {_count(tuned[name])}" for name in order)
            + "."
        ),
        setting=(
            f"x² − y² from ({saddle.start[0]:g}, 0), on the ridge; a normal deviate in each component of the "
            f"gradient; steps until f ≤ {target(saddle):g}, of {steps}; {runs} runs (seed {seed}), median "
            f"and 80 %; tuned: the best of {len(RATES)} learning rates at which no step on the way out is "
            f"longer than {LONGEST:g}, a third of the way to the saddle."
        ),
        data=plain(
            {
                "noises": noises,
                "steps": equal,
                "median": median,
                "tuned": tuned,
                "tuned_rates": rates,
                "stay": stuck,
            }
        ),
        figures=(
            PathsFigure(dataclasses.replace(saddle, start=(saddle.start[0], 0.0)), tuple(paths), play=True),
            LinesFigure(
                tuple(arrivals(name, noises, each.T) for name, each in equal.items()),
                xlabel="noise σ in the gradient",
                ylabel=f"steps to leave, with η = {learning_rate:g}",
                xscale="log",
                yscale="log",
            ),
        ),
    )


def _noisy_saddle(w: jax.Array, draw: jax.Array, *, noise: jax.Array) -> jax.Array:
    return saddle.function(w) + noise * jnp.sum(draw * w)


def _tuned(points: np.ndarray, left: np.ndarray) -> tuple[float, float]:
    """The least median number of steps of all learning rates that only walk, and that rate."""
    on_the_way = np.arange(1, points.shape[2]) <= np.nan_to_num(left, nan=np.inf)[..., None]
    with np.errstate(invalid="ignore"):  # whoever has left goes on to infinity
        lengths = np.linalg.norm(np.diff(points.astype(np.float64), axis=2), axis=-1)
    longest = np.where(on_the_way, lengths, 0.0).max(axis=(1, 2))
    walks = (longest <= LONGEST) & np.isfinite(left).all(axis=1)
    median = np.where(walks, np.median(left, axis=1), np.inf)
    best = int(median.argmin())
    return float(median[best]), float(RATES[best])


def _count(steps: float) -> str:
    return "never" if np.isinf(steps) else f"{steps:,.0f}"
