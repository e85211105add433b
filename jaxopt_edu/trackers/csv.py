"""A run's numbers as a table in a file."""

import csv
import io
import os
from collections.abc import Iterable, Mapping
from typing import Any

from jaxopt_edu.core.arguments import checked_path
from jaxopt_edu.files import flush
from jaxopt_edu.trackers import lines
from jaxopt_edu.trackers.protocol import Outcome


class CSV:
    """A run's numbers in a CSV file, a row a step and a column a name, as pandas and spreadsheets want them.

    A name that comes later gets a column too: the file is then written anew, whole. Else a row is added,
    whole or not at all. A cell is empty where there is no number; numbers keep all their digits, and "nan"
    and "inf" are numbers. Hyperparameters and outcome have no place in such a table; `JSONLines` keeps them.

    Args:
        path: the file. A new run wants one that does not exist; its folder is made.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tracker = CSV(f"{folder}/run.csv")
    ...     tracker.start({"optimizer": "adam"})
    ...     tracker.log(10, {"training_loss": 0.5})
    ...     tracker.log(20, {"training_loss": 0.25, "accuracy": 0.9})
    ...     tracker.close()
    ...     print(tracker.path.read_text(), end="")
    step,training_loss,accuracy
    10,0.5,
    20,0.25,0.9
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = checked_path("CSV", "path", path)
        self._columns = [lines.STEP]

    def __repr__(self) -> str:
        return f"CSV({str(self.path)!r})"

    def start(self, hyperparameters: Mapping[str, bool | int | float | str], step: int | None = None) -> None:
        """Begin the file, or keep what it holds up to a step.

        Raises:
            FileExistsError: a new run would write into the file of another.
            OSError: the file cannot be written; says why.
            ValueError: a run is to go on, and the file is no table of one.
        """
        head, *rows = lines.begin("CSV", self.path, step) or [lines.STEP]
        self._columns = next(csv.reader([head]))
        if self._columns[:1] != [lines.STEP]:
            raise ValueError(f"CSV: {self.path} is no table of a run: its first line is {head[:60]!r}.")
        kept = [row for row in rows if step is not None and int(row.partition(",")[0]) <= step]
        lines.rewrite(self.path, [head, *kept])

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Add a row.

        Raises:
            OSError: the file cannot be written; it is as it was before.
        """
        row: dict[str, Any] = {lines.STEP: step} | lines.set_apart(numbers, [lines.STEP])
        columns = self._columns + [name for name in row if name not in self._columns]
        line = _line(row.get(name, "") for name in columns)
        if columns == self._columns:
            lines.append(self.path, line)
            return
        _, *rows = self.path.read_text(encoding="utf-8").split("\n")[:-1]
        empty = "," * (len(columns) - len(self._columns))
        lines.rewrite(self.path, [_line(columns), *(row + empty for row in rows), line])
        self._columns = columns

    def close(self, outcome: Outcome = "finished", reason: str = "") -> None:
        """Have the file put on the disk."""
        flush(self.path)


def _line(cells: Iterable[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(list(cells))
    return text.getvalue()
