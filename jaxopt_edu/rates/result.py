"""What a rate test found: losses over rates, a suggestion, how sure it is, in words and as a picture."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from jaxopt_edu import plots
from jaxopt_edu.core.editing import replace
from jaxopt_edu.core.reading import describe, kind
from jaxopt_edu.core.transform import Optimizer
from jaxopt_edu.plots.drawing.labels import wrap
from jaxopt_edu.rates.reading import flat, lowest_rates, proven, smooth_losses, steepest_rates, summary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WAYS = {"side by side": "a run for each value", "ramp": "growing in one run"}
LETTERS_OF_TITLE = 60
WIDE = 30.0


# Compared by identity, as arrays have no single answer to ==.
@dataclass(frozen=True, eq=False)
class RateTest:
    """What a rate test found, with n rates and s seeds.

    Attributes:
        way: "side by side", a run for each rate, or "ramp", one run whose rate grows at every step.
        optimizer: the optimizer, as it was given.
        name: the hyperparameter that was varied.
        rates: its values, rising by a constant factor; float64, shape (n,).
        losses: what training came to with each; float64, shape (s, n), NaN where a run had diverged.
        untrained: the losses of parameters that stay where they began, on the same batches; float64, shape
            (s, n).
        steps: how many steps each run made.
        seeds: the s seeds.
        width: over how many powers of ten of the rate losses are averaged.
    """

    way: Literal["side by side", "ramp"]
    optimizer: Optimizer
    name: str
    rates: np.ndarray
    losses: np.ndarray
    untrained: np.ndarray
    steps: int
    seeds: tuple[int, ...]
    width: float

    @property
    def start(self) -> np.ndarray:
        """The loss before the first step, a mean over all batches; float64, shape (s,)."""
        return self.untrained.mean(axis=1)

    @cached_property
    def smoothed(self) -> np.ndarray:
        """The losses, averaged over rates near each other; float64, shape (s, n)."""
        return smooth_losses(self.rates, self.losses, self.start, self.width)

    @cached_property
    def suggestions(self) -> np.ndarray:
        """The rate that each seed alone suggests; float64, shape (s,), NaN where none lowers the loss.

        A loss counts as lowered from four standard deviations of the batches' own differences on.
        Side by side it is where the smoothed loss is lowest; of a ramp, whose later losses stand on all
        rates before, where it falls fastest.
        """
        chosen = lowest_rates if self.way == "side by side" else steepest_rates
        return chosen(self.rates, self.smoothed, proven(self.rates, self.untrained, self.width))

    @property
    def suggestion(self) -> float:
        """The geometric mean of the seeds' suggestions; NaN where half of them or more have none."""
        return self._summary[0]

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the suggestion by Student's t over the seeds, on a logarithmic scale.

        It is never narrower than rates are told apart: by the factor between two of them, or by the width of
        the smoothing. NaN with one seed. It says how far other seeds would move the suggestion, and not
        whether the best rate of a longer run is another one.
        """
        return self._summary[1:]

    @property
    def at_edge(self) -> bool:
        """Whether the loss of most seeds is lowest at the smallest or the largest rate of all."""
        known = np.where(np.isfinite(self.smoothed), self.smoothed, np.inf).argmin(axis=1)
        return bool(np.mean((known == 0) | (known == len(self.rates) - 1)) > 0.5)

    @property
    def suggested(self) -> Optimizer:
        """The optimizer with the suggestion.

        Raises:
            ValueError: there is none.
        """
        if not np.isfinite(self.suggestion):
            raise ValueError(f"suggested: there is no suggestion. {self}")
        return replace(self.optimizer, **{self.name: self.suggestion})

    def plot(self) -> "Figure":
        """Draw the losses over the rates, with the suggestion and its interval.

        Returns:
            A figure by `plots.rate_test`.

        Raises:
            ImportError: matplotlib is not installed.
        """
        told = np.isfinite(self.suggestion)
        return plots.rate_test(
            self.rates,
            self.losses,
            smoothed=self.smoothed,
            first=float(self.start.mean()),
            suggestion=self.suggestion if told else None,
            interval=self.interval if told and np.isfinite(self.interval[0]) else None,
            xlabel=self.name,
            title=wrap(f"{self.name} of {kind(self.optimizer)}, {WAYS[self.way]}", LETTERS_OF_TITLE),
        )

    def __str__(self) -> str:
        """The test in words, a line each for what was tried, what came out, and what to mind."""
        return "\n".join(filter(None, [self._tried_in_full, self._found, *self._warnings]))

    @cached_property
    def _summary(self) -> tuple[float, float, float]:
        step = float(np.log10(self.rates[1] / self.rates[0])) / 2
        return summary(self.suggestions, max(step, self.width if self.way == "ramp" else 0.0))

    @property
    def _tried(self) -> str:
        return f"{self.name} of {describe(self.optimizer)}"

    @property
    def _tried_in_full(self) -> str:
        ends = f"from {self.rates[0]:.3g} to {self.rates[-1]:.3g}"
        seeds = f"{len(self.seeds)} seeds" if len(self.seeds) > 1 else "1 seed"
        if self.way == "ramp":
            return f"{self._tried}: {ends} within {self.steps} steps, {seeds}."
        return f"{self._tried}: {len(self.rates)} values {ends} side by side, {self.steps} steps, {seeds}."

    @property
    def _found(self) -> str:
        if flat(self.smoothed).mean() >= 0.5:
            return f"No suggestion: the loss is {np.nanmean(self.smoothed):.3g} whatever the value."
        if not np.isfinite(self.suggestion):
            return (
                f"No suggestion: with half of the seeds or more no value brings the loss below the "
                f"{self.start.mean():.3g} of the start."
            )
        low, high = self.interval
        sure = f"95 % interval {low:.2g} to {high:.2g}" if np.isfinite(low) else "one seed, no interval"
        lowest = np.nanmin(self.smoothed, axis=1)[np.isfinite(self.suggestions)].mean()
        begun = self.start[np.isfinite(self.suggestions)].mean()
        why = "the loss is lowest" if self.way == "side by side" else "the loss falls fastest"
        return (
            f"Suggestion: {self.suggestion:.2g} ({sure}), where {why}; it came down from {begun:.3g} to "
            f"{lowest:.3g} at best."
        )

    @property
    def _warnings(self) -> list[str]:
        told = []
        if self.at_edge and np.isfinite(self.suggestion):
            told.append("The loss is lowest at an end of the range: try a wider one.")
        low, high = self.interval
        if high > WIDE * low:
            told.append("The seeds disagree: give more steps, larger batches or more seeds.")
        lost = ~np.isfinite(self.losses)
        if lost.any():
            told.append(f"Runs diverged from {self.rates[lost.any(axis=0).argmax()]:.2g} on.")
        if 0 < (missing := int(np.isnan(self.suggestions).sum())) < len(self.seeds):
            told.append(f"{missing} of {len(self.seeds)} seeds suggest nothing: no value lowers their loss.")
        return told
