"""Race on real data: every method tries the same learning rates with the same seeds and batches."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax
import numpy as np
from jax.tree_util import Partial

from jaxopt_edu.core.transform import Optimizer
from jaxopt_edu.problems import Dataset, mlp
from jaxopt_edu.sweeps.sweep import sweep

HIDDEN = (32, 32)
BATCH_SIZE = 128


class LearningResult(NamedTuple):
    """What one method did on the data, for each of its settings and seeds.

    Attributes:
        method: the optimizer's name.
        optimizers: the settings tried, in order.
        steps: the steps at which the runs were evaluated, first 0; shape (evaluations,).
        losses: mean cross entropy on the whole training set; shape (settings, seeds, evaluations). NaN from
            where a run diverged.
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
    every: int = 10,
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
        every: number of steps from one evaluation to the next.
        advance: called with the number of steps just made by all runs, for a progress bar.

    Returns:
        Losses and accuracies of all runs.
    """
    begun = time.perf_counter()
    result = sweep(
        mlp.loss,
        Network(data.train.inputs.shape[1], data.classes),
        optimizers,
        data.train,
        steps=steps,
        seeds=range(first_seed, first_seed + seeds),
        batch_size=min(BATCH_SIZE, len(data.train.labels)),
        # The data are arguments of the compiled program, not constants in it.
        evaluate=Partial(evaluation, data),
        every=every,
        keep=0,
        progress=steps_of_one(len(optimizers) * seeds, advance),
    )
    return LearningResult(
        method,
        tuple(optimizers),
        result.evaluated_at,
        result.curves["loss"],
        result.curves["accuracy"],
        time.perf_counter() - begun,
    )


def steps_of_one(runs: int, advance: Callable[[int], None]) -> Callable[[int, float], None]:
    """What a sweep tells its progress, as a bar of single runs wants it.

    Args:
        runs: how many there are.
        advance: is called with the steps that each has made since it was called before.

    Returns:
        The function for `sweep`.
    """
    made = 0

    def report(steps: int, best: float) -> None:
        nonlocal made
        advance(steps // runs - made)
        made = steps // runs

    return report


@dataclass(frozen=True)
class Network:
    """The MLP that a race trains; equal ones compile once.

    Attributes:
        features: of an input.
        classes: number of classes.
    """

    features: int
    classes: int

    def __call__(self, key: jax.Array) -> tuple[mlp.Layer, ...]:
        """The first parameters.

        Args:
            key: a `jax.random` key.

        Returns:
            The layers.
        """
        return mlp.init(key, (self.features, *HIDDEN, self.classes))


def evaluation(data: Dataset, params: Sequence[mlp.Layer]) -> dict[str, jax.Array]:
    """What a network is judged by.

    Args:
        data: training and test examples.
        params: the network's parameters.

    Returns:
        "loss" on the whole training set, and "accuracy" on the test set; float32 scalars.
    """
    return {"loss": mlp.loss(params, data.train), "accuracy": mlp.accuracy(params, data.test)}
