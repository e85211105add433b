"""What chapter 2 measures of the zig-zag across the valley, of which momentum is said to be the cure."""

import numpy as np

from jaxopt_edu import problems
from jaxopt_edu.core.editing import hyperparameters
from jaxopt_edu.core.transform import Optimizer
from jaxopt_edu.optimizers import momentum, sgd
from jaxopt_edu.textbook.chapter import Finding, Verdict
from jaxopt_edu.textbook.figures import LinesFigure, PathsFigure
from jaxopt_edu.textbook.measures import band, crossings, distances, plain
from jaxopt_edu.textbook.numerals import point
from jaxopt_edu.textbook.runs import on_surface, random_starts, surface_paths
from jaxopt_edu.textbook.theory import best_momentum
from jaxopt_edu.textbook.ways import BOWL, Ways, fastest_over_the_bowl, ways_over_the_bowl

REDUCTION = 100.0
"""By what the distance to the minimum is to be divided."""

BUDGET = 320
"""Steps after which a run that is not there yet is given up."""


def famous_picture(seed: int = 0, *, starts: int = 64, steps: int = 30) -> Finding:
    """The picture that every book shows, and the path that it leaves out.

    Args:
        seed: draws the starting points of the counts.
        starts: number of starting points.
        steps: length of the paths.

    Returns:
        Paths of SGD at η = 0.95, momentum at η = 0.1, and SGD at momentum's η.
    """
    optimizers = {
        "SGD, η = 0.95": sgd(learning_rate=0.95),
        "Momentum, η = 0.1": momentum(learning_rate=0.1),
        "SGD, η = 0.1": sgd(learning_rate=0.1),
    }
    first = random_starts(problems.bowl, seed, starts)
    counts, left = {}, {}
    for name, optimizer in optimizers.items():
        points = on_surface(problems.bowl, [optimizer], first, steps=steps).params[0]
        lengths = distances(points, (0.0, 0.0))
        counts[name] = float(np.median(crossings(points[..., 1])))
        left[name] = float(np.median(lengths[:, -1] / lengths[:, 0]))
    wild, smooth, slow = counts.values()
    return Finding(
        name="famous-picture",
        claim="SGD zig-zags across the valley, and momentum smooths the path.",
        verdict="holds" if smooth < min(wild, slow) else "depends" if smooth < wild else "fails",
        measured=(
            f"In the famous picture SGD crosses the valley's floor {wild:.0f} times in {steps} steps and "
            f"momentum {smooth:.0f} times (medians over {starts} starts). But the two have different "
            f"learning rates. With momentum's own η = 0.1 SGD crosses it {slow:.0f} times: it is slow "
            f"instead, and has {left['SGD, η = 0.1']:.0%} of the distance left where momentum has "
            f"{left['Momentum, η = 0.1']:.0%}."
        ),
        setting=(
            f"The bowl x²/20 + y²; {steps} steps; α = 0.9; paths from {point(problems.bowl.start)}, counts "
            f"from {starts} starts drawn from its window (seed {seed})."
        ),
        data=plain({"crossings": counts, "share_of_the_distance_left": left}),
        figures=(
            PathsFigure(problems.bowl, surface_paths(problems.bowl, optimizers, steps=steps), play=True),
        ),
    )


