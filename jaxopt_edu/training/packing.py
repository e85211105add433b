"""Many small leaves in a compiled run: the loop carries them end to end, and only the loss sees the tree."""

from typing import Any

import jax
import optax

from jaxopt_edu.core.packing import Layout
from jaxopt_edu.core.transform import Page
from jaxopt_edu.optimizers import OPTIMIZERS
from jaxopt_edu.training.loop import Carry

# So many leaves of at most 8 KiB make the optimizer a large part of a step, and packing them makes that part
# two to four times smaller; tests/benchmarks/README.md has the measurement.
MANY = 100


def layout_that_pays(optimizer: optax.GradientTransformation, params: Any) -> Layout | None:
    """How to lay out the parameters of a run, if that makes it faster.

    Args:
        optimizer: as a pytree.
        params: pytree of arrays.

    Returns:
        A layout, for at least 100 small leaves on one device and one of this library's optimizers, whose
        rules treat every number alike; else None.
    """
    function: Any = getattr(optimizer.update, "func", None)
    if not (isinstance(function, Page) and function.factory in OPTIMIZERS):
        return None
    if any(len(leaf.sharding.device_set) > 1 for leaf in jax.tree.leaves(params)):
        return None
    layout = Layout.of(params)
    return layout if sum(len(members) for _, members in layout.groups) >= MANY else None


def pack_carry(layout: Layout, carry: Carry) -> Carry:
    """The carry with parameters and the state's arrays packed."""
    state = carry.state
    memory = {name: layout.pack(getattr(state, name)) for name in state._fields if name != "count"}
    return carry._replace(params=layout.pack(carry.params), state=state._replace(**memory))


def unpack_carry(layout: Layout, carry: Carry) -> Carry:
    """The carry that `pack_carry` packed."""
    state = carry.state
    memory = {
        name: layout.unpack(getattr(state, name), state.count) for name in state._fields if name != "count"
    }
    params = layout.unpack(carry.params, state.count)
    return carry._replace(params=params, state=state._replace(**memory))
