"""Which devices hold what while a run is split over a mesh."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec, Sharding

from jaxopt_edu.processes import placed
from jaxopt_edu.training.loop import Carry


class Placement(NamedTuple):
    """Where the leaves of a carry lie, and how a batch is split; hashable, since it is compiled in.

    Attributes:
        mesh: the devices.
        axes: of the mesh, along which the first axis of a batch is split.
        leaves: the sharding of each leaf of the carry, in the tree's order.
    """

    mesh: Mesh
    axes: tuple[str, ...]
    leaves: tuple[Sharding, ...]

    def split(self, batch: Any) -> Any:
        """Split a batch over the devices; a leaf without an axis is on all of them."""
        split = NamedSharding(self.mesh, PartitionSpec(self.axes))
        return jax.tree.map(
            lambda leaf: jax.lax.with_sharding_constraint(leaf, split) if jnp.ndim(leaf) else leaf, batch
        )

    def kept(self, carry: Carry) -> Carry:
        """The carry, with every leaf held where it was: the compiler may not move it."""
        leaves, treedef = jax.tree.flatten(carry)
        return jax.tree.unflatten(treedef, map(jax.lax.with_sharding_constraint, leaves, self.leaves))

    def beside(self, tree: Any, what: str) -> Any:
        """Arrays that are not in the carry, put on the mesh: those that are sharded over it stay so.

        Raises:
            ValueError: a leaf is sharded over other devices; names it, after what the tree is.
        """
        return jax.tree_util.tree_map_with_path(
            lambda path, leaf: placed(leaf, _on_mesh(self.mesh, f"{what}{jax.tree_util.keystr(path)}", leaf)),
            tree,
        )

    def everywhere(self, tree: Any) -> Any:
        """Traced arrays on all devices, so that every process can read them."""
        whole = NamedSharding(self.mesh, PartitionSpec())
        return jax.tree.map(lambda leaf: jax.lax.with_sharding_constraint(leaf, whole), tree)

    def on_all(self, tree: Any) -> Any:
        """Arrays of the host, or of one device, put on all devices."""
        whole = NamedSharding(self.mesh, PartitionSpec())
        return jax.tree.map(lambda leaf: placed(leaf, whole), tree)


def place(mesh: Mesh, axes: tuple[str, ...], carry: Carry) -> tuple[Placement, Carry]:
    """Put a carry on a mesh.

    A leaf that is sharded already stays as it is. What of the optimizer's state has the parameters' structure
    lies as they do. Everything else goes on all devices.

    Args:
        mesh: of axes of any kind; explicit ones are taken as automatic ones, so that any loss compiles.
        axes: along which batches are split.
        carry: parameters, state and model state.

    Returns:
        Where everything lies, and the carry there.

    Raises:
        ValueError: a leaf is sharded over other devices than the mesh's; names it.
    """
    mesh = automatic(mesh)

    def sharding(path: Any, leaf: jax.Array) -> Sharding:
        return _on_mesh(mesh, f"carry{jax.tree_util.keystr(path)}", leaf)

    of_params = jax.tree_util.tree_map_with_path(sharding, carry.params)
    structure = jax.tree.structure(carry.params)
    shapes = [leaf.shape for leaf in jax.tree.leaves(carry.params)]

    def like_params(node: Any) -> bool:
        return (
            jax.tree.structure(node) == structure
            and [np.shape(leaf) for leaf in jax.tree.leaves(node)] == shapes
        )

    def of_state(path: Any, node: Any) -> Any:
        if like_params(node):
            return of_params
        return jax.tree_util.tree_map_with_path(lambda rest, leaf: sharding((*path, *rest), leaf), node)

    state = jax.tree_util.tree_map_with_path(of_state, carry.state, is_leaf=like_params)
    of_model = jax.tree_util.tree_map_with_path(sharding, carry.model_state)
    shardings = Carry(of_params, state, of_model)
    placement = Placement(mesh, axes, tuple(jax.tree.leaves(shardings)))
    return placement, jax.tree.map(placed, carry, shardings)


def given_back(carry: Carry, shardings: Carry) -> Carry:
    """The carry with its leaves sharded over the caller's own mesh again, where that has explicit axes.

    Args:
        carry: after some steps.
        shardings: of the carry that the caller gave.

    Returns:
        The same numbers.
    """

    def back(leaf: jax.Array, sharding: Sharding) -> jax.Array:
        return leaf if _automatic(sharding) == sharding else jax.device_put(leaf, sharding)

    return jax.tree.map(back, carry, shardings)


def automatic(mesh: Mesh) -> Mesh:
    """The same mesh with axes whose shardings the compiler propagates."""
    return Mesh(mesh.devices, mesh.axis_names, axis_types=(AxisType.Auto,) * len(mesh.axis_names))


def _on_mesh(mesh: Mesh, name: str, leaf: jax.Array) -> Sharding:
    if len(leaf.sharding.device_set) == 1 and mesh.size > 1:
        return NamedSharding(mesh, PartitionSpec())
    if leaf.sharding.device_set != set(mesh.devices.flat):
        raise ValueError(
            f"fit: {name} is sharded over {len(leaf.sharding.device_set)} devices that are not the "
            f"{mesh.size} of the mesh; shard it over the same mesh."
        )
    return _automatic(leaf.sharding)


def _automatic(sharding: Sharding) -> Sharding:
    if not isinstance(sharding, NamedSharding) or not isinstance(sharding.mesh, Mesh):
        return sharding
    return NamedSharding(automatic(sharding.mesh), sharding.spec, memory_kind=sharding.memory_kind)
