"""Schedules that end before a run does, or after it."""

import warnings
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import optax

from jaxopt_edu.core.counting import updates_of_each
from jaxopt_edu.core.naming import hyperparameters, parts
from jaxopt_edu.core.reading import show
from jaxopt_edu.schedules.numbers import end_of


class Mismatch(NamedTuple):
    """A schedule whose end is not the run's."""

    name: str  # of the hyperparameter
    schedule: Any
    end: float
    updates: int  # that it is in force for

    def __str__(self) -> str:
        """Which schedule it is, and both numbers."""
        return (
            f"{self.name} = {show(self.schedule)} ends after {show(self.end)} updates, and this run makes "
            f"{self.updates}"
        )


def mismatches(optimizer: optax.GradientTransformation, steps: int, state: Any = None) -> Iterator[Mismatch]:
    """The schedules of an optimizer that do not end where a run does; a step more or less is no matter.

    Args:
        optimizer: a pytree.
        steps: of the whole run.
        state: of the optimizer before them; None for its first one.

    Yields:
        Each of them that says where it ends.

    >>> import jaxopt_edu as jo
    >>> for each in mismatches(jo.sgd(jo.schedules.cosine(peak=0.1, steps=100)), 50):
    ...     print(each)
    learning_rate = cosine(peak=0.1, steps=100, final=0) ends after 100 updates, and this run makes 50
    """
    updates = updates_of_each(optimizer, steps, state)
    for whole, value in hyperparameters(optimizer).items():
        for name, schedule in _schedules(whole, value):
            end, made = end_of(schedule), updates[whole]
            if end is not None and made is not None and abs(end - made) > 1:
                yield Mismatch(name, schedule, end, made)


def has_schedules(optimizer: optax.GradientTransformation) -> bool:
    """Whether a hyperparameter changes with the step, or holds what does."""
    return any(map(callable, hyperparameters(optimizer).values()))


def warn_of_mismatches(
    owner: str, optimizers: Sequence[optax.GradientTransformation], steps: int, state: Any = None
) -> None:
    """Warn in one line, whatever number there is of them.

    Args:
        owner: the function that the user called, from which this is called directly.
        optimizers: pytrees; one, or the settings of a sweep.
        steps: of the whole run.
        state: of the only optimizer before them; None for its first one.

    Warns:
        UserWarning: a schedule ends before the run or after it.
    """
    if steps == 0:
        return
    with jax.transfer_guard("allow"):  # looking at a number is nobody's mistake
        found = [each for each in (list(mismatches(opt, steps, state)) for opt in optimizers) if each]
    if not found:
        return
    first, others = found[0][0], len(found[0]) - 1
    more = f"; {others} more of its schedules do not end with the run" if others else ""
    which = f"; so it is in {len(found)} of the settings" if len(optimizers) > 1 else ""
    warnings.warn(
        f"{owner}: {first}{more}{which}: give the schedule the run's length, or the run the schedule's.",
        UserWarning,
        stacklevel=3,
    )


def _schedules(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """A schedule, or those of a number for each leaf."""
    if not callable(value):
        return
    yield name, value
    if end_of(value) is None:
        for part, inner in parts(value).items():
            yield from _schedules(f"{name}.{part}", inner)
