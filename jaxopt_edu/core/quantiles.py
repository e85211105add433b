"""Distributions as small immutable values, each with its quantile function.

The quantile function (the inverse of the distribution function) turns a number that is uniform in (0, 1) into
a draw. Random and quasi-random points go through the same one.
"""

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from jaxopt_edu.core.reading import show


@dataclass(frozen=True, repr=False)
class Uniform:
    """Evenly between low and high; made by `uniform`."""

    low: float
    high: float

    def quantile(self, u: float) -> float:
        """The value below which a share u of the draws lies; u in (0, 1)."""
        return min(self.low + u * (self.high - self.low), self.high)

    def __repr__(self) -> str:
        return f"uniform({_text(self.low)}, {_text(self.high)})"


@dataclass(frozen=True, repr=False)
class LogUniform:
    """Evenly between low and high on a logarithmic scale; made by `loguniform`."""

    low: float
    high: float

    def quantile(self, u: float) -> float:
        """The value below which a share u of the draws lies; u in (0, 1)."""
        exponent = math.log(self.low) + u * (math.log(self.high) - math.log(self.low))
        return min(max(math.exp(min(exponent, math.log(self.high))), self.low), self.high)

    def __repr__(self) -> str:
        return f"loguniform({_text(self.low)}, {_text(self.high)})"


@dataclass(frozen=True, repr=False)
class QUniform:
    """Evenly over low, low + q, low + 2 q, …, up to high; made by `quniform`."""

    low: float
    high: float
    q: float

    @property
    def size(self) -> int:
        """How many values there are."""
        return int((_decimal(self.high) - _decimal(self.low)) / _decimal(self.q)) + 1

    def quantile(self, u: float) -> float:
        """The value below which a share u of the draws lies; u in (0, 1)."""
        # In decimals, where 0.1 + 2 · 0.1 is 0.3.
        return float(_decimal(self.low) + _place(u, self.size) * _decimal(self.q))

    def __repr__(self) -> str:
        return f"quniform({_text(self.low)}, {_text(self.high)}, {_text(self.q)})"


@dataclass(frozen=True, repr=False)
class RandInt:
    """The whole numbers from low to high − 1; made by `randint`."""

    low: int
    high: int

    def quantile(self, u: float) -> int:
        """The value below which a share u of the draws lies; u in (0, 1)."""
        return self.low + _place(u, self.high - self.low)

    def __repr__(self) -> str:
        return f"randint({self.low}, {self.high})"


@dataclass(frozen=True, repr=False)
class Normal:
    """The bell curve; made by `normal`."""

    mean: float
    deviation: float

    def quantile(self, u: float) -> float:
        """The value below which a share u of the draws lies; u in (0, 1)."""
        # Not at the top: a job that draws nothing need not wait for it.
        from statistics import NormalDist

        return NormalDist(self.mean, self.deviation).inv_cdf(u)

    def __repr__(self) -> str:
        return f"normal({_text(self.mean)}, {_text(self.deviation)})"


@dataclass(frozen=True, repr=False)
class Choice:
    """One of some values, each as likely; made by `choice`."""

    options: tuple[Any, ...]

    def quantile(self, u: float) -> Any:
        """The option in whose share of (0, 1) u lies."""
        return self.options[_place(u, len(self.options))]

    def __repr__(self) -> str:
        return f"choice([{', '.join(map(_text, self.options))}])"


@dataclass(frozen=True, repr=False)
class OneMinus:
    """1 − x, with x from another distribution; made by `one_minus`."""

    of: "Distribution"

    def quantile(self, u: float) -> float:
        """The value below which a share u of the draws lies; u in (0, 1)."""
        return 1 - self.of.quantile(1 - u)

    def __repr__(self) -> str:
        return f"one_minus({self.of!r})"


Distribution = Uniform | LogUniform | QUniform | RandInt | Normal | Choice | OneMinus


def _place(u: float, size: int) -> int:
    return min(int(u * size), size - 1)


def _decimal(number: float) -> Decimal:
    return Decimal(repr(number))


def _text(value: Any) -> str:
    # With the digits that `describe` leaves away, so that equal texts are equal distributions.
    shown = show(value)
    return repr(value) if type(value) in (int, float) and float(shown) != value else shown
