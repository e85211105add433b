"""The host's side of a run: compiled stretches of steps, and what happens between them."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_edu.core.arguments import named
from jaxopt_edu.core.packing import Layout
from jaxopt_edu.core.transform import Optimizer
from jaxopt_edu.training.best import Judge
from jaxopt_edu.training.history import Recorder
from jaxopt_edu.training.keys import Keyed, step_keys
from jaxopt_edu.training.loop import Carry, drawn, make_step
from jaxopt_edu.training.objective import BEGINNINGS, objective
from jaxopt_edu.training.packing import of_products, pack_carry, unpack_carry
from jaxopt_edu.training.placement import Placement
from jaxopt_edu.training.sources import Source


@dataclass(frozen=True)
class Plan:
    """How long a run is, and what ends it early."""

    steps: int
    every: int
    judge: Judge
    allow_nonfinite: bool
    first_batch: int = 0  # where the data begins

    def ended_by(self, losses: np.ndarray) -> bool:
        """Whether the last of these losses ended the run, for being NaN or infinite."""
        return not self.allow_nonfinite and len(losses) > 0 and not np.isfinite(losses[-1])

    def stretch(self, step: int) -> int:
        """How many steps to make from here without touching the host; stretches end at multiples of every."""
        return min(self.every - step % self.every, self.steps - step)


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
    at_stop: Callable[[Carry, np.ndarray], str | None],
) -> tuple[Carry, str]:
    """Train from where the recorder stands to the plan's end.

    Args:
        program: what is run.
        plan: how long.
        carry: where to begin; its buffers are given away.
        recorder: the history so far; is added to.
        at_stop: called every `every` steps and at the end with the carry and the losses since; says why the
            run is to end here, or None.

    Returns:
        The last carry, and why the run ended.
    """
    held: list[Held] = []
    since: list[np.ndarray] = []  # losses that at_stop has not seen
    while (step := recorder.steps) < plan.steps:
        if plan.judge.out_of_patience:
            return carry, f"no improvement in {plan.judge.patience} evaluations, at step {step}"
        asked = plan.stretch(step)
        following = plan.stretch(step + asked) if step + asked < plan.steps else 0
        entries, steps = program.entries(plan.first_batch + step, asked, following)
        if steps == 0:
            said = _ended(step, plan.steps)
            if since:
                at_stop(carry, np.concatenate(since))
            return carry, said
        if program.placement is not None:
            entries = program.placement.on_all(entries)
        if not plan.allow_nonfinite:
            # The parameters that a stretch begins with are known to be good only when its first loss is;
            # until then the copy before is the one to go back to.
            held = [*held[-1:], Held(step, own_copy(carry), entries)]
        with named("fit", *BEGINNINGS):
            carry, losses, metrics = program.advance(carry, entries, steps)
        losses, metrics = jax.device_get((losses, metrics))
        recorder.add(losses, metrics)
        bad = np.flatnonzero(~np.isfinite(losses))
        if len(bad) and not plan.allow_nonfinite:
            recorder.cut(step + int(bad[0]) + 1)
            return _go_back(program, held, recorder)
        since.append(losses)
        if recorder.steps % plan.every and recorder.steps < plan.steps:
            continue  # a stretch that a batch of another shape cut short
        since, told = [], np.concatenate(since)
        if ended := at_stop(carry, told):
            return carry, ended
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
    def split_draw(entry: Any) -> Any:
        batch = draw(entry)
        return batch if placement is None else placement.split(batch)

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
    return ended, *placement.everywhere(told)


def _ended(step: int, steps: int) -> str:
    if step == 0:
        raise ValueError(
            "fit: data gave no batch at all; an iterator that was read before is at its end: make a new "
            "one, or "
            "pass what can be iterated again."
        )
    warnings.warn(
        f"fit stopped: the data ended after {step} of {steps} steps; pass what can be iterated again (a "
        "list of "
        "batches, a loader) for further epochs.",
        RuntimeWarning,
        stacklevel=5,
    )
    return f"end of data at step {step}"


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
    warnings.warn(f"fit stopped: {said}.", RuntimeWarning, stacklevel=5)
    return carry, said
