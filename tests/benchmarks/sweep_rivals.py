"""The ways in which people try many learning rates, each in a process with devices of its own."""

import multiprocessing
import os
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxopt_edu as jo
from jaxopt_edu.problems import digits, mlp
from jaxopt_edu.sweeps import Halving
from jaxopt_edu.training.sources import make_source
from tests.benchmarks import torch_models
from tests.benchmarks.memory import peak_bytes

BATCH = 128
SEED = 0


class Case(NamedTuple):
    """What is trained."""

    settings: int
    steps: int
    width: int

    @property
    def sizes(self) -> tuple[int, ...]:
        """The network's layers."""
        return (64, self.width, self.width, 10)

    @property
    def rates(self) -> list[float]:
        """The learning rates."""
        return np.geomspace(1e-4, 1e-2, self.settings).tolist()

    @property
    def operations(self) -> float:
        """Multiplications and additions of all matrix products: forward, and twice that backward."""
        first, middle, last = 64 * self.width, self.width**2, self.width * 10
        # No gradient is wanted by the inputs, so the first layer has one product less.
        return 2.0 * BATCH * (2 * first + 3 * middle + 3 * last) * self.steps * self.settings


def by_sweep(case: Case, **options: Any) -> tuple[int, Callable[[], np.ndarray]]:
    """`jo.sweep`, whole: what a user waits for."""
    data = digits().train
    settings = jo.grid(jo.adam, learning_rate=case.rates)

    def init(key: jax.Array) -> Any:
        return mlp.init(key, case.sizes)

    def run() -> np.ndarray:
        result = jo.sweep(
            mlp.loss, init, settings, data, steps=case.steps, batch_size=BATCH, every=case.steps, **options
        )
        return result.values()[:, 0]

    return case.settings, run


def by_halving(case: Case) -> tuple[int, Callable[[], np.ndarray]]:
    """Pruned: after a 27th of the steps one in three goes on, three times as long, and so on."""
    judged = jax.tree_util.Partial(training_loss, digits().train)
    return by_sweep(case, evaluate=judged, prune=Halving(min_steps=max(1, case.steps // 27), factor=3))


def by_judged(case: Case) -> tuple[int, Callable[[], np.ndarray]]:
    """All to the end, judged by the same number as the pruned ones."""
    return by_sweep(case, evaluate=jax.tree_util.Partial(training_loss, digits().train))


def training_loss(data: Any, params: Any) -> jax.Array:
    """The loss on all examples."""
    return mlp.loss(params, data)


def start(case: Case) -> tuple[Any, Any, Any]:
    """Parameters, indices of the batches, and data of the sweep's seed 0."""
    keys = [jax.random.fold_in(jax.random.key(SEED), purpose) for purpose in (0, 1)]
    data = digits().train
    source = make_source(data, key=keys[1], batch_size=BATCH, replacement=False, first=0)
    return mlp.init(keys[0], case.sizes), source.entries(0, case.steps, 0)[0], data


def one_step(optimizer: optax.GradientTransformation, data: Any) -> Callable[[Any, Any], Any]:
    """A step of training as everybody writes it with optax."""

    def step(carry: Any, rows: Any) -> Any:
        params, state = carry
        loss, gradients = jax.value_and_grad(mlp.loss)(params, jax.tree.map(lambda leaf: leaf[rows], data))
        updates, state = optimizer.update(gradients, state, params)
        return (optax.apply_updates(params, updates), state), loss

    return step


def by_expert(case: Case) -> tuple[int, Callable[[], np.ndarray]]:
    """jit(vmap(scan)) over learning rates with optax: all runs in one program."""
    params, rows, data = start(case)

    def train(rate: jax.Array, params: Any, rows: Any, data: Any) -> jax.Array:
        optimizer = optax.adam(rate)
        return jax.lax.scan(one_step(optimizer, data), (params, optimizer.init(params)), rows)[1].mean()

    compiled = jax.jit(jax.vmap(train, in_axes=(0, None, None, None)))
    return case.settings, lambda: np.asarray(compiled(jnp.asarray(case.rates), params, rows, data))


def by_scans(case: Case) -> tuple[int, Callable[[], np.ndarray]]:
    """One jitted scan, called for each learning rate."""
    params, rows, data = start(case)

    @jax.jit
    def train(rate: jax.Array, params: Any, rows: Any, data: Any) -> jax.Array:
        optimizer = optax.adam(rate)
        return jax.lax.scan(one_step(optimizer, data), (params, optimizer.init(params)), rows)[1].mean()

    rates = case.rates[:8]
    return len(rates), lambda: np.array([float(train(rate, params, rows, data)) for rate in rates])


def by_loop(case: Case) -> tuple[int, Callable[[], np.ndarray]]:
    """A Python loop over a jitted step, which is built, and so compiled, for each learning rate."""
    params, rows, data = start(case)
    each = list(np.asarray(rows))

    def train(rate: float) -> float:
        optimizer = optax.adam(rate)
        step = jax.jit(one_step(optimizer, data))
        carry, losses = (params, optimizer.init(params)), []
        for row in each:
            carry, loss = step(carry, row)
            losses.append(loss)
        return float(np.mean(jax.device_get(losses)))

    rates = case.rates[:2]
    return len(rates), lambda: np.array([train(rate) for rate in rates])


def by_torch(case: Case) -> tuple[int, Callable[[], np.ndarray]]:
    """torch with its fused Adam, eager, on batches made beforehand."""
    params, rows, data = start(case)
    batches = [jax.tree.map(lambda leaf, row=row: np.asarray(leaf[row]), data) for row in np.asarray(rows)]
    params = jax.tree.map(np.asarray, params)
    # The loop of the other benchmark has a learning rate of its own; the time does not depend on it.
    return 2, lambda: np.array([torch_models.train_mlp(params, batches) for _ in range(2)])


RIVALS = {"torch": by_torch, "loop": by_loop, "scans": by_scans, "expert": by_expert}


def serve(pipe: Connection) -> None:
    """Run what the parent asks for: (name, case) in, (runs, seconds, losses, peak bytes) out."""
    made: dict[Any, tuple[int, Callable[[], np.ndarray]]] = {}
    while (asked := _received(pipe)) is not None:
        name, case = asked
        begun = time.perf_counter()
        if asked not in made:
            made[asked] = {"sweep": by_sweep, "halving": by_halving, "whole": by_judged, **RIVALS}[name](case)
        runs, run = made[asked]
        losses = run()
        pipe.send((runs, time.perf_counter() - begun, losses, peak_bytes()))


def _received(pipe: Connection) -> Any:
    try:
        return pipe.recv()
    except EOFError:  # the parent has closed its end
        return None


class Server:
    """A process with a number of devices of its own."""

    def __init__(self, devices: int | None) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.peak_bytes = 0  # of the process, so far
        before = os.environ.get("XLA_FLAGS")
        if devices is not None:
            os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={devices}"
        # A parent that fails ends its servers with it.
        self.process = context.Process(target=serve, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()
        if before is None:
            os.environ.pop("XLA_FLAGS", None)
        else:
            os.environ["XLA_FLAGS"] = before

    def run(self, name: str, case: Case) -> tuple[int, float, np.ndarray]:
        """Number of runs, seconds, and each run's mean loss."""
        try:
            self.pipe.send((name, case))
            *measured, self.peak_bytes = self.pipe.recv()
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise RuntimeError(
                f"{name} with {case} ended its process; what it said is printed above"
            ) from None
        return tuple(measured)

    def close(self) -> None:
        """End the process."""
        self.pipe.close()
        self.process.join()
