"""Packed updates: many small leaves are worked on as one long array.

A leaf of a thousand numbers is a microsecond of arithmetic and several of everything else: a kernel to
compile, arguments to hand over, a place in the schedule. A rule that treats every number alike does not
care where one leaf ends and the next begins:

    g ← (g₁, g₂, …)                  (small gradients of a dtype, end to end)
    u, s ← optimizer.update(g, s)    (s: the state, which stays packed between steps)
    (u₁, u₂, …) ← u

Leaves above 8 KiB stay as they are. The updates are the optimizer's own up to a rounding: the formula is the
same, but XLA may contract a product and a sum into one for an array of one shape and not of another. It costs
a copy of the small gradients and updates.

Only rules that treat every number alike can be packed. Others (norms, factored moments, masks) are refused:
what the update computes is traced, for the tree and packed, and the two have to be the same for every leaf.
Sharded leaves are refused as well, since one long array would gather them. Random bits (`half_state`) are
others, as if by another key.

A compiled step that takes a thousand arrays and gives a thousand back spends most of its time on handing
them over, whatever it computes. In a loop of one's own parameters and state can stay packed, and only the
loss sees the tree, as in `jo.fit` (Layout is in `jaxopt_edu.core`):

    layout = Layout.of(params)
    w = layout.pack(params);  s = optimizer.init(w)
    g = layout.pack(jax.grad(loss)(layout.unpack(w, s.count)))
    u, s = optimizer.update(g, s, w);  w = optax.apply_updates(w, u)

`optax.flatten` packs all leaves into one, whatever the rule, and makes a kernel of each slice; torch's
`foreach=True` walks over lists of leaves in one call.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_edu.core.checks import check_gradient_dtypes, check_matches, check_parameters, check_state
from jaxopt_edu.core.composition import compose
from jaxopt_edu.core.packing import Layout
from jaxopt_edu.core.transform import Optimizer
from jaxopt_edu.core.trees import next_count
from jaxopt_edu.wrappers.elementwise import check_elementwise
from jaxopt_edu.wrappers.order import check_inside

if TYPE_CHECKING:
    import chex

# What speaks of the whole tree would not fit the packed one.
OF_THE_WHOLE = ("grad", "value_fn", "grad_fn")


class PackedState(NamedTuple):
    """The optimizer's state for the packed parameters."""

    count: jax.Array  # the number of updates made; int32, shape ()
    inner: Any  # the optimizer's state; where it mirrors the parameters there is a Packed


def packed(optimizer: optax.GradientTransformation) -> Optimizer:
    """Work on all small leaves as one.

    Args:
        optimizer: any optax transform whose rule treats every number alike.

    Returns:
        A transform with the same updates, up to a rounding. It pays where there are hundreds of small leaves.

    Raises:
        TypeError: optimizer is not an optax transform.
        ValueError: it asks for a second gradient, as `sam` does, or tells leaves apart, as `partition` does.

    >>> import jax.numpy as jnp, jaxopt_edu as jo
    >>> opt = packed(jo.momentum(learning_rate=0.1))
    >>> params = {"w": jnp.ones((2, 2)), "b": jnp.ones(2)}
    >>> updates, state = opt.update(params, opt.init(params), params)
    >>> updates["b"].tolist(), state.inner.velocity.together["float32"].shape
    ([-0.10000000149011612, -0.10000000149011612], (6,))

    In a loop of one's own, packed from the first step to the last:

    >>> import jax, optax
    >>> from jaxopt_edu.core import Layout
    >>> layout, opt = Layout.of(params), jo.momentum(learning_rate=0.1)
    >>> def step(carry, _):
    ...     w, state = carry
    ...     tree = layout.unpack(w, state.count)
    ...     gradients = layout.pack(jax.grad(lambda tree: optax.tree.norm(tree, squared=True))(tree))
    ...     updates, state = opt.update(gradients, state, w)
    ...     return (optax.apply_updates(w, updates), state), None
    >>> w = layout.pack(params)
    >>> (w, state), _ = jax.lax.scan(step, (w, opt.init(w)), length=2)
    >>> [round(float(x), 2) for x in layout.unpack(w, state.count)["b"]]
    [0.46, 0.46]
    """
    check_inside("packed", optimizer, "takes_new_gradient", "names_leaves", "packs", "scales_the_loss")
    return compose(packed, init, PackedStep(), [optimizer])


def init(inits: Sequence[Callable], params: "chex.ArrayTree") -> PackedState:
    """Before the first step.

    Raises:
        ValueError: a leaf is split over devices.
    """
    check_parameters(params)
    for path, leaf in jax.tree_util.tree_flatten_with_path(params)[0]:
        sharding = getattr(leaf, "sharding", None)
        if isinstance(sharding, jax.sharding.Sharding) and not sharding.is_fully_replicated:
            raise ValueError(
                f"packed: parameter {jax.tree_util.keystr(path)} is split over {len(sharding.device_set)} "
                "devices, and one long array would gather it. Use the optimizer as it is."
            )
    return PackedState(jnp.zeros((), jnp.int32), inits[0](Layout.of(params).pack(params)))


@dataclass(frozen=True)
class PackedStep:
    """One step: gradients packed, the optimizer's update, updates unpacked."""

    packs = True

    def inner_states(self, state: Any, size: int) -> tuple[Any, ...]:
        """The optimizer's state."""
        check_state("packed", state, PackedState)
        return (state.inner,)

    def __call__(
        self, update_functions: Sequence[Callable], updates: Any, state: Any, params: Any, **extra: Any
    ) -> tuple["chex.ArrayTree", PackedState]:
        """The optimizer's updates.

        Raises:
            ValueError: the rule does not treat every number alike.
        """
        (inner,) = self.inner_states(state, 1)
        check_gradient_dtypes(updates)
        if params is not None:
            check_matches("gradient", updates, "parameter", params)
        layout = Layout.of(updates if params is None else params)
        extra = {name: value for name, value in extra.items() if name not in OF_THE_WHOLE}
        check_elementwise(update_functions[0], layout, updates, inner, params, extra)
        steps, inner = update_functions[0](
            layout.pack(updates), inner, None if params is None else layout.pack(params), **extra
        )
        return layout.unpack(steps, state.count), PackedState(next_count(state.count), inner)

    def evaluated_at(
        self, asks: Sequence[Callable], state: PackedState, params: "chex.ArrayTree"
    ) -> "chex.ArrayTree":
        """The optimizer's own point, unpacked."""
        layout = Layout.of(params)
        return layout.unpack(asks[0](state.inner, layout.pack(params)), state.count)
