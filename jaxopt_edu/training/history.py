"""What a run leaves behind besides its parameters."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_edu.core.checks import short
from jaxopt_edu.wrappers import Readings


class History(NamedTuple):
    """The course of a run.

    Attributes:
        losses: the loss of each step, before its update; float array of shape (steps made,).
        metrics: what else the loss function gave, by name; arrays with a leading axis of length steps made.
        evaluated_at: the numbers of steps after which `evaluate` was called; int array of shape (k,).
        evaluations: what it gave, by name ("value" if it gave one number); arrays with a leading axis k.
        stopped: why the run ended: "completed", "end of data", or what made it end early.
        readings: what monitors have measured (see `readings`), every `every` steps and at the end; None
            without a `monitor`.
    """

    losses: np.ndarray
    metrics: dict[str, np.ndarray]
    evaluated_at: np.ndarray
    evaluations: dict[str, np.ndarray]
    stopped: str
    readings: Readings | None = None


class Rows:
    """An array that grows at its end, at a cost that does not depend on how long it is already."""

    def __init__(self, rows: np.ndarray) -> None:
        self._held, self._count = rows, len(rows)

    def __len__(self) -> int:
        return self._count

    def append(self, rows: np.ndarray) -> None:
        """Add rows; the dtype becomes one that holds both."""
        if not len(rows):
            return  # what is held may be a view of a file, which takes no writing
        dtype = np.result_type(self._held, rows)
        count = self._count + len(rows)
        if count > len(self._held) or dtype != self._held.dtype:
            held = np.empty((max(count, 2 * self._count), *self._held.shape[1:]), dtype)
            held[: self._count] = self.array()
            self._held = held
        self._held[self._count : count] = rows
        self._count = count

    def array(self) -> np.ndarray:
        """All rows, without a copy; later ones do not change it."""
        return self._held[: self._count]


class Recorder:
    """Gathers a history piece by piece."""

    def __init__(self) -> None:
        self.losses = Rows(np.zeros(0, np.float32))
        self.metrics: dict[str, Rows] = {}
        self.evaluated_at = Rows(np.zeros(0, np.int64))
        self.evaluations: dict[str, Rows] = {}
        self.layers: tuple[str, ...] | None = None
        self.read_at = Rows(np.zeros(0, np.int64))
        self.readings: dict[str, Rows] = {}

    @property
    def steps(self) -> int:
        """The number of losses so far."""
        return len(self.losses)

    def add(self, losses: np.ndarray, metrics: Mapping[str, Any]) -> None:
        """Append the losses and metrics of some steps."""
        self.losses = _longer(self.losses, _plain(losses))
        for name, values in metrics.items():
            self.metrics[name] = _longer(self.metrics.get(name), _plain(values))

    def cut(self, steps: int) -> None:
        """Keep the first so many steps' losses and metrics."""
        history = self.history("")
        self.losses = Rows(history.losses[:steps])
        self.metrics = {name: Rows(values[:steps]) for name, values in history.metrics.items()}

    def add_evaluation(self, step: int, values: Mapping[str, Any]) -> None:
        """Append one evaluation.

        Raises:
            TypeError: a value is no number.
            ValueError: the names are others than before.
        """
        if len(self.evaluated_at) and values.keys() != self.evaluations.keys():
            raise ValueError(
                f"fit: evaluate gave {list(values)} after {step} steps, but {list(self.evaluations)} before; "
                "the names have to be the same every time."
            )
        check_values(values)
        for name, value in values.items():
            self.evaluations[name] = _longer(self.evaluations.get(name), _plain(value)[None])
        self.evaluated_at.append(np.array([step]))

    def add_readings(self, found: Readings) -> None:
        """Append what monitors have measured, unless that is here already.

        Raises:
            ValueError: the layers are others than before.
        """
        if self.layers not in (None, found.layers):
            raise ValueError(
                f"fit: the monitor's layers are {short(found.layers)}, but {short(self.layers)} before; they "
                "have to be the same in the whole run."
            )
        self.layers = found.layers
        if len(self.read_at) and found.steps.size and found.steps[-1] <= self.read_at.array()[-1]:
            return
        self.read_at.append(found.steps)
        for name, values in found.values.items():
            self.readings[name] = _longer(self.readings.get(name), values)

    def history(self, stopped: str) -> History:
        """Everything gathered, without a copy."""
        return History(
            losses=self.losses.array(),
            metrics={name: rows.array() for name, rows in self.metrics.items()},
            evaluated_at=self.evaluated_at.array(),
            evaluations={name: rows.array() for name, rows in self.evaluations.items()},
            stopped=stopped,
            readings=None
            if self.layers is None
            else Readings(
                self.read_at.array(),
                self.layers,
                {name: rows.array() for name, rows in self.readings.items()},
            ),
        )

    def restore(self, history: History) -> None:
        """Begin with the history of an earlier part of the run."""
        self.losses = Rows(history.losses)
        self.metrics = {name: Rows(values) for name, values in history.metrics.items()}
        self.evaluated_at = Rows(history.evaluated_at)
        self.evaluations = {name: Rows(values) for name, values in history.evaluations.items()}
        if history.readings is not None:
            self.layers = history.readings.layers
            self.read_at = Rows(history.readings.steps)
            self.readings = {name: Rows(values) for name, values in history.readings.values.items()}


def check_values(values: Mapping[str, Any]) -> None:
    """Refuse what an evaluation gives if that is no number.

    Args:
        values: by name; numbers, arrays, or their shapes.

    Raises:
        TypeError: one is something else, or its name is no text.
    """
    for name, value in values.items():
        dtype = value.dtype if isinstance(value, jax.ShapeDtypeStruct) else np.asarray(value).dtype
        if not isinstance(name, str) or not (jnp.issubdtype(dtype, jnp.number) or dtype.kind == "b"):
            raise TypeError(
                f"fit: evaluate gave {value!r} for {name!r}; it has to return a number or a dict of numbers."
            )


def _longer(rows: Rows | None, more: np.ndarray) -> Rows:
    # The first rows say what dtype there is; an empty array of another must not.
    if rows is None or len(rows) == 0:
        return Rows(more)
    rows.append(more)
    return rows


def _plain(values: Any) -> np.ndarray:
    array = np.asarray(values)
    # bfloat16 and its like are no NumPy dtypes of their own; float32 holds them exactly.
    return array if array.dtype.isbuiltin == 1 else array.astype(np.float32)
