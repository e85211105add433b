"""What the losses over learning rates say: smoothed curves, each seed's own rate, and how sure all are."""

import numpy as np
from scipy.special import stdtrit

CONFIDENCE = 0.95
ROUNDING = 1e-6  # of a mean of float32 losses
DEVIATIONS = 4.0  # luckier than that no batches are, of the few hundred that are looked at


def smooth_losses(rates: np.ndarray, losses: np.ndarray, start: np.ndarray, width: float) -> np.ndarray:
    """Average each loss with those of rates near it, weighted by a Gaussian over the logarithm.

    A loss further above the start than the lowest is below it counts as that far above: a rate that explodes
    must not spoil the one before, which is often the best. The average is centred, so that it moves no
    minimum, as the running averages of most rate finders do.

    Args:
        rates: (n,), rising.
        losses: (seeds, n); not finite where a run diverged.
        start: (seeds,), the losses without any step.
        width: the Gaussian's standard deviation in powers of ten.

    Returns:
        (seeds, n); NaN where a run diverged.
    """
    return _averaged(rates, np.minimum(losses, ceiling(losses, start)[:, np.newaxis]), width)


def ceiling(losses: np.ndarray, start: np.ndarray) -> np.ndarray:
    """As far above the start as the lowest loss is below it; (seeds,)."""
    lowest = np.where(np.isfinite(losses), losses, np.inf).min(axis=1)
    return start + np.maximum(start - np.where(np.isfinite(lowest), lowest, start), 0.0)


def proven(rates: np.ndarray, untrained: np.ndarray, width: float) -> np.ndarray:
    """What a smoothed loss has to be below so that no luck with batches explains it.

    Args:
        rates: (n,), rising.
        untrained: (seeds, n), the losses of parameters that stay where they began, on the same batches.
        width: the Gaussian's standard deviation in powers of ten.

    Returns:
        (seeds,): their mean less four standard deviations of them, smoothed as the losses are.
    """
    return untrained.mean(axis=1) - DEVIATIONS * _averaged(rates, untrained, width).std(axis=1)


def lowest_rates(rates: np.ndarray, smoothed: np.ndarray, below: np.ndarray) -> np.ndarray:
    """The rate at which each seed's smoothed loss is lowest: the vertex of the parabola through it.

    Args:
        rates: (n,), rising by a constant factor.
        smoothed: (seeds, n).
        below: (seeds,), what a loss has to be below to count.

    Returns:
        (seeds,); NaN where no loss is, or all are the same.
    """
    logs, found = np.log10(rates), np.full(len(smoothed), np.nan)
    for seed, place in _bottoms(smoothed, below):
        found[seed] = 10 ** (logs[place] + _vertex(smoothed[seed], place) * (logs[1] - logs[0]))
    return found


def steepest_rates(rates: np.ndarray, smoothed: np.ndarray, below: np.ndarray) -> np.ndarray:
    """The rate at which each seed's smoothed loss falls fastest, before it is lowest.

    Args:
        rates: (n,), rising by a constant factor.
        smoothed: (seeds, n).
        below: (seeds,), what a loss has to be below to count.

    Returns:
        (seeds,); NaN where no loss is, or all are the same.
    """
    found = np.full(len(smoothed), np.nan)
    for seed, place in _bottoms(smoothed, below):
        # Before the loss is below for good, its slopes are the batches' more than the rate's.
        above = np.flatnonzero(~(smoothed[seed, :place] < below[seed]))
        begin = int(above[-1]) if len(above) else 0
        steepest = int(np.argmin(np.gradient(smoothed[seed, begin : place + 1]))) if place > begin else 0
        found[seed] = rates[begin + steepest]
    return found


def flat(losses: np.ndarray) -> np.ndarray:
    """Whether the losses of each seed are the same at all rates, up to rounding; (seeds,)."""
    lowest = np.where(np.isfinite(losses), losses, np.inf).min(axis=1)
    highest = np.where(np.isfinite(losses), losses, -np.inf).max(axis=1)
    several = np.isfinite(losses).sum(axis=1) > 1
    return several & (highest - lowest <= ROUNDING * np.abs(lowest))


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


def _averaged(rates: np.ndarray, losses: np.ndarray, width: float) -> np.ndarray:
    finite = np.isfinite(losses)
    apart = np.log10(rates)[:, np.newaxis] - np.log10(rates)
    weights = np.exp(-((apart / width) ** 2) / 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = (np.where(finite, losses, 0.0) @ weights) / (finite.astype(float) @ weights)
    return np.where(finite, means, np.nan)


def _bottoms(smoothed: np.ndarray, below: np.ndarray) -> list[tuple[int, int]]:
    """The seeds with a loss that counts, and the place of their lowest."""
    known = np.where(np.isfinite(smoothed), smoothed, np.inf)
    counts = (known.min(axis=1) < below) & ~flat(smoothed)
    return [(int(seed), int(known[seed].argmin())) for seed in np.flatnonzero(counts)]


def _vertex(values: np.ndarray, place: int) -> float:
    """How far from a lowest value the parabola through it and its neighbours is lowest, in places."""
    if not 0 < place < len(values) - 1:
        return 0.0
    before, at, after = values[place - 1 : place + 2]
    bend = before - 2 * at + after
    return float((before - after) / (2 * bend)) if np.isfinite(bend) and bend > 0 else 0.0
