"""A sweep as a table, one row a run, and its curves as a labelled array, for the usual libraries."""

import csv
import io
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxopt_edu.files import whole_file
from jaxopt_edu.sweeps.results.runs import Runs

if TYPE_CHECKING:
    import pandas
    import xarray

COUNTS = ("number", "seed", "steps")
TEXTS = ("state", "optimizer")
# A hyperparameter or metric of such a name is set apart by a prefix.
OWN = (*COUNTS, *TEXTS, "value", "setting", "step", "made")


def columns(result: Runs) -> dict[str, np.ndarray]:
    """The table's columns.

    Args:
        result: a sweep.

    Returns:
        Name to array of shape (runs,): int64 for number, seed and steps, str for state and optimizer, float64
        with NaN for everything else.
    """
    n, seeds = result.states.shape
    numbers = hyperparameters_of(result)
    others = {
        f"metric.{metric}" if metric in (*OWN, *numbers) else metric: result.values(metric).ravel()
        for metric in result.curves
        if metric != result.metric
    }
    return {
        "number": np.arange(n * seeds),
        "state": result.states.ravel().astype(object),
        "value": result.values().ravel(),
        "optimizer": np.repeat(kinds_of(result), seeds),
        **{name: np.repeat(column, seeds) for name, column in numbers.items()},
        "seed": np.tile(np.array(result.seeds, np.int64), n),
        "steps": result.made.ravel().astype(np.int64),
        **others,
    }


def hyperparameters_of(result: Runs) -> dict[str, np.ndarray]:
    """The hyperparameters of all settings.

    Args:
        result: a sweep.

    Returns:
        Name to float64 array of shape (n,), NaN where an optimizer has none of that name. A hyperparameter
        that is itself an array is left out.
    """
    return {
        f"optimizer.{name}" if name in OWN else name: column
        for name, column in result.hyperparameters.items()
    }


def rows(result: Runs) -> list[dict[str, Any]]:
    """The table, row by row, as Python values; None for what there is not.

    Args:
        result: a sweep.

    Returns:
        One dict a run.
    """
    lists = {name: _values(column) for name, column in columns(result).items()}
    return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]


def to_pandas(result: Runs) -> "pandas.DataFrame":
    """The table as a pandas DataFrame.

    Args:
        result: a sweep.

    Returns:
        One row a run.
    """
    try:
        import pandas
    except ImportError:
        raise ImportError('to_pandas needs pandas: pip install "jaxopt-edu[results]"') from None
    return pandas.DataFrame(columns(result))


def to_xarray(result: Runs) -> "xarray.Dataset":
    """The curves with their names.

    Args:
        result: a sweep.

    Returns:
        Variables over setting, seed and step.
    """
    try:
        import xarray
    except ImportError:
        raise ImportError('to_xarray needs xarray: pip install "jaxopt-edu[results]"') from None
    about = {"optimizer": kinds_of(result), **hyperparameters_of(result)}
    return xarray.Dataset(
        {
            **{
                f"metric.{name}" if name in (*OWN, *about) else name: (("setting", "seed", "step"), curve)
                for name, curve in result.curves.items()
            },
            "state": (("setting", "seed"), result.states),
            "made": (("setting", "seed"), result.made),
        },
        coords={
            **{name: ("setting", column) for name, column in about.items()},
            "setting": np.arange(len(result.optimizers)),
            "seed": list(result.seeds),
            "step": result.evaluated_at,
        },
        attrs={"metric": result.metric, "mode": result.mode},
    )


def to_csv(result: Runs, path: str | os.PathLike[str]) -> None:
    """Write the table as CSV, whole.

    Args:
        result: a sweep.
        path: the file to write.
    """
    table = rows(result)
    lines = io.StringIO(newline="")
    writer = csv.DictWriter(lines, list(table[0]))
    writer.writeheader()
    writer.writerows(table)
    with whole_file(path) as file:
        file.write(lines.getvalue().encode())


def to_parquet(result: Runs, path: str | os.PathLike[str]) -> None:
    """Write the table as parquet, whole.

    Args:
        result: a sweep.
        path: the file to write.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise ImportError('to_parquet needs pyarrow: pip install "jaxopt-edu[results]"') from None
    integer, text, real = pyarrow.int64(), pyarrow.string(), pyarrow.float64()
    found = columns(result)
    # Said and not guessed: a column with nothing in it would have no type.
    schema = pyarrow.schema(
        [(name, integer if name in COUNTS else text if name in TEXTS else real) for name in found]
    )
    table = pyarrow.table({name: _values(column) for name, column in found.items()}, schema)
    with whole_file(path) as file:
        parquet.write_table(table, file)


def kinds_of(result: Runs) -> np.ndarray:
    """The kind of each setting's optimizer; str, shape (n,)."""
    kinds = np.empty(len(result.optimizers), object)
    for name, places in result.groups.items():
        kinds[places] = name
    return kinds


def _values(column: np.ndarray) -> list[Any]:
    if column.dtype.kind != "f":
        return column.tolist()
    return [None if np.isnan(value) else value for value in column.tolist()]
