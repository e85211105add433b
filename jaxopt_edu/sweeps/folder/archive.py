"""The result of a finished sweep on disk, readable without the code that made it."""

import importlib.util
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax

from jaxopt_edu.core.arguments import checked_path
from jaxopt_edu.core.checks import short
from jaxopt_edu.core.foreign import as_pytree
from jaxopt_edu.core.transform import Optimizer
from jaxopt_edu.files import (
    MANIFEST,
    FolderLock,
    check_manifest,
    checksum_of,
    list_checksums,
    open_json,
    seal_json,
    whole_file,
)
from jaxopt_edu.storage import read_leaves, save
from jaxopt_edu.sweeps.folder.optimizers import read_optimizers, write_optimizers
from jaxopt_edu.sweeps.folder.spec import FORMAT, SPEC
from jaxopt_edu.sweeps.results.result import SweepResult
from jaxopt_edu.sweeps.results.runs import TopRun

ARRAYS, DESCRIPTION, SUMMARY = "result.npz", "result.json", "summary.txt"
TABLES = ("table.csv", "table.parquet")


def write_result(result: SweepResult, folder: Path) -> None:
    """Write a result into a sweep's folder: arrays, description, summary and table, each file whole.

    Args:
        result: what a sweep found.
        folder: where to.
    """
    # Until all of them are written anew, the list of checksums would be wrong.
    (folder / MANIFEST).unlink(missing_ok=True)
    arrays = {"evaluated_at": result.evaluated_at, "made": result.made, "states": _codes(result.states)}
    arrays |= {f"curves/{name}": values for name, values in result.curves.items()}
    top = [
        {"params": run.params, "state": run.state, "model_state": run.model_state}
        | ({} if run.held is None else {"held": run.held})
        for run in result.top
    ]
    save(folder / ARRAYS, top, extra=arrays)
    content = {
        # By which it is known that both were written together.
        "arrays": f"{checksum_of(folder / ARRAYS):08x}",
        "seeds": result.seeds,
        "steps": result.steps,
        "metric": result.metric,
        "mode": result.mode,
        **write_optimizers(result.optimizers, result.final_optimizers),
        "top": [{"number": run.number, "value": run.value} for run in result.top],
    }
    with whole_file(folder / DESCRIPTION) as file:
        file.write(seal_json(content, FORMAT))
    _write_for_readers(result, folder)


def is_whole(folder: Path) -> bool:
    """Whether a finished result stands in a folder, every file of it as it was written."""
    files = (DESCRIPTION, ARRAYS, SUMMARY)
    return (folder / MANIFEST).is_file() and not check_manifest(folder, files)


def rewrite(
    path: str | os.PathLike[str], optimizers: Sequence[optax.GradientTransformation] | None = None
) -> SweepResult:
    """Write a finished sweep's summary, table and list of checksums again, of its result.

    For a folder of which `load` says that one of these is damaged. A damaged result is written again, of the
    curves, by the call that made it, with resume=True.

    Args:
        path: the folder that was given to `sweep(path=…)`.
        optimizers: the list that was swept, where `load` needs it.

    Returns:
        The result.

    Raises:
        BlockingIOError: a sweep is writing there.
        FileNotFoundError: there is no sweep in the folder, or it is not finished.
        ValueError: the result itself is damaged.
    """
    folder = checked_path("rewrite", "path", path, "a sweep's folder")
    given = None if optimizers is None else _transforms("rewrite", optimizers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamageWarning)
        result = load(folder, given)
    lock = FolderLock(folder, "rewrite")
    lock.take()
    try:
        _write_for_readers(result, folder)
    finally:
        lock.release()
    return result


