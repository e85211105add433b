"""What a checkpoint remembers of the run that wrote it, so that another optimizer or other data shows."""

import hashlib
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_edu.core.naming import settings
from jaxopt_edu.core.reading import describe
from jaxopt_edu.core.transform import Optimizer
from jaxopt_edu.fingerprints import program_fingerprint
from jaxopt_edu.storage import is_key
from jaxopt_edu.training.sources import ArraySource, NoSource, SampleSource, Source

# Up to so many bytes of data are read whole; of more, so many rows.
WHOLE = 1 << 26
ROWS = 1024


def facts(
    optimizer: Optimizer,
    params: Any,
    source: Source,
    frozen: Sequence[Any] = (),
    loss_key: jax.Array | None = None,
) -> dict[str, Any]:
    """What another run is compared with.

    Args:
        optimizer: as a pytree.
        params: the parameters.
        source: of the batches.
        frozen: the parameters that are not trained.
        loss_key: of the loss; None for a loss without.

    Returns:
        JSON: the optimizer's description and every number of it; and the data's leaves, with a checksum of
        all of their bytes up to 64 MiB, and of 1024 rows spread over them beyond, as of what is not trained.
        Of functions, and of
        transforms that hide their numbers, it is a hash of the traced program, which holds for one version
        of JAX. Of iterators nothing is known.
    """
    numbers = {name: np.asarray(value).tolist() for name, value in settings(optimizer).items()}
    found: dict[str, Any] = {"optimizer": describe(optimizer), "numbers": numbers, "data": _data(source)}
    if frozen:
        found["frozen"] = _checksum([jnp.atleast_1d(leaf) for leaf in frozen])
    if loss_key is not None:
        found["loss_key"] = f"{jax.random.key_impl(loss_key)} {jax.random.key_data(loss_key).tolist()}"
    programs = {"jax": jax.__version__}
    # Functions of other libraries may hide numbers in closures, which only their program shows.
    if "Foreign" in str(jax.tree.structure(optimizer)):
        programs["optimizer"] = program_fingerprint(_one_step, optimizer, params)
    if isinstance(source, SampleSource):
        programs["data"] = program_fingerprint(source.draw, source.key)
    return found | {"programs": programs}


def differences(then: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """In what two runs differ.

    Args:
        then: facts of the run that wrote a checkpoint.
        now: of the run that would go on from it.

    Returns:
        A sentence's part for each difference; empty where there is none to be seen.

    >>> then, now = ({"optimizer": "sgd(…)", "numbers": {"a": number}} for number in (1.0, 2.0))
    >>> differences(then, now)
    ['a was 1.0 and is 2.0']
    """
    told = []
    numbers = (then.get("numbers", {}), now.get("numbers", {}))
    if numbers[0].keys() == numbers[1].keys():
        for name in numbers[0]:
            if numbers[0][name] != numbers[1][name]:
                told.append(f"{name} was {numbers[0][name]} and is {numbers[1][name]}")
    if not told and then.get("optimizer") != now.get("optimizer"):
        told.append(f"the optimizer was {then.get('optimizer')} and is {now.get('optimizer')}")
    if then.get("data") != now.get("data"):
        told.append(f"the data was {_shown(then.get('data'))} and is {_shown(now.get('data'))}")
    if then.get("loss_key") != now.get("loss_key"):
        told.append(f"loss_key was {then.get('loss_key')} and is {now.get('loss_key')}")
    if then.get("frozen") != now.get("frozen"):
        told.append("the parameters that are not trained are others")
    programs = (then.get("programs", {}), now.get("programs", {}))
    if programs[0].get("jax") == programs[1].get("jax"):
        for name in programs[0].keys() & programs[1].keys() - {"jax"}:
            if programs[0][name] != programs[1][name]:
                what = (
                    "optimizer, whose numbers cannot be seen,"
                    if name == "optimizer"
                    else "function of the data"
                )
                told.append(f"the {what} computes something else")
    return told


def _data(source: Source) -> dict[str, Any]:
    if isinstance(source, NoSource):
        return {"kind": "none"}
    if isinstance(source, SampleSource):
        return {"kind": "a function"}
    if not isinstance(source, ArraySource):
        return {"kind": "an iterator"}
    leaves = jax.tree_util.tree_flatten_with_path(source.arrays)[0]
    shapes = {jax.tree_util.keystr(path): f"{leaf.dtype}{list(leaf.shape)}" for path, leaf in leaves}
    return {"kind": "arrays", "leaves": shapes, "checksum": _checksum([leaf for _, leaf in leaves])}


def _checksum(leaves: list[Any]) -> str:
    if not all(isinstance(leaf, np.ndarray) or leaf.is_fully_addressable for leaf in leaves):
        return "of several processes"
    whole = sum(leaf.nbytes for leaf in leaves) <= WHOLE
    digest = hashlib.sha256()
    for leaf in leaves:
        rows = (
            leaf if whole or len(leaf) <= ROWS else leaf[np.linspace(0, len(leaf) - 1, ROWS).astype(np.int32)]
        )
        rows = jax.random.key_data(rows) if is_key(rows) else rows
        digest.update(np.ascontiguousarray(jax.device_get(rows)).tobytes())
    return digest.hexdigest()[:16]


def _shown(data: Any) -> str:
    if not isinstance(data, dict) or "leaves" not in data:
        return str((data or {}).get("kind", "unknown"))
    leaves = ", ".join(f"{name} {shape}".strip() for name, shape in data["leaves"].items())
    return f"{leaves} (checksum {data['checksum'][:6]})"


def _one_step(optimizer: Optimizer, params: Any) -> Any:
    return optimizer.update(params, optimizer.init(params), params)
