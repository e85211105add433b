"""Many small leaves in a compiled run: the loop carries them end to end, and only the loss sees the tree."""

from collections.abc import Callable
from typing import Any

import jax
import optax
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn

from jaxopt_edu.core.composition import NAMES_LEAVES, bearer
from jaxopt_edu.core.packing import Layout
from jaxopt_edu.core.transform import Page
from jaxopt_edu.optimizers import ELEMENTWISE
from jaxopt_edu.training.loop import Carry

# From so many leaves of up to 8 KiB on, the optimizer counts in a step (tests/benchmarks/packing.py).
MANY = 100
# A dense layer has a product for two leaves, a convolution with batch normalization one for three, and a
# transformer's layer six for twelve.
LEAVES_A_PRODUCT = 10


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
    if not (isinstance(function, Page) and function.factory in ELEMENTWISE):
        return None
    if bearer(optimizer, NAMES_LEAVES) is not None:
        return None
    if any(len(leaf.sharding.device_set) > 1 for leaf in jax.tree.leaves(params)):
        return None
    layout = Layout.of(params)
    return layout if sum(len(members) for _, members in layout.groups) >= MANY else None


def of_products(loss_fn: Callable[..., Any], layout: Layout, *arguments: Any) -> bool:
    """Whether a loss is made of matrix products, as networks are.

    The gradient of other losses comes number by number, and XLA computes it inside of the kernels that update
    the leaves. Packed, it would be written and read once more, which takes longer than the kernels saved.

    Args:
        loss_fn: the loss.
        layout: of its parameters.
        *arguments: what it is called with; shapes are enough.

    Returns:
        Whether there is at least one product of matrices, or convolution, for ten of the packed leaves.
    """
    leaves = sum(len(members) for _, members in layout.groups)
    return LEAVES_A_PRODUCT * _products(jax.make_jaxpr(loss_fn)(*arguments).jaxpr) >= leaves


def _products(jaxpr: Jaxpr) -> int:
    return sum(map(_is_product, jaxpr.eqns)) + sum(
        _products(inner.jaxpr if isinstance(inner, ClosedJaxpr) else inner)
        for equation in jaxpr.eqns
        for inner in jax.tree.leaves(list(equation.params.values()))
        if isinstance(inner, ClosedJaxpr | Jaxpr)
    )


def _is_product(equation: JaxprEqn) -> bool:
    matrices = any(len(getattr(operand.aval, "shape", ())) > 1 for operand in equation.invars)
    return equation.primitive.name in ("dot_general", "conv_general_dilated") and matrices


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
