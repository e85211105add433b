"""What chapter 3 measures of where momentum and Nesterov begin to diverge, or to go in circles."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_edu import problems
from jaxopt_edu.optimizers import momentum, nesterov, sgd
from jaxopt_edu.textbook.chapter import Finding, Verdict
from jaxopt_edu.textbook.figures import LinesFigure, Series
from jaxopt_edu.textbook.measures import contraction, distances, plain
from jaxopt_edu.textbook.runs import on_surface, random_starts, run_all
from jaxopt_edu.textbook.theory import (
    best_momentum,
    best_nesterov,
    momentum_contraction,
    nesterov_contraction,
    sgd_contraction,
)
from jaxopt_edu.textbook.ways import BOWL


def limits(seed: int = 0, *, steps: int = 300) -> Finding:
    """The largest stable learning rate of both, over α.

    Args:
        seed: draws the starting point.
        steps: length of each run.

    Returns:
        The limits measured beside those of theory, and the factors on the distance for α = 0.9.
    """
    steepest = BOWL.max()
    momenta, rates = np.linspace(0, 0.98, 15), np.linspace(0.01, 2.09, 105)
    start = random_starts(problems.bowl, seed, 1)
    measured, factors = {}, {}
    for name, factory in {"Momentum": momentum, "Nesterov": nesterov}.items():
        settings = [factory(float(rate), float(kept)) for kept in (*momenta, 0.9) for rate in rates]
        runs = on_surface(problems.bowl, settings, start, steps=steps)
        every = contraction(distances(runs.params[:, 0], (0.0, 0.0))).reshape(-1, len(rates))
        stable = every[:-1] < 1
        measured[name] = np.array([rates[row].max() for row in stable]) * steepest
        factors[name] = every[-1]
    theory = {"Momentum": 2 * (1 + momenta), "Nesterov": 2 * (1 + momenta) / (1 + 2 * momenta)}
    lower = (measured["Nesterov"] < measured["Momentum"])[1:]
    usual = int(np.abs(momenta - 0.9).argmin())
    at_sgd_limit = {name: float(np.interp(0.5, rates, each)) for name, each in factors.items()}
    floor = {name: float(each.min()) for name, each in factors.items()}
    verdict: Verdict = "fails" if lower.all() else "holds" if not lower.any() else "depends"
    shown = (rates > 0.03) & (rates < 1.95)
    return Finding(
        name="limits-of-stability",
        claim="Nesterov is more stable than momentum.",
        verdict=verdict,
        measured=(
            f"It diverges at a smaller η. At α = {momenta[usual]:.2f} momentum is stable up to ηL = "
            f"{measured['Momentum'][usual]:.2f} and Nesterov up to {measured['Nesterov'][usual]:.2f}, less "
            f"than SGD's 2; theory says {theory['Momentum'][usual]:.2f} and "
            f"{theory['Nesterov'][usual]:.2f}, the latter 1/(1 + 2α) of the former. Within its limit it "
            f"damps better: with α = 0.9 its best factor on the bowl is {floor['Nesterov']:.3f} a step, "
            f"momentum's {floor['Momentum']:.3f} whatever η is (theory: √α = {np.sqrt(0.9):.3f})."
        ),
        setting=(
            f"The bowl x²/20 + y², L = 2, from one start (seed {seed}; the limits do not depend on it); "
            f"{len(rates)} learning rates × {len(momenta)} momenta, {steps} steps; stable: ‖w‖ shrinks over "
            "the later half of the run."
        ),
        data=plain(
            {
                "momenta": momenta,
                "limits_times_L": measured,
                "theory_times_L": theory,
                "spacing_times_L": (rates[1] - rates[0]) * steepest,
                "learning_rates": rates,
                "factors_at_0.9": factors,
                "factors_at_1_over_L": at_sgd_limit,
                "theory_at_0.9": {
                    "Momentum": momentum_contraction(rates, 0.9, BOWL),
                    "Nesterov": nesterov_contraction(rates, 0.9, BOWL),
                },
            }
        ),
        figures=(
            LinesFigure(
                (
                    *(Series(name, momenta, each) for name, each in measured.items()),
                    Series("2(1 + α)", momenta, theory["Momentum"], theory=True),
                    Series("2(1 + α)/(1 + 2α)", momenta, theory["Nesterov"], theory=True),
                ),
                xlabel="momentum α",
                ylabel="largest stable ηL",
                marks=(("y", 2.0, "SGD"),),
            ),
            LinesFigure(
                (
                    *(
                        Series(f"{name}, α = 0.9", rates[shown & (each < 1.02)], each[shown & (each < 1.02)])
                        for name, each in factors.items()
                    ),
                    Series(
                        "theory for SGD",
                        rates[rates < 1],
                        sgd_contraction(rates[rates < 1], BOWL),
                        theory=True,
                    ),
                ),
                xlabel="learning rate η",
                ylabel="factor on the distance, per step",
                marks=(("y", 1.0, "neither shrinks nor grows"),),
            ),
        ),
    )


def going_in_circles(seed: int = 0, *, starts: int = 400, steps: int = 300) -> Finding:
    """A convex function on which momentum, with the numbers that are best for quadratics, never arrives.

    Args:
        seed: draws the starting points.
        starts: number of starting points.
        steps: length of each run.

    Returns:
        The share of starts from which each method arrives, and one run of each.
    """
    curvatures = np.array([1.0, 25.0])
    optimizers = {
        "SGD": sgd(learning_rate=2 / 26),
        "Momentum": momentum(*best_momentum(curvatures)),
        "Nesterov": nesterov(*best_nesterov(curvatures)),
    }
    first = np.random.default_rng(seed).uniform(0, 10, starts).astype(np.float32)
    first[0] = 3.3
    runs = {
        name: run_all(_bent, [optimizer], first[:, None], steps=steps).params[0, :, :, 0]
        for name, optimizer in optimizers.items()
    }
    arrived = {name: (np.abs(way[:, -1]) < 1e-3) for name, way in runs.items()}
    share = {name: float(each.mean()) for name, each in arrived.items()}
    cycle = np.sort(runs["Momentum"][0, -3:]).tolist()
    jumps = [f"{place:.2f}" for place in cycle]
    others = min(share["SGD"], share["Nesterov"])
    shown = np.arange(61)
    return Finding(
        name="going-in-circles",
        claim="What is best on quadratics is safe on every convex function with the same curvatures.",
        verdict="holds" if share["Momentum"] == 1 else "fails",
        measured=(
            "The function's slope is 25 times x, but only 1 between 1 and 2. Momentum with the best pair "
            f"for μ = 1, L = 25 (η = 1/9, α = 4/9) arrives from {share['Momentum']:.0%} of {starts} starts; "
            "from the rest, such as x = 3.3, it jumps forever between "
            f"{jumps[0]}, {jumps[1]} and {jumps[2]}. SGD and Nesterov "
            f"with their own best numbers arrive from {'all' if others == 1 else f'{others:.0%}'}."
        ),
        setting=(
            "f′(x) = 25x below 1, x + 24 from 1 to 2, 25x − 24 above (Lessard, Recht & Packard 2016, "
            f"section 4.6); {starts} starts drawn evenly from 0 to 10 (seed {seed}; the first is 3.3), "
            f"{steps} steps; arrived: |x| below 0.001 at the end. SGD: η = 2/(L + μ); Nesterov: η = 4/(3L + "
            "μ), α = (√(3κ+1) − 2)/(√(3κ+1) + 2)."
        ),
        data=plain({"share_arrived": share, "cycle": cycle, "starts": first, "arrived": arrived}),
        figures=(
            LinesFigure(
                tuple(Series(name, shown, way[0, : len(shown)]) for name, way in runs.items()),
                xlabel="step",
                ylabel="x",
                marks=(("y", 0.0, "the minimum"),),
            ),
        ),
    )


def _bent(params: jax.Array, batch: None) -> jax.Array:
    x = params[0]
    steep, gentle, far = 25 * x**2 / 2, x**2 / 2 + 24 * x - 12, 25 * x**2 / 2 - 24 * x + 36
    return jnp.where(x < 1, steep, jnp.where(x < 2, gentle, far))
