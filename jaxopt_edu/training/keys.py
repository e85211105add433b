"""The random key of each step's loss, which depends on the number of the step and on nothing else."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


class Keyed(NamedTuple):
    """What a batch is made of, with the key that the loss gets; leading axes as those of the keys."""

    entry: Any
    key: jax.Array


@partial(jax.jit, static_argnames="steps")
def step_keys(key: jax.Array, first: jax.Array | int, *, steps: int) -> jax.Array:
    """The keys of consecutive steps.

    Args:
        key: of the run.
        first: the number of the first of them, counted over the whole run.
        steps: how many.

    Returns:
        `fold_in(key, first + i)` for each; shape (steps,).

    >>> keys = step_keys(jax.random.key(0), 5, steps=2)
    >>> bool(keys[1] == jax.random.fold_in(jax.random.key(0), 6))
    True
    """
    numbers = jnp.asarray(first, jnp.uint32) + jnp.arange(steps, dtype=jnp.uint32)
    return jax.vmap(jax.random.fold_in, (None, 0))(key, numbers)
