"""What a hyperparameter is drawn from: how distributions are written, and what else stands for one."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from jaxopt_edu.core.checks import FINITE, POSITIVE, checked_number, short
from jaxopt_edu.core.quantiles import (
    Choice,
    Distribution,
    LogUniform,
    Normal,
    OneMinus,
    QUniform,
    RandInt,
    Uniform,
)


def uniform(low: float, high: float) -> Uniform:
    """Evenly between low and high.

    Args:
        low: lower end; finite.
        high: upper end; finite, above low.

    Returns:
        A distribution, for `sample`.

    Raises:
        ValueError: an end is not finite, or they are in the wrong order.
        TypeError: an end is not a number.

    >>> uniform(0, 0.5), uniform(0, 0.5).quantile(0.5)
    (uniform(0, 0.5), 0.25)
    """
    low, high = (_number("uniform", name, end) for name, end in (("low", low), ("high", high)))
    _check_order("uniform", low, high)
    if not math.isfinite(high - low):
        raise ValueError(f"uniform: high − low = {high!r} − {low!r} is not finite; move the ends together.")
    return Uniform(low, high)


def loguniform(low: float, high: float) -> LogUniform:
    """Evenly between low and high on a logarithmic scale: as suits a learning rate.

    Args:
        low: lower end; finite, above 0.
        high: upper end; finite, above low.

    Returns:
        A distribution, for `sample`.

    Raises:
        ValueError: an end is not above 0 or not finite, or they are in the wrong order.
        TypeError: an end is not a number.

    >>> loguniform(1e-4, 1), round(loguniform(1e-4, 1).quantile(0.5), 6)
    (loguniform(0.0001, 1), 0.01)
    """
    low, high = (_number("loguniform", name, end, POSITIVE) for name, end in (("low", low), ("high", high)))
    _check_order("loguniform", low, high)
    return LogUniform(low, high)


def quniform(low: float, high: float, q: float) -> QUniform:
    """Evenly over low, low + q, low + 2 q, …, as far as high.

    Args:
        low: the first value; finite.
        high: no value is above it; finite, above low.
        q: the distance between values; above 0.

    Returns:
        A distribution, for `sample`.

    Raises:
        ValueError: a number is not finite, q is not above 0, or the ends are in the wrong order.
        TypeError: a number is not one.

    >>> [quniform(0, 0.5, 0.1).quantile(u) for u in (0.1, 0.5, 0.9)]
    [0.0, 0.3, 0.5]
    """
    low, high = (_number("quniform", name, end) for name, end in (("low", low), ("high", high)))
    _check_order("quniform", low, high)
    return QUniform(low, high, _number("quniform", "q", q, POSITIVE))


def randint(low: int, high: int) -> RandInt:
    """The whole numbers low, low + 1, …, high − 1, as in NumPy and JAX.

    Args:
        low: the first.
        high: the one after the last; above low.

    Returns:
        A distribution, for `sample`. It gives Python ints; optimizers make floats of them.

    Raises:
        ValueError: the ends are in the wrong order.
        TypeError: an end is not a whole number.

    >>> [randint(3, 6).quantile(u) for u in (0.1, 0.5, 0.9)]
    [3, 4, 5]
    """
    for name, end in (("low", low), ("high", high)):
        if _number("randint", name, end) != int(end):
            raise TypeError(f"randint: {name} = {end!r} is not a whole number; quniform takes any step.")
    _check_order("randint", low, high)
    return RandInt(int(low), int(high))


def normal(mean: float, deviation: float) -> Normal:
    """The bell curve with a mean and a standard deviation.

    Args:
        mean: where the middle is; finite.
        deviation: the standard deviation; above 0.

    Returns:
        A distribution, for `sample`.

    Raises:
        ValueError: mean is not finite, or deviation is not above 0.
        TypeError: a number is not one.

    >>> normal(2, 0.5).quantile(0.5)
    2.0
    """
    return Normal(_number("normal", "mean", mean), _number("normal", "deviation", deviation, POSITIVE))


def one_minus(distribution: Distribution) -> OneMinus:
    """1 − x, with x from a distribution: as suits a b close to 1, whose distance from 1 is what counts.

    Args:
        distribution: of x; not a choice.

    Returns:
        A distribution, for `sample`.

    Raises:
        TypeError: distribution is none, or a choice, whose options need not be numbers.

    >>> [round(one_minus(loguniform(1e-3, 1e-1)).quantile(u), 6) for u in (0.001, 0.5, 0.999)]
    [0.900459, 0.99, 0.998995]
    """
    if not isinstance(distribution, Distribution) or isinstance(distribution, Choice):
        raise TypeError(
            f"one_minus: distribution = {short(distribution)} is no distribution of numbers; write it as in "
            "one_minus(loguniform(1e-3, 1e-1))."
        )
    return OneMinus(distribution)


def choice(options: Sequence[Any]) -> Choice:
    """One of some values, each as likely; in a `grid`, an axis. A plain list means the same.

    Args:
        options: the values; anything that the factory takes, schedules too.

    Returns:
        A distribution, for `sample`.

    Raises:
        ValueError: there is nothing to choose from.
        TypeError: options is not a list, tuple, range or array of one dimension.

    >>> choice([0, 0.9]), choice([0, 0.9]).quantile(0.7)
    (choice([0, 0.9]), 0.9)
    """
    values = as_options(options)
    if values is None:
        raise TypeError(f"choice: options = {short(options)} is not a list; write choice([a, b, …]).")
    if not values:
        raise ValueError("choice: there is nothing to choose from; give at least one option.")
    return Choice(values)


def as_distribution(owner: str, name: str, given: Any) -> Distribution | None:
    """What a hyperparameter is drawn from.

    Args:
        owner: who asks, for the error.
        name: the hyperparameter, for the error.
        given: anything that an axis can be given as.

    Returns:
        A distribution as it is, a list as a choice from it; None for a single value.

    Raises:
        ValueError: the list is empty.
    """
    if isinstance(given, Distribution):
        return given
    if (options := as_options(given)) is None:
        return None
    if not options:
        raise ValueError(f"{owner}: {name} is an empty list; give at least one value.")
    return Choice(options)


def as_options(value: Any) -> tuple[Any, ...] | None:
    """The values that a plain list stands for.

    Args:
        value: anything that an axis can be given as.

    Returns:
        The values of a list, tuple, range or array of one dimension, with Python numbers for NumPy's; None if
        value is a single one.
    """
    if isinstance(value, list | tuple | range) and not hasattr(value, "_fields"):
        return tuple(item.item() if isinstance(item, np.generic) else item for item in value)
    if isinstance(value, np.ndarray | jax.Array) and value.ndim == 1:
        return tuple(value.tolist())
    return None


def _number(owner: str, name: str, value: Any, limit: Any = FINITE) -> float:
    return float(checked_number(owner, name, value, limit))


def _check_order(owner: str, low: float, high: float) -> None:
    if not low < high:
        raise ValueError(f"{owner}: low = {low!r} is not below high = {high!r}; give the lower end first.")
