"""What a run leaves behind besides its parameters."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np


class History(NamedTuple):
    """The course of a run.

    Attributes:
        losses: the loss of each step, before its update; float array of shape (steps made,).
        metrics: what else the loss function gave, by name; arrays with a leading axis of length steps made.
        evaluated_at: the numbers of steps after which `evaluate` was called; int array of shape (k,).
        evaluations: what it gave, by name ("value" if it gave one number); arrays with a leading axis k.
        stopped: why the run ended: "completed", "end of data", or what made it end early.
    """

    losses: np.ndarray
    metrics: dict[str, np.ndarray]
    evaluated_at: np.ndarray
    evaluations: dict[str, np.ndarray]
    stopped: str


class Recorder:
    """Gathers a history piece by piece."""

    def __init__(self) -> None:
        self.losses: list[np.ndarray] = []
        self.metrics: dict[str, list[np.ndarray]] = {}
        self.evaluated_at: list[int] = []
        self.evaluations: dict[str, list[np.ndarray]] = {}

    @property
    def steps(self) -> int:
        """The number of losses so far."""
        return sum(map(len, self.losses))

    def add(self, losses: np.ndarray, metrics: Mapping[str, Any]) -> None:
        """Append the losses and metrics of some steps."""
        self.losses.append(_plain(losses))
        for name, values in metrics.items():
            self.metrics.setdefault(name, []).append(_plain(values))

    def cut(self, steps: int) -> None:
        """Keep the first so many steps' losses and metrics."""
        history = self.history("")
        self.losses = [history.losses[:steps]]
        self.metrics = {name: [values[:steps]] for name, values in history.metrics.items()}

    def watched(self, every: int) -> list[Any]:
        """The values by which a run's improvement is judged, one for each evaluation.

        The evaluations' only number, or the one named "loss"; without evaluations the mean training loss of
        every stretch of steps.

        Raises:
            ValueError: there are several numbers, and none is named "loss".
        """
        if not self.evaluations:
            losses = self.history("").losses
            return [losses[begin : begin + every].mean() for begin in range(0, len(losses), every)]
        if len(self.evaluations) == 1:
            return next(iter(self.evaluations.values()))
        if "loss" not in self.evaluations:
            raise ValueError(
                f"patience needs one number to watch: evaluate gives {list(self.evaluations)}, none of them "
                'named "loss".'
            )
        return self.evaluations["loss"]

    def add_evaluation(self, step: int, values: Mapping[str, Any]) -> None:
        """Append one evaluation.

        Raises:
            TypeError: a value is no number.
            ValueError: the names are others than before.
        """
        if self.evaluated_at and values.keys() != self.evaluations.keys():
            raise ValueError(
                f"evaluate gave {list(values)} after {step} steps, but {list(self.evaluations)} before; the "
                "names have to be the same every time."
            )
        for name, value in values.items():
            dtype = np.asarray(value).dtype
            if not (jnp.issubdtype(dtype, np.number) or dtype.kind == "b"):
                raise TypeError(
                    f"evaluate gave {value!r} for {name!r}; it has to return a number or a dict of numbers."
                )
            self.evaluations.setdefault(name, []).append(_plain(value))
        self.evaluated_at.append(step)

    def history(self, stopped: str) -> History:
        """Everything gathered."""
        return History(
            losses=np.concatenate(self.losses) if self.losses else np.zeros(0, np.float32),
            metrics={name: np.concatenate(pieces) for name, pieces in self.metrics.items()},
            evaluated_at=np.array(self.evaluated_at, np.int64),
            evaluations={name: np.stack(values) for name, values in self.evaluations.items()},
            stopped=stopped,
        )

    def restore(self, history: History) -> None:
        """Begin with the history of an earlier part of the run."""
        self.losses = [history.losses]
        self.metrics = {name: [values] for name, values in history.metrics.items()}
        self.evaluated_at = [int(step) for step in history.evaluated_at]
        self.evaluations = {name: list(values) for name, values in history.evaluations.items()}


def _plain(values: Any) -> np.ndarray:
    array = np.asarray(values)
    # bfloat16 and its like are no NumPy dtypes of their own; float32 holds them exactly.
    return array if array.dtype.isbuiltin == 1 else array.astype(np.float32)
