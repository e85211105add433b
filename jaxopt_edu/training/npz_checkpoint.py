"""A checkpoint as an npz file."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxopt_edu.storage import is_key, load_with_extra, names_in, read, save
from jaxopt_edu.training.history import History
from jaxopt_edu.training.history_log import Reference, as_history, read_history
from jaxopt_edu.training.loop import Carry

ABOUT = "about"
# Format 1 had the history in the checkpoint itself, and nothing about it.
FORMAT = 2


class Identity(NamedTuple):
    """What must be the same for a resumed run to see the same data in the same order."""

    key: Any
    batch_size: int
    replacement: bool


class Best(NamedTuple):
    """The best moment of a run so far.

    Attributes:
        params: the parameters then.
        step: the number of steps made.
        value: what they were judged by.
        model_state: the model's own state then; None for a model without.
    """

    params: Any
    step: int
    value: float
    model_state: Any = None


class Checkpoint(NamedTuple):
    """One moment of a run, complete.

    Attributes:
        step: the number of steps made.
        carry: parameters, optimizer state and model state.
        history: everything recorded so far.
        best: the best moment so far; None for a run that does not keep it.
        notes: what else must be known to go on, as JSON by name, such as where a data source stands.
    """

    step: int
    carry: Carry
    history: History
    best: Best | None = None
    notes: Mapping[str, Any] = MappingProxyType({})


def best_like(like: Carry) -> Best:
    """What the best moment of a run of such a carry looks like."""
    return Best(like.params, 0, 0.0, like.model_state)


def write_npz(
    path: Path,
    checkpoint: Checkpoint,
    identity: Identity,
    reference: Reference,
    extra: dict[str, np.ndarray] | None = None,
) -> None:
    """Write a checkpoint into an npz file, whole or not at all.

    Args:
        path: the file.
        checkpoint: what is written.
        identity: what the run was asked to be.
        reference: where its history is.
        extra: further arrays by name.
    """
    about = {"format": FORMAT, "history": reference._asdict(), "notes": dict(checkpoint.notes)}
    save(path, _content(checkpoint, identity), extra={ABOUT: text_array(json.dumps(about)), **(extra or {})})


def read_npz(path: Path, folder: Path, step: int, like: Carry, identity: Identity) -> Checkpoint:
    """Read a file that `write_npz` wrote.

    Args:
        path: the file.
        folder: the run's folder, in which the history is.
        step: the checkpoint's step.
        like: a carry of the structure that was saved.
        identity: what the run is asked to be.

    Returns:
        The checkpoint.

    Raises:
        ValueError: the file is damaged, or of another run.
    """
    best = best_like(like) if "best/step" in names_in(path) else None
    content, extra = _loaded(path, Checkpoint(step, like, NO_HISTORY, best), identity)
    stored = Identity(**content["identity"])
    for field, asked in identity._asdict().items():
        if not np.array_equal(_plain(getattr(stored, field)), _plain(asked)):
            raise ValueError(
                f"{path} is of another run: its {field} is {_plain(getattr(stored, field))}, "
                f"but {_plain(asked)} was asked for."
            )
    if content["step"] != step:
        raise ValueError(f"{path} is of step {content['step']}; it has been renamed.")
    if ABOUT not in extra:
        return Checkpoint(step, content["carry"], as_history(extra))
    about = _about(path, extra)
    history = read_history(folder, Reference(**about["history"]))
    return Checkpoint(step, content["carry"], history, content.get("best"), about["notes"])


def reference_in(path: Path) -> Reference | None:
    """Where the history of a checkpoint is; None for one that has it in itself.

    Args:
        path: the npz file.

    Raises:
        ValueError: the file is damaged.
    """
    extra = read(path)
    return Reference(**_about(path, extra)["history"]) if ABOUT in extra else None


def text_array(text: str) -> np.ndarray:
    """Text as an array of its bytes, for an npz file."""
    return np.frombuffer(text.encode(), np.uint8)


NO_HISTORY = History(np.zeros(0), {}, np.zeros(0, np.int64), {}, "")


def _loaded(path: Path, like: Checkpoint, identity: Identity) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    try:
        return load_with_extra(path, _content(like, identity))
    except ValueError as error:
        if not is_key(identity.key):
            raise
        # Format 1 kept a key of the older kind as the integers that it is.
        older = identity._replace(key=jax.random.key_data(identity.key))
        try:
            return load_with_extra(path, _content(like, older))
        except ValueError:
            raise error from None


def _about(path: Path, extra: dict[str, np.ndarray]) -> dict[str, Any]:
    about = json.loads(extra[ABOUT].tobytes())
    if about["format"] > FORMAT:
        raise ValueError(
            f"{path} is of format {about['format']}, and this jaxopt_edu reads formats up to {FORMAT}: "
            "install a later one."
        )
    return about


def _content(checkpoint: Checkpoint, identity: Identity) -> dict[str, Any]:
    content = {"identity": identity._asdict(), "carry": checkpoint.carry, "step": checkpoint.step}
    return content if checkpoint.best is None else content | {"best": checkpoint.best}


def _plain(value: Any) -> np.ndarray:
    if is_key(value):
        value = jax.random.key_data(value)
    return np.asarray(value)
