"""Training a part of the parameters: the rest costs no gradient, has no state and stays as it is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from jaxopt_edu.core.by_leaf import Leaves, meant
from jaxopt_edu.core.leaf_values import Predicate, as_rules
from jaxopt_edu.core.paths import leaf_names
from jaxopt_edu.training.objective import with_loss_scale

Trainable = Predicate
ARRAYS = jax.Array | np.ndarray | np.generic | int | float | complex | jax.ShapeDtypeStruct


@dataclass(frozen=True)
class Split:
    """Which leaves of a tree are trained; hashable."""

    around_loss = True

    treedef: Any
    trained: tuple[bool, ...]

    @classmethod
    def of(cls, owner: str, trainable: Trainable, params: Any) -> "Split":
        """How a predicate splits parameters.

        Args:
            owner: who asks, for the errors.
            trainable: which leaves; a pattern, a list of patterns, or a function of (name, leaf).
            params: pytree of arrays, or of their ShapeDtypeStructs.

        Raises:
            TypeError: trainable is no predicate, or a leaf is no array.
            ValueError: it means no leaf.
        """
        rules = as_rules(owner, "trainable", trainable)
        leaves, treedef = jax.tree.flatten(params)
        for name, leaf in zip(leaf_names(params), leaves, strict=True):
            if not isinstance(leaf, ARRAYS):
                raise TypeError(
                    f"{owner}: the leaf {name} of the parameters is a {type(leaf).__name__}, not an array; "
                    "filter it out first (for example with equinox.filter or flax.nnx.split)."
                )
        trained = meant(f"{owner}: trainable", rules, Leaves.of(params))
        if not any(trained):
            raise ValueError(
                f"{owner}: trainable means none of the {len(leaves)} leaves; nothing would be trained."
            )
        return cls(treedef, trained)

    def parts(self, params: Any) -> tuple[Any, tuple[Any, ...]]:
        """The tree of what is trained, with None for the rest, and the leaves of the rest."""
        leaves = self.treedef.flatten_up_to(params)
        pairs = list(zip(leaves, self.trained, strict=True))
        kept = self.treedef.unflatten([leaf if on else None for leaf, on in pairs])
        return kept, tuple(leaf for leaf, on in pairs if not on)

    def joined(self, trained: Any, frozen: tuple[Any, ...]) -> Any:
        """The tree that `parts` took apart."""
        rest = iter(frozen)
        leaves = self.treedef.flatten_up_to(trained)
        return self.treedef.unflatten(
            [leaf if on else next(rest) for leaf, on in zip(leaves, self.trained, strict=True)]
        )

    def __call__(
        self, function: Callable[..., Any], frozen: tuple[Any, ...], trained: Any, *rest: Any, **keywords: Any
    ) -> Any:
        """A function of the whole parameters, asked with those that are trained."""
        return function(self.joined(trained, frozen), *rest, **keywords)

    def with_loss_scale(
        self, scale: jax.Array, function: Callable[..., Any], frozen: tuple[Any, ...]
    ) -> Partial:
        """The same, around a loss that was told by what it is going to be multiplied."""
        return Partial(self, with_loss_scale(function, scale), frozen)


class Frozen(NamedTuple):
    """What is not trained: how it was split off, and its leaves. A split of None is one without any."""

    split: Split | None = None
    leaves: tuple[Any, ...] = ()

    def whole(self, trained: Any) -> Any:
        """All parameters, as they were given."""
        return trained if self.split is None else self.split.joined(trained, self.leaves)

    def function(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function of the whole parameters as one of those that are trained; a pytree.

        Args:
            function: a pytree; of the parameters and of more.
        """
        return function if self.split is None else Partial(self.split, function, self.leaves)


def split_off(owner: str, trainable: Trainable | None, params: Any) -> tuple[Any, Frozen]:
    """Split what is trained off from what is not.

    Args:
        owner: who asks, for the errors.
        trainable: which leaves are trained; None for all of them.
        params: pytree of arrays.

    Returns:
        The tree of what is trained, with None for the rest; and the rest.

    Raises:
        TypeError: trainable is no predicate, or a leaf is no array.
        ValueError: it means no leaf.

    >>> trained, frozen = split_off("fit", "head", {"body": jnp.ones(2), "head": jnp.zeros(1)})
    >>> trained, sorted(frozen.whole(trained))
    ({'body': None, 'head': Array([0.], dtype=float32)}, ['body', 'head'])
    """
    if trainable is None:
        return params, Frozen()
    split = Split.of(owner, trainable, params)
    trained, frozen = split.parts(params)
    return trained, Frozen(split, tuple(map(_array, frozen)))


def _array(leaf: Any) -> jax.Array:
    # A leaf that is an array already is given back as it is.
    return leaf if isinstance(leaf, jax.Array) else jnp.asarray(np.asarray(leaf))
