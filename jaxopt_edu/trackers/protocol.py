"""What a tracker is, and what it is told of an optimizer."""

from collections.abc import Mapping
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import optax

from jaxopt_edu.core.naming import is_number, settings
from jaxopt_edu.core.reading import kind, show

Outcome = Literal["finished", "interrupted", "failed"]


@runtime_checkable
class Tracker(Protocol):
    """One run's numbers on their way to a file or a service: started once, told now and then, closed once.

    >>> class Printed:
    ...     def start(self, hyperparameters, step=None):
    ...         print(hyperparameters)
    ...
    ...     def log(self, step, numbers):
    ...         print(step, numbers)
    ...
    ...     def close(self, outcome="finished", reason=""):
    ...         print(outcome, reason)
    >>> isinstance(Printed(), Tracker)
    True
    """

    def start(self, hyperparameters: Mapping[str, bool | int | float | str], step: int | None = None) -> None:
        """Begin a run, or go on with it.

        Args:
            hyperparameters: what is run, by name.
            step: None for a new run. A number for one that goes on from there: what was recorded of later
                steps is told again, and must not stand there twice.
        """
        ...

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Record numbers.

        Args:
            step: how many steps have been made; larger than the last time.
            numbers: by name; they may be NaN or infinite, and the names need not be those of the last time.
        """
        ...

    def close(self, outcome: Outcome = "finished", reason: str = "") -> None:
        """End the run; all of it has been handed on when this returns.

        Args:
            outcome: "finished", "interrupted" by a signal or a pruner, or "failed".
            reason: why, in words.
        """
        ...


def described(optimizer: optax.GradientTransformation) -> dict[str, float | str]:
    """An optimizer as the hyperparameters of a tracker: its kind, and each of its numbers.

    Args:
        optimizer: any optax transform.

    Returns:
        Name to number, those inside schedules by their place, such as "learning_rate.peak"; an array as text.

    >>> import jaxopt_edu as jo
    >>> described(jo.momentum(learning_rate=jo.schedules.warmup(peak=0.1, steps=50)))
    {'optimizer': 'momentum(learning_rate=warmup)', 'learning_rate.peak': 0.1, 'learning_rate.steps': 50.0, \
'learning_rate.initial': 0.0, 'momentum': 0.9}
    """
    numbers = {name: _plain(value) for name, value in settings(optimizer).items()}
    return {"optimizer": kind(optimizer)} | numbers


def _plain(value: Any) -> float | str:
    return float(np.asarray(value)) if is_number(value) and np.ndim(value) == 0 else show(value)
