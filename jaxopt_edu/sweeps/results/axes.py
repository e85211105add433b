"""Which hyperparameters of a sweep vary, which of them matter, and on what scale they are shown."""

import numpy as np

from jaxopt_edu.plots.drawing.scales import chosen_logarithmically
from jaxopt_edu.sweeps.results.runs import Runs
from jaxopt_edu.sweeps.results.tables import hyperparameters_of

# The parts of a schedule that say how high it is; the others are lengths and ends.
HEIGHTS = ("learning_rate", "peak", "initial", "value")
# Fewer values of a hyperparameter are no range.
RANGE = 3
# Into how many classes of equal size the values of a hyperparameter are put to see whether it matters.
CLASSES = 6


def varying(result: Runs) -> list[str]:
    """The hyperparameters that vary within some kind of optimizer.

    Args:
        result: a sweep.

    Returns:
        Their names, in the order of the table.
    """
    return [
        name
        for name, column in hyperparameters_of(result).items()
        if any(len(_tried(column[places])) > 1 for places in result.groups.values())
    ]


def learning_rates(result: Runs) -> dict[str, str]:
    """The learning rates that were swept.

    Args:
        result: a sweep.

    Returns:
        From each kind of optimizer for which at least three were tried, all above 0, to the name of the
        hyperparameter. Of several (two transforms in a chain) it is the one with most values.
    """
    found = {}
    columns = hyperparameters_of(result)
    for name, places in result.groups.items():
        tried = {
            hyperparameter: len(_tried(column[places]))
            for hyperparameter, column in columns.items()
            if "learning_rate" in (parts := hyperparameter.split("."))
            and parts[-1] in HEIGHTS
            and (column[places] > 0).all()
        }
        most = max(tried, key=lambda hyperparameter: tried[hyperparameter], default="")
        if most and tried[most] >= RANGE:
            found[name] = most
    return found


def two_that_matter(result: Runs, name: str) -> tuple[str, str] | None:
    """The two hyperparameters of an optimizer that its success depends on most.

    Args:
        result: a sweep.
        name: a kind of optimizer in it.

    Returns:
        Two of those with at least three values, the learning rate first if it is one of them; None if there
        are fewer than two.
    """
    places = result.groups[name]
    columns = {
        hyperparameter: column[places]
        for hyperparameter, column in hyperparameters_of(result).items()
        if len(_tried(column[places])) >= RANGE
    }
    if len(columns) < 2:
        return None
    ranks = ranks_of(result)[places]
    order = sorted(columns, key=lambda hyperparameter: -importance(columns[hyperparameter], ranks))
    first, second = (hyperparameter for hyperparameter in columns if hyperparameter in order[:2])
    return (second, first) if learning_rates(result).get(name) == second else (first, second)


def ranks_of(result: Runs) -> np.ndarray:
    """The place of each setting in the ranking, 0 for the best; int, shape (n,)."""
    ranks = np.empty(len(result.optimizers), np.int64)
    ranks[result.ranking()] = np.arange(len(result.optimizers))
    return ranks


def importance(column: np.ndarray, ranks: np.ndarray) -> float:
    """How much of the settings' order a hyperparameter explains by itself.

        ε² = 1 − (n − 1) / (n − k) · within / total

    with the sums of squares of the n ranks within k classes of values, and in total: the effect size of the
    test of Kruskal and Wallis. Ranks, because losses reach over decades and diverged ones are infinite.

    Args:
        column: the values, shape (n,); classes are the values themselves, or of many values equal parts.
        ranks: shape (n,).

    Returns:
        At most 1; about 0 for a hyperparameter that does not matter.

    >>> ranks = np.arange(30)
    >>> importance(ranks / 30, ranks) > 0.9, importance(ranks % 3, ranks) < 0.1
    (True, True)
    """
    values, classes = np.unique(column, return_inverse=True)
    if len(values) > CLASSES:
        order = np.argsort(np.argsort(column, kind="stable"), kind="stable")
        classes = order * CLASSES // len(column)
    sizes = np.bincount(classes)
    means = np.bincount(classes, ranks) / np.maximum(sizes, 1)
    freedom = len(ranks) - np.count_nonzero(sizes)
    within, total = np.square(ranks - means[classes]).sum(), np.square(ranks - ranks.mean()).sum()
    return float(1 - (len(ranks) - 1) / freedom * within / total) if freedom and total else 0.0


def shown(name: str, column: np.ndarray) -> tuple[str, np.ndarray]:
    """A hyperparameter as it is drawn: one that comes close to 1, as b2 does, by its distance from 1.

    Args:
        name: the hyperparameter.
        column: its values; NaN where an optimizer has none.

    Returns:
        Name and values on the axis.

    >>> shown("b2", np.array([0.9, 0.99, 0.999]))[0]
    '1 − b2'
    """
    rest = 1 - column
    if chosen_logarithmically(rest) and not chosen_logarithmically(column):
        return f"1 − {name}", rest
    return name, column


def _tried(column: np.ndarray) -> np.ndarray:
    return np.unique(column[~np.isnan(column)])