def zigzag(seed: int = 0, *, starts: int = 16) -> Finding:
    """Zig-zags at equal learning rates, and at each method's best.

    Args:
        seed: draws the starting points.
        starts: number of starting points.

    Returns:
        Crossings of the valley's floor and detours, over the learning rate, for α = 0, 0.5 and 0.9.
    """
    first = random_starts(problems.bowl, seed, starts)
    rates = np.linspace(0.15, 0.95, 33)
    equal = {
        "SGD": _ways([sgd(learning_rate=float(rate)) for rate in rates], first),
        "Momentum, α = 0.5": _ways([momentum(float(rate), 0.5) for rate in rates], first),
        "Momentum, α = 0.9": _ways([momentum(float(rate), 0.9) for rate in rates], first),
    }
    best = {
        "SGD": _best([sgd(learning_rate=float(rate)) for rate in np.geomspace(0.15, 0.99, 60)], first),
        "Momentum": _best(
            [
                momentum(float(rate), float(kept))
                for kept in np.linspace(0, 0.9, 10)
                for rate in np.geomspace(0.15, 3.7, 30)
            ],
            first,
        ),
    }
    rate, kept = best_momentum(BOWL)
    counts = {name: np.median(ways.crossings, axis=1) for name, ways in equal.items()}
    # From 1/L on the factor 1 − ηL of a step across the valley is negative.
    below, above = rates < 0.5, rates > 0.5
    more = (counts["Momentum, α = 0.9"] > counts["SGD"])[below].mean()
    fewer = (counts["Momentum, α = 0.9"] < counts["SGD"])[above].mean()
    (sgd_setting, sgd_way), (momentum_setting, momentum_way) = best.values()
    straighter = momentum_way.detours < 0.9 * sgd_way.detours
    compared = "and its path is straighter" if straighter else "but its path is not straighter"
    verdict: Verdict = "holds" if fewer == 1 and more == 0 else "fails" if fewer == 0 else "depends"
    return Finding(
        name="zigzag",
        claim="At the same learning rate, and at each one's best, momentum zig-zags less than SGD.",
        verdict=verdict,
        measured=(
            "Equal η: below 1/L SGD never crosses the valley's floor, and momentum (α = 0.9) crosses it "
            f"more often at {more:.0%} of the learning rates; above 1/L SGD crosses it at every step, and "
            f"momentum less often at {fewer:.0%}. Each at its best: SGD ({_shown(sgd_setting)}) needs a "
            f"median of {sgd_way.steps:.0f} steps with {sgd_way.crossings:.0f} crossings on a path "
            f"{sgd_way.detours:.1f} times the straight line; momentum ({_shown(momentum_setting)}) "
            f"{momentum_way.steps:.0f} with {momentum_way.crossings:.0f}, on a path "
            f"{momentum_way.detours:.1f} times the line: it is faster, {compared}."
        ),
        setting=(
            f"The bowl x²/20 + y², L = 2; until the distance is a hundredth, at most {BUDGET} steps; "
            f"medians and 80 % bands over {starts} starts (seed {seed}); best: the fewest steps from the "
            "slowest start among 60 learning rates, for momentum 300 pairs (η, α). The smallest factor in "
            f"the long run is at other numbers: in theory η = {2 / BOWL.sum():.2f} (SGD) and η = "
            f"{rate:.2f}, α = {kept:.2f} (momentum)."
        ),
        data=plain(
            {
                "learning_rates": rates,
                "crossings": counts,
                "detours": {name: np.median(ways.detours, axis=1) for name, ways in equal.items()},
                "steps": {name: np.median(ways.steps, axis=1) for name, ways in equal.items()},
                "best": {
                    name: {**hyperparameters(setting), **way._asdict()}
                    for name, (setting, way) in best.items()
                },
            }
        ),
        figures=(
            LinesFigure(
                tuple(band(name, rates, ways.crossings.T) for name, ways in equal.items()),
                xlabel="learning rate η",
                ylabel="crossings of the valley's floor",
                marks=(("x", 0.5, "1/L"),),
            ),
            LinesFigure(
                tuple(band(name, rates, ways.detours.T) for name, ways in equal.items()),
                xlabel="learning rate η",
                ylabel="length of the path, over the straight line",
                yscale="log",
                marks=(("x", 0.5, "1/L"), ("y", 1.0, "straight")),
            ),
        ),
    )


def _ways(optimizers: list[Optimizer], starts: np.ndarray) -> Ways:
    return ways_over_the_bowl(optimizers, starts, reduction=REDUCTION, budget=BUDGET)


def _best(optimizers: list[Optimizer], starts: np.ndarray) -> tuple[Optimizer, Ways]:
    return fastest_over_the_bowl(optimizers, starts, reduction=REDUCTION, budget=BUDGET)


def _shown(optimizer: Optimizer) -> str:
    symbols = {"learning_rate": "η", "momentum": "α"}
    return ", ".join(f"{symbols[name]} = {value:.2g}" for name, value in hyperparameters(optimizer).items())
