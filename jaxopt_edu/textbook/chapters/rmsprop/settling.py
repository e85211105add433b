"""What chapter 5 measures near the minimum: how far from it RMSProp ends."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_edu import problems, schedules
from jaxopt_edu.core.transform import Optimizer
from jaxopt_edu.optimizers import rmsprop
from jaxopt_edu.textbook.chapter import Finding
from jaxopt_edu.textbook.figures import LinesFigure, Series
from jaxopt_edu.textbook.measures import band, plain
from jaxopt_edu.textbook.numerals import span
from jaxopt_edu.textbook.runs import on_surface, run_all

RATES = 10.0 ** (-np.arange(1, 7) / 2)
"""The learning rates tried: half decades from 0.3 to 0.001."""

SETTLED = 1e-3
"""A run has settled when it ends nearer to the minimum than this part of η."""

FLOOR = 1e-9
"""Smaller distances are drawn here."""


def settling(seed: int = 0, *, starts: int = 32, steps: int = 6000) -> Finding:
    """Where RMSProp ends on the bowl when gradients are exact.

    Args:
        seed: draws the starting points.
        starts: number of starting points.
        steps: length of each run.

    Returns:
        The distance from the minimum at the end over the learning rate, for two ρ and for a falling η.
    """
    first = jax.random.normal(jax.random.key(seed), (starts, 2))
    short, long, falling = "ρ = 0.9", "ρ = 0.99", "ρ = 0.9, η falls to 0"
    kinds: dict[str, Callable[[float], Optimizer]] = {
        short: lambda rate: rmsprop(learning_rate=rate, decay=0.9),
        long: lambda rate: rmsprop(learning_rate=rate, decay=0.99),
        falling: lambda rate: rmsprop(learning_rate=schedules.cosine(rate, steps), decay=0.9),
    }
    ends = {
        name: on_surface(problems.bowl, [make(rate) for rate in RATES.tolist()], first, steps=steps).params[
            :, :, -1
        ]
        for name, make in kinds.items()
    }
    distances = {name: np.abs(end).max(axis=-1) for name, end in ends.items()}
    over_rate = {name: np.median(distance, axis=1) / RATES for name, distance in distances.items()}
    settled = {
        name: (distance < SETTLED * RATES[:, None]).mean(axis=1) for name, distance in distances.items()
    }
    hovers = bool(np.all(np.abs(over_rate[short] - 0.5) < 0.1))
    return Finding(
        name="settling",
        claim="With a constant learning rate RMSProp never settles: it hovers at about η from the minimum.",
        verdict="fails" if not hovers else "holds" if settled[long].max() < 0.1 else "depends",
        measured=(
            f"At ρ = 0.9 it ends {span(over_rate[short].min(), over_rate[short].max(), '.3f')} η from the "
            "minimum; theory says η/2 in each coordinate, whatever its curvature. At the default ρ = 0.99 "
            f"{settled[long].mean():.0%} of the runs settle all the same, {settled[long][0]:.0%} of them at "
            f"η = {RATES[0]:.2g} and {settled[long][-1]:.0%} at {RATES[-1]:.2g}: h forgets more slowly than "
            f"the gradients shrink. With η falling to 0, {settled[falling].mean():.0%} settle."
        ),
        setting=(
            f"The bowl x²/20 + y², exact gradients; the larger of |x| and |y| after {steps} steps, settled "
            f"when it is below {SETTLED:g} η; {len(RATES)} learning rates; {starts} starts from N(0, 1) "
            f"(seed {seed}), their median and 80 %."
        ),
        data=plain(
            {
                "learning_rates": RATES,
                "distances": distances,
                "distance_over_rate": over_rate,
                "settled": settled,
            }
        ),
        figures=(
            LinesFigure(
                (
                    *(band(name, RATES, np.maximum(each, FLOOR).T) for name, each in distances.items()),
                    Series("theory: η/2", RATES, RATES / 2, theory=True),
                ),
                method="RMSProp",
                xlabel="learning rate η",
                ylabel="distance from the minimum at the end",
                xscale="log",
                yscale="log",
                marks=(("y", FLOOR, "this or nearer"),),
            ),
        ),
    )


def hovering_in_noise(seed: int = 0, *, noise: float = 1.0, runs: int = 64, steps: int = 3000) -> Finding:
    """Where RMSProp ends on a parabola when gradients are noisy.

    Args:
        seed: draws the noise.
        noise: σ, the standard deviation of a gradient.
        runs: number of runs of each learning rate.
        steps: length of each run.

    Returns:
        The distance from the minimum over the learning rate, for a constant and for a falling one.
    """
    rates = RATES[:-1]
    loss = problems.noisy_quadratic([1.0], noise_scale=noise).loss
    keys = jax.random.split(jax.random.key(seed), (runs, steps))

    def distance(optimizers: list[Optimizer], last: int) -> np.ndarray:
        points = run_all(loss, optimizers, jnp.zeros((runs, 1)), keys).params[:, :, -last:]
        return np.sqrt((points**2).mean(axis=(1, 2, 3)))

    constant = distance([rmsprop(learning_rate=rate) for rate in rates.tolist()], steps // 2)
    falling = distance([rmsprop(learning_rate=schedules.cosine(rate, steps)) for rate in rates.tolist()], 1)
    nearer = constant / falling
    theory = np.sqrt(rates * noise / 2)
    exponent = float(np.polyfit(np.log(rates), np.log(constant), 1)[0])
    return Finding(
        name="hovering-in-noise",
        claim="A ten times smaller learning rate brings RMSProp ten times as near to the minimum.",
        verdict="holds" if abs(exponent - 1) < 0.1 else "fails",
        measured=(
            f"In noise the distance grows like η to the power {exponent:.2f}: it is "
            f"{constant[0] / rates[0]:.1f} η at η = {rates[0]:.2g} and {constant[-1] / rates[-1]:.1f} η at "
            f"{rates[-1]:.2g}, within {np.abs(constant / theory - 1).max():.0%} of √(ησ/2λ), the theory for "
            "small η. To come ten times as near takes a hundred times smaller η, or one that falls: falling "
            f"to 0 in as many steps it ends {span(nearer.min(), nearer.max(), '.1f')} times as near."
        ),
        setting=(
            f"λw²/2 with λ = 1 and noise of σ = {noise:g} in the gradient, from the minimum; ρ = 0.99; "
            f"{steps} steps; root mean square of w over {runs} runs (seed {seed}), and over the later half "
            "of the steps if η is constant."
        ),
        data=plain(
            {
                "learning_rates": rates,
                "constant": constant,
                "falling": falling,
                "theory": theory,
                "exponent": exponent,
            }
        ),
        figures=(
            LinesFigure(
                (
                    Series("constant η", rates, constant),
                    Series("η falls to 0", rates, falling),
                    Series("theory: √(ησ/2λ)", rates, theory, theory=True),
                    Series("η itself", rates, rates, theory=True),
                ),
                method="RMSProp",
                xlabel="learning rate η",
                ylabel="distance from the minimum, root mean square",
                xscale="log",
                yscale="log",
            ),
        ),
    )
