"""Which scale an axis needs, where it is marked, and which color a value has on it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxopt_edu.plots.drawing.seeds import Mode, costs, sign

if TYPE_CHECKING:
    from matplotlib.colors import Colormap, Normalize

DECADES = 30.0  # a range from 1 to this, and any wider one, is shown logarithmically by itself
# ColorBrewer's YlGnBu from its dark end on, without its last yellows, which cannot be seen on white.
SHADES = ("#081D58", "#243B90", "#225EA8", "#1D91C0", "#41B6C4", "#7FCDBB", "#B9E1BC")


class Shading(NamedTuple):
    """How values become colors: the best is the darkest."""

    low: float
    high: float
    log: bool
    mode: Mode
    beyond: bool  # whether some values are worse than the palest

    @property
    def worst(self) -> float:
        """The value with the palest color."""
        return self.high if self.mode == "min" else self.low

    def lost(self, values: np.ndarray) -> np.ndarray:
        """Return which values are not finite or worse than the palest; the two count as the same."""
        return ~(costs(values, self.mode) <= sign(self.mode) * self.worst)

    @property
    def lost_words(self) -> str:
        """What the lost ones are, for keys and notes."""
        side = "over" if self.mode == "min" else "under"
        return f"diverged or ended {side} {number(self.worst)}" if self.beyond else "diverged"

    @property
    def norm(self) -> Normalize:
        """Values from `low` to `high` as numbers from 0 to 1."""
        from matplotlib.colors import LogNorm, Normalize

        return (LogNorm if self.log else Normalize)(self.low, self.high, clip=True)

    @property
    def colors(self) -> Colormap:
        """Numbers from 0 to 1 as colors."""
        from matplotlib.colors import LinearSegmentedColormap

        shades = SHADES if self.mode == "min" else SHADES[::-1]
        return LinearSegmentedColormap.from_list("shades", list(shades))


def spans_decades(values: np.ndarray) -> bool:
    """Return whether the finite values are all positive and reach over a factor of `DECADES`."""
    finite = values[np.isfinite(values)]
    return bool(finite.size and finite.min() > 0 and finite.max() >= DECADES * finite.min())


def chosen_logarithmically(settings: np.ndarray) -> bool:
    """Return whether settings lie more evenly on a logarithmic axis than on a linear one.

    Evenness is the largest distance between their distribution and the uniform one over their range
    (Kolmogorov's); over less than a factor of five the two axes look alike, and linear is easier to read.
    """
    places = np.unique(settings[np.isfinite(settings)])
    if places.size < 2 or places[0] <= 0 or places[-1] < 5 * places[0]:
        return False
    shares = np.linspace(0.0, 1.0, places.size)
    unevenness = [
        np.abs((scaled - scaled[0]) / (scaled[-1] - scaled[0]) - shares).max()
        for scaled in (places, np.log10(places))
    ]
    # Two settings lie evenly on any axis.
    return bool(unevenness[1] < unevenness[0] or (places.size == 2 and spans_decades(places)))


def check_positive(what: str, values: np.ndarray) -> None:
    """Refuse values that a logarithmic scale cannot show."""
    bad = values[np.isfinite(values) & (values <= 0)]
    if bad.size:
        raise ValueError(
            f"{what} has the value {bad.min():g}, which a logarithmic scale cannot show: ask for a linear one"
        )


def shading(what: str, values: np.ndarray, *, mode: Mode, log: bool | None, worst: float | None) -> Shading:
    """Spread the colors from the best value to the worst that is no outlier.

    Unless `worst` is given, values further from the third quartile (of costs, on the scale shown) than one
    and a half times the distance between the quartiles are beyond it: a run that almost diverged would leave
    all others the same color.

    Args:
        what: the name of the values, for messages.
        values: any shape; not finite where a run diverged.
        mode: which values are the best.
        log: whether the scale is logarithmic; None for where values span decades.
        worst: the value at the pale end.

    Raises:
        ValueError: nothing is finite, a logarithmic scale has a value that is not positive, or `worst` is
            no worse than the best.
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        raise ValueError(f"{what} is finite nowhere, so there is nothing to draw: every run has diverged")
    log = spans_decades(finite) if log is None else log
    if log:
        check_positive(what, finite)
    ranked = finite[np.argsort(costs(finite, mode), kind="stable")]
    best = float(ranked[0])
    if worst is None:
        scaled = sign(mode) * (np.log10(ranked) if log else ranked)
        first, third = np.quantile(scaled, [0.25, 0.75])
        worst = float(ranked[scaled <= third + 1.5 * (third - first)][-1])
    else:
        if log:
            check_positive("top", np.array([worst]))
        if not sign(mode) * worst > sign(mode) * best:
            raise ValueError(f"top is {worst:g}, but the best {what} is {best:g}")
    low, high = min(best, worst), max(best, worst)
    if low == high:
        reach = abs(low) / 10 or 1.0
        low, high = low - reach, high + reach
    return Shading(low, high, log, mode, bool(sign(mode) * ranked[-1] > sign(mode) * worst))


def ticks(low: float, high: float, *, log: bool, most: int = 9) -> np.ndarray:
    """Return at most about `most` round numbers from low to high: 1, 2 and 5 times powers of ten if log."""
    from matplotlib.ticker import MaxNLocator

    if log:
        decades = np.arange(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        stride = max(1, math.ceil((len(decades) - 2) / most))
        for parts in ((1, 2, 5), (1, 3), (1,)):
            found = np.array([part * 10.0**k for k in decades[::stride] for part in parts])
            found = found[(low <= found) & (found <= high)]
            if 3 <= len(found) <= most or (parts == (1,) and len(found) >= 2):
                return found
    found = np.asarray(MaxNLocator(most - 1, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high))
    slack = 1e-9 * (high - low)
    return found[(low - slack <= found) & (found <= high + slack)]


def number(value: float, digits: int = 3) -> str:
    """Return a number as it is written on pictures: short, with a true minus sign and powers of ten.

    >>> number(-0.05), number(1e-05), number(1234.5), number(20000)
    ('−0.05', '1e−5', '1230', '2e4')
    """
    rounded = float(f"{value:.{digits - 1}e}")
    if rounded and not 1e-3 <= abs(rounded) < 1e4:
        mantissa, power = f"{rounded:.{digits - 1}e}".split("e")
        return f"{float(mantissa):g}e{int(power)}".replace("-", "−")
    return f"{rounded:.10g}".replace("-", "−")
