"""Hyperparameters moved at random, for population-based training."""

from collections.abc import Callable, Sequence

from jaxopt_edu.core.checks import FRACTION
from jaxopt_edu.core.editing import replace
from jaxopt_edu.core.naming import limits, settings
from jaxopt_edu.core.transform import Optimizer


def varying(optimizers: Sequence[Optimizer]) -> list[str]:
    """The names of the hyperparameters in which optimizers of one structure differ.

    >>> import jaxopt_edu as jo
    >>> varying([jo.adam(0.1), jo.adam(0.2)])
    ['learning_rate']
    """
    rows = [settings(optimizer) for optimizer in optimizers]
    return [name for name, value in rows[0].items() if any(row[name] != value for row in rows)]


def perturbed(optimizer: Optimizer, names: Sequence[str], factor: Callable[[], float]) -> Optimizer:
    """The same optimizer with some hyperparameters multiplied.

    A fraction such as b1 is moved by multiplying its distance from 1, so that 0.99 and 0.999 are as far apart
    as 0.01 and 0.001.

    Args:
        optimizer: an optimizer of this library, a lifted one, or a chain.
        names: which numbers, as `settings` names them.
        factor: called for each of them; what it is multiplied by.

    Returns:
        The new optimizer.

    >>> import jaxopt_edu as jo
    >>> moved = perturbed(jo.momentum(0.1, 0.9), ["learning_rate", "momentum"], lambda: 0.5)
    >>> settings(moved)
    {'learning_rate': 0.05, 'momentum': 0.95}
    """
    values, known = settings(optimizer), limits(optimizer)
    changes = {}
    for name in names:
        value = float(values[name])
        of_schedule = any(name.startswith(f"{whole}.") for whole in known)
        # optax does not say which of its numbers are fractions; a number just below 1 is one.
        fraction = known[name] == FRACTION if name in known else 0.5 < value < 1 and not of_schedule
        changes[name] = max(0.0, 1 - (1 - value) * factor()) if fraction else value * factor()
    return replace(optimizer, **changes)
