"""The trackers of a run: told at every stop, and never in its way."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np

from jaxopt_edu.core.arguments import kind_of
from jaxopt_edu.core.checks import short
from jaxopt_edu.core.naming import hyperparameters, is_number
from jaxopt_edu.core.transform import Optimizer
from jaxopt_edu.trackers.protocol import Outcome, Tracker, described
from jaxopt_edu.training.best import TRAINING_LOSS
from jaxopt_edu.training.history import History


def checked_trackers(tracker: Any) -> tuple[Tracker, ...]:
    """A tracker or several.

    Raises:
        TypeError: one is none.
    """
    trackers = tuple(tracker) if isinstance(tracker, list | tuple) else () if tracker is None else (tracker,)
    for each in trackers:
        if isinstance(each, type) or not isinstance(each, Tracker):
            raise TypeError(
                f"fit: tracker = {short(each)} is {kind_of(each)}; it must be a tracker, such as "
                "jo.trackers.CSV(path), or a list of them."
            )
    return trackers


@contextmanager
def tracked(trackers: Sequence[Tracker], optimizer: Optimizer) -> Iterator["Tracking"]:
    """Close the trackers of a run however it ends.

    Args:
        trackers: where its numbers go.
        optimizer: the run's.

    Yields:
        What is to be told how the run goes, and of its end if it came there.
    """
    tracking = Tracking(trackers, optimizer)
    try:
        yield tracking
    except BaseException as error:
        signalled = isinstance(error, KeyboardInterrupt | SystemExit)
        tracking.close("interrupted" if signalled else "failed", f"{type(error).__name__}: {error}")
        raise
    else:
        tracking.close(*tracking.end)


class Tracking:
    """What the trackers of one run are told.

    One that fails is warned about and told nothing more: the run's result matters more.

    Args:
        trackers: where numbers go.
        optimizer: the run's.
    """

    def __init__(self, trackers: Sequence[Tracker], optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self.end: tuple[Outcome, str] = ("finished", "")
        self._given, self._told = trackers, []
        scheduled = hyperparameters(optimizer) if trackers else {}
        self._scheduled = [name for name, value in scheduled.items() if callable(value)]

    def start(self, step: int | None) -> None:
        """Begin, or go on after a step; whatever a tracker raises ends the run before its first step."""
        about = described(self.optimizer) if self._given else {}
        for tracker in self._given:
            tracker.start(about, step)
            self._told.append(tracker)

    def log(self, step: int, history: History, losses: np.ndarray, state: Any) -> None:
        """Tell of the moment that was evaluated last.

        Args:
            step: how many steps have been made.
            history: up to here.
            losses: of the steps since the moment before.
            state: the optimizer's.
        """
        if self._told:
            numbers = numbers_of(history, losses) | self._in_force(state)
            self._each(f"at step {step}", lambda tracker: tracker.log(step, numbers))

    def ended(self, history: History, *, diverged: bool) -> None:
        """Take note of how the run came to its end."""
        self.end = ("failed" if diverged else "finished", history.stopped)

    def close(self, outcome: Outcome, reason: str) -> None:
        """End the trackers' runs."""
        self._each("at the end", lambda tracker: tracker.close(outcome, reason))

    def _each(self, where: str, tell: Callable[[Tracker], None]) -> None:
        for tracker in list(self._told):
            try:
                tell(tracker)
            except Exception as error:
                self._told.remove(tracker)
                _warn(
                    f"the tracker {short(tracker)} failed {where} ({type(error).__name__}: {error}) and is "
                    "told nothing more; the run goes on, and its result has the whole history."
                )

    def _in_force(self, state: Any) -> dict[str, float]:
        # A state that is spread over processes is no single process's to look at.
        if not self._scheduled or jax.process_count() > 1:
            return {}
        try:
            with jax.transfer_guard("allow"):
                found = hyperparameters(self.optimizer, state)
                return _scalars({name: found[name] for name in self._scheduled if is_number(found[name])})
        except (TypeError, ValueError) as error:
            self._scheduled = []
            _warn(f"the trackers are not told what follows a schedule: {error}")
            return {}


def numbers_of(history: History, losses: np.ndarray) -> dict[str, float]:
    """The numbers of the moment that was evaluated last, by name.

    Args:
        history: up to that moment.
        losses: of the steps since the moment before.

    Returns:
        "training_loss" and the loss function's scalar metrics, means over these steps, and what evaluate
        gave. A metric of a name that evaluate gives too has "training_" before it. What monitors have
        measured, as far as there are numbers, as "update_ratio/dense.kernel".

    >>> history = History(
    ...     np.array([4.0, 2.0, 1.0]), {"accuracy": np.array([0.0, 0.5, 0.75])}, np.array([3]),
    ...     {"accuracy": np.array([0.25])}, "",
    ... )
    >>> numbers_of(history, history.losses[1:])
    {'training_loss': 1.5, 'training_accuracy': 0.625, 'accuracy': 0.25}
    """
    last = {name: values[-1] for name, values in history.evaluations.items()}
    since = {TRAINING_LOSS: losses}
    for name, values in history.metrics.items():
        since[f"training_{name}" if name in last else name] = values[len(history.losses) - len(losses) :]
    with np.errstate(all="ignore"):  # the mean of infinities of both signs is NaN, and that is all right
        means = {name: _mean(values) for name, values in since.items()}
    return _scalars(means) | _scalars(last) | _measured(history)


def _measured(history: History) -> dict[str, float]:
    if history.readings is None:
        return {}
    return {
        f"{quantity}/{layer}": value
        for quantity, rows in history.readings.values.items()
        for layer, value in zip(history.readings.layers, rows[-1].tolist(), strict=True)
        if not np.isnan(value)
    }


def _mean(values: np.ndarray) -> np.ndarray:
    return values.mean(axis=0, dtype=np.float64 if np.isrealobj(values) else None)


def _scalars(values: Mapping[str, Any]) -> dict[str, float]:
    real = {name: value for name, value in values.items() if not np.iscomplexobj(value)}
    return {name: float(value) for name, value in real.items() if np.ndim(value) == 0}


def _warn(what: str) -> None:
    warnings.warn(f"fit: {what}", RuntimeWarning, stacklevel=3)
