"""What a sweep is asked to do, checked, before any run begins."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.tree_util import Partial

from jaxopt_edu.fingerprints import fingerprint, program_fingerprint
from jaxopt_edu.sweeps.engine.batches import INITIAL, PairedBatches, seed_keys
from jaxopt_edu.sweeps.engine.lanes import first_params
from jaxopt_edu.sweeps.pruning import Pruner
from jaxopt_edu.sweeps.results.runs import Mode
from jaxopt_edu.training.objective import with_key
from jaxopt_edu.training.trainable import Frozen


class Plan(NamedTuple):
    """What all runs of a sweep have in common."""

    loss_fn: Callable[..., Any]  # a pytree
    evaluate: Callable[..., Any] | None  # a pytree
    data: Any
    batch_size: int | None
    replacement: bool
    init: Callable[[jax.Array], Any]  # a pytree; parameters of a key
    model_state: Any
    evaluated_at: tuple[int, ...]  # first 0, last the number of steps of a whole run
    metric: str
    mode: Mode
    pruner: Pruner | None
    keep: int  # of how many runs parameters and state are kept
    mesh: Mesh
    chunk_size: int | None
    loss_key: jax.Array | None = None
    frozen: Frozen = Frozen()  # what of the parameters is not trained; loss_fn, evaluate and init know of it

    @property
    def steps(self) -> int:
        """The number of steps of a whole run."""
        return self.evaluated_at[-1]

    @property
    def longest(self) -> int:
        """The largest number of steps between two evaluations."""
        return int(np.diff(self.evaluated_at).max())

    @property
    def stateful(self) -> bool:
        """Whether the model has a state of its own."""
        return self.model_state is not None

    def batches(self, seeds: Sequence[int]) -> PairedBatches:
        """The batches of some seeds."""
        return PairedBatches(self.data, seeds, self.batch_size, self.replacement, self.longest, self.loss_key)

    def first(self, seeds: Sequence[int]) -> tuple[Any, Any]:
        """Parameters and model state of some seeds before the first step, with a leading axis of seeds."""
        params = first_params(self.init, seed_keys(seeds, INITIAL))
        return params, jax.tree.map(lambda leaf: jnp.stack([leaf] * len(seeds)), self.model_state)

    def oriented(self, values: Any) -> Any:
        """Values of the metric turned so that lower is better."""
        return values if self.mode == "min" else -values


def same_for_all(params: Any) -> Callable[[jax.Array], Any]:
    """A function of a key that gives the same parameters for every key.

    Args:
        params: pytree of arrays.

    Returns:
        A pytree function whose leaves are the parameters.
    """
    return Partial(_given, jax.tree.map(jnp.asarray, params))


def _given(params: Any, key: jax.Array) -> Any:
    return params


def evaluation_steps(steps: int, every: int, rungs: Sequence[int]) -> tuple[int, ...]:
    """When runs are evaluated: at the beginning, every so many steps, where they are judged, and at the end.

    >>> evaluation_steps(100, 40, [10])
    (0, 10, 40, 80, 100)
    """
    return tuple(sorted({0, *range(every, steps, every), *rungs, steps}))


def batch_shapes(plan: Plan) -> Any:
    """The shapes of one batch; None for a loss of the parameters alone."""
    return plan.batches([0]).shapes


def specification(plan: Plan, params: Any) -> dict[str, Any]:
    """What a stored sweep and another call must have in common: all but optimizers and seeds.

    Args:
        plan: the sweep.
        params: the shapes of the parameters.

    Returns:
        JSON; functions and arrays are hashes of their traced programs and of their bits.
    """
    batches = plan._replace(loss_key=None).batches([0])
    entry = jax.tree.map(lambda leaf: leaf[0, 0], batches.entries(0))
    state = () if plan.model_state is None else (plan.model_state,)
    batch = jax.eval_shape(batches.draw, entry)
    keyed = {} if plan.loss_key is None else {"loss_key": fingerprint(plan.loss_key)}
    judged = None if plan.evaluate is None else program_fingerprint(plan.evaluate, params, *state)
    return {
        "steps": plan.steps,
        "evaluated_at": list(plan.evaluated_at),
        "batch_size": plan.batch_size,
        "replacement": plan.replacement,
        "metric": plan.metric,
        "mode": plan.mode,
        "prune": repr(plan.pruner),
        "keep": plan.keep,
        "parameters": program_fingerprint(plan.init, jax.random.key(0)),
        "model_state": fingerprint(plan.model_state),
        "loss_fn": program_fingerprint(plan.loss_fn, params, *state, batch, **with_key(plan.loss_key)),
        "evaluate": judged,
        **keyed,
        "data": fingerprint(plan.data)
        if jax.tree.leaves(batches.draw)
        else program_fingerprint(batches.draw, entry),
    }
