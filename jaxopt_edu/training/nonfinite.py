"""A loss that is not finite: back to the last one that was."""

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax

from jaxopt_edu.training.cause import cause_after, cause_at
from jaxopt_edu.training.history import Recorder
from jaxopt_edu.training.loop import Carry
from jaxopt_edu.training.program import Program


class Held(NamedTuple):
    """A copy of the carry before a stretch, and the stretch's data, to go back to."""

    step: int
    carry: Carry
    entries: Any


def go_back(program: Program, held: Sequence[Held], recorder: Recorder) -> tuple[Carry, str]:
    """Go back to the parameters of the last finite loss, and warn of it.

    Args:
        program: what is run.
        held: the copies to go back to; is called for a run of `fit`, three calls below the user's.
        recorder: the history, up to the loss that is not finite.

    Returns:
        The carry there, and what happened.
    """
    losses = recorder.history("").losses
    bad = len(losses) - 1
    # The loss of step i is that of the parameters after i updates.
    wanted = max(bad - 1, held[0].step)
    base = [copy for copy in held if copy.step <= wanted][-1]
    carry = base.carry
    if updates := wanted - base.step:
        entries = jax.tree.map(lambda leaf: leaf[:updates], base.entries)
        carry, _, _ = program.advance(carry, entries, updates)
    first = _what_went_first(program, held, carry, wanted, bad)
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
    said += f"; what went first: {first}"
    warnings.warn(f"fit stopped: {said}.", RuntimeWarning, stacklevel=5)
    return carry, said


def _what_went_first(program: Program, held: Sequence[Held], carry: Carry, good: int, bad: int) -> str:
    """Make the steps once more, outside of the compiled loop: from the last good loss to the bad one."""
    try:
        after = carry
        if good < bad:
            cause, after = cause_after(program, carry, _entry(held, good), good)
            if cause is not None:
                return cause
        cause = cause_at(program, after, _entry(held, bad), bad, good=good < bad)
    except jax.errors.JaxRuntimeError as error:  # such as a lack of memory, for which no result may be lost
        return f"could not be found out ({str(error).splitlines()[0]})"
    return cause or f"nothing that shows: made by itself, step {bad} is finite"


def _entry(held: Sequence[Held], step: int) -> Any:
    base = [copy for copy in held if copy.step <= step][-1]
    return jax.tree.map(lambda leaf: leaf[step - base.step], base.entries)
