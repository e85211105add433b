"""A run as lines of JSON in a file."""

import json
import math
import os
from collections.abc import Mapping
from typing import Any

from jaxopt_edu.core.arguments import checked_path
from jaxopt_edu.files import flush
from jaxopt_edu.trackers import lines
from jaxopt_edu.trackers.protocol import Outcome

OWN = (lines.STEP, "hyperparameters", "outcome", "reason")


class JSONLines:
    """A run in a file with a JSON object a line: the hyperparameters, the numbers at each step, the outcome.

    JSON has no NaN and no infinity. They are written as the texts "NaN", "Infinity" and "-Infinity", as
    protocol buffers write them in JSON; `float` takes them, and `pandas.read_json(path, lines=True)` makes
    numbers of them. Each line is added whole or not at all.

    Args:
        path: the file. A new run wants one that does not exist; its folder is made.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tracker = JSONLines(f"{folder}/run.jsonl")
    ...     tracker.start({"optimizer": "sgd", "learning_rate": 3.0})
    ...     tracker.log(10, {"training_loss": float("inf")})
    ...     tracker.close("failed", "the loss is inf at step 7")
    ...     print(tracker.path.read_text(), end="")
    {"step": 0, "hyperparameters": {"optimizer": "sgd", "learning_rate": 3.0}}
    {"step": 10, "training_loss": "Infinity"}
    {"step": 10, "outcome": "failed", "reason": "the loss is inf at step 7"}
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = checked_path("JSONLines", "path", path)
        self._step = 0

    def __repr__(self) -> str:
        return f"JSONLines({str(self.path)!r})"

    def start(self, hyperparameters: Mapping[str, bool | int | float | str], step: int | None = None) -> None:
        """Begin the file, or keep what it holds up to a step; the hyperparameters are the next line.

        Raises:
            FileExistsError: a new run would write into the file of another.
            OSError: the file cannot be written; says why.
            ValueError: a run is to go on, and the file holds something else.
        """
        held = lines.begin("JSONLines", self.path, step)
        self._step = step or 0
        kept = [line for line in held if self._step_of(line) <= self._step] if self._step else []
        lines.rewrite(self.path, [*kept, self._line({"hyperparameters": _legal(hyperparameters)})])

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Add a line.

        Raises:
            OSError: the file cannot be written; it is as it was before.
        """
        self._step = step
        lines.append(self.path, self._line(_legal(lines.set_apart(numbers, OWN))))

    def close(self, outcome: Outcome = "finished", reason: str = "") -> None:
        """Add a last line, and have the file put on the disk.

        Raises:
            OSError: the file cannot be written; it is as it was before.
        """
        lines.append(self.path, self._line({"outcome": outcome, "reason": reason}))
        flush(self.path)

    def _line(self, content: dict[str, Any]) -> str:
        return json.dumps({lines.STEP: self._step} | content, ensure_ascii=False, allow_nan=False)

    def _step_of(self, line: str) -> int:
        try:
            return int(json.loads(line)[lines.STEP])
        except (ValueError, TypeError, KeyError):
            raise ValueError(
                f"JSONLines: {self.path} holds something else than a run: {line[:60]!r}."
            ) from None


def _legal(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _text(value) if _beyond(value) else value for name, value in values.items()}


def _beyond(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _text(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
