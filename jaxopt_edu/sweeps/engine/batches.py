"""The batches of a sweep: the same for all settings of a seed, whoever else is computed at the same time."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_edu.training.arguments import named
from jaxopt_edu.training.keys import Keyed, step_keys
from jaxopt_edu.training.sources import ArraySource, NoSource, SampleSource, make_source

INITIAL, DATA = 0, 1


def seed_keys(seeds: Sequence[int], purpose: int) -> jax.Array:
    """The random keys of some seeds.

    Args:
        seeds: whole numbers.
        purpose: INITIAL for the first parameters, DATA for the batches.

    Returns:
        `fold_in(key(seed), purpose)` for each; shape (seeds,).
    """
    return jnp.stack([jax.random.fold_in(jax.random.key(seed), purpose) for seed in seeds])


class PairedBatches:
    """What the batches of several seeds are made of, for any stretch of steps.

    Args:
        data: a pytree of arrays with a leading example axis, a function `sample(key) -> batch`, or None.
        seeds: the seeds of which there are runs.
        batch_size: examples in a batch of arrays; None for all of them.
        replacement: draw examples independently instead of in shuffled epochs.
        longest: the longest stretch that will be asked for, in steps.
        loss_key: of which each seed's losses have their keys; None for a loss without.

    Raises:
        TypeError: the data can be read only once.
        ValueError: the arrays do not fit.
    """

    def __init__(
        self,
        data: Any,
        seeds: Sequence[int],
        batch_size: int | None,
        replacement: bool,
        longest: int,
        loss_key: jax.Array | None = None,
    ) -> None:
        self.keys = seed_keys(seeds, DATA)
        with named("sweep"):
            source = make_source(
                data, key=self.keys[0], batch_size=batch_size, replacement=replacement, first=0
            )
        if not isinstance(source, ArraySource | SampleSource | NoSource):
            source.close()
            raise TypeError(
                "sweep: data is an iterator, whose batches can be seen by one run only. Pass arrays with a "
                "leading example axis, or a function sample(key) -> batch."
            )
        self.source, self.longest = source, longest
        folded = [jax.random.fold_in(loss_key, seed) for seed in seeds] if loss_key is not None else None
        self.loss_keys = None if folded is None else jnp.stack(folded)

    @property
    def draw(self) -> Callable[[Any], Any]:
        """Makes a batch of an entry; a pytree."""
        return self.source.draw

    @property
    def shapes(self) -> Any:
        """The shapes of a batch."""
        place = self.source.place(0)
        entries = jax.eval_shape(lambda key: self.source.recipe(key, place, 1), self.keys[0])
        entry = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), entries)
        return jax.eval_shape(self.draw, entry)

    def entries(self, first: int) -> Any:
        """What the batches from step `first` on are made of; leading axes (longest, seeds). None for none.

        With the keys of the losses, if they have any.
        """
        entries = _paired(self.source.recipe, self.keys, self.source.place(first), steps=self.longest)
        if self.loss_keys is None:
            return entries
        return Keyed(entries, _keys_of_seeds(self.loss_keys, np.uint32(first), steps=self.longest))


@partial(jax.jit, static_argnames="steps")
def _keys_of_seeds(keys: jax.Array, first: jax.Array, *, steps: int) -> jax.Array:
    return jax.vmap(lambda key: step_keys(key, first, steps=steps), out_axes=1)(keys)


@partial(jax.jit, static_argnames=("recipe", "steps"))
def _paired(recipe: Any, keys: jax.Array, place: tuple[int, int], *, steps: int) -> Any:
    # One seed after another: the sort behind a shuffle takes long to compile in a batch.
    of_seeds = jax.lax.map(lambda key: recipe(key, place, steps), keys)
    return jax.tree.map(lambda leaf: jnp.moveaxis(leaf, 0, 1), of_seeds)
