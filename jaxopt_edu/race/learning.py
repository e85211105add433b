"""Race on real data: every method tries the same learning rates with the same seeds and batches."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_edu.core.editing import stack
from jaxopt_edu.core.transform import Optimizer
from jaxopt_edu.problems import Dataset, Examples, mlp
from jaxopt_edu.training import Carry, descend, shuffled_indices, start

HIDDEN = (32, 32)
BATCH_SIZE = 128
EVALUATE_EVERY = 10


class LearningResult(NamedTuple):
    """What one method did on the data, for each of its settings and seeds.

    Attributes:
        method: the optimizer's name.
        optimizers: the settings tried, in order.
        steps: the steps at which the runs were evaluated, first 0; shape (evaluations,).
        losses: mean cross entropy on the whole training set; shape (settings, seeds, evaluations).
        accuracies: share of the test set that is right; same shape.
        seconds: wall time of all runs together, compilation included.
    """

    method: str
    optimizers: tuple[Optimizer, ...]
    steps: np.ndarray
    losses: np.ndarray
    accuracies: np.ndarray
    seconds: float

    @property
    def best(self) -> int:
        """The setting with the lowest mean training loss at the end; one with a diverged seed comes last."""
        # In float64, where the mean of huge losses does not overflow.
        last = self.losses[:, :, -1].mean(axis=1, dtype=np.float64)
        return int(np.argmin(np.where(np.isfinite(last), last, np.inf)))

    def steps_to(self, loss: float) -> float | None:
        """The median over seeds of the first evaluated step with at most this loss, for the best setting."""
        reached = self.losses[self.best] <= loss
        first = [float(self.steps[row.argmax()]) if row.any() else np.inf for row in reached]
        median = float(np.median(first))
        return median if np.isfinite(median) else None


def race_on_data(
    data: Dataset,
    method: str,
    optimizers: Sequence[Optimizer],
    *,
    steps: int,
    seeds: int,
    first_seed: int = 0,
    advance: Callable[[int], None] = lambda steps: None,
) -> LearningResult:
    """Train a small network with every setting and seed of one method, all in one compiled program.

    The network is an MLP with two hidden layers of 32, batches hold 128 examples. Within a seed all
    settings (and all methods) start from the same parameters and see the same batches.

    Args:
        data: training and test examples.
        method: the name to show.
        optimizers: the settings to try; they differ in their numbers only.
        steps: number of steps of each run.
        seeds: number of seeds, first_seed, first_seed + 1, ….
        first_seed: the first of them.
        advance: called with the number of steps just made by all runs, for a progress bar.

    Returns:
        Losses and accuracies of all runs.
    """
    begun = time.perf_counter()
    sizes = (data.train.inputs.shape[1], *HIDDEN, data.classes)
    keys = jax.vmap(jax.random.key)(jnp.arange(first_seed, first_seed + seeds, dtype=jnp.uint32))
    settings = stack(optimizers)
    carry = _begin(settings, keys, sizes)
    evaluations = [_evaluate(carry.params, data)]
    places = [0]
    batch_size = min(BATCH_SIZE, len(data.train.labels))
    while places[-1] < steps:
        chunk = min(EVALUATE_EVERY, steps - places[-1])
        epoch, offset = divmod(places[-1] * batch_size, len(data.train.labels))
        carry, evaluation = _advance(
            settings, carry, keys, data, epoch, offset, steps=chunk, batch_size=batch_size
        )
        evaluations.append(evaluation)
        places.append(places[-1] + chunk)
        # Waiting for the numbers keeps the bar honest; it costs microseconds against milliseconds of work.
        jax.block_until_ready(evaluation)
        advance(chunk)
    losses, accuracies = (
        np.stack([np.asarray(values) for values in column], axis=-1)
        for column in zip(*evaluations, strict=True)
    )
    return LearningResult(
        method, tuple(optimizers), np.array(places), losses, accuracies, time.perf_counter() - begun
    )


@partial(jax.jit, static_argnums=2)
def _begin(settings: Optimizer, keys: jax.Array, sizes: tuple[int, ...]) -> Carry:
    params = jax.vmap(lambda key: mlp.init(jax.random.fold_in(key, 0), sizes))(keys)
    over_seeds = jax.vmap(start, in_axes=(None, 0))
    return jax.vmap(over_seeds, in_axes=(0, None))(settings, params)


@partial(jax.jit, static_argnames=("steps", "batch_size"), donate_argnums=1)
def _advance(
    settings: Optimizer,
    carry: Carry,
    keys: jax.Array,
    data: Dataset,
    epoch: int,
    offset: int,
    *,
    steps: int,
    batch_size: int,
) -> tuple[Carry, tuple[jax.Array, jax.Array]]:
    examples = len(data.train.labels)
    rows = jax.vmap(
        lambda key: shuffled_indices(
            jax.random.fold_in(key, 1), epoch, offset, steps=steps, examples=examples, batch_size=batch_size
        )
    )(keys)
    batches = jax.tree.map(lambda leaf: leaf[rows], data.train)

    def run(optimizer: Optimizer, carry: Carry, batches: Examples) -> Carry:
        return descend(mlp.loss, optimizer, carry, batches)[0]

    over_seeds = jax.vmap(run, in_axes=(None, 0, 0))
    carry = jax.vmap(over_seeds, in_axes=(0, 0, None))(settings, carry, batches)
    return carry, _evaluate(carry.params, data)


@jax.jit
def _evaluate(params: Any, data: Dataset) -> tuple[jax.Array, jax.Array]:
    def one(params: Any) -> tuple[jax.Array, jax.Array]:
        return mlp.loss(params, data.train), mlp.accuracy(params, data.test)

    return jax.vmap(jax.vmap(one))(params)
