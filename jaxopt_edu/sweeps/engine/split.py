"""First parameters of which a part is not trained: a part for each seed, and a part that all seeds share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.tree_util import Partial

from jaxopt_edu.core.paths import leaf_names
from jaxopt_edu.sweeps.engine.batches import INITIAL, seed_keys
from jaxopt_edu.training.trainable import Frozen, Split, Trainable


def split_init(
    init: Callable[[jax.Array], Any], trainable: Trainable | None, seeds: Sequence[int]
) -> tuple[Callable[[jax.Array], Any], Frozen]:
    """Split an init into one of what is trained, and the rest, which has to be the same for all seeds.

    Args:
        init: a pytree function, `init(key) -> params`.
        trainable: which leaves are trained; None for all.
        seeds: of all runs.

    Returns:
        A pytree function that gives what is trained, with None for the rest; and the rest.

    Raises:
        TypeError: trainable is no predicate.
        ValueError: it means no leaf, or a leaf that is not trained differs between seeds; names it.
    """
    if trainable is None:
        return init, Frozen()
    params = jax.eval_shape(init, jax.random.key(0))
    split = Split.of("sweep", trainable, params)
    rest = jax.jit(lambda key: split.parts(init(key))[1])
    first, *others = seed_keys(seeds, INITIAL)
    frozen = rest(first)
    names = [name for name, on in zip(leaf_names(params), split.trained, strict=True) if not on]
    for seed, key in zip(seeds[1:], others, strict=True):
        for name, here, there in zip(names, frozen, rest(key), strict=True):
            if np.asarray(here).tobytes() != np.asarray(there).tobytes():
                raise ValueError(
                    f"sweep: the leaf {name} is not trained, and init(key) makes it another one for seed "
                    f"{seed} than for seed {seeds[0]}; all runs share what is not trained: make it outside "
                    "of init, or train it."
                )
    return Partial(Trained(split), init), Frozen(split, frozen)


@dataclass(frozen=True)
class Trained:
    """The part of an init's parameters that is trained."""

    split: Split

    def __call__(self, init: Callable[[jax.Array], Any], key: jax.Array) -> Any:
        """What is trained, of the parameters of a key."""
        return self.split.parts(init(key))[0]
