"""What went first where a loss is not finite: a step made once more by itself, and looked at part by part."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_edu.core.paths import leaf_names, own_name
from jaxopt_edu.core.transform import Optimizer
from jaxopt_edu.training.loop import Carry, drawn, make_whole_step
from jaxopt_edu.training.placement import Placement
from jaxopt_edu.training.program import Program, drawn_over

# For each leaf: how many numbers of it are NaN, and how many are infinite; int32, shape (leaves, 2).
Counts = jax.Array | np.ndarray


class Looked(NamedTuple):
    """A step and the numbers in it that are not finite, part by part."""

    after: Carry
    loss_is_finite: jax.Array
    batch: Counts
    state: Counts  # of the optimizer, before the step
    params: Counts  # before the step
    model_state: Counts  # before the step
    gradients: Counts
    updates: Counts
    new_params: Counts
    new_model_state: Counts


def cause_at(program: Program, carry: Carry, entry: Any, step: int, *, good: bool) -> str | None:
    """What of a step whose loss is not finite is to blame for that, when it is looked at alone.

    Args:
        program: what is run.
        carry: before that step; stays as it is.
        entry: what the step's batch is made of.
        step: its number.
        good: whether what the step begins with is known to be no worse than what gave a finite loss; some of
            it may be infinite and meant so, such as a mask.

    Returns:
        The parameters, the batch, or the loss itself, in words; None if the loss is finite now.
    """
    seen = _looked_at(program, carry, entry)
    if seen.loss_is_finite:
        return None
    told = _told("parameter", carry.params, seen.params)
    told = told or _told("model's state", carry.model_state, seen.model_state)
    if told and not good:
        return f"{told} before step {step}"
    finite = "" if told else ", at finite parameters"
    batch = jax.eval_shape(lambda: drawn(program.draw, entry)[0])
    told = _told("batch's", batch, seen.batch)
    return f"the loss itself at step {step}{finite}{f'; {told}' if told else ''}"


def cause_after(program: Program, carry: Carry, entry: Any, step: int) -> tuple[str | None, Carry]:
    """What a step made that is not finite, though its loss is.

    A gradient that is not finite counts only if it reached the parameters: some optimizers leave such steps
    out.

    Args:
        program: what is run.
        carry: before that step; stays as it is.
        entry: what the step's batch is made of.
        step: its number.

    Returns:
        Its gradient, its update, or what is left behind, in words, None if all is finite; and the carry after
        the step.
    """
    seen = _looked_at(program, carry, entry)
    new = _fresh(seen.params, seen.new_params)
    if new.any():
        state = np.where([[True, False]], seen.state, 0)  # infinities may be an optimizer's first values
        for told in (
            _told("gradient of", carry.params, seen.gradients),
            _told("optimizer's state", carry.state, state),
            _told("update of", carry.params, seen.updates),
            _told("updated parameter", carry.params, new),
        ):
            if told:
                return f"{told} at step {step}", seen.after
    told = _told("model's state", carry.model_state, _fresh(seen.model_state, seen.new_model_state))
    return told and f"{told} after step {step}", seen.after


def _looked_at(program: Program, carry: Carry, entry: Any) -> Looked:
    seen = _look(
        carry,
        program.loss_fn,
        program.optimizer,
        program.draw,
        entry,
        stateful=program.stateful,
        placement=program.placement,
    )
    return Looked(seen.after, *jax.device_get(seen[1:]))


@partial(jax.jit, static_argnames=("stateful", "placement"))
def _look(
    carry: Carry,
    loss_fn: Callable[..., Any],
    optimizer: Optimizer,
    draw: Callable[[Any], Any],
    entry: Any,
    *,
    stateful: bool,
    placement: Placement | None,
) -> Looked:
    draw = drawn_over(placement, draw)
    made = make_whole_step(loss_fn, optimizer, draw, stateful=stateful)(carry, entry)
    after = made.carry if placement is None else placement.kept(made.carry)
    told = (
        jnp.isfinite(made.loss),
        _counts(drawn(draw, entry)[0]),
        _counts(carry.state),
        _counts(carry.params),
        _counts(carry.model_state),
        _counts(made.gradients),
        _counts(made.updates),
        _counts(after.params),
        _counts(after.model_state),
    )
    return Looked(after, *(told if placement is None else placement.everywhere(told)))


def _counts(tree: Any) -> jax.Array:
    rows = [
        jnp.stack([jnp.sum(jnp.isnan(leaf)), jnp.sum(jnp.isinf(leaf))]).astype(jnp.int32)
        if jnp.issubdtype(jnp.result_type(leaf), jnp.inexact)
        else jnp.zeros(2, jnp.int32)
        for leaf in jax.tree.leaves(tree)
    ]
    return jnp.stack(rows) if rows else jnp.zeros((0, 2), jnp.int32)


def _fresh(before: Counts, after: Counts) -> np.ndarray:
    """The counts of those leaves that had no such numbers before."""
    return np.where(np.sum(before, axis=1, keepdims=True) == 0, after, 0)


def _told(what: str, tree: Any, counts: Counts) -> str | None:
    """Which leaf has how many such numbers, as "the gradient of w has 1 NaN of 3"; None if there is none.

    Of several leaves it is that with the smallest share of them: a few numbers that went wrong are nearer to
    where it began than an array that is NaN from end to end.
    """
    leaves, names = jax.tree.leaves(tree), leaf_names(tree)
    found = [place for place, row in enumerate(counts) if row.sum()]
    if not found:
        return None
    place = min(found, key=lambda each: counts[each].sum() / np.size(leaves[each]))
    nan, infinite = counts[place]
    numbers = " and ".join([f"{nan} NaN"][:nan] + [f"{infinite} inf"][:infinite])
    more = f", and {len(found) - 1} more of its leaves have some," if len(found) > 1 else ""
    name = own_name(names[place])
    where = f"{what} {name}" if name else what.removesuffix(" of").removesuffix("'s")
    return f"the {where} has {numbers} of {np.size(leaves[place])}{more}"
