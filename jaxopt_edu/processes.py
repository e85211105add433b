"""Several processes at one run: the first one writes, all wait for it, and all hear how it went."""

import itertools
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Sharding

from jaxopt_edu.files import FolderLock
from jaxopt_edu.storage import is_key

T = TypeVar("T")

# JAX stops at the number after the highest that was asked with, so they may not begin anew with every run.
PLACES = itertools.count(1)


# What errors say that are raised where another process has died.
LOST = ("gloo", "nccl", "heartbeat", "coordination service", "unavailable", "connection reset", "barrier")


class LostProcessError(RuntimeError):
    """Another process of the run has ended, and it cannot go on."""


class Peers:
    """The processes of a run that share a folder, each with a lock in it that ends with the process.

    Args:
        folder: the folder.
        who: what is said first in errors, such as "fit".
    """

    def __init__(self, folder: Path, who: str) -> None:
        self.folder, self.who = folder, who
        self._lock: FolderLock | None = None
        self._lost = False

    def join(self) -> None:
        """Let the others see this process; all of them have to call it. Nothing happens if it is alone."""
        if jax.process_count() > 1:
            done_by_all(f"be seen in {self.folder}", self._take, lambda _: 0)
            if not is_first():
                threading.Thread(target=self._watch_the_first, daemon=True).start()

    def _take(self) -> None:
        if not self.folder.is_dir():
            raise FileNotFoundError(
                f"{self.who}: process {jax.process_index()} does not see the folder {self.folder} that "
                "process 0 writes into: the folder has to be on a disk that all of them share."
            )
        self._lock = self._lock_of(jax.process_index())
        self._lock.take()

    def _watch_the_first(self) -> None:
        # JAX's service lives in process 0, and a few milliseconds after its end JAX aborts the others from a
        # thread in C++, of which Python hears nothing; a lock is freed at once.
        told = f"{self._farewell('process 0')}\n".encode()
        died = self._lock_of(0).outlives_its_holder()
        if died and self._lock is not None:
            os.write(2, told)

    def _farewell(self, which: str) -> str:
        count, own = jax.process_count(), jax.process_index()
        return (
            f"{self.who}: {which} of {count} has ended, and process {own} cannot go on without; what was "
            f"written into {self.folder} is kept: start all {count} again with resume=True."
        )

    def leave(self) -> None:
        """Let the others see it no more; one that goes because another was lost stays in sight to its end."""
        if self._lock is not None and not self._lost:
            self._lock.release()
            self._lock = None

    def explain(self, error: Exception) -> None:
        """Say which process has ended, if that is what an error comes from.

        Args:
            error: what was raised in the run.

        Raises:
            LostProcessError: it does; names the process, and the way on.
        """
        if self._lock is None or not any(sign in str(error).lower() for sign in LOST):
            return
        self._lost = True
        count, own = jax.process_count(), jax.process_index()
        gone = [str(each) for each in range(count) if each != own and self._is_gone(each)]
        which = f"process {' and '.join(gone)}" if gone else "another process"
        raise LostProcessError(self._farewell(which)) from error

    def _lock_of(self, process: int) -> FolderLock:
        return FolderLock(self.folder, self.who, f".process-{process}.lock")

    def _is_gone(self, process: int) -> bool:
        # Whoever watches process 0 has its lock for a moment when it has ended.
        for _ in range(5):
            lock = self._lock_of(process)
            try:
                lock.take()
            except OSError:
                time.sleep(0.02)
            else:
                lock.release()
                return True
        return False


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


def placed(tree: Any, sharding: Sharding) -> Any:
    """A tree on the devices of all processes.

    Args:
        tree: pytree of arrays that are the same in every process, or that lie on the devices of all already.
        sharding: where they go.

    Returns:
        A pytree of JAX arrays.
    """

    def place(leaf: Any) -> jax.Array:
        spread = isinstance(leaf, jax.Array) and not leaf.is_fully_addressable
        return jax.device_put(leaf, sharding) if spread else placed_array(leaf, sharding)

    return jax.tree.map(place, tree)


def any_process(flag: bool) -> bool:
    """Whether something holds in any process of the run; all of them have to ask.

    Args:
        flag: whether it holds in this one.

    Returns:
        The same in all of them.
    """
    return flag if jax.process_count() == 1 else bool(multihost_utils.process_allgather(np.bool_(flag)).any())


def preempted() -> bool:
    """Whether a process of the run has got SIGTERM, and all have come to the point where they stop for that.

    JAX's runtime takes the signal and agrees on the point, which costs nothing until one comes. All processes
    have to ask, at the same places of the program.

    Returns:
        The same in all of them.
    """
    if not getattr(jax.config, "jax_enable_preemption_service", False):
        return False
    return multihost_utils.reached_preemption_sync_point(next(PLACES))


def told_by_the_first(text: str) -> str:
    """A text that the first process knows, in all of them.

    Args:
        text: the text; only the first process's counts.

    Returns:
        The first process's.
    """
    return text if jax.process_count() == 1 else _from_the_first(text if is_first() else "")


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
