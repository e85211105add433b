"""Which devices hold what while a run is split over a mesh."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec, Sharding

from jaxopt_edu.core.paths import owner_of
from jaxopt_edu.core.shardings import as_automatic, automatic, mesh_of, over
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

    A parameter that is sharded already stays as it is, and what of the optimizer's state belongs to it and
    has its shape lies as it does. All else stays where it is sharded, and is on all devices where it is not.

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
    params = dict(jax.tree_util.tree_flatten_with_path(carry.params)[0])
    beside = dict(zip(params, jax.tree.leaves(of_params), strict=True))

    def of_state(path: Any, leaf: jax.Array) -> Sharding:
        owner = owner_of(path, params)
        if owner is not None and params[owner].shape == leaf.shape:
            return beside[owner]
        return sharding(path, leaf)

    state = jax.tree_util.tree_map_with_path(of_state, carry.state)
    of_model = jax.tree_util.tree_map_with_path(sharding, carry.model_state)
    shardings = Carry(of_params, state, of_model)
    placement = Placement(mesh, axes, tuple(jax.tree.leaves(shardings)))
    return placement, jax.tree.map(placed, carry, shardings)


def given_back(carry: Carry, shardings: Carry) -> Carry:
    """The carry with the caller's own shardings: those that were given, or else the same kind of axes.

    Args:
        carry: after some steps.
        shardings: of the carry that the caller gave.

    Returns:
        The same numbers, where they were.
    """
    meshes = [mesh_of(sharding) for sharding in jax.tree.leaves(shardings)]
    own: dict[Any, Mesh] = {automatic(mesh): mesh for mesh in meshes if mesh and mesh != automatic(mesh)}

    def back(leaf: jax.Array, given: Sharding) -> jax.Array:
        sharding = given if given.is_equivalent_to(leaf.sharding, leaf.ndim) else leaf.sharding
        mesh = own.get(mesh_of(sharding))
        sharding = sharding if mesh is None else over(mesh, sharding)
        return leaf if sharding == leaf.sharding else jax.device_put(leaf, sharding)

    return jax.tree.map(back, carry, shardings)


def _on_mesh(mesh: Mesh, name: str, leaf: jax.Array) -> Sharding:
    if len(leaf.sharding.device_set) == 1 and mesh.size > 1:
        return NamedSharding(mesh, PartitionSpec())
    if leaf.sharding.device_set != set(mesh.devices.flat):
        raise ValueError(
            f"fit: {name} is sharded over {len(leaf.sharding.device_set)} devices that are not the "
            f"{mesh.size} of the mesh; shard it over the same mesh."
        )
    return as_automatic(leaf.sharding)