class DamageWarning(RuntimeWarning):
    """A file that is made of others is damaged, and can be made again."""


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
        ValueError: a file is damaged, or the optimizers cannot be made again. Where only the summary or the
            table is damaged, which the result does not need, that is a warning.
    """
    folder = checked_path("load", "path", path, "a sweep's folder")
    given = None if optimizers is None else _transforms("load", optimizers)
    if not (folder / DESCRIPTION).is_file():
        if (folder / SPEC).is_file():
            raise FileNotFoundError(
                f"the sweep in {folder} is not finished: the call that began it goes on with resume=True."
            )
        raise FileNotFoundError(f"{folder} holds no sweep: there is no {DESCRIPTION} in it.")
    content, leaves, arrays = _checked(folder)
    try:
        swept, final = read_optimizers(content, given, folder / DESCRIPTION)
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
                    int(arrays["made"].ravel()[run["number"]]),
                    _below(f"{place}/model_state", leaves) or None,
                    _below(f"{place}/held", leaves) or None,
                )
                for place, run in enumerate(content["top"])
            ),
            final_optimizers=final,
        )
    # What only a file can hold that was not written here.
    except (KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise _damaged(folder / DESCRIPTION, repr(error)) from error


STATES = ("COMPLETE", "PRUNED", "DIVERGED")


def _checked(folder: Path) -> tuple[dict[str, Any], dict[str, Any], dict[str, np.ndarray]]:
    try:
        content = open_json((folder / DESCRIPTION).read_bytes(), FORMAT)
    except ValueError as error:
        raise _damaged(folder / DESCRIPTION, str(error)) from error
    # Format 1 had no checksum of the arrays' file.
    if "arrays" in content and content["arrays"] != f"{checksum_of(folder / ARRAYS):08x}":
        raise _damaged(folder / ARRAYS, f"its checksum is not the one in {DESCRIPTION}")
    try:
        leaves, arrays = read_leaves(folder / ARRAYS)
    except ValueError as error:
        raise _damaged(folder / ARRAYS, str(error)) from error
    if "arrays" in content:
        _warn_of_damage(folder)
    return content, leaves, arrays


def _transforms(owner: str, optimizers: Any) -> list[Optimizer]:
    listed: list[Any] = list(optimizers) if type(optimizers) in (list, tuple) else []
    if not listed or not all(
        isinstance(each, optax.GradientTransformation | optax.MultiSteps) for each in listed
    ):
        raise TypeError(
            f"{owner}: optimizers = {short(optimizers)} is no list of optimizers; give the "
            "one that was swept."
        )
    return [as_pytree(optimizer) for optimizer in listed]


def _damaged(file: Path, why: str) -> ValueError:
    return ValueError(
        f"load: {file} is damaged: {why}. The call that made the sweep writes it again with resume=True, of "
        "the curves and states in the same folder, and runs again only what is damaged there."
    )


def _warn_of_damage(folder: Path) -> None:
    wrong = check_manifest(folder, (DESCRIPTION, ARRAYS, SUMMARY))
    if not (folder / MANIFEST).is_file():
        wrong = {MANIFEST: "is missing, so that nothing is known of the summary and the table"}
    if wrong:
        told = "; ".join(f"{name} {why}" for name, why in wrong.items())
        warnings.warn(
            f"load: in {folder}, {told}. The result itself is good: "
            "jaxopt_edu.sweeps.rewrite(folder) writes summary, table and checksums again.",
            DamageWarning,
            stacklevel=4,
        )


def _write_for_readers(result: SweepResult, folder: Path) -> None:
    (folder / MANIFEST).unlink(missing_ok=True)
    with whole_file(folder / SUMMARY) as file:
        file.write(f"{result.summary()}\n".encode())
    if importlib.util.find_spec("pyarrow") is None:
        table = TABLES[0]
        result.to_csv(folder / table)
    else:
        table = TABLES[1]
        result.to_parquet(folder / table)
    listed = list_checksums(folder, [ARRAYS, DESCRIPTION, SUMMARY, table])
    with whole_file(folder / MANIFEST) as file:
        file.write(listed)


def _codes(states: np.ndarray) -> np.ndarray:
    # npz holds text only with a fixed length; numbers are simpler.
    return np.select([states == state for state in STATES], range(len(STATES)))


def _below(prefix: str, leaves: dict[str, Any]) -> dict[str, Any]:
    found = {
        name.removeprefix(prefix).removeprefix("/"): leaf
        for name, leaf in leaves.items()
        if name == prefix or name.startswith(f"{prefix}/")
    }
    return jax.tree.map(jax.device_put, found)
