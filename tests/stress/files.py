"""Files with a bit turned round, or cut; to hold is to be told of by name, or to give the same result."""

import random
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxopt_edu as jo
from jaxopt_edu.sweeps import load
from jaxopt_edu.sweeps.folder.journal import JOURNAL, read_journal
from jaxopt_edu.sweeps.folder.spec import SPEC, read_spec
from jaxopt_edu.training import CheckpointFolder
from jaxopt_edu.training.loop import start
from jaxopt_edu.training.npz_checkpoint import Identity
from tests.damage import flips
from tests.stress.outcome import Outcome
from tests.sweeps.regression import run

OPT = jo.adam(0.1)


def checkpoints(place: Path, moments: random.Random, share: float) -> list[Outcome]:
    """The checkpoint and the history of a fit."""
    jo.fit(lambda w, _: jnp.sum(w**2), jnp.ones(2), OPT, steps=4, every=2, checkpoint=place / "fit")
    reader, like = CheckpointFolder(place / "fit"), start(OPT, jnp.ones(2))

    def read() -> Any:
        return reader.read(like, Identity(None, 0, False), 4)

    return [
        damaged("a checkpoint", reader.file(4), read, moments, share),
        damaged("a fit's history", place / "fit" / "history-000001.log", read, moments, share),
    ]


def sweep(place: Path, moments: random.Random, share: float) -> list[Outcome]:
    """Everything that a finished sweep leaves."""
    folder = place / "sweep"
    run([jo.sgd(0.5)], path=folder, steps=4, seeds=1, evaluate=None, keep=1)
    readers: dict[str, Callable[[], Any]] = {SPEC: lambda: read_spec(folder)}
    outcomes = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != JOURNAL and path.parent.name not in ("curves", "state"):
            reader = readers.get(path.name, lambda: _result(folder))
            outcomes.append(damaged(path.name, path, reader, moments, share))
    for path in (folder / "curves").iterdir():
        outcomes.append(
            damaged("a sweep's curves", path, lambda path=path: jo.storage.read(path), moments, share)
        )
    outcomes.append(_journal(folder, moments, share))
    return outcomes


def damaged(
    what: str, path: Path, reader: Callable[[], Any], moments: random.Random, share: float
) -> Outcome:
    """Every bit of a file, or a share of them, and as many cuts as it has bytes, or a share of those."""
    expected, whole, wrong = _plain(reader()), path.read_bytes(), []
    bits = [bit for bit in range(8 * len(whole)) if moments.random() < share]
    for bit in flips(path, bits):
        if (told := _told(reader, path, expected)) is not None:
            wrong.append(f"bit {bit}: {told}")
    lengths = [length for length in range(len(whole)) if moments.random() < share]
    for length in lengths:
        path.write_bytes(whole[:length])
        if (told := _told(reader, path, expected)) is not None:
            wrong.append(f"cut to {length}: {told}")
    path.write_bytes(whole)
    tried = len(bits) + len(lengths)
    return Outcome(f"bits of {what} turned round, and cuts", tried, tried - len(wrong), tuple(wrong[:5]))


def _told(reader: Callable[[], Any], path: Path, expected: Any) -> str | None:
    """None if all is well."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = _plain(reader())
        except ValueError as error:
            return None if path.name in str(error) else f"{path.name} is not named: {error}"
    if any(path.name in str(each.message) for each in caught):
        return None
    return None if found == expected else "another result, and not a word"


def _journal(folder: Path, moments: random.Random, share: float) -> Outcome:
    expected, path = read_journal(folder), folder / JOURNAL
    whole, wrong = path.read_bytes(), []
    bits = [bit for bit in range(8 * len(whole)) if moments.random() < share]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for bit in flips(path, bits):
            if any(event not in expected for event in read_journal(folder)):
                wrong.append(f"bit {bit}")
    return Outcome(f"bits of {JOURNAL} turned round", len(bits), len(bits) - len(wrong), tuple(wrong))


def _result(folder: Path) -> Any:
    result = load(folder)
    return (
        result.table(),
        result.curves,
        [(run.number, run.value, run.params, run.state) for run in result.top],
    )


def _plain(found: Any) -> Any:
    def bits(leaf: Any) -> Any:
        if hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaf = jax.random.key_data(leaf)
        return (str(leaf.dtype), np.asarray(leaf).tobytes()) if hasattr(leaf, "dtype") else repr(leaf)

    return jax.tree.map(bits, found)
