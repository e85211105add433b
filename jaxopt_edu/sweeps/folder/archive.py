"""The result of a finished sweep on disk, readable without the code that made it."""

import importlib.util
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax

from jaxopt_edu.core.composition import as_pytree
from jaxopt_edu.core.reading import describe
from jaxopt_edu.core.transform import Optimizer
from jaxopt_edu.files import whole_file
from jaxopt_edu.recipes import NotWritableError, from_recipe, recipe
from jaxopt_edu.storage import read_leaves, save
from jaxopt_edu.sweeps.folder.store import SPEC
from jaxopt_edu.sweeps.results.result import SweepResult
from jaxopt_edu.sweeps.results.runs import TopRun

ARRAYS, DESCRIPTION = "result.npz", "result.json"


def write_result(result: SweepResult, folder: Path) -> None:
    """Write a result into a sweep's folder: arrays, description, summary and table, each file whole.

    Args:
        result: what a sweep found.
        folder: where to.
    """
    arrays = {"evaluated_at": result.evaluated_at, "made": result.made, "states": _codes(result.states)}
    arrays |= {f"curves/{name}": values for name, values in result.curves.items()}
    top = [{"params": run.params, "state": run.state} for run in result.top]
    save(folder / ARRAYS, top, extra=arrays)
    content = {
        "seeds": result.seeds,
        "steps": result.steps,
        "metric": result.metric,
        "mode": result.mode,
        "optimizers": [_written(optimizer) for optimizer in result.optimizers],
        "final_optimizers": [_written(optimizer) for optimizer in result.final_optimizers],
        "top": [{"number": run.number, "value": run.value} for run in result.top],
    }
    _write_text(folder / DESCRIPTION, json.dumps(content, ensure_ascii=False))
    _write_text(folder / "summary.txt", result.summary())
    if importlib.util.find_spec("pyarrow") is None:
        result.to_csv(folder / "table.csv")
    else:
        result.to_parquet(folder / "table.parquet")


def load(
    path: str | os.PathLike[str], optimizers: Sequence[optax.GradientTransformation] | None = None
) -> SweepResult:
    """Read the result of a finished sweep.

    Args:
        path: the folder that was given to `sweep(path=…)`.
        optimizers: the list that was swept. It is needed only if an optimizer was made by a factory that
            neither this library nor optax has.

    Returns:
        The result. Parameters and states of the best runs are dicts here, from the name of each leaf to its
        array: `storage.with_named_leaves(like, leaves)` gives them their structure back.

    Raises:
        FileNotFoundError: there is no sweep in the folder, or it is not finished.
        ValueError: a file is damaged, or the optimizers cannot be made again.
    """
    folder = Path(path)
    if not (folder / DESCRIPTION).is_file():
        if (folder / SPEC).is_file():
            raise FileNotFoundError(
                f"the sweep in {folder} is not finished: the call that began it goes on with resume=True."
            )
        raise FileNotFoundError(f"{folder} holds no sweep: there is no {DESCRIPTION} in it.")
    leaves, arrays = read_leaves(folder / ARRAYS)
    try:
        content = json.loads((folder / DESCRIPTION).read_bytes())
        given = None if optimizers is None else [as_pytree(optimizer) for optimizer in optimizers]
        swept = _made(content["optimizers"], given, folder)
        final = _made(content["final_optimizers"], given, folder)
        seeds = tuple(content["seeds"])
        return SweepResult(
            optimizers=swept,
            seeds=seeds,
            steps=content["steps"],
            evaluated_at=arrays["evaluated_at"],
            curves={
                name.removeprefix("curves/"): values
                for name, values in arrays.items()
                if name.startswith("curves/")
            },
            made=arrays["made"],
            states=np.array(STATES)[arrays["states"]],
            metric=content["metric"],
            mode=content["mode"],
            top=tuple(
                TopRun(
                    run["number"],
                    final[run["number"] // len(seeds)],
                    seeds[run["number"] % len(seeds)],
                    run["value"],
                    _below(f"{place}/params", leaves),
                    _below(f"{place}/state", leaves),
                )
                for place, run in enumerate(content["top"])
            ),
            final_optimizers=final,
        )
    except (KeyError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{folder / DESCRIPTION} is damaged ({error!r}); sweep(..., resume=True) writes it again."
        ) from error


STATES = ("COMPLETE", "PRUNED", "DIVERGED")


def _codes(states: np.ndarray) -> np.ndarray:
    # npz holds text only with a fixed length; numbers are simpler.
    return np.select([states == state for state in STATES], range(len(STATES)))


def _written(optimizer: Optimizer) -> dict[str, Any]:
    try:
        return {"description": describe(optimizer), "recipe": recipe(optimizer)}
    except NotWritableError as error:
        return {"description": describe(optimizer), "recipe": None, "reason": str(error)}


def _made(
    written: list[dict[str, Any]], given: list[Optimizer] | None, folder: Path
) -> tuple[Optimizer, ...]:
    if given is not None and len(given) != len(written):
        raise ValueError(f"load: {folder} has {len(written)} optimizers, but {len(given)} were given.")
    made = []
    for place, each in enumerate(written):
        if each["recipe"] is not None:
            made.append(from_recipe(each["recipe"]))
        elif given is not None and describe(given[place]) == each["description"]:
            made.append(given[place])
        else:
            raise ValueError(
                f"load: {folder} has {each['description']}, which cannot be made again of its description "
                f"({each['reason']}): pass optimizers=, the list that was swept."
            )
    return tuple(made)


def _below(prefix: str, leaves: dict[str, Any]) -> dict[str, Any]:
    found = {
        name.removeprefix(prefix).removeprefix("/"): leaf
        for name, leaf in leaves.items()
        if name == prefix or name.startswith(f"{prefix}/")
    }
    return jax.tree.map(jax.numpy.asarray, found)


def _write_text(path: Path, text: str) -> None:
    with whole_file(path) as file:
        file.write(f"{text}\n".encode())
