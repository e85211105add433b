"""Every row of examples/coming_from.md is true: the same losses and the same parameters, there and here."""

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.elsewhere import flax_runs, keras_runs, ours, torch_runs
from tests.elsewhere.network import largest_difference

PAGE = Path(__file__).parents[1] / "examples" / "coming_from.md"
RUNNERS = {"torch": torch_runs.run, "Keras": keras_runs.run, "optax": ours.run, "Flax": flax_runs.run}


class Row(NamedTuple):
    """A row of the page."""

    library: str
    name: str
    there: list[str]
    here: list[str]
    bound: float


def spans(cell: str) -> list[str]:
    """What stands in a cell as code."""
    return re.findall(r"`([^`]+)`", cell)


def rows() -> list[Row]:
    """The rows of all tables, under the heading that names the library."""
    found, library = [], ""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        library = line[3:] if line.startswith("## ") else library
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| ") and cells[0]:
            name, there, here, bound = cells
            number = re.split(r"[:, ]", bound)[0]
            found.append(
                Row(library, name, spans(there), spans(here.partition(", read by")[0]), float(number))
            )
    return found


# Importing Flax and compiling its loops takes seconds.
@pytest.mark.parametrize(
    "row",
    [pytest.param(row, marks=pytest.mark.slow if row.library == "Flax" else ()) for row in rows()],
    ids=lambda row: f"{row.library}-{row.name}",
)
def test_both_train_alike(row: Row, x64: None) -> None:
    there = RUNNERS[row.library](row.there)
    here = flax_runs.run(row.here) if "nnx" in "".join(row.here) else ours.run(row.here)
    assert (apart := largest_difference(there, here)) <= row.bound, f"{apart:.1e}"
    assert there.losses[-1] != there.losses[0]


def test_the_page_has_thirty_rows_and_runs_that_differ_are_told_apart() -> None:
    assert len(rows()) >= 30
    assert len({(row.library, row.name) for row in rows()}) == len(rows())


def test_another_rate_would_be_seen(x64: None) -> None:
    assert largest_difference(ours.run(["jo.sgd(0.1)"]), ours.run(["jo.sgd(0.1001)"])) > 1e-5
