"""How fast `fit` trains, beside a Python loop over a jitted optax step, torch, and the bare gradient.

    python -m tests.benchmarks.fit [--out fit.md]

The same model, data, batch size and Adam for all, once on the digits (an MLP 64-32-32-10, batches of 128) and
once on the transformer of examples/transformer.py. The rivals take turns, several times over; before
that each is run once, and has to reach the same loss.
"""

import importlib.util
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.tree_util import Partial

import jaxopt_edu as jo
from examples import transformer
from jaxopt_edu.problems import digits, mlp
from jaxopt_edu.training.sources import make_source
from tests.benchmarks import torch_models
from tests.benchmarks.output import Bars, Report, alone
from tests.benchmarks.timing import orders, ratio, spread

REPEATS = 7
RATE = 1e-3
KEY = jax.random.key(1)


class Task(NamedTuple):
    """What all rivals train."""

    name: str
    loss_fn: Callable[[Any, Any], jax.Array]
    params: Any
    data: Any
    batch_size: int | None
    steps: int
    torch_loop: Callable[[Any, list[Any]], float]  # (params, batches) -> last loss

    def source(self) -> Any:
        """The batches that fit will see."""
        return make_source(self.data, key=KEY, batch_size=self.batch_size, replacement=False, first=0)

    def entries(self) -> Any:
        """What they are made of: indices or keys, with a leading axis of steps."""
        return self.source().entries(0, self.steps, 0)[0]


def digits_task() -> Task:
    """The MLP on the digits."""
    params = mlp.init(jax.random.key(0), (64, 32, 32, 10))
    return Task("digits", mlp.loss, params, digits().train, 128, 1000, torch_models.train_mlp)


def transformer_task() -> Task:
    """The example's transformer on the repository's text."""
    text = transformer.repository_text()
    alphabet, indices = np.unique(list(text), return_inverse=True)
    params = transformer.init(jax.random.key(0), len(alphabet))
    sample = Partial(transformer.random_windows, jnp.asarray(indices, jnp.int32))
    loop = torch_models.train_transformer(transformer)
    return Task("transformer", transformer.loss_fn, params, sample, None, 10, loop)


def by_fit(task: Task) -> Callable[[], float]:
    """`jo.fit`, whole: what a user waits for."""

    def run() -> float:
        result = jo.fit(
            task.loss_fn,
            task.params,
            jo.adam(RATE),
            task.data,
            steps=task.steps,
            every=task.steps,
            batch_size=task.batch_size,
            key=KEY,
            progress=False,
        )
        return float(result.history.losses[-1])

    return run


def by_loop(task: Task) -> Callable[[], float]:
    """A Python loop over a jitted optax step with donated buffers; the host hands it indices or keys."""
    optimizer = optax.adam(RATE)
    entries, draw = task.entries(), task.source().draw
    if task.batch_size is not None:
        entries = np.asarray(entries)
    each = [jax.tree.map(lambda leaf, i=i: leaf[i], entries) for i in range(task.steps)]

    def step(carry: Any, entry: Any) -> Any:
        params, state = carry
        batch = draw(entry)
        loss, gradients = jax.value_and_grad(task.loss_fn)(params, batch)
        updates, state = optimizer.update(gradients, state, params)
        return (optax.apply_updates(params, updates), state), loss

    compiled = jax.jit(step, donate_argnums=0)

    def run() -> float:
        params = jax.tree.map(jnp.copy, task.params)
        carry, loss = (params, optimizer.init(params)), jnp.zeros(())
        for entry in each:
            carry, loss = compiled(carry, entry)
        return float(loss)

    return run


def by_torch(task: Task) -> Callable[[], float] | None:
    """torch with its fused Adam, eager, on batches made beforehand."""
    if importlib.util.find_spec("torch") is None:
        return None
    batches = jax.tree.map(np.asarray, jax.jit(jax.vmap(task.source().draw))(task.entries()))
    rows = [jax.tree.map(lambda leaf, i=i: leaf[i], batches) for i in range(task.steps)]
    params = jax.tree.map(np.asarray, task.params)
    loop = task.torch_loop
    return lambda: loop(params, rows)


def by_bare_gradient(task: Task) -> Callable[[], float]:
    """One scan of nothing but the gradient, which has to go somewhere: into a step of plain descent."""

    entries, draw = task.entries(), task.source().draw

    def train(params: Any, draw: Any, entries: Any) -> jax.Array:
        def step(params: Any, entry: Any) -> Any:
            loss, gradients = jax.value_and_grad(task.loss_fn)(params, draw(entry))
            return jax.tree.map(lambda w, g: w - RATE * g, params, gradients), loss

        return jax.lax.scan(step, params, entries)[1][-1]

    compiled = jax.jit(train)
    return lambda: float(compiled(task.params, draw, entries))


def measure(task: Task, repeats: int, advance: Callable[[], None]) -> dict[str, Any]:
    """Seconds of every repeat of every rival, and of each one's first step."""
    rivals = {"fit": by_fit, "loop": by_loop, "torch": by_torch, "gradient": by_bare_gradient}
    made = {name: run for name, make in rivals.items() if (run := make(task)) is not None}
    first, losses = {}, {}
    for name, run in made.items():
        jax.clear_caches()
        begun = time.perf_counter()
        losses[name] = run()
        first[name] = time.perf_counter() - begun
    for name in ("loop", "torch"):
        if name in losses:
            np.testing.assert_allclose(losses[name], losses["fit"], rtol=0.05, atol=1e-3)
    for run in made.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in made}
    for order in orders(made, repeats):
        for name in order:
            begun = time.perf_counter()
            made[name]()
            seconds[name].append(time.perf_counter() - begun)
        advance()
    return {"task": task.name, "steps": task.steps, "seconds": seconds, "first_run": first}


def rows(measured: dict[str, Any]) -> list[tuple[str, ...]]:
    """The table's lines of one task."""
    medians = {name: statistics.median(times) for name, times in measured["seconds"].items()}
    lines = []
    for name, median in medians.items():
        times = measured["seconds"][name]
        lines.append(
            (
                measured["task"],
                name,
                f"{1e6 * median / measured['steps']:,.0f}",
                spread(times, 1e-6 * measured["steps"]),
                f"{ratio(times, measured['seconds']['fit']).median:.2f}",
                f"{measured['first_run'][name] - median:.2f}",
            )
        )
    return lines


def run(quick: bool, bars: Bars) -> list[Report]:
    """Time all rivals on both tasks; quickly only on fewer steps of the digits."""
    tasks = [digits_task()._replace(steps=100)] if quick else [digits_task(), transformer_task()]
    repeats = 2 if quick else REPEATS
    with bars.task("fit", len(tasks) * repeats) as advance:
        measured = []
        for task in tasks:
            with bars.case(f"fit, {task.name}"):
                measured.append(measure(task, repeats, advance))
    notes = [
        f"median and range of {repeats} repeats, in which the rivals take turns; × fit: the median of the "
        "repeats' ratios to fit",
        "fit is called whole: copying the parameters, drawing the batches' keys, losses back on the host",
        "first run: seconds more than the median, which is tracing and compiling",
    ]
    if importlib.util.find_spec("torch") is None:
        notes.append("torch is not installed: its rows are missing")
    columns = ("task", "who", "µs a step", "range", "× fit", "first run, s")
    lines = [line for each in measured for line in rows(each)]
    return [Report("fit beside other loops", columns, lines, notes, measured)]


def main() -> None:
    """Measure, print, write."""
    alone(run, __doc__)


if __name__ == "__main__":
    main()
