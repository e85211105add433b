"""When it pays to carry many small leaves as one array: whole training steps with Adam, loss and all.

    python -m tests.benchmarks --only packing

Each rival is one compiled scan. Alone, as `jo.fit` trains; and side by side under `jax.vmap`, one learning
rate each, as `jo.sweep` does.
"""

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxopt_edu as jo
from jaxopt_edu.core.packing import Layout
from jaxopt_edu.problems import digits, mlp
from jaxopt_edu.training.loop import make_step, start
from jaxopt_edu.training.packing import MANY, pack_carry
from tests.benchmarks.output import Bars, Report
from tests.benchmarks.timing import Rival, in_turns, ratio

AS_IS, PACKED, OPTAX, BARE = "ours, as it is", "ours, packed", "optax", "bare gradient"
RATE = 1e-3
CHECKED = 5  # steps


class Model(NamedTuple):
    """What is trained."""

    name: str
    loss_fn: Callable[[Any, Any], jax.Array]
    params: Any
    batch: Any  # the same one at every step
    steps: int  # in one call
    runs: int = 1  # side by side


def sums(function: Callable, word: str, leaves: int, size: int, steps: int) -> Model:
    """Leaves without a network: the loss is a sum over all numbers."""
    name = f"{leaves:,} leaves of {size:,}, loss Σ {word}"
    loss_fn = lambda params, _: sum(map(jnp.sum, map(function, params)), jnp.zeros(()))  # noqa: E731
    return Model(name, loss_fn, [jnp.full(size, 0.5)] * leaves, None, steps)


def deep(layers: int, runs: int = 1) -> Model:
    """A deep and narrow network."""
    name = f"MLP of {layers} layers 16 × 16 ({2 * layers} leaves)"
    params = mlp.init(jax.random.key(0), (16,) * (layers + 1))
    inputs = jax.random.normal(jax.random.key(1), (32, 16))
    loss_fn = lambda params, inputs: jnp.mean(jnp.square(mlp.apply(params, inputs) - inputs))  # noqa: E731
    return Model(name, loss_fn, params, inputs, 50, runs)


def shallow() -> Model:
    """The network of the digits."""
    params = mlp.init(jax.random.key(0), (64, 32, 32, 10))
    data = digits().train
    return Model("the digits' MLP (6 leaves)", mlp.loss, params, jax.tree.map(lambda x: x[:128], data), 200)


def models(quick: bool) -> list[Model]:
    """What is measured."""
    if quick:
        return [sums(jnp.square, "w²", 3, 100, 2)]
    return [
        deep(25),
        deep(50),
        deep(100),
        deep(100, runs=16),
        shallow(),
        sums(jnp.square, "w²", 100, 1000, 100),
        sums(jnp.square, "w²", 300, 1000, 30),
        sums(jnp.square, "w²", 100, 10_000, 30),
        sums(jnp.sin, "sin w", 100, 1000, 50),
    ]


def train(
    loss_fn: Callable, steps: int, layout: Layout | None, optimizer: Any, params: Any, batch: Any
) -> jax.Array:
    """The losses of a run."""
    step = make_step(loss_fn, optimizer, lambda _: batch, layout=layout)
    carry = start(optimizer, params)
    return jax.lax.scan(step, carry if layout is None else pack_carry(layout, carry), length=steps)[1][0]


def descend(loss_fn: Callable, steps: int, rate: Any, params: Any, batch: Any) -> jax.Array:
    """The losses of plain descent: the gradient has to go somewhere."""

    def step(params: Any, _: Any) -> Any:
        loss, gradients = jax.value_and_grad(loss_fn)(params, batch)
        return jax.tree.map(lambda w, g: w - rate * g, params, gradients), loss

    return jax.lax.scan(step, params, length=steps)[1]


