"""Which settings of a sweep go on: successive halving, Hyperband, median stopping, population-based training.

Settings are judged by the mean of the ranked metric over their seeds, each kind of optimizer among its own,
so that a comparison of two kinds gives both the same budget. At a rung the survivors are gathered into a
smaller batch. Scores here are oriented: lower is better, and a setting with a diverged seed has ∞.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from jaxopt_edu.core.checks import POSITIVE, Limit, checked_number, checked_whole

HALF = Limit(POSITIVE.low, math.nextafter(0.5, 1), "above 0 and at most 0.5")


class Cohort(NamedTuple):
    """Settings that are judged among each other.

    Attributes:
        members: their positions in the group.
        rungs: the numbers of steps after which they are judged, increasing, below the budget.
    """

    members: tuple[int, ...]
    rungs: tuple[int, ...]


class Rung(NamedTuple):
    """What is known when a cohort is judged.

    Attributes:
        index: the rung's place in the cohort's rungs.
        active: positions within the cohort that are still running, shape (a,).
        history: the scores at every evaluation so far, of all the cohort's settings, shape (members, k); NaN
            where a setting had ended.
    """

    index: int
    active: np.ndarray
    history: np.ndarray

    @property
    def scores(self) -> np.ndarray:
        """The newest scores of the active ones, shape (a,)."""
        return self.history[self.active, -1]


class Decision(NamedTuple):
    """Who goes on.

    Attributes:
        kept: positions within the cohort, increasing, shape (b,).
        sources: whose parameters and state each of them goes on with; shape (b,). A setting that goes on with
            another's also takes its hyperparameters, perturbed.
    """

    kept: np.ndarray
    sources: np.ndarray


@runtime_checkable
class Pruner(Protocol):
    """A rule by which settings end early or change."""

    def cohorts(self, settings: int, steps: int) -> list[Cohort]:
        """Divide the settings of a group into those that are judged among each other."""
        ...

    def decide(self, rung: Rung) -> Decision:
        """Judge."""
        ...


@dataclass(frozen=True)
class Halving:
    """Successive halving: after min_steps one in `factor` goes on, for `factor` times as long, and so on.

        rungs at min_steps · factorᵏ < steps;  ⌈active / factor⌉ settings go on

    Args:
        min_steps: the shortest run; None for steps / factor³, at least 1.
        factor: at each rung one setting in so many goes on; at least 2.

    Raises:
        ValueError: a number is out of range.

    >>> Halving(min_steps=100, factor=3).cohorts(27, 1000)[0].rungs
    (100, 300, 900)

    References:
        Jamieson & Talwalkar, Non-stochastic Best Arm Identification and Hyperparameter Optimization, 2016,
        arXiv:1502.07943.
    """

    min_steps: int | None = None
    factor: int = 3

    def __post_init__(self) -> None:
        _whole(self, "min_steps")
        _whole(self, "factor", lowest=2)

    def cohorts(self, settings: int, steps: int) -> list[Cohort]:
        """All settings together."""
        return [Cohort(tuple(range(settings)), _rungs(self.min_steps, self.factor, steps))]

    def decide(self, rung: Rung) -> Decision:
        """Keep the best ⌈active / factor⌉."""
        return _keep_best(rung, math.ceil(len(rung.active) / self.factor))


@dataclass(frozen=True)
class Hyperband:
    """Hyperband: several brackets of successive halving, from many short runs to a few whole ones.

    Halving may end a setting that only starts slowly. Here a share of the settings begins at each of the
    rungs instead of at the first; the shares are those of the paper, and who falls into which is drawn by a
    fixed key.

        bracket b begins at min_steps · factorᵇ with a share ∝ factor^(B − b) / (B − b + 1),  b = 0 … B

    Args:
        min_steps: the shortest run; None for steps / factor³, at least 1.
        factor: at each rung one setting in so many goes on; at least 2.

    Raises:
        ValueError: a number is out of range.

    >>> [len(cohort.members) for cohort in Hyperband(min_steps=100).cohorts(54, 900)]
    [29, 15, 10]

    References:
        Li et al., Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization, 2018,
        arXiv:1603.06560.
    """

    min_steps: int | None = None
    factor: int = 3

    def __post_init__(self) -> None:
        _whole(self, "min_steps")
        _whole(self, "factor", lowest=2)

    def cohorts(self, settings: int, steps: int) -> list[Cohort]:
        """The brackets."""
        rungs = _rungs(self.min_steps, self.factor, steps)
        last = len(rungs)
        shares = np.array([self.factor ** (last - b) / (last - b + 1) for b in range(last + 1)])
        ends = np.round(settings * np.cumsum(shares) / shares.sum()).astype(int)
        # Settings often come in order of a learning rate; each bracket needs all of its range.
        drawn = np.random.default_rng(0).permutation(settings)
        pieces = np.split(drawn, ends[:-1])
        return [
            Cohort(tuple(sorted(map(int, piece))), rungs[b:]) for b, piece in enumerate(pieces) if len(piece)
        ]

    def decide(self, rung: Rung) -> Decision:
        """Keep the best ⌈active / factor⌉ of the bracket."""
        return _keep_best(rung, math.ceil(len(rung.active) / self.factor))


@dataclass(frozen=True)
class MedianStopping:
    """Median stopping: a setting ends when its best value so far is worse than the others' median average.

        setting i ends at step t if  min over s ≤ t of valueᵢ(s)  >  medianⱼ (mean over s ≤ t of valueⱼ(s))

    Settings that ended take part in the median with the averages that they had.

    Args:
        min_steps: when it is looked at first; None for a tenth of the steps, at least 1.
        interval: number of steps between two looks; None for min_steps.

    Raises:
        ValueError: a number is out of range.

    >>> MedianStopping(min_steps=100).cohorts(8, 400)[0].rungs
    (100, 200, 300)

    References:
        Golovin et al., Google Vizier: A Service for Black-Box Optimization, 2017, section 3.2.
    """

    min_steps: int | None = None
    interval: int | None = None

    def __post_init__(self) -> None:
        _whole(self, "min_steps")
        _whole(self, "interval")

    def cohorts(self, settings: int, steps: int) -> list[Cohort]:
        """All settings together."""
        first = max(1, steps // 10) if self.min_steps is None else self.min_steps
        looks = range(first, steps, self.interval or first)
        return [Cohort(tuple(range(settings)), tuple(looks))]

    def decide(self, rung: Rung) -> Decision:
        """Keep those whose best is no worse than the median average."""
        counts = (~np.isnan(rung.history)).sum(axis=1)
        averages = np.nansum(rung.history, axis=1) / np.maximum(counts, 1)
        best = np.min(rung.history[rung.active], axis=1)
        kept = rung.active[best <= np.median(averages)]
        # A diverged setting has nothing to go on for, and somebody has to reach the end.
        return Decision(kept, kept) if len(kept) else _keep_best(rung, 1)


@dataclass(frozen=True)
class PopulationBased:
    """Population-based training: now and then the worst settings go on from where the best are.

    Every `interval` steps the worst share of the settings takes parameters, state and hyperparameters of the
    best ones, and every number that differs among the settings is multiplied by one of the two factors at
    random. A fraction such as b1 is perturbed by its distance from 1. All settings reach the end.

    Args:
        interval: number of steps between two exchanges.
        share: of the settings that are replaced, in (0, 0.5].
        factors: by what a hyperparameter is multiplied.
        seed: of the random choices.

    Raises:
        ValueError: a number is out of range.

    >>> PopulationBased(interval=100).cohorts(8, 300)[0].rungs
    (100, 200)

    References:
        Jaderberg et al., Population Based Training of Neural Networks, 2017, arXiv:1711.09846.
    """

    interval: int
    share: float = 0.2
    factors: tuple[float, float] = (0.8, 1.25)
    seed: int = 0

    def __post_init__(self) -> None:
        _whole(self, "interval")
        _whole(self, "seed", lowest=0)
        object.__setattr__(self, "share", _number(self, "share", self.share, HALF))
        if not isinstance(self.factors, tuple | list) or len(self.factors) != 2:
            raise ValueError(f"PopulationBased: factors = {self.factors!r} must be a pair of numbers.")
        factors = tuple(_number(self, "factors", factor, POSITIVE) for factor in self.factors)
        object.__setattr__(self, "factors", factors)

    def cohorts(self, settings: int, steps: int) -> list[Cohort]:
        """All settings together."""
        return [Cohort(tuple(range(settings)), tuple(range(self.interval, steps, self.interval)))]

    def decide(self, rung: Rung) -> Decision:
        """Pair the worst with the best."""
        order = np.argsort(rung.scores, kind="stable")
        count = int(self.share * len(order))
        sources = rung.active.copy()
        if count:
            random = np.random.default_rng([self.seed, rung.index])
            sources[order[-count:]] = rung.active[random.permutation(order[:count])]
        return Decision(rung.active, sources)

    def factor(self, random: np.random.Generator) -> float:
        """By what one hyperparameter is multiplied."""
        return float(random.choice(self.factors))


def _rungs(min_steps: int | None, factor: int, steps: int) -> tuple[int, ...]:
    rung = max(1, round(steps / factor**3)) if min_steps is None else min_steps
    rungs = []
    while rung < steps:
        rungs.append(rung)
        rung *= factor
    return tuple(rungs)


def _keep_best(rung: Rung, count: int) -> Decision:
    best = np.argsort(rung.scores, kind="stable")[:count]
    kept = np.sort(rung.active[best])
    return Decision(kept, kept)


def _whole(pruner: Any, *names: str, lowest: int = 1) -> None:
    # Kept as Python ints, by whose text a stored sweep knows the pruner again.
    for name in names:
        value = getattr(pruner, name)
        # Where None is the default, it stands for what follows of the number of steps.
        if value is not None or type(pruner).__dataclass_fields__[name].default is not None:
            object.__setattr__(pruner, name, checked_whole(type(pruner).__name__, name, value, lowest))


def _number(pruner: Any, name: str, value: Any, limit: Limit) -> float:
    return float(checked_number(type(pruner).__name__, name, value, limit))  # as text, like whole ones
