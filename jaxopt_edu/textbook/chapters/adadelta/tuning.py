"""What chapter 6 measures of η and of units."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from jaxopt_edu import problems
from jaxopt_edu.optimizers import adadelta, rmsprop, sgd
from jaxopt_edu.textbook.chapter import Finding
from jaxopt_edu.textbook.figures import LinesFigure
from jaxopt_edu.textbook.measures import arrivals, exponent, first_at_most, plain, stays_at_most
from jaxopt_edu.textbook.numerals import span
from jaxopt_edu.textbook.runs import heights, on_surface, random_starts, run_all, without_batch

SURFACES = (problems.bowl, problems.booth, problems.beale, problems.rosenbrock, problems.himmelblau)


def units(seed: int = 0, *, starts: int = 16, steps: int = 12_000) -> Finding:
    """Whether Adadelta takes as many steps when the parameters are measured in other units.

    Args:
        seed: draws the starting points.
        starts: number of starting points.
        steps: length of each run.

    Returns:
        Steps to one percent of the start's height over the factor between the units.
    """
    scales = 10.0 ** np.linspace(-1, 1, 7)
    optimizers = {
        "Adadelta": adadelta(),
        "RMSProp": rmsprop(learning_rate=0.01),
        "SGD": sgd(learning_rate=0.01),
    }
    first = random_starts(problems.bowl, seed, starts)
    needed = {name: np.empty((starts, len(scales))) for name in optimizers}
    for column, scale in enumerate(scales.tolist()):
        loss = without_batch(Partial(_in_other_units, scale=scale))
        for name, optimizer in optimizers.items():
            points = run_all(loss, [optimizer], jnp.asarray(scale * first), steps=steps).params[0] / scale
            values = heights(problems.bowl.function, points)
            needed[name][:, column] = first_at_most(values, 0.01 * values[:, :1])
    middle = {name: np.median(each, axis=0) for name, each in needed.items()}
    exponents = {name: exponent(scales, each) for name, each in middle.items()}
    ours = middle["Adadelta"]
    return Finding(
        name="units",
        claim="Adadelta's steps have the units of the parameters, so other units change nothing.",
        verdict="holds" if np.nanmax(ours) < 1.5 * np.nanmin(ours) else "fails",
        measured=(
            f"In units ten times as small, the bowl takes {ours[-1]:,.0f} steps instead of {ours[3]:,.0f}, "
            f"in units ten times as large {ours[0]:,.0f}: like the scale to the power "
            f"{exponents['Adadelta']:.2f}. RMSProp's power is {exponents['RMSProp']:.2f}, that of SGD "
            f"{exponents['SGD']:.2f}. ε has units too (its root is a length), and nobody converts it."
        ),
        setting=(
            "f(w/s) with f the bowl x²/20 + y² and starts s times those drawn evenly from its window (seed "
            f"{seed}); defaults, and η = 0.01 for RMSProp and SGD; steps to 1 % of the start's height, of "
            f"{steps:,}; {starts} starts, their median and 80 %."
        ),
        data=plain({"scales": scales, "steps": needed, "exponents": exponents}),
        figures=(
            LinesFigure(
                tuple(arrivals(name, scales, each) for name, each in needed.items()),
                xlabel="scale s of the parameters",
                ylabel="steps to 1 % of the start's height",
                xscale="log",
                yscale="log",
            ),
        ),
    )


def one_for_all(seed: int = 0, *, starts: int = 15, steps: int = 4000) -> Finding:
    """Which learning rate is best for Adadelta on several surfaces.

    Args:
        seed: draws the starting points.
        starts: number of starting points, around each surface's own.
        steps: length of each run.

    Returns:
        The step from which on it stays below one percent of the start's height, over the learning rate.
    """
    rates = 10.0 ** (np.arange(-2, 4) / 2)
    optimizers = [adadelta(learning_rate=rate) for rate in rates.tolist()]
    offsets = 0.2 * np.random.default_rng(seed).standard_normal((starts, 2))
    needed = {}
    for surface in SURFACES:
        points = on_surface(surface, optimizers, np.array(surface.start) + offsets, steps=steps).params
        values = heights(surface.function, points)  # all have their minimum at height 0
        needed[surface.name] = stays_at_most(values, 0.01 * values[..., :1])
    middle = {name: np.median(np.nan_to_num(each, nan=np.inf), axis=1) for name, each in needed.items()}
    best = {name: float(rates[each.argmin()]) for name, each in middle.items()}
    one = int(np.abs(np.log(rates)).argmin())
    price = {name: float(each[one] / each.min()) for name, each in middle.items()}
    never = [_shown(name) for name, factor in price.items() if np.isinf(factor)]
    known = [factor for factor in price.values() if np.isfinite(factor)]
    cheap = [name for name, factor in price.items() if factor < 1.5]
    return Finding(
        name="one-for-all",
        claim="η = 1 is right: there is nothing to gain by tuning it.",
        verdict="holds" if len(cheap) == len(price) else "depends" if cheap else "fails",
        measured=(
            "The fastest η is "
            + ", ".join(f"{rate:.2g} on {_shown(name)}" for name, rate in best.items())
            + f". With η = 1 it takes {span(min(known), max(known), '.1f')} times as many steps"
            + (f", and on {' and '.join(never)} most starts do not get there." if never else ".")
        ),
        setting=(
            f"Five surfaces; {starts} starts around each one's own with a standard deviation of 0.2 (seed "
            f"{seed}); ε = 1e-6, ρ = 0.95, {len(rates)} learning rates; steps to 1 % of the start's height, "
            f"of {steps:,}; median and 80 %, a gap where most do not get there."
        ),
        data=plain({"learning_rates": rates, "steps": needed, "best": best, "price_of_one": price}),
        figures=(
            LinesFigure(
                tuple(arrivals(_shown(name), rates, each.T) for name, each in needed.items()),
                xlabel="learning rate η",
                ylabel="steps to stay below 1 % of the start's height",
                xscale="log",
                yscale="log",
                marks=(("x", 1.0, "the paper's η"),),
            ),
        ),
    )


def _in_other_units(w: jax.Array, *, scale: jax.Array) -> jax.Array:
    return problems.bowl.function(w / scale)


def _shown(name: str) -> str:
    return f"the {name}" if name == "bowl" else name.capitalize()