def measure(model: Model, repeats: int) -> dict[str, Any]:
    """Check and time all rivals on one model."""
    if model.runs == 1:
        rate, adam = jnp.array(RATE), jo.adam(RATE)
    else:
        rate = RATE * jnp.geomspace(0.1, 1, model.runs)
        adam = jo.stack(jo.grid(jo.adam, learning_rate=rate.tolist()))
    layout = Layout.of(model.params)
    functions: dict[str, tuple[Callable, Any]] = {
        AS_IS: (partial(train, model.loss_fn, model.steps, None), adam),
        PACKED: (partial(train, model.loss_fn, model.steps, layout), adam),
        OPTAX: (lambda rate, *rest: train(model.loss_fn, model.steps, None, optax.adam(rate), *rest), rate),
        BARE: (partial(descend, model.loss_fn, model.steps), rate),
    }
    rivals, losses = {}, {}
    for name, (function, setting) in functions.items():
        arguments = (setting, model.params, model.batch)
        begun = time.perf_counter()
        compiled = _compiled(function, model.runs, arguments)
        seconds = time.perf_counter() - begun
        losses[name] = np.asarray(compiled(*arguments))
        rivals[name] = Rival(partial(_call, compiled, arguments), seconds)
    # Beyond its first steps a deep network makes much of a rounding, and every program and machine rounds
    # otherwise.
    for name in (PACKED, OPTAX):
        mine, theirs = losses[name][..., :CHECKED], losses[AS_IS][..., :CHECKED]
        np.testing.assert_allclose(mine, theirs, rtol=1e-3, err_msg=f"{model.name}, {name}")
    check_in_float64(model, {name: functions[name] for name in (AS_IS, PACKED)})
    times = in_turns(rivals, repeats)
    return {
        "model": model.name,
        "runs": model.runs,
        "seconds": {name: [each / model.steps / model.runs for each in times[name]] for name in rivals},
        "compile_seconds": {name: rival.compile_seconds for name, rival in rivals.items()},
    }


def check_in_float64(model: Model, functions: dict[str, tuple[Callable, Any]]) -> None:
    """Refuse to time what does not compute the same, over all steps, where roundings stay small."""
    with jax.enable_x64(True):
        losses = []
        for function, setting in functions.values():
            arguments = jax.tree.map(_in_float64, (setting, model.params, model.batch))
            losses.append(np.asarray(_compiled(function, model.runs, arguments)(*arguments)))
        first, *others = losses
        for other in others:
            np.testing.assert_allclose(other, first, rtol=1e-7, err_msg=f"{model.name}, in float64")


def _in_float64(leaf: Any) -> Any:
    array = jnp.asarray(leaf)
    return array.astype(jnp.float64) if jnp.issubdtype(array.dtype, jnp.floating) else array


def _compiled(function: Callable, runs: int, arguments: tuple[Any, ...]) -> Callable:
    side_by_side = function if runs == 1 else jax.vmap(function, in_axes=(0, None, None))
    with jax.numpy_dtype_promotion("standard"):
        return jax.jit(side_by_side).lower(*arguments).compile()


def _call(compiled: Callable, arguments: tuple[Any, ...], number: int) -> None:
    for _ in range(number):
        jax.block_until_ready(compiled(*arguments))


def report(measured: list[dict[str, Any]]) -> Report:
    """The table."""
    rows = [
        (
            each["model"],
            str(each["runs"]),
            *(
                f"{1e6 * statistics.median(each['seconds'][name]):,.4g}"
                for name in (BARE, OPTAX, AS_IS, PACKED)
            ),
            str(ratio(each["seconds"][AS_IS], each["seconds"][PACKED])),
            *(f"{each['compile_seconds'][name]:.1f}" for name in (OPTAX, AS_IS, PACKED)),
        )
        for each in measured
    ]
    columns = (
        "model",
        "runs side by side",
        *(f"{name}, µs" for name in (BARE, OPTAX, AS_IS, PACKED)),
        "packing pays",
        *(f"compile {name}, s" for name in (OPTAX, AS_IS, PACKED)),
    )
    notes = (
        "µs a step of a run, the gradient included; medians over the turns.",
        "packing pays: the time as it is by the time packed (above 1: packed is faster), and between which "
        "ratios half of the turns lie.",
        f"jo.fit packs by itself from {MANY} small leaves on.",
    )
    return Report("Many small leaves carried as one array", columns, rows, notes, measured)


def run(quick: bool, bars: Bars) -> list[Report]:
    """Measure every model."""
    chosen = models(quick)
    measured = []
    with bars.task("packing", len(chosen)) as advance:
        for model in chosen:
            with bars.case(f"packing, {model.name}, {model.runs} side by side"):
                measured.append(measure(model, 2 if quick else 7))
            advance()
    return [report(measured)]
