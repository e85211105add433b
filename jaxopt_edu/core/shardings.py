"""On which devices arrays lie: a state beside its parameter, also where it has another shape than that."""

from collections.abc import Sequence
from typing import Any

import jax
from jax.core import Tracer
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

Names = tuple[str, ...]


def sharding_of(leaf: Any) -> NamedSharding | None:
    """How a parameter is split over the named axes of a mesh, as far as it tells.

    Args:
        leaf: array, or its ShapeDtypeStruct.

    Returns:
        Its sharding; None for one that has no mesh, and inside of a compiled function, where the compiler
        decides, unless the axes are explicit.
    """
    found = jax.typeof(leaf).sharding if isinstance(leaf, Tracer) else getattr(leaf, "sharding", None)
    says_where = isinstance(found, NamedSharding) and (_is_explicit(found) or not isinstance(leaf, Tracer))
    return found if says_where else None


def without_axis(leaf: Any, axis: int) -> NamedSharding | None:
    """Where sums over an axis of a parameter lie: split as its other axes are.

    Args:
        leaf: array, or its ShapeDtypeStruct.
        axis: of the leaf, that the sums do not have.

    Returns:
        A sharding for an array of one axis less; None where `sharding_of` has none.

    >>> import jax.numpy as jnp
    >>> mesh = jax.make_mesh((1, 1), ("data", "model"), axis_types=(AxisType.Auto,) * 2)
    >>> w = jax.device_put(jnp.ones((2, 3)), NamedSharding(mesh, PartitionSpec("data", "model")))
    >>> tuple(without_axis(w, -1).spec)
    ('data',)
    """
    sharding = sharding_of(leaf)
    if sharding is None:
        return None
    spec = _names(sharding, len(leaf.shape))
    del spec[axis]
    return _split(sharding, spec)


def beside(leaf: Any, shape: Sequence[int], mapped: Sequence[int] = ()) -> NamedSharding | None:
    """Where a product such as GGᵀ of a parameter lies: in as many parts as the parameter.

    Its first axis is split over all the axes of the mesh over which the parameter is, whichever of its own
    axes these split: a layer that is split over k devices by its inputs has a product of its outputs, too,
    of which each device would else hold all.

    Args:
        leaf: array, or its ShapeDtypeStruct.
        shape: of the product, which begins with the lengths of the mapped axes.
        mapped: axes of the leaf that the product has, too; split as they are.

    Returns:
        A sharding; None where `sharding_of` has none, and for explicit axes: those are part of an array's
        type, and a product of matrices that are split otherwise is refused. An axis of the mesh that does not
        divide the length is left out.

    >>> import jax.numpy as jnp
    >>> mesh = jax.make_mesh((1, 1), ("data", "model"), axis_types=(AxisType.Auto,) * 2)
    >>> w = jax.device_put(jnp.ones((5, 2, 3)), NamedSharding(mesh, PartitionSpec("data", None, "model")))
    >>> tuple(beside(w, (5, 2, 2), mapped=(0,)).spec)
    ('data', 'model')
    """
    sharding = sharding_of(leaf)
    if sharding is None or _is_explicit(sharding):
        return None
    spec = _names(sharding, len(leaf.shape))
    kept = [spec[axis] for axis in mapped]
    if len(shape) > len(mapped):
        parts, dividing = 1, []
        for name in (name for axis, names in enumerate(spec) if axis not in mapped for name in names):
            if shape[len(mapped)] % (parts * sharding.mesh.shape[name]) == 0:
                parts *= sharding.mesh.shape[name]
                dividing.append(name)
        kept.append(tuple(dividing))
    return _split(sharding, kept)


def with_automatic_axes(tree: Any) -> Any:
    """The same arrays, with shardings that the compiler propagates: those of explicit axes it only checks.

    Args:
        tree: pytree of arrays.

    Returns:
        The arrays where they are.
    """

    def turned(leaf: Any) -> Any:
        sharding = getattr(leaf, "sharding", None)
        return leaf if mesh_of(sharding) is None else jax.device_put(leaf, as_automatic(sharding))

    return jax.tree.map(turned, tree)


def as_automatic(sharding: Any) -> Any:
    """The same sharding, over automatic axes if it has any."""
    mesh = mesh_of(sharding)
    return sharding if mesh is None else over(automatic(mesh), sharding)


def mesh_of(sharding: Any) -> Mesh | None:
    """The mesh of devices over which a sharding is; None for another kind of sharding."""
    mesh = getattr(sharding, "mesh", None)
    return mesh if isinstance(mesh, Mesh) else None


def automatic(mesh: Mesh) -> Mesh:
    """The same devices, with axes along which the compiler propagates shardings."""
    return Mesh(mesh.devices, mesh.axis_names, axis_types=(AxisType.Auto,) * len(mesh.axis_names))


def over(mesh: Mesh, sharding: Any) -> NamedSharding:
    """The same sharding over another mesh with axes of these names."""
    return NamedSharding(mesh, sharding.spec, memory_kind=sharding.memory_kind)


def _split(like: NamedSharding, names: Sequence[Names]) -> NamedSharding:
    return NamedSharding(
        like.mesh, PartitionSpec(*(each or None for each in names)), memory_kind=like.memory_kind
    )


def _is_explicit(sharding: NamedSharding) -> bool:
    return AxisType.Explicit in sharding.mesh.axis_types


def _names(sharding: NamedSharding, ndim: int) -> list[Names]:
    """The names of the mesh's axes over which each axis of an array is split."""
    entries = [*sharding.spec, *[None] * (ndim - len(sharding.spec))]
    return [(entry,) if isinstance(entry, str) else tuple(entry or ()) for entry in entries]
