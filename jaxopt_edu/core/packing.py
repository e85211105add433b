"""Many small arrays laid end to end: a thousand leaves as one array, and back."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

if TYPE_CHECKING:
    import chex

# A leaf of 4 kB costs more as a kernel of its own than as a copy into the long array and out of it, one of
# 40 kB less: tests/benchmarks/README.md has the measurement.
SMALL = 1 << 13  # bytes


class Packed(NamedTuple):
    """A tree of arrays with the small ones laid end to end."""

    together: dict[str, jax.Array]  # by the parameters' dtype: the small leaves, flat, in the tree's order
    alone: tuple[jax.Array, ...]  # the other leaves, as they are


@dataclass(frozen=True)
class Layout:
    """Where each leaf of a tree of parameters lies in its packed form; hashable.

    Attributes:
        treedef: the tree's structure.
        shapes: of the leaves.
        groups: the dtype's name and the positions of the leaves that are laid end to end, for each dtype,
            sorted as a dict's keys are.
        alone: the positions of the leaves that stay as they are.
    """

    treedef: Any
    shapes: tuple[tuple[int, ...], ...]
    groups: tuple[tuple[str, tuple[int, ...]], ...]
    alone: tuple[int, ...]

    @classmethod
    def of(cls, params: "chex.ArrayTree") -> "Layout":
        """The layout of parameters, by the shapes and dtypes of their leaves alone.

        Args:
            params: pytree of arrays, or of their ShapeDtypeStructs.

        Returns:
            A layout in which leaves of up to 8 KiB are laid end to end, if there are two of a dtype.

        >>> layout = Layout.of({"w": jnp.ones((2, 3)), "b": jnp.zeros(3)})
        >>> layout.groups, layout.alone
        ((('float32', (0, 1)),), ())
        """
        leaves, treedef = jax.tree.flatten(params)
        by_dtype: dict[str, list[int]] = {}
        for position, leaf in enumerate(leaves):
            dtype = jnp.dtype(leaf.dtype if hasattr(leaf, "dtype") else jnp.result_type(leaf))
            if np.size(leaf) * dtype.itemsize <= SMALL:
                by_dtype.setdefault(dtype.name, []).append(position)
        groups = tuple((name, tuple(by_dtype[name])) for name in sorted(by_dtype) if len(by_dtype[name]) > 1)
        grouped = {position for _, members in groups for position in members}
        alone = tuple(position for position in range(len(leaves)) if position not in grouped)
        return cls(treedef, tuple(np.shape(leaf) for leaf in leaves), groups, alone)

    def pack(self, tree: "chex.ArrayTree") -> Packed:
        """Lay the small leaves end to end.

        Args:
            tree: pytree of the layout's structure and shapes; leaves of a group have one dtype, which need
                not be that of the group's name. ShapeDtypeStructs make a Packed of ShapeDtypeStructs.

        Returns:
            The packed tree.

        Raises:
            ValueError: leaves of a group have different dtypes.
        """
        leaves = self.treedef.flatten_up_to(tree)
        together = {name: _end_to_end([leaves[i] for i in members]) for name, members in self.groups}
        return Packed(together, tuple(leaves[i] for i in self.alone))

    def unpack(self, packed: Packed, count: jax.Array) -> "chex.ArrayTree":
        """Cut the long arrays into leaves.

        Args:
            packed: what `pack` made, or a rule made of that.
            count: any number of steps, ≥ 0; int32, shape (). What for is told below.

        Returns:
            A pytree of the layout's structure and shapes.
        """
        leaves: list[Any] = [None] * len(self.shapes)
        for position, leaf in zip(self.alone, packed.alone, strict=True):
            leaves[position] = leaf
        for name, members in self.groups:
            sizes = [math.prod(self.shapes[position]) for position in members]
            parts = _cut(packed.together[name], sizes, count)
            for position, part in zip(members, parts, strict=True):
                leaves[position] = part.reshape(self.shapes[position])
        return self.treedef.unflatten(leaves)


def is_packed(node: Any) -> bool:
    """Whether a node of a tree is a Packed."""
    return isinstance(node, Packed)


def _end_to_end(leaves: Sequence[Any]) -> Any:
    dtypes = sorted({str(jnp.result_type(leaf)) for leaf in leaves})
    if len(dtypes) > 1:
        raise ValueError(
            f"leaves of dtypes {' and '.join(dtypes)} belong to parameters of one dtype and cannot be laid "
            "end to end: cast the gradients to the parameters' dtype."
        )
    if all(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in leaves):
        return jax.ShapeDtypeStruct((sum(leaf.size for leaf in leaves),), leaves[0].dtype)
    return jnp.concatenate([jnp.ravel(leaf) for leaf in leaves])


def _cut(array: jax.Array, sizes: Sequence[int], count: jax.Array) -> Sequence[jax.Array]:
    offsets = [0, *np.cumsum(sizes)[:-1].tolist()]
    if not isinstance(count, Tracer):
        return [jax.lax.slice_in_dim(array, o, o + size) for o, size in zip(offsets, sizes, strict=True)]
    # XLA compiles a kernel for each different slice, 15 ms each on a CPU, but one for all slices of a size
    # whose place it learns only when it runs: from a branch that it cannot foresee.
    places = jax.lax.cond(
        _is_count(count),
        lambda: [np.int32(offset) for offset in offsets],
        lambda: [np.int32(0)] * len(offsets),
    )
    return [
        jax.lax.dynamic_slice(array, (place,), (size,)) for place, size in zip(places, sizes, strict=True)
    ]


@jax.custom_batching.custom_vmap
def _is_count(count: jax.Array) -> jax.Array:
    return count >= 0


@_is_count.def_vmap
def _(size: int, batched: list[bool], count: jax.Array) -> tuple[jax.Array, bool]:
    # The same for all runs of a sweep: places that differed between them would make gathers of the slices.
    return _is_count(count[0]), False
