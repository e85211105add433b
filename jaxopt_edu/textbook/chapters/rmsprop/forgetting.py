"""What chapter 5 measures after a burst of large gradients."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_edu.optimizers import adagrad, rmsprop
from jaxopt_edu.textbook.chapter import Finding
from jaxopt_edu.textbook.figures import LinesFigure
from jaxopt_edu.textbook.measures import band, first_at_most, plain
from jaxopt_edu.textbook.runs import run_all, slope

BEFORE = 300
"""Steps before the burst: enough for RMSProp's average to have filled."""

BURST = 10
"""Steps that the burst lasts."""


def forgetting(
    seed: int = 0,
    *,
    decay: float = 0.99,
    size: float = 100.0,
    noise: float = 0.3,
    runs: int = 8,
    steps: int = 60_000,
) -> Finding:
    """How long a burst of large gradients shortens the steps of RMSProp and of AdaGrad.

    Args:
        seed: draws the gradients.
        decay: ρ of RMSProp.
        size: factor on the gradients of the burst.
        noise: standard deviation of the gradients around 1.
        runs: number of draws.
        steps: length of each run.

    Returns:
        The length of the steps after the burst, over that of the steps of the same run without the burst.
    """
    ordinary = 1 + noise * jax.random.normal(jax.random.key(seed), (runs, steps))
    place = jnp.arange(steps)
    factor = jnp.where((place >= BEFORE) & (place < BEFORE + BURST), size, 1.0)
    after = np.unique(np.geomspace(1, steps - BEFORE - BURST, 160).astype(int))
    # A step is half of what it would be when the burst's part of h is three times the rest.
    theory = {
        "RMSProp": math.log((1 - decay**BURST) * (size**2 - 1) / 3) / -math.log(decay),
        "AdaGrad": BURST * (size**2 - 1) / 3 - BEFORE - BURST,
    }
    ratios, recovered = {}, {}
    for name, optimizer in {"RMSProp": rmsprop(decay=decay), "AdaGrad": adagrad()}.items():
        # Read off h: far from 0 the steps themselves are lost in the rounding of w.
        with_burst, without = (
            run_all(slope, [optimizer], jnp.zeros(runs), gradients).states.h[0, :, BEFORE + BURST + 1 :]
            for gradients in (ordinary * factor[None], ordinary)
        )
        ratio = np.sqrt(without / with_burst)
        ratios[name] = ratio[:, after - 1]
        recovered[name] = float(np.median(first_at_most(-ratio, -0.5))) + 1
    memory = 1 / (1 - decay)
    forgets = recovered["RMSProp"] < steps
    holds = recovered["RMSProp"] < 2 * memory
    return Finding(
        name="forgetting",
        claim="RMSProp forgets a burst of large gradients in about 1/(1 − ρ) steps.",
        verdict="holds" if holds else "depends" if forgets else "fails",
        measured=(
            f"After {BURST} gradients {size:g} times as large as the others, RMSProp's steps are half of "
            f"what they would have been after {_steps(recovered['RMSProp'])} (theory: "
            f"{theory['RMSProp']:,.0f}). That is {recovered['RMSProp'] / memory:.1f} times 1/(1 − ρ) = "
            f"{memory:.0f}, for the wait grows with the logarithm of the burst. AdaGrad, which forgets "
            f"nothing, takes {_steps(recovered['AdaGrad'])} (theory: {theory['AdaGrad']:,.0f}), until what "
            "came since outweighs the burst: its wait grows with the square of it."
        ),
        setting=(
            f"f(w) = g w with g = 1 + {noise:g} ξ, ξ ~ N(0, 1), times {size:g} in steps {BEFORE + 1} to "
            f"{BEFORE + BURST}; ρ = {decay:g}; the length of a step over that of the same run without the "
            f"burst; {steps:,} steps; {runs} runs (seed {seed}), their median and 80 %."
        ),
        data=plain(
            {
                "recovered_after": recovered,
                "theory": theory,
                "memory": memory,
                "steps_after_the_burst": after,
                "length_over_length_without": {
                    name: np.median(ratio, axis=0) for name, ratio in ratios.items()
                },
            }
        ),
        figures=(
            LinesFigure(
                tuple(band(name, after, ratio) for name, ratio in ratios.items()),
                xlabel="steps since the burst",
                ylabel="length of a step, over that without the burst",
                xscale="log",
                yscale="log",
                marks=(("y", 0.5, "half"), ("x", memory, "1/(1 − ρ)")),
            ),
        ),
    )


def _steps(count: float) -> str:
    return "more steps than were made" if math.isnan(count) else f"{count:,.0f} steps"
