"""What the losses over learning rates say: smoothed curves, each seed's own rate, and how sure all are."""

import numpy as np
from scipy.special import stdtrit

CONFIDENCE = 0.95


def smooth_losses(rates: np.ndarray, losses: np.ndarray, first: np.ndarray, width: float) -> np.ndarray:
    """Average each loss with those of rates near it, weighted by a Gaussian over the logarithm.

    A loss further above the first one than the lowest is below it counts as that far above: a rate that
    explodes must not spoil the one before, which is often the best. The average is centred, so that it moves
    no minimum, as the running averages of most rate finders do.

    Args:
        rates: (n,), rising.
        losses: (seeds, n); not finite where a run diverged.
        first: (seeds,), the losses before the first step.
        width: the Gaussian's standard deviation in powers of ten.

    Returns:
        (seeds, n); NaN where a run diverged.
    """
    finite = np.isfinite(losses)
    bounded = np.where(finite, np.minimum(losses, ceiling(losses, first)[:, np.newaxis]), 0.0)
    apart = np.log10(rates)[:, np.newaxis] - np.log10(rates)
    weights = np.exp(-((apart / width) ** 2) / 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = (bounded @ weights) / (finite.astype(float) @ weights)
    return np.where(finite, means, np.nan)


def ceiling(losses: np.ndarray, first: np.ndarray) -> np.ndarray:
    """As far above the first loss as the lowest is below it; (seeds,)."""
    lowest = np.where(np.isfinite(losses), losses, np.inf).min(axis=1)
    return first + np.maximum(first - np.where(np.isfinite(lowest), lowest, first), 0.0)


def lowest_rates(rates: np.ndarray, smoothed: np.ndarray, first: np.ndarray) -> np.ndarray:
    """The rate at which each seed's smoothed loss is lowest: the vertex of the parabola through it.

    Args:
        rates: (n,), rising by a constant factor.
        smoothed: (seeds, n).
        first: (seeds,), the losses before the first step.

    Returns:
        (seeds,); NaN where no loss is below the first one.
    """
    logs, found = np.log10(rates), np.full(len(smoothed), np.nan)
    for seed, place in _bottoms(smoothed, first):
        found[seed] = 10 ** (logs[place] + _vertex(smoothed[seed], place) * (logs[1] - logs[0]))
    return found


def steepest_rates(rates: np.ndarray, smoothed: np.ndarray, first: np.ndarray) -> np.ndarray:
    """The rate at which each seed's smoothed loss falls fastest, before it is lowest.

    Args:
        rates: (n,), rising by a constant factor.
        smoothed: (seeds, n).
        first: (seeds,), the losses before the first step.

    Returns:
        (seeds,); NaN where no loss is below the first one.
    """
    found = np.full(len(smoothed), np.nan)
    for seed, place in _bottoms(smoothed, first):
        found[seed] = rates[int(np.argmin(np.gradient(smoothed[seed, : place + 1])))] if place else rates[0]
    return found


def summary(suggestions: np.ndarray, least: float) -> tuple[float, float, float]:
    """The geometric mean of the seeds' rates, and the interval that Student's t gives for it at 95 %.

    Args:
        suggestions: (seeds,); NaN for a seed that has none.
        least: half the width that the interval has at least, in powers of ten: how finely rates were told
            apart.

    Returns:
        The mean, and the interval's ends. All are NaN where half of the seeds or more have no rate; the ends
        are where one seed has.
    """
    logs = np.log10(suggestions[np.isfinite(suggestions)])
    if 2 * len(logs) <= len(suggestions):
        return float("nan"), float("nan"), float("nan")
    mean = float(logs.mean())
    if len(logs) == 1:
        return 10**mean, float("nan"), float("nan")
    error = float(logs.std(ddof=1)) / np.sqrt(len(logs))
    half = max(float(stdtrit(len(logs) - 1, (1 + CONFIDENCE) / 2)) * error, least)
    return 10**mean, 10 ** (mean - half), 10 ** (mean + half)


def _bottoms(smoothed: np.ndarray, first: np.ndarray) -> list[tuple[int, int]]:
    """The seeds that some rate brought below where they began, and the place of their lowest loss."""
    known = np.where(np.isfinite(smoothed), smoothed, np.inf)
    places = known.argmin(axis=1)
    return [(seed, int(place)) for seed, place in enumerate(places) if known[seed, place] < first[seed]]


def _vertex(values: np.ndarray, place: int) -> float:
    """How far from a lowest value the parabola through it and its neighbours is lowest, in places."""
    if not 0 < place < len(values) - 1:
        return 0.0
    before, at, after = values[place - 1 : place + 2]
    bend = before - 2 * at + after
    return float((before - after) / (2 * bend)) if np.isfinite(bend) and bend > 0 else 0.0
