"""Checkpoints of sharded arrays: orbax writes and reads every shard where it is."""

import json
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_edu.files import checksum_of, whole_folder
from jaxopt_edu.processes import done_by_the_first, on_this_host, told_by_the_first
from jaxopt_edu.storage import is_key, named_leaves, read
from jaxopt_edu.storage.leaves import kind_of
from jaxopt_edu.training.checkpoints import Checkpoints
from jaxopt_edu.training.history_log import Reference
from jaxopt_edu.training.loop import Carry
from jaxopt_edu.training.npz_checkpoint import (
    Best,
    Checkpoint,
    Identity,
    best_like,
    read_npz,
    reference_in,
    text_array,
    write_npz,
)

REST = "rest.npz"  # all but the arrays, and what must be true of these
ARRAYS = "arrays"
CHECKS = "orbax"


class OrbaxFolder(Checkpoints):
    """The checkpoints of one run, a folder each, in which orbax holds the arrays.

    Sharded arrays are not gathered on the host, and come back with the shardings of the run that goes on.
    In several processes each writes its own shards, and the first one what else there is.

    Args:
        path: the folder; made if it is missing.
        keep: how many to keep; older ones are removed after a newer one is safely written.

    Raises:
        ImportError: orbax is not installed.

    Example:
        >>> import tempfile, jax.numpy as jnp, jaxopt_edu as jo
        >>> with tempfile.TemporaryDirectory() as place:
        ...     folder = OrbaxFolder(place)
        ...     _ = jo.fit(lambda w, _: w**2, jnp.ones(()), jo.sgd(0.1), steps=4, every=2, checkpoint=folder)
        ...     folder.steps()
        [2, 4]
    """

    suffix = ".orbax"

    def __init__(self, path: str | os.PathLike[str], *, keep: int = 3) -> None:
        super().__init__(path, keep=keep)
        self._orbax = _orbax()

    def _write(self, path: Path, checkpoint: Checkpoint, identity: Identity) -> None:
        held = (checkpoint.carry, checkpoint.best)
        arrays = {key: _data(leaf) for key, leaf in _numbered(held).items()}
        _refuse_what_others_lack(held)
        carry, best = on_this_host(_rest(held))
        with ExitStack() as begun:
            reference, draft = None, Path()

            def begin() -> None:
                nonlocal reference, draft
                reference = self._begin_write(checkpoint)
                draft = begun.enter_context(whole_folder(path, REST))

            done_by_the_first(f"begin {path.name}", begin)
            draft = Path(told_by_the_first(str(draft)))
            if arrays:
                with self._orbax.PyTreeCheckpointer() as checkpointer:
                    checkpointer.save(draft / ARRAYS, arrays)

            def end() -> None:
                assert reference is not None
                checks = {"kinds": _kinds(*held), "checksums": _checksums(draft)}
                extra = {CHECKS: text_array(json.dumps(checks))}
                rest = checkpoint._replace(carry=carry, best=best)
                write_npz(draft / REST, rest, identity, reference, extra)
                begun.close()
                self._end_write(checkpoint.step)

            done_by_the_first(f"write {path.name}", end)

    def _read(self, step: int, like: Carry, identity: Identity) -> Checkpoint:
        path = self.file(step).absolute()
        extra = read(path / REST) if (path / REST).is_file() else {}
        if CHECKS not in extra:
            raise ValueError(f"{path} is damaged or was not written by jaxopt_edu: it has no {REST} of ours.")
        checks = json.loads(extra[CHECKS].tobytes())
        _compare(path, checks["kinds"], _kinds(like, None))
        checkpoint = read_npz(path / REST, self.path, step, _rest(like), identity)
        found = _checksums(path)
        for name, checksum in checks["checksums"].items():
            if found.get(name) != checksum:
                happened = "has changed" if name in found else "is missing"
                raise ValueError(f"{path} is damaged: its file {name} {happened}.")
        rest = (checkpoint.carry, checkpoint.best)
        wanted = (like, None if checkpoint.best is None else best_like(like))
        carry, best = self._filled(path / ARRAYS, wanted, rest)
        return checkpoint._replace(carry=carry, best=best)

    def _reference(self, step: int) -> Reference | None:
        return reference_in(self.file(step) / REST)

    def _filled(self, path: Path, like: Any, rest: Any) -> Any:
        wanted = _numbered(like)
        if not wanted:
            return rest
        with self._orbax.PyTreeCheckpointer() as checkpointer:
            arguments = {key: self._place(leaf) for key, leaf in wanted.items()}
            arrays = checkpointer.restore(path, item=dict.fromkeys(wanted, 0), restore_args=arguments)
        restored = iter([_like(leaf, arrays[key]) for key, leaf in wanted.items()])
        return jax.tree.map(lambda leaf, other: next(restored) if _is_held(leaf) else other, like, rest)

    def _place(self, leaf: jax.Array) -> Any:
        if leaf.committed:
            return self._orbax.ArrayRestoreArgs(sharding=_data(leaf).sharding)
        # An array that orbax puts on a device stays there; one that was free to move has to be again.
        return self._orbax.RestoreArgs(restore_type=np.ndarray)


def _orbax() -> Any:
    try:
        import orbax.checkpoint
    except ImportError:
        raise ImportError('OrbaxFolder needs orbax: pip install "jaxopt-edu[orbax]"') from None
    return orbax.checkpoint


def _rest(held: Any) -> Any:
    return jax.tree.map(lambda leaf: np.zeros(0, bool) if _is_held(leaf) else leaf, held)


def _is_held(leaf: Any) -> bool:
    # Orbax refuses arrays without elements; they go into the npz file.
    return isinstance(leaf, jax.Array) and leaf.size > 0


def _numbered(held: Any) -> dict[str, jax.Array]:
    # Orbax makes paths of names, and not every name of a parameter is one.
    return {f"{number:06d}": leaf for number, leaf in enumerate(jax.tree.leaves(held)) if _is_held(leaf)}


def _refuse_what_others_lack(held: Any) -> None:
    if jax.process_count() == 1:
        return
    for name, leaf in named_leaves(held).items():
        if _is_held(leaf) and leaf.is_fully_addressable:
            raise ValueError(
                f"OrbaxFolder: the leaf {name} lies on process {jax.process_index()} alone, and orbax writes "
                "what is spread over all: pass mesh=, or place the parameters; or use CheckpointFolder."
            )


def _data(leaf: jax.Array) -> jax.Array:
    return jax.random.key_data(leaf) if is_key(leaf) else leaf


def _like(wanted: jax.Array, data: Any) -> jax.Array:
    if is_key(wanted):
        return jax.random.wrap_key_data(jnp.asarray(data), impl=jax.random.key_impl(wanted))
    return jnp.asarray(data)


def _kinds(carry: Carry, best: Best | None) -> dict[str, str]:
    leaves = {"carry": carry} if best is None else {"carry": carry, "best": best}
    return {
        name.removeprefix("carry/"): kind_of(leaf)
        for name, leaf in named_leaves(leaves).items()
        if isinstance(leaf, jax.Array)
    }


def _compare(path: Path, stored: dict[str, str], wanted: dict[str, str]) -> None:
    # A name that only one of them has is another structure, which the npz file tells better.
    for name in wanted:
        if name in stored and stored[name] != wanted[name]:
            raise ValueError(
                f"{path} is of another run: the stored leaf carry/{name} is {stored[name]}, but "
                f"{wanted[name]} is wanted."
            )


def _checksums(folder: Path) -> dict[str, int]:
    files = sorted(file for file in (folder / ARRAYS).rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): checksum_of(file) for file in files}
