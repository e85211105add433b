"""The compiled half of a sweep: runs side by side, one program for all optimizers of one structure.

Every array of a run has two leading axes here, (settings, seeds). Batches have the seeds' axis only: within a
seed all settings see the same ones. The runs are split over the devices along one of the two axes, and no
number passes from one run to another.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxopt_edu.core.evaluation import evaluation_params
from jaxopt_edu.core.transform import Optimizer
from jaxopt_edu.sweeps.results.runs import TRAINING_LOSS
from jaxopt_edu.training.loop import Carry, make_step, start
from jaxopt_edu.training.objective import traced_call

RUNS = "runs"
SETTINGS, SEEDS = 0, 1


class Lanes(NamedTuple):
    """Runs side by side; every leaf has two leading axes, (settings, seeds)."""

    carry: Carry
    diverged_at: jax.Array  # the step whose loss was not finite, −1 while all were; int32


class Objective(NamedTuple):
    """What all runs do; a pytree."""

    loss_fn: Callable[..., Any]
    draw: Callable[[Any], Any]
    evaluate: Callable[..., dict[str, jax.Array]] | None


class Record(NamedTuple):
    """What a stretch of steps gives for each run; float32 arrays of shape (settings, seeds)."""

    first: dict[
        str, jax.Array
    ]  # training loss and the loss function's metrics on the first batch, before any update
    means: dict[str, jax.Array]  # the same, averaged over the stretch's steps
    evaluation: dict[str, jax.Array]  # after the stretch


class Layout(NamedTuple):
    """Over which devices runs are split, and along which axis."""

    mesh: Mesh
    axis: int  # SETTINGS or SEEDS

    def spec(self, axes: tuple[int, ...]) -> PartitionSpec:
        """How arrays are split whose leading axes are these."""
        return PartitionSpec(*(RUNS if axis == self.axis else None for axis in axes))

    def sharding(self, axes: tuple[int, ...] = ()) -> NamedSharding:
        """Where such arrays lie."""
        return NamedSharding(self.mesh, self.spec(axes))


class Rules(NamedTuple):
    """What is fixed when the program is compiled."""

    layout: Layout
    stateful: bool
    metric: str  # a run whose loss or whose metric is not finite has diverged


@jax.jit
def first_params(init: Callable[[jax.Array], Any], keys: jax.Array) -> Any:
    """The first parameters of every seed.

    Args:
        init: a pytree function, `init(key) -> params`.
        keys: one key a seed, shape (s,).

    Returns:
        The parameters; every leaf has a leading axis of s.
    """
    # One seed after another: random numbers in a batch take seconds to compile, a loop over them does not.
    return jax.lax.map(init, keys)


@partial(jax.jit, static_argnames=("count", "rules"))
def first_lanes(settings: Optimizer, params: Any, model_state: Any, *, count: int, rules: Rules) -> Lanes:
    """All runs before their first step.

    Args:
        settings: n optimizers, stacked.
        params: the seeds' parameters; every leaf has a leading axis of s seeds.
        model_state: the model's state, likewise; None for a model without.
        count: n; an optimizer that was not lifted has no leaf that would show it.
        rules: how the program is compiled.

    Returns:
        Lanes with leading axes (n, s).
    """

    def one(optimizer: Optimizer, params: Any, model_state: Any) -> Lanes:
        carry = start(optimizer, params, model_state)
        return Lanes(jax.tree.map(jnp.asarray, carry), jnp.full((), -1, jnp.int32))

    over_seeds = jax.vmap(one, in_axes=(None, 0, 0))
    each = jax.vmap(over_seeds, in_axes=(0, None, None), axis_size=count)
    lanes = each(settings, params, model_state)
    return jax.lax.with_sharding_constraint(lanes, rules.layout.sharding((SETTINGS, SEEDS)))


@partial(jax.jit, static_argnames="rules", donate_argnums=0)
def advance(
    lanes: Lanes,
    settings: Optimizer,
    objective: Objective,
    entries: Any,
    first: jax.Array,
    steps: jax.Array,
    *,
    rules: Rules,
) -> tuple[Lanes, Record]:
    """Make some steps of every run, and evaluate; the lanes' buffers are given away.

    The number of steps is data, so that stretches of every length are one program.

    Args:
        lanes: the runs, (n, s).
        settings: n optimizers, stacked.
        objective: what all runs do.
        entries: what batches are made of; leading axes (at least `steps`, s); None for none.
        first: number of steps made before; int32.
        steps: number of steps to make; 0 only evaluates; int32.
        rules: how the program is compiled.

    Returns:
        The runs after these steps, and what they recorded.
    """
    layout = rules.layout

    def each(
        lanes: Lanes, settings: Optimizer, objective: Objective, entries: Any, first: Any, steps: Any
    ) -> tuple[Lanes, Record]:
        def one(lane: Lanes, optimizer: Optimizer, entries: Any) -> tuple[Lanes, Record]:
            return _stretch(lane, optimizer, objective, entries, first, steps, rules)

        if lanes.diverged_at.shape == (1, 1):
            # Under vmap a lax.cond pays for both of its branches, even for a single run.
            lane = jax.tree.map(lambda leaf: leaf[0, 0], lanes)
            optimizer = jax.tree.map(lambda leaf: leaf[0], settings)
            made = one(lane, optimizer, jax.tree.map(lambda leaf: leaf[:, 0], entries))
            return jax.tree.map(lambda leaf: leaf[None, None], made)
        over_seeds = jax.vmap(one, in_axes=(0, None, 1))
        return jax.vmap(over_seeds, in_axes=(0, 0, None))(lanes, settings, entries)

    both, everywhere = layout.spec((SETTINGS, SEEDS)), PartitionSpec()
    split = jax.shard_map(
        each,
        mesh=layout.mesh,
        in_specs=(both, layout.spec((SETTINGS,)), everywhere, entries_spec(layout), everywhere, everywhere),
        out_specs=both,
        check_vma=False,
    )
    return split(lanes, settings, objective, entries, first, steps)


def entries_spec(layout: Layout) -> PartitionSpec:
    """How entries are split, whose leading axes are (steps, seeds)."""
    return PartitionSpec(None, *layout.spec((SEEDS,)))


def _stretch(
    lane: Lanes,
    optimizer: Optimizer,
    objective: Objective,
    entries: Any,
    first: jax.Array,
    steps: jax.Array,
    rules: Rules,
) -> tuple[Lanes, Record]:
    step = make_step(objective.loss_fn, optimizer, objective.draw, stateful=rules.stateful)

    def entry(i: Any) -> Any:
        return jax.tree.map(lambda leaf: jax.lax.dynamic_index_in_dim(leaf, i, keepdims=False), entries)

    def one_step(i: jax.Array, looped: tuple[Lanes, Any, Any]) -> Any:
        lane, at_first, sums = looped
        carry, (loss, metrics) = step(lane.carry, entry(i))
        finite = jnp.isfinite(loss)
        alive = (lane.diverged_at < 0) & finite
        carry = jax.tree.map(lambda new, old: jnp.where(alive, new, old), carry, lane.carry)
        ended = jnp.where(finite, -1, first + i)
        diverged_at = jnp.where(lane.diverged_at < 0, ended, lane.diverged_at)
        measured = _float32({TRAINING_LOSS: loss} | metrics)
        at_first = jax.tree.map(lambda now, then: jnp.where(i == 0, now, then), measured, at_first)
        return Lanes(carry, diverged_at), at_first, jax.tree.map(jnp.add, sums, measured)

    _, (_, metrics) = jax.eval_shape(step, lane.carry, jax.eval_shape(entry, 0))
    zeros = {name: jnp.zeros((), jnp.float32) for name in (TRAINING_LOSS, *metrics)}
    lane, at_first, sums = jax.lax.fori_loop(0, steps, one_step, (lane, zeros, zeros))
    means = {name: value / jnp.maximum(steps, 1).astype(jnp.float32) for name, value in sums.items()}
    shown = evaluation_params(optimizer, lane.carry.state, lane.carry.params)
    evaluation = evaluation_of(objective.evaluate, lane.carry._replace(params=shown), stateful=rules.stateful)
    finite = jnp.isfinite((means | evaluation)[rules.metric])
    ended = jnp.where((lane.diverged_at < 0) & ~finite, first + steps, lane.diverged_at)
    return Lanes(lane.carry, ended), Record(at_first, means, evaluation)


def evaluation_of(
    evaluate: Callable[..., Any] | None, carry: Carry, *, stateful: bool
) -> dict[str, jax.Array]:
    """What `evaluate` gives for one run.

    Args:
        evaluate: `evaluate(params)`, or `evaluate(params, model_state)` if stateful; None for nothing.
        carry: one run.
        stateful: whether there is a model state.

    Returns:
        Name to float32 scalar; a single number is named "value".

    Raises:
        TypeError: it gives anything but real scalars.
    """
    if evaluate is None:
        return {}
    arguments = (carry.params, carry.model_state) if stateful else (carry.params,)
    values = traced_call(evaluate, "sweep: evaluate", *arguments)
    values = values if isinstance(values, dict) else {"value": values}
    wanted = "it has to return one real number, or a dict from names to real numbers."
    for name, value in values.items():
        number = isinstance(value, jax.Array | np.ndarray | np.number | float | int)
        if not isinstance(name, str) or not number:
            raise TypeError(f"sweep: evaluate gave {name!r} as {type(value).__name__}; {wanted}")
        if jnp.shape(value) != () or jnp.iscomplexobj(value):
            raise TypeError(
                f"sweep: evaluate gave {name!r} with shape {jnp.shape(value)} and dtype "
                f"{jnp.result_type(value)}; {wanted}"
            )
    return _float32(values)


def _float32(values: dict[str, Any]) -> dict[str, jax.Array]:
    return {name: jnp.asarray(value).astype(jnp.float32) for name, value in values.items()}
