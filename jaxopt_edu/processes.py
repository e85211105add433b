"""Several processes at one run: the first one writes, all wait for it, and all hear how it went."""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Sharding

from jaxopt_edu.storage import is_key

T = TypeVar("T")


def is_first() -> bool:
    """Whether this process is the one that writes."""
    return jax.process_index() == 0


def wait_for_all(what: str) -> None:
    """Go on when all processes of the run have come here.

    Args:
        what: the place in the program; the same in all processes.
    """
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(what)


def done_by_the_first(what: str, work: Callable[[], None]) -> None:
    """Have the first process do something, while the others wait for it to be done.

    Args:
        what: what it is, for the others' error.
        work: does it.

    Raises:
        RuntimeError: it failed; in the first process its own error is raised.
    """
    if jax.process_count() == 1:
        return work()
    error, told = None, ""
    if is_first():
        try:
            work()
        except Exception as caught:
            error, told = caught, f"{type(caught).__name__}: {caught}"
    told = _from_the_first(told)
    if error is not None:
        raise error
    if told:
        raise RuntimeError(f"process 0 could not {what}, so process {jax.process_index()} ends too: {told}")
    return None


def done_by_all(what: str, work: Callable[[], T], same: Callable[[T], int]) -> T:
    """Have every process do something by itself, and go on only if all could, with the same outcome.

    Args:
        what: what it is, for errors.
        work: does it.
        same: a number by which the outcomes are compared, not negative.

    Returns:
        The outcome.

    Raises:
        RuntimeError: another process failed, or had another outcome.
    """
    if jax.process_count() == 1:
        return work()
    error: Exception | None = None
    found: Any = None
    try:
        found = work()
    except Exception as caught:
        error = caught
    numbers = multihost_utils.process_allgather(np.int32(-1 if error is not None else same(found)))
    if error is not None:
        raise error
    others = {process: int(number) for process, number in enumerate(np.ravel(numbers).tolist())}
    if failed := [process for process, number in others.items() if number < 0]:
        raise RuntimeError(f"process {failed[0]} could not {what}; see what it says.")
    if len(set(others.values())) > 1:
        raise RuntimeError(
            f"the processes do not {what} alike ({others}): the folder has to be on a disk that all of them "
            "share."
        )
    return found


def on_this_host(tree: Any) -> Any:
    """Fetch arrays that are spread over the devices of several processes; all processes have to call it.

    Args:
        tree: pytree of arrays, numbers and random keys.

    Returns:
        The same, with NumPy arrays, and keys of this process, for what it could not read.
    """
    return jax.tree.map(_fetched, tree)


def placed_array(host: Any, sharding: Sharding) -> jax.Array:
    """One array on the devices of all processes, each of which holds the whole of it on its host.

    Args:
        host: a NumPy array, or a JAX array that this process can read.
        sharding: where it goes.

    Returns:
        The JAX array.
    """
    if jax.process_count() == 1:
        return jax.device_put(host, sharding)
    if is_key(host):
        data = placed_array(jax.random.key_data(host), sharding)
        return jax.random.wrap_key_data(data, impl=str(jax.random.key_impl(host)))
    host = np.asarray(host)
    return jax.make_array_from_callback(host.shape, sharding, lambda index: host[index])


def _fetched(leaf: Any) -> Any:
    if not isinstance(leaf, jax.Array) or leaf.is_fully_addressable:
        return leaf
    if is_key(leaf):
        data = _fetched(jax.random.key_data(leaf))
        return jax.random.wrap_key_data(data, impl=str(jax.random.key_impl(leaf)))
    return np.asarray(multihost_utils.process_allgather(leaf, tiled=True))


def _from_the_first(text: str) -> str:
    written = np.frombuffer(text.encode(), np.uint8)
    size = int(multihost_utils.broadcast_one_to_all(np.int32(len(written))))
    if size == 0:
        return ""
    buffer = np.zeros(size, np.uint8)
    buffer[: len(written)] = written[:size]
    return bytes(np.asarray(multihost_utils.broadcast_one_to_all(buffer)).tolist()).decode()
