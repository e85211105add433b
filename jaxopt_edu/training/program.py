"""What a run computes: stretches of steps as one compiled program."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_edu.core.packing import Layout
from jaxopt_edu.core.transform import Optimizer
from jaxopt_edu.training.keys import Keyed, step_keys
from jaxopt_edu.training.loop import Carry, drawn, make_step
from jaxopt_edu.training.objective import objective
from jaxopt_edu.training.packing import of_products, pack_carry, unpack_carry
from jaxopt_edu.training.placement import Placement
from jaxopt_edu.training.sources import Source


class Program(NamedTuple):
    """What is run."""

    loss_fn: Callable[..., Any]  # a pytree
    optimizer: Optimizer
    source: Source
    draw: Callable[[Any], Any]  # the source's, with its arrays where the run is; a pytree
    stateful: bool
    placement: Placement | None
    layout: Layout | None  # how the steps may carry parameters and state, if not as they are
    loss_key: jax.Array | None = None

    def entries(self, first: int, asked: int, following: int) -> tuple[Any, int]:
        """What the next batches are made of, with the keys of their losses, and how many there are.

        Args:
            first: the number of the first batch.
            asked: how many are wanted.
            following: how many will be wanted then.
        """
        entries, steps = self.source.entries(first, asked, following)
        if self.loss_key is None or steps == 0:
            return entries, steps
        return Keyed(entries, step_keys(self.loss_key, np.uint32(first), steps=steps)), steps

    def advance(
        self, carry: Carry, entries: Any, steps: int
    ) -> tuple[Carry, jax.Array, dict[str, jax.Array]]:
        """Make some steps; the carry's buffers are given away."""
        return _advance(
            carry,
            self.loss_fn,
            self.optimizer,
            self.draw,
            entries,
            steps=steps,
            stateful=self.stateful,
            placement=self.placement,
            layout=self.layout,
        )


def drawn_over(placement: Placement | None, draw: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """What makes a batch of an entry, split over the devices if there are several."""
    return draw if placement is None else lambda entry: placement.split(draw(entry))


def own_copy(carry: Carry) -> Carry:
    """A copy whose buffers may be given away.

    Args:
        carry: pytree of arrays and numbers.

    Returns:
        The same numbers as strongly typed JAX arrays, with the same shardings.
    """
    return _copy(jax.tree.map(jnp.asarray, carry))


@jax.jit
def _copy(carry: Carry) -> Carry:
    # One program for the whole tree: a call for each leaf would cost more than a short stretch of steps.
    return jax.tree.map(lambda leaf: jax.lax.convert_element_type(leaf, leaf.dtype).copy(), carry)


@partial(jax.jit, static_argnames=("steps", "stateful", "placement", "layout"), donate_argnums=0)
def _advance(
    carry: Carry,
    loss_fn: Callable[..., Any],
    optimizer: Optimizer,
    draw: Callable[[Any], Any],
    entries: Any,
    *,
    steps: int,
    stateful: bool,
    placement: Placement | None,
    layout: Layout | None,
) -> tuple[Carry, jax.Array, dict[str, jax.Array]]:
    split_draw = drawn_over(placement, draw)
    if layout is not None:
        batch, key = jax.eval_shape(lambda: drawn(split_draw, jax.tree.map(lambda leaf: leaf[0], entries)))
        loss = objective(loss_fn, stateful=stateful)
        layout = layout if of_products(loss, layout, carry.params, carry.model_state, batch, key) else None
    step = make_step(loss_fn, optimizer, split_draw, stateful=stateful, layout=layout)
    if placement is not None:
        return _split_over_devices(step, carry, entries, steps, placement)
    begun = carry if layout is None else pack_carry(layout, carry)
    ended, (losses, metrics) = jax.lax.scan(step, begun, entries, length=steps)
    return ended if layout is None else unpack_carry(layout, ended), losses, metrics


def _split_over_devices(
    step: Callable[[Carry, Any], Any], carry: Carry, entries: Any, steps: int, placement: Placement
) -> tuple[Carry, jax.Array, dict[str, jax.Array]]:
    def kept_step(carry: Carry, entry: Any) -> Any:
        carry, outcome = step(carry, entry)
        return placement.kept(carry), outcome

    ended, told = jax.lax.scan(kept_step, carry, entries, length=steps)
    # What holds inside of the loop, the compiler need not let stand at its end.
    return placement.kept(ended), *placement.everywhere(told)
