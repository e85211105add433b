"""Where the batches of a run come from: arrays on the device, a random function, a host iterator, or nowhere.

A source gives, for any stretch of steps, what the loop scans over (`entries`), and a pure function that
makes a batch of one entry (`draw`). The batches depend on the key and the step alone.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from jaxopt_edu.core.checks import short
from jaxopt_edu.training.arrays import as_arrays, holds_arrays, number_of_examples
from jaxopt_edu.training.iterators import IteratorSource
from jaxopt_edu.training.objective import as_pytree_function
from jaxopt_edu.training.order import shuffled_indices


class Source(Protocol):
    """Batches for any stretch of steps."""

    draw: Callable[[Any], Any]  # a pytree: passed to the compiled loop

    @property
    def stands_at(self) -> dict[str, Any] | None:
        """Where a loader that knows its place is after the last entries, as JSON; None for all others."""
        ...

    def entries(self, first: int, steps: int, following: int) -> tuple[Any, int]:
        """What to scan over from step `first` on, and for how many steps; 0 at the data's end.

        `following` steps will be asked for next, so that they can be made ready.
        """
        ...

    def close(self) -> None:
        """Let go of threads."""
        ...


Recipe = Callable[[Any, tuple[Any, Any], int], Any]
"""(key, place, steps) -> entries: pure and hashable, so that runs with other keys can share it."""


@dataclass(frozen=True)
class ShuffledIndices:
    """Every example once an epoch; the place is (epoch, offset)."""

    examples: int
    batch_size: int

    def __call__(self, key: jax.Array, place: tuple[Any, Any], steps: int) -> jax.Array:
        """Indices, shape (steps, batch_size)."""
        return shuffled_indices(key, *place, steps=steps, examples=self.examples, batch_size=self.batch_size)


@dataclass(frozen=True)
class DrawnIndices:
    """Every example drawn independently; the place is (step, 0)."""

    examples: int
    batch_size: int

    def __call__(self, key: jax.Array, place: tuple[Any, Any], steps: int) -> jax.Array:
        """Indices, shape (steps, batch_size)."""
        keys = _step_keys(key, place, steps)
        return jax.vmap(lambda each: jax.random.randint(each, (self.batch_size,), 0, self.examples))(keys)


class ArraySource:
    """Batches out of arrays that lie on the device."""

    stands_at = None

    def __init__(self, arrays: Any, key: jax.Array | None, batch_size: int | None, replacement: bool) -> None:
        self.examples = number_of_examples("data", arrays)
        if batch_size is not None and batch_size > self.examples and not replacement:
            raise ValueError(
                f"batch_size = {batch_size} is more than the {self.examples} examples of the data; leave it "
                "out to take all of them at every step, or draw with replacement=True."
            )
        if batch_size is not None and key is None:
            raise ValueError("drawing batches needs a key: pass key=jax.random.key(0).")
        self.key, self.batch_size, self.replacement = key, batch_size, replacement
        self.arrays = arrays
        arrays = jax.tree.map(_on_device, arrays)
        self.draw = Partial(_whole, arrays) if batch_size is None else Partial(_take, arrays)

    def entries(self, first: int, steps: int, following: int) -> tuple[Any, int]:
        """Indices into the arrays, shape (steps, batch_size); None where every batch is all examples."""
        if self.batch_size is None:
            return None, steps
        return _jitted_entries(self.recipe, self.key, _numbers(self.place(first)), steps=steps), steps

    @property
    def recipe(self) -> "Recipe":
        """How the indices are made of a key."""
        if self.batch_size is None:
            return _no_entries
        sizes = (self.examples, self.batch_size)
        return DrawnIndices(*sizes) if self.replacement else ShuffledIndices(*sizes)

    def place(self, first: int) -> tuple[int, int]:
        """Epoch and offset for shuffled batches, else the step; in exact integers."""
        if self.batch_size is None or self.replacement:
            return first, 0
        return divmod(first * self.batch_size, self.examples)

    def close(self) -> None:
        """Nothing to let go of."""


class SampleSource:
    """Batches made by a pure function of a random key."""

    stands_at = None

    def __init__(self, sample: Callable[[jax.Array], Any], key: jax.Array | None) -> None:
        if key is None:
            raise ValueError(
                "data is a function sample(key), and sample(key) needs a key: pass key=jax.random.key(0)."
            )
        self.key = key
        self.draw = as_pytree_function(sample)

    def entries(self, first: int, steps: int, following: int) -> tuple[Any, int]:
        """One key a step."""
        return _jitted_entries(self.recipe, self.key, _numbers(self.place(first)), steps=steps), steps

    @property
    def recipe(self) -> "Recipe":
        """How a step's key is made of the run's."""
        return _step_keys

    def place(self, first: int) -> tuple[int, int]:
        """The step."""
        return first, 0

    def close(self) -> None:
        """Nothing to let go of."""


class NoSource:
    """For a loss of the parameters alone."""

    # Python will bind a partial that is found on the class, and warns of it from 3.13 on.
    draw = staticmethod(Partial(lambda entry: entry))
    stands_at = None

    def entries(self, first: int, steps: int, following: int) -> tuple[Any, int]:
        """Nothing."""
        return None, steps

    @property
    def recipe(self) -> "Recipe":
        """Nothing is made of a key."""
        return _no_entries

    def place(self, first: int) -> tuple[int, int]:
        """The step."""
        return first, 0

    def close(self) -> None:
        """Nothing to let go of."""


def make_source(
    data: Any,
    *,
    key: jax.Array | None,
    batch_size: int | None,
    replacement: bool,
    first: int,
    place: dict[str, Any] | None = None,
    keeps_place: bool = False,
) -> Source:
    """Find out what kind of data it is.

    Args:
        data: a pytree of arrays with a leading example axis (or of what `as_arrays` makes arrays of); a
            function
            `sample(key) -> batch`; an iterator or an iterable of batches; or None.
        key: a `jax.random` key, for arrays in batches and for functions.
        batch_size: examples in a batch of arrays; None for all of them.
        replacement: draw examples independently instead of in shuffled epochs.
        first: the step at which the run begins; above 0 if it was resumed.
        place: of a loader that knows its place, where to begin.
        keeps_place: whether the place will be asked for.

    Returns:
        The source.

    Raises:
        TypeError: it is none of the four.
        ValueError: a key is missing, or the arrays do not fit.
    """
    if data is None:
        return NoSource()
    # First: a function that carries arrays, such as a Partial, is a pytree of arrays as well.
    if callable(data):
        return SampleSource(data, key)
    # Before its leaves are asked for, which JAX warns against.
    if isinstance(data, Iterator):
        return IteratorSource(data, first, place, keeps_place=keeps_place)
    if holds_arrays(data):
        return ArraySource(as_arrays("data", data), key, batch_size, replacement)
    if isinstance(data, Iterable) and not isinstance(data, str | bytes | dict | tuple):
        return IteratorSource(data, first, place, keeps_place=keeps_place)
    raise TypeError(
        f"data is {type(data).__name__}; it has to be a pytree of arrays with a leading "
        "example axis, a function sample(key) -> batch, an iterator of batches, or None; it was "
        f"{short(data)}."
    )


def _on_device(leaf: Any) -> jax.Array:
    # Asked for by name, as jax.transfer_guard wants it.
    return leaf if isinstance(leaf, jax.Array) else jax.device_put(leaf)


def _numbers(place: tuple[int, int]) -> jax.Array:
    return jax.device_put(np.array(place, np.int32))


def _take(arrays: Any, rows: jax.Array) -> Any:
    return jax.tree.map(lambda leaf: leaf[rows], arrays)


def _whole(arrays: Any, entry: None) -> Any:
    return arrays


def _no_entries(key: jax.Array, place: tuple[Any, Any], steps: int) -> None:
    return None


def _step_keys(key: jax.Array, place: tuple[Any, Any], steps: int) -> jax.Array:
    numbers = jnp.asarray(place[0], jnp.int32) + jnp.arange(steps, dtype=jnp.int32)
    return jax.vmap(lambda number: jax.random.fold_in(key, number))(numbers)


@partial(jax.jit, static_argnames=("recipe", "steps"))
def _jitted_entries(recipe: Recipe, key: jax.Array | None, place: jax.Array, *, steps: int) -> Any:
    return recipe(key, (place[0], place[1]), steps)
