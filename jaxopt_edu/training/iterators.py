"""Batches from the host: iterators that end, and loaders that begin anew, or know their place."""

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.tree_util import Partial

from jaxopt_edu.training.arrays import columns, is_table, number_array
from jaxopt_edu.training.plain import from_plain, to_plain

# As grain's iterators have it, and as torch's StatefulDataLoader does.
WAYS = (("get_state", "set_state"), ("state_dict", "load_state_dict"))


class Read(NamedTuple):
    """A stretch of batches, and from where to read on after it."""

    batches: list[Any]
    place: dict[str, Any] | None


class IteratorSource:
    """Batches from the host, read ahead by a thread while the device works.

    An iterator is read to its end; what can be iterated again begins anew as often as it takes. A resumed run
    sets a loader that knows its place (`get_state` and `set_state`, or `state_dict` and `load_state_dict`) to
    where it was, and passes over the batches of the steps already made with any other. How
    much of a place a loader remembers is its own affair: torchdata's knows the order of the current epoch,
    and draws that of the next. Every batch is copied: an iterator may fill the same buffer again and again.

    Args:
        data: iterator or iterable of batches.
        first: how many batches to pass over.
        place: where to begin instead, as `stands_at` had it; None to pass over.
        keeps_place: whether `stands_at` will be asked for.
    """

    # Python will bind a partial that is found on the class, and warns of it from 3.13 on.
    draw = staticmethod(Partial(lambda entry: entry))

    def __init__(
        self,
        data: Iterable[Any],
        first: int,
        place: dict[str, Any] | None = None,
        *,
        keeps_place: bool = False,
    ) -> None:
        self.loader = _Loader(data)
        self.keeps_place = keeps_place and self.loader.knows_its_place
        self.stands_at: dict[str, Any] | None = None
        self.began = (place or {"state": None, "passed": first}) if self.keeps_place else None
        passed = first
        if place is not None and self.loader.knows_its_place:
            passed = self.loader.go_to(place)
        self.batches = islice(self.loader, passed, None)
        self.reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="jaxopt-edu-data")
        self.ahead: Future[Read] | None = None
        self.left_over: list[Any] = []
        self.closed = False

    def entries(self, first: int, steps: int, following: int) -> tuple[Any, int]:
        """Batches stacked along a new leading axis; fewer than asked for where their shape changes."""
        ahead = self.ahead or self.reader.submit(self._read, steps)
        read, self.stands_at = ahead.result()
        # After a stretch that was cut short the next one is not the one foretold.
        foretold = len(read) == steps and following
        self.ahead = self.reader.submit(self._read, following) if foretold else None
        return (jax.tree.map(lambda *leaves: np.stack(leaves), *read), len(read)) if read else (None, 0)

    def close(self) -> None:
        """Stop reading ahead; waits for the batch that is being read."""
        self.closed = True
        self.reader.shutdown(cancel_futures=True)

    def _read(self, steps: int) -> Read:
        read, self.left_over = self.left_over, []
        for batch in islice(self.batches, steps - len(read)):
            batch = copied(batch)
            if read and _kinds(batch) != _kinds(read[0]):
                # Such as a last batch that is smaller: it begins a stretch of its own.
                self.left_over = [batch]
                break
            read.append(batch)
            if self.closed:
                break
        return Read(read, self._place_after(len(read)))

    def _place_after(self, batches: int) -> dict[str, Any] | None:
        if self.began is None:
            return None
        if self.left_over:
            # The loader is a batch further than the steps are: known from where it was before.
            self.began = {**self.began, "passed": self.began["passed"] + batches}
        else:
            self.began = {"state": self.loader.state(), "passed": 0}
        return self.began


class _Loader:
    """One endless row of batches, as far as the data can be iterated again."""

    def __init__(self, data: Iterable[Any]) -> None:
        self.data = data
        self.again = not isinstance(data, Iterator)
        self.iterator: Iterator[Any] | None = None
        self.moved = False
        self.of_iterator = not self.again or _way(data) is None
        self.way = _way(self._begun() if self.of_iterator else data)

    def __iter__(self) -> Iterator[Any]:
        while True:
            given = 0
            for batch in self._begun():
                given += 1
                yield batch
            self.iterator = None
            # A place at the end of an epoch has no batch left, and is followed by another epoch.
            if not self.again or (given == 0 and not self.moved):
                return
            self.moved = False

    @property
    def knows_its_place(self) -> bool:
        """Whether it can say where it is, and be set there."""
        return self.way is not None

    def state(self) -> Any:
        """Where the loader is, as JSON."""
        assert self.way is not None
        return to_plain(getattr(self._holder(), self.way[0])(), "the data's state")

    def go_to(self, place: dict[str, Any]) -> int:
        """Set the loader to a place; gives the number of batches to pass over from there."""
        if place["state"] is not None and self.way is not None:
            getattr(self._holder(), self.way[1])(from_plain(place["state"]))
            if not self.of_iterator:
                self.iterator = None  # the loader's next iterator is the one that stands there
            self.moved = True
        return place["passed"]

    def _begun(self) -> Iterator[Any]:
        if self.iterator is None:
            self.iterator = iter(self.data)
        return self.iterator

    def _holder(self) -> Any:
        return self._begun() if self.of_iterator else self.data


def _way(holder: Any) -> tuple[str, str] | None:
    return next((way for way in WAYS if all(hasattr(holder, each) for each in way)), None)


def copied(batch: Any) -> Any:
    """A batch as NumPy arrays of its own.

    Args:
        batch: pytree of arrays, tensors and numbers, or a table.

    Returns:
        The same as a pytree of NumPy arrays.

    Raises:
        TypeError: a leaf is no array of numbers; names it.
    """
    if is_table(batch):
        batch = columns(batch)
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: np.array(
            number_array(f"fit: the batch's {jax.tree_util.keystr(path) or 'only leaf'}", leaf)
        ),
        batch,
    )


def _kinds(batch: Any) -> Any:
    return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), batch)
