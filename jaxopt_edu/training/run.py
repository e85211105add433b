"""The host's side of a run: compiled stretches of steps, and what happens between them."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxopt_edu.core.packing import Layout
from jaxopt_edu.core.transform import Optimizer
from jaxopt_edu.processes import placed
from jaxopt_edu.training.history import Recorder
from jaxopt_edu.training.loop import Carry, make_step
from jaxopt_edu.training.objective import objective
from jaxopt_edu.training.packing import of_products, pack_carry, unpack_carry
from jaxopt_edu.training.sources import Source


@dataclass(frozen=True)
class Plan:
    """How long a run is, and what ends it early."""

    steps: int
    every: int
    patience: int | None
    allow_nonfinite: bool

    def __post_init__(self) -> None:
        for name, lowest in (("steps", 0), ("every", 1), ("patience", 1)):
            value = getattr(self, name)
            if name == "patience" and value is None:
                continue
            whole = isinstance(value, int | float | np.number) and float(value).is_integer()
            if isinstance(value, bool) or not whole or value < lowest:
                raise ValueError(f"fit: {name} = {value!r} must be a whole number of at least {lowest}.")

    def stretch(self, step: int) -> int:
        """How many steps to make from here without touching the host; stretches end at multiples of every."""
        return min(self.every - step % self.every, self.steps - step)


class Program(NamedTuple):
    """What is run."""

    loss_fn: Callable[..., Any]  # a pytree
    optimizer: Optimizer
    source: Source
    stateful: bool
    mesh: Mesh | None
    layout: Layout | None  # how the steps may carry parameters and state, if not as they are

    def advance(
        self, carry: Carry, entries: Any, steps: int
    ) -> tuple[Carry, jax.Array, dict[str, jax.Array]]:
        """Make some steps; the carry's buffers are given away."""
        return _advance(
            carry,
            self.loss_fn,
            self.optimizer,
            self.source.draw,
            entries,
            steps=steps,
            stateful=self.stateful,
            mesh=self.mesh,
            layout=self.layout,
        )


class Held(NamedTuple):
    """A copy of the carry before a stretch, and the stretch's data, to go back to."""

    step: int
    carry: Carry
    entries: Any


def run(
    program: Program,
    plan: Plan,
    carry: Carry,
    recorder: Recorder,
    at_stop: Callable[[Carry, np.ndarray], bool],
) -> tuple[Carry, str]:
    """Train from where the recorder stands to the plan's end.

    Args:
        program: what is run.
        plan: how long.
        carry: where to begin; its buffers are given away.
        recorder: the history so far; is added to.
        at_stop: called after each stretch with the carry and the stretch's losses; True ends the run.

    Returns:
        The last carry, and why the run ended.
    """
    if program.mesh is not None:
        carry = placed(carry, NamedSharding(program.mesh, PartitionSpec()))
    held: list[Held] = []
    while (step := recorder.steps) < plan.steps:
        if _out_of_patience(recorder, plan):
            return carry, f"no improvement in {plan.patience} evaluations, at step {step}"
        asked = plan.stretch(step)
        following = plan.stretch(step + asked) if step + asked < plan.steps else 0
        entries, steps = program.source.entries(step, asked, following)
        if steps == 0:
            return carry, f"end of data at step {step}"
        if not plan.allow_nonfinite:
            # The parameters that a stretch begins with are known to be good only when its first loss is;
            # until then the copy before is the one to go back to.
            held = [*held[-1:], Held(step, own_copy(carry), entries)]
        carry, losses, metrics = program.advance(carry, entries, steps)
        losses = np.asarray(losses)
        recorder.add(losses, metrics)
        bad = np.flatnonzero(~np.isfinite(losses))
        if len(bad) and not plan.allow_nonfinite:
            recorder.cut(step + int(bad[0]) + 1)
            return _go_back(program, held, recorder)
        if at_stop(carry, losses):
            return carry, f"stopped by the callback at step {recorder.steps}"
    return carry, "completed"


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


@partial(jax.jit, static_argnames=("steps", "stateful", "mesh", "layout"), donate_argnums=0)
def _advance(
    carry: Carry,
    loss_fn: Callable[..., Any],
    optimizer: Optimizer,
    draw: Callable[[Any], Any],
    entries: Any,
    *,
    steps: int,
    stateful: bool,
    mesh: Mesh | None,
    layout: Layout | None,
) -> tuple[Carry, jax.Array, dict[str, jax.Array]]:
    def split_draw(entry: Any) -> Any:
        batch = draw(entry)
        if mesh is None:
            return batch
        split = NamedSharding(mesh, PartitionSpec(mesh.axis_names[0]))
        return jax.tree.map(
            lambda leaf: jax.lax.with_sharding_constraint(leaf, split) if jnp.ndim(leaf) else leaf, batch
        )

    if layout is not None:
        batch = jax.eval_shape(lambda: split_draw(jax.tree.map(lambda leaf: leaf[0], entries)))
        loss = objective(loss_fn, stateful=stateful)
        layout = layout if of_products(loss, layout, carry.params, carry.model_state, batch) else None
    step = make_step(loss_fn, optimizer, split_draw, stateful=stateful, layout=layout)
    begun = carry if layout is None else pack_carry(layout, carry)
    ended, (losses, metrics) = jax.lax.scan(step, begun, entries, length=steps)
    return ended if layout is None else unpack_carry(layout, ended), losses, metrics


def _go_back(program: Program, held: list[Held], recorder: Recorder) -> tuple[Carry, str]:
    losses = recorder.history("").losses
    bad = len(losses) - 1
    # The loss of step i is that of the parameters after i updates.
    wanted = max(bad - 1, held[0].step)
    base = [copy for copy in held if copy.step <= wanted][-1]
    carry = base.carry
    if updates := wanted - base.step:
        entries = jax.tree.map(lambda leaf: leaf[:updates], base.entries)
        carry, _, _ = program.advance(carry, entries, updates)
    if bad == 0:
        said = f"the first loss is {losses[0]}; the parameters are those given"
    elif bad == held[0].step:
        said = (
            f"the loss is {losses[bad]} at step {bad}, the first after the checkpoint, whose parameters and "
            f"state these are; the last finite one was {losses[bad - 1]:g} at step {bad - 1}: resume from an "
            "earlier checkpoint"
        )
    else:
        said = (
            f"the loss is {losses[bad]} at step {bad}; the last finite one was {losses[bad - 1]:g} at step "
            f"{bad - 1}, and the parameters and the state are those it was computed with"
        )
    warnings.warn(f"fit stopped: {said}.", RuntimeWarning, stacklevel=4)
    return carry, said


def _out_of_patience(recorder: Recorder, plan: Plan) -> bool:
    if plan.patience is None:
        return False
    values = [float(value) for value in recorder.watched(plan.every)]
    # NaN is no improvement, and anything is one over it.
    values = np.nan_to_num(values, nan=np.inf, posinf=np.inf, neginf=-np.inf)
    return len(values) > 0 and len(values) - 1 - int(np.argmin(values)) >= plan.patience
