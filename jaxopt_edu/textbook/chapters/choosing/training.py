"""What chapter 8 measures on handwritten digits: every method, the same learning rates, seeds and batches."""

import functools
from collections.abc import Mapping

import numpy as np

from jaxopt_edu.core.editing import hyperparameters, replace
from jaxopt_edu.problems import digits
from jaxopt_edu.race.learning import LearningResult, race_on_data
from jaxopt_edu.race.settings import LEARNING_RATES
from jaxopt_edu.textbook.chapter import Finding
from jaxopt_edu.textbook.figures import LinesFigure
from jaxopt_edu.textbook.measures import band, plain
from jaxopt_edu.textbook.numerals import span
from jaxopt_edu.textbook.runs import METHODS

SEEDS = 5


def sensitivity(seed: int = 0, *, steps: int = 200) -> Finding:
    """How many learning rates are good ones.

    Args:
        seed: of the first run; five in all.
        steps: length of each run.

    Returns:
        Test accuracy over the learning rate, and for how many decades it is within a point of the best.
    """
    results = _trained(seed, steps)
    rates = np.array(LEARNING_RATES)
    accuracies = {name: 100 * result.accuracies[:, :, -1] for name, result in results.items()}
    # A setting with a diverged seed, whose accuracy is NaN, is none of the good ones.
    means = {name: np.nan_to_num(each.mean(axis=1), nan=0.0) for name, each in accuracies.items()}
    good = {name: each >= each.max() - 1 for name, each in means.items()}
    ratio = rates[1] / rates[0]
    decades = {name: float(each.sum() * np.log10(ratio)) for name, each in good.items()}
    places = {name: (float(rates[each][0]), float(rates[each][-1])) for name, each in good.items()}
    widest = max(decades, key=decades.__getitem__)
    ours = decades["Adam"]
    rest = max(width for name, width in decades.items() if name != "Adam")
    return Finding(
        name="sensitivity",
        claim="Adam works with almost any learning rate; SGD has to be tuned.",
        verdict="fails" if ours <= decades["SGD"] else "holds" if ours > 1.9 * rest else "depends",
        measured=(
            "Test accuracy within a point of the method's own best is reached on "
            + ", ".join(
                f"{width:.1f} decades with {name} ({span(*places[name], '.2g')})"
                for name, width in decades.items()
            )
            + f". The widest is {widest}. None takes any rate; what differs most is where the good ones lie."
        ),
        setting=(
            f"Digits, 8 × 8; an MLP with two hidden layers of 32; batches of 128, {steps} steps; "
            f"{len(rates)} learning rates, half a decade apart, other hyperparameters at their defaults; "
            f"{SEEDS} seeds from {seed}, median and 80 %; all methods see the same starts and batches."
        ),
        data=plain(
            {
                "learning_rates": rates,
                "accuracy": {name: each.T for name, each in accuracies.items()},
                "decades": decades,
                "good_rates": places,
            }
        ),
        figures=(
            LinesFigure(
                tuple(band(name, rates, 100 - each.T) for name, each in accuracies.items()),
                xlabel="learning rate η",
                ylabel="test error, %",
                xscale="log",
                yscale="log",
            ),
        ),
    )


def equal_budgets(seed: int = 0, *, steps: int = 200) -> Finding:
    """How far each method gets at its default learning rate, and at its best.

    Args:
        seed: of the first run; five in all.
        steps: length of each run.

    Returns:
        Test accuracy at the end, both ways.
    """
    results = _trained(seed, steps)
    default = {name: _default(result) for name, result in results.items()}
    best = {name: result.best for name, result in results.items()}
    ends = {
        "default": {name: _end(result, default[name]) for name, result in results.items()},
        "best": {name: _end(result, best[name]) for name, result in results.items()},
    }
    differs = {kind: _differ(each["Adam"], each["SGD"]) for kind, each in ends.items()}
    spread = {kind: np.ptp([each.mean() for each in end.values()]) for kind, end in ends.items()}
    rates = {name: float(LEARNING_RATES[place]) for name, place in best.items()}
    used = ", ".join(f"{name} {rate:.2g}" for name, rate in rates.items())
    signs = differs.values()
    return Finding(
        name="equal-budgets",
        claim="Adam trains to a better result than SGD.",
        verdict="holds" if min(signs) > 0 else "fails" if max(signs) <= 0 else "depends",
        measured=(
            f"At the defaults test accuracy after {steps} steps is {_all(ends['default'])}. At the best of "
            f"the same {len(LEARNING_RATES)} learning rates it is {_all(ends['best'])}: the methods lie "
            f"within {spread['best']:.1f} points instead of {spread['default']:.1f}. Between Adam and SGD "
            f"the difference {_favours(differs['default'])} at the defaults, and {_favours(differs['best'])} "
            "at the best."
        ),
        setting=(
            f"Digits, as above; {steps} steps; the default learning rate of this library, or the one with "
            f"the lowest mean training loss ({used}); {SEEDS} seeds from {seed}, mean ± standard deviation; "
            "a difference is more than chance if the mean of the paired differences is above 2.8 of its "
            "standard errors (5 % with five seeds)."
        ),
        data=plain(
            {
                "default": ends["default"],
                "best": ends["best"],
                "best_rates": rates,
                "adam_differs_from_sgd": differs,
                "spread_of_methods": spread,
            }
        ),
        figures=tuple(
            LinesFigure(
                tuple(
                    band(name, result.steps, 100 - 100 * result.accuracies[places[name]])
                    for name, result in results.items()
                ),
                xlabel=f"step, each at its {kind} learning rate",
                ylabel="test error, %",
                yscale="log",
            )
            for kind, places in (("default", default), ("best", best))
        ),
    )


@functools.lru_cache(maxsize=1)
def _trained(seed: int, steps: int) -> Mapping[str, LearningResult]:
    data = digits()
    return {
        name: race_on_data(
            data,
            name,
            [replace(factory(), learning_rate=rate) for rate in LEARNING_RATES],
            steps=steps,
            seeds=SEEDS,
            first_seed=seed,
        )
        for name, factory in METHODS.items()
    }


def _default(result: LearningResult) -> int:
    """The place of the method's default learning rate among those tried."""
    rate = hyperparameters(METHODS[result.method]())["learning_rate"]
    place = int(np.abs(np.log(np.array(LEARNING_RATES) / rate)).argmin())
    if not np.isclose(LEARNING_RATES[place], rate):
        raise ValueError(f"{result.method}'s default learning rate, {rate:g}, is none of those tried.")
    return place


def _end(result: LearningResult, place: int) -> np.ndarray:
    return 100 * result.accuracies[place, :, -1].astype(np.float64)


def _differ(ours: np.ndarray, theirs: np.ndarray) -> int:
    """1 or −1 if the mean of ours is above or below theirs by more than chance, 0 otherwise."""
    gap = ours - theirs
    error = gap.std(ddof=1) / np.sqrt(len(gap))
    return int(np.sign(gap.mean())) if abs(gap.mean()) > 2.8 * error else 0


def _favours(sign: int) -> str:
    return ("is no more than chance makes it", "favours Adam", "favours SGD")[sign]


def _all(ends: dict[str, np.ndarray]) -> str:
    order = sorted(ends, key=lambda name: -ends[name].mean())
    return ", ".join(f"{name} {ends[name].mean():.1f} ± {ends[name].std(ddof=1):.1f} %" for name in order)
