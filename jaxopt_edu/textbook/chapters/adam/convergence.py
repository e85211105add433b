"""What chapter 7 measures of convergence: the problem on which Adam walks to the worst point."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.tree_util import Partial

from jaxopt_edu.core.chaining import chain
from jaxopt_edu.core.lifting import lift
from jaxopt_edu.core.transform import Optimizer
from jaxopt_edu.optimizers import adam
from jaxopt_edu.textbook.chapter import Finding
from jaxopt_edu.textbook.figures import LinesFigure
from jaxopt_edu.textbook.measures import band, plain
from jaxopt_edu.textbook.numerals import span
from jaxopt_edu.textbook.runs import run_all, slope

amsgrad = lift(optax.amsgrad)
"""AMSGrad divides by the largest v̂ so far: its steps cannot grow again."""

RATE = 0.5
"""η of the first step; step t has η/√t."""

BEST = -1.0
"""The best point of [−1, 1], in both problems."""


def counterexample(
    seed: int = 0, *, large: float = 4.0, b2: float | None = None, steps: int = 6000
) -> Finding:
    """Adam and AMSGrad on the problem of Reddi et al. 2018, theorem 1.

    Args:
        seed: draws the starting points.
        large: C, above 2.
        b2: β₂; None for the paper's 1/(1 + C²).
        steps: number of rounds.

    Returns:
        Where each is, and its average regret.
    """
    short = 1 / (1 + large**2) if b2 is None else b2
    slopes = np.where(np.arange(steps) % 3 == 0, large, -1.0)
    first = np.random.default_rng(seed).uniform(-1, 1, 8).astype(np.float32)
    gradients = jnp.tile(jnp.asarray(slopes, jnp.float32), (len(first), 1))
    kinds = {
        "Adam": _projected(adam, b1=0.0, b2=short),
        "AMSGrad": _projected(amsgrad, b1=0.0, b2=short),
        "Adam, β₂ = 0.999": _projected(adam, b1=0.0, b2=0.999),
    }
    places = {
        name: run_all(slope, [optimizer], jnp.asarray(first), gradients).params[0]
        for name, optimizer in kinds.items()
    }
    regret = {
        name: np.cumsum((place[:, :-1] - BEST) * slopes, axis=1) / np.arange(1, steps + 1)
        for name, place in places.items()
    }
    average = {name: float(np.median(each[:, -1])) for name, each in regret.items()}
    ends = {name: float(place[:, -steps // 10 :].mean()) for name, place in places.items()}
    worst = 2 * (large - 2) / 3
    shown = np.unique(np.geomspace(1, steps, 200).astype(int))
    converges = average["Adam"] < 0.1 * worst
    return Finding(
        name="counterexample",
        claim="On a convex problem, with a falling learning rate, Adam converges.",
        verdict="holds" if converges else "fails" if average["Adam, β₂ = 0.999"] > 0.1 * worst else "depends",
        measured=(
            f"With β₂ = {short:.3g} Adam ends at {ends['Adam']:+.2f} on average over the last tenth, where "
            f"−1 is best and +1 worst. Its average regret is {average['Adam']:.3f}; that of the worst "
            f"point, with C the rare gradient of {large:g}, is 2(C − 2)/3 = {worst:.3f}. AMSGrad ends at "
            f"{ends['AMSGrad']:+.2f} with a regret of {average['AMSGrad']:.3f}. With the default β₂ = 0.999 "
            f"Adam ends at {ends['Adam, β₂ = 0.999']:+.2f}, too."
        ),
        setting=(
            f"Reddi et al. 2018, theorem 1: round t costs C x, C = {large:g}, if t mod 3 = 1 and −x "
            f"otherwise, x in [−1, 1], projected; β₁ = 0, η = {RATE:g}/√t; {steps:,} rounds from "
            f"{len(first)} starts (seed {seed}), median and 80 % of the average regret so far."
        ),
        data=plain(
            {
                "b2": short,
                "rounds": shown,
                "regret": {name: np.median(each, axis=0)[shown - 1] for name, each in regret.items()},
                "average_regret": average,
                "ends": ends,
                "regret_of_the_worst": worst,
            }
        ),
        figures=(
            LinesFigure(
                tuple(band(name, shown, each[:, shown - 1]) for name, each in regret.items()),
                xlabel="round",
                ylabel="average regret",
                xscale="log",
                marks=(("y", worst, "the worst point"), ("y", 0.0, "the best point")),
            ),
        ),
    )


def rare_gradients(
    seed: int = 0, *, large: float = 10.0, gain: float = 0.2, runs: int = 16, steps: int = 20_000
) -> Finding:
    """Adam and AMSGrad where a rare gradient decides, over the length of Adam's memory.

    Args:
        seed: draws the gradients.
        large: C, the rare gradient; the others are −1.
        gain: δ, the mean gradient.
        runs: number of draws.
        steps: number of rounds.

    Returns:
        The mean place in the last tenth of the rounds, over 1/(1 − β₂).
    """
    memories = np.array([1.5, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0])
    chance = (1 + gain) / (1 + large)
    rare = jax.random.bernoulli(jax.random.key(seed), chance, (runs, steps))
    gradients = jnp.where(rare, large, -1.0)
    ends = {}
    for name, factory in {"Adam": adam, "AMSGrad": amsgrad}.items():
        optimizers = [_projected(factory, b1=0.9, b2=1 - 1 / memory) for memory in memories.tolist()]
        places = run_all(slope, optimizers, jnp.zeros(runs), gradients).params
        ends[name] = places[:, :, -steps // 10 :].mean(axis=2)
    middle = {name: np.median(end, axis=1) for name, end in ends.items()}
    good = middle["Adam"] < -0.8
    enough = float(memories[good][0]) if good.any() else None
    return Finding(
        name="rare-gradients",
        claim="The counterexample is contrived: with random gradients and momentum Adam converges.",
        verdict="holds" if good.all() else "depends" if good.any() else "fails",
        measured=(
            f"It takes a long memory. With 1/(1 − β₂) = {memories[0]:g} the median run ends at "
            f"{middle['Adam'][0]:+.2f}, with {memories[-1]:,g}, the default, at {middle['Adam'][-1]:+.2f}, "
            "where −1 is best and +1 worst. "
            + (
                f"From {enough:g} steps on it is within 0.2 of the best; the deciding gradient comes once in "
                f"{1 / chance:.0f}. "
                if enough
                else "None of those tried was long enough. "
            )
            + f"AMSGrad ends at {span(middle['AMSGrad'].min(), middle['AMSGrad'].max(), '+.2f')}."
        ),
        setting=(
            f"A gradient is {large:g} with probability {chance:.3f} and −1 otherwise, {gain:g} on average; x "
            f"in [−1, 1], projected, from 0; β₁ = 0.9, η = {RATE:g}/√t; mean of x over the last tenth of "
            f"{steps:,} rounds; {runs} runs (seed {seed}), their median and 80 %."
        ),
        data=plain({"memories": memories, "chance": chance, "ends": ends, "enough": enough}),
        figures=(
            LinesFigure(
                tuple(band(name, memories, end.T) for name, end in ends.items()),
                xlabel="memory of v, 1/(1 − β₂), in steps",
                ylabel="where it ends (−1 is best)",
                xscale="log",
                marks=(("x", 1 / chance, "rounds between rare gradients"),),
            ),
        ),
    )


def _projected(factory: Callable[..., Optimizer], **settings: float) -> Optimizer:
    """The optimizer with η/√t, whose parameters stay in [−1, 1]."""
    return chain(factory(learning_rate=Partial(_falling, first=RATE), **settings), INSIDE)


def _to_inside(updates: Any, params: Any) -> Any:
    return jnp.clip(params + updates, -1, 1) - params


INSIDE = optax.stateless(_to_inside)
"""Shortens an update that leads out of [−1, 1]."""


def _falling(step: jax.Array, *, first: jax.Array) -> jax.Array:
    return first / jnp.sqrt(jnp.asarray(step, float) + 1)
