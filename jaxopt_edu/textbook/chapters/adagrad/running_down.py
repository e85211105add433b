"""What chapter 4 measures of how AdaGrad's steps become shorter and shorter."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import random

from jaxopt_edu.optimizers import adagrad
from jaxopt_edu.problems import noisy_quadratic
from jaxopt_edu.textbook.chapter import Finding, Verdict
from jaxopt_edu.textbook.figures import LinesFigure, Series
from jaxopt_edu.textbook.measures import band, contraction, exponent, plain
from jaxopt_edu.textbook.runs import run_all, without_batch


def running_down(seed: int = 0, *, learning_rate: float = 0.5, seeds: int = 64, steps: int = 4000) -> Finding:
    """AdaGrad's effective learning rate, η/√h, on a slope, in a bowl, and in a bowl with noise.

    Args:
        seed: draws the noise.
        learning_rate: η.
        seeds: number of noisy runs.
        steps: length of each run.

    Returns:
        The effective learning rates, and how far the runs came.
    """
    setting, one = [adagrad(learning_rate=learning_rate)], jnp.ones((1, 1))
    slope = run_all(without_batch(_slope), setting, one, steps=steps)
    bowl = run_all(without_batch(_parabola), setting, one, steps=steps)
    keys = random.split(random.key(seed), (seeds, steps))
    noisy = run_all(noisy_quadratic([1.0], noise_scale=1.0).loss, setting, jnp.ones((seeds, 1)), keys)
    time = np.arange(1, steps + 1)
    effective = {
        name: learning_rate / np.sqrt(runs.states.h[0, :, 1:, 0].astype(np.float64))
        for name, runs in {"slope": slope, "bowl": bowl, "bowl with noise": noisy}.items()
    }
    way = float(1 - slope.params[0, 0, -1, 0])
    half = steps // 2
    fallen = {name: float(np.median(each[:, -1] / each[:, half])) for name, each in effective.items()}
    arrived = np.abs(bowl.params[0, 0, :, 0])
    there = int((arrived > 1e-6).sum())
    squares = noisy.params[0, :, 1:, 0].astype(np.float64) ** 2
    loss = squares.reshape(seeds, 8, -1).mean(axis=(0, 2)) / 2
    late = time >= 100
    powers = {name: exponent(time[late], np.median(each, axis=0)[late]) for name, each in effective.items()}
    settles = fallen["bowl"] > 0.99
    verdict: Verdict = "fails" if way < 2 else "depends" if settles else "holds"
    shown = np.unique(np.geomspace(1, steps, 120).astype(int)) - 1
    return Finding(
        name="running-down",
        claim="AdaGrad's steps become shorter and shorter until it comes to a halt.",
        verdict=verdict,
        measured=(
            f"On a slope that never ends they shrink like 1/t to the power {-powers['slope']:.2f}, but never "
            f"stop: after {steps} steps it has come {way:.1f} far (theory: about 2η√t = "
            f"{2 * learning_rate * np.sqrt(steps):.1f}). In a bowl without noise h stops growing: between "
            f"steps {half} and {steps} η/√h falls by {1 - fallen['bowl']:.1%}, and w is below 10⁻⁶ after "
            f"{there} steps. Under noise η/√h falls like 1/t to the power {-powers['bowl with noise']:.2f}, "
            f"and the loss falls with it, from {loss[0]:.3f} in the first eighth of the run to "
            f"{loss[-1]:.3f} in the last."
        ),
        setting=(
            f"f = w, ½w² and ½w² with noise of standard deviation 1 in the gradient ({seeds} seeds from seed "
            f"{seed}, median and 80 % band; mean loss), all from w = 1, η = {learning_rate:g}, {steps} steps."
        ),
        data=plain(
            {
                "steps": time[shown],
                "effective": {name: np.median(each, axis=0)[shown] for name, each in effective.items()},
                "powers": powers,
                "fallen_in_the_last_half": fallen,
                "way_on_the_slope": way,
                "steps_to_a_millionth": there,
                "loss_under_noise": loss,
            }
        ),
        figures=(
            LinesFigure(
                (
                    *(band(name, time[shown], each[:, shown]) for name, each in effective.items()),
                    Series("η/√t", time[shown], learning_rate / np.sqrt(time[shown]), theory=True),
                ),
                method="AdaGrad",
                xlabel="step t",
                ylabel="effective learning rate η/√h",
                xscale="log",
                yscale="log",
            ),
        ),
    )


def far_starts(seed: int = 0, *, curvature: float = 1.0, steps: int = 20_000) -> Finding:
    """How slowly AdaGrad ends when it started many η from the minimum.

    Args:
        seed: draws the starting distances within each step of the sweep.
        curvature: λ of ½λw²; it should not matter.
        steps: length of each run.

    Returns:
        Steps in which the distance falls to 1/e at the end, over the starting distance in units of η.
    """
    ratios = np.geomspace(4, 100, 12) * np.random.default_rng(seed).uniform(0.95, 1.05, 12)
    rates = 1 / ratios
    runs = run_all(
        without_batch(noisy_quadratic([curvature], noise_scale=0.0).expected_loss),
        [adagrad(learning_rate=float(rate)) for rate in rates],
        jnp.ones((1, 1)),
        steps=steps,
    )
    factors = contraction(np.abs(runs.params[:, 0, :, 0]))
    measured = -1 / np.log(factors)
    theory = (ratios / 2) ** 2
    power = exponent(ratios[4:], measured[4:])
    agreement = float(np.abs(measured / theory - 1)[4:].max())
    return Finding(
        name="far-starts",
        claim="AdaGrad's learning rate needs no tuning: the division by √h sees to it.",
        verdict="fails" if power > 1.5 else "holds",
        measured=(
            f"In a bowl the last learning rate depends on the first: begun {ratios[0]:.1f} η from the "
            f"minimum it ends by dividing the distance by e every {measured[0]:.1f} steps, begun "
            f"{ratios[-1]:.1f} η away every {measured[-1]:.0f} steps. The time grows like the distance to "
            f"the power {power:.2f}; theory says (D/2η)², whatever the curvature, and is met within "
            f"{agreement:.0%} from {ratios[4]:.0f} η on."
        ),
        setting=(
            f"½λw² with λ = {curvature:g} from a distance of D, {len(ratios)} values of D/η (jittered by "
            f"seed {seed}), {steps} steps; rate from the slope of log |w| over the later half of the run."
        ),
        data=plain({"distance_over_rate": ratios, "steps": measured, "theory": theory, "power": power}),
        figures=(
            LinesFigure(
                (Series("AdaGrad", ratios, measured), Series("(D/2η)²", ratios, theory, theory=True)),
                xlabel="starting distance D, in units of η",
                ylabel="steps that divide the distance by e, at the end",
                xscale="log",
                yscale="log",
            ),
        ),
    )


def _slope(params: jax.Array) -> jax.Array:
    return jnp.sum(params)


def _parabola(params: jax.Array) -> jax.Array:
    return jnp.sum(params**2) / 2
