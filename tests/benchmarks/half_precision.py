"""What half the bytes cost: Adam with bfloat16 state or bfloat16 parameters on the digits.

    python -m tests.benchmarks.half_precision [--out half_precision.md]

An MLP with two hidden layers of 32 is trained for 500 steps with batches of 128, all variants from the same
parameters and on the same batches within a seed.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxopt_edu as jo
from jaxopt_edu.cli.console import progress
from jaxopt_edu.problems import Dataset, digits, mlp
from jaxopt_edu.training import descend, shuffled_indices, start
from tests.benchmarks.output import Report, arguments, publish

STEPS = 500
BATCH_SIZE = 128
SEEDS = 10
LEARNING_RATE = 0.003
LAYER_SIZES = (64, 32, 32, 10)


class Variant(NamedTuple):
    """One way to keep the numbers."""

    name: str
    parameters: Any  # dtype
    optimizer: Callable[[jax.Array], optax.GradientTransformation]  # of a random key


class Outcome(NamedTuple):
    """What became of one variant; one entry a seed."""

    name: str
    losses: np.ndarray  # mean cross entropy on the whole training set, evaluated in float32
    accuracies: np.ndarray  # share of the test set
    parameter_bytes: float  # for each parameter
    state_bytes: float  # for each parameter


def adam() -> jo.Optimizer:
    """The optimizer that all variants run."""
    return jo.adam(learning_rate=LEARNING_RATE)


def nearest_state(optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    """As `half_state`, but rounded to the nearest: the control that random rounding is measured by."""

    def halved(tree: Any) -> Any:
        return jax.tree.map(lambda x: x.astype(jnp.bfloat16) if x.dtype == jnp.float32 else x, tree)

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        state = jax.tree.map(lambda x: x.astype(jnp.float32) if x.dtype == jnp.bfloat16 else x, state)
        updates, state = optimizer.update(updates, state, params)
        return updates, halved(state)

    return optax.GradientTransformation(lambda params: halved(optimizer.init(params)), update)


VARIANTS = (
    Variant("float32 state", jnp.float32, lambda key: adam()),
    Variant("half_state", jnp.float32, lambda key: jo.half_state(adam(), key)),
    Variant("state to the nearest", jnp.float32, lambda key: nearest_state(adam())),
    Variant("bfloat16 w", jnp.bfloat16, lambda key: adam()),
    Variant("bfloat16 w, compensated", jnp.bfloat16, lambda key: jo.compensated(adam())),
    Variant("bfloat16 w, both", jnp.bfloat16, lambda key: jo.compensated(jo.half_state(adam(), key))),
)


def train(variant: Variant, data: Dataset, seeds: int) -> Outcome:
    """Train one variant with all seeds in one compiled program."""

    @jax.jit
    @jax.vmap
    def run(seed: jax.Array) -> tuple[jax.Array, jax.Array]:
        keys = jax.random.split(jax.random.key(seed), 3)
        optimizer = variant.optimizer(keys[2])
        rows = shuffled_indices(
            keys[1], 0, 0, steps=STEPS, examples=len(data.train.labels), batch_size=BATCH_SIZE
        )

        def loss(params: Any, indices: jax.Array) -> jax.Array:
            return mlp.loss(params, jax.tree.map(lambda column: column[indices], data.train))

        carry = start(optimizer, initial(variant, keys[0]))
        carry, _, _ = descend(loss, optimizer, carry, rows)
        trained = jax.tree.map(lambda w: w.astype(jnp.float32), carry.params)
        return mlp.loss(trained, data.train), mlp.accuracy(trained, data.test)

    losses, accuracies = run(jnp.arange(seeds, dtype=jnp.uint32))
    key = jax.random.key(0)
    params = initial(variant, key)
    state = variant.optimizer(key).init(params)
    return Outcome(
        variant.name,
        np.asarray(losses, np.float64),
        np.asarray(accuracies, np.float64),
        array_bytes(params) / array_size(params),
        array_bytes(state) / array_size(params),
    )


def initial(variant: Variant, key: jax.Array) -> tuple[mlp.Layer, ...]:
    """The parameters before the first step, in the variant's dtype."""
    return jax.tree.map(lambda w: w.astype(variant.parameters), mlp.init(key, LAYER_SIZES))


def array_bytes(tree: Any) -> int:
    """Bytes of all arrays; counts and keys, a few bytes however large the model, are left out."""
    return sum(leaf.nbytes for leaf in jax.tree.leaves(tree) if leaf.ndim > 0)


def array_size(tree: Any) -> int:
    """Numbers in all arrays."""
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def measure(seeds: int) -> Iterator[Outcome]:
    """All variants, one at a time."""
    data = digits()
    for variant in VARIANTS:
        yield train(variant, data, seeds)


def excess(outcome: Outcome, reference: Outcome) -> np.ndarray:
    """How much higher the final loss is, as a share of the reference's with the same seed."""
    return outcome.losses / reference.losses - 1


def report(outcomes: list[Outcome]) -> Report:
    """The table: a row for each variant."""

    def spread(values: np.ndarray, form: str) -> str:
        return f"{values.mean():{form}} ± {values.std(ddof=1):{form}}"

    rows = [
        [
            each.name,
            spread(each.losses, ".5f"),
            spread(excess(each, outcomes[0]) * 100, ".1f"),
            spread(each.accuracies * 100, ".2f"),
            f"{each.parameter_bytes:g}",
            f"{each.state_bytes:g}",
        ]
        for each in outcomes
    ]
    columns = [
        "variant",
        "training loss",
        "% above float32",
        "accuracy %",
        "bytes of w",
        "bytes of state",
    ]
    notes = (
        f"Adam, η = {LEARNING_RATE}, {STEPS} steps, batches of {BATCH_SIZE}, MLP {LAYER_SIZES} on the "
        f"digits; mean ± standard deviation over {len(outcomes[0].losses)} seeds.",
        "Training loss: mean cross entropy over all training examples at the end, evaluated in float32. "
        "% above float32: of the same seed. Bytes: for each parameter.",
        "half_state rounds Adam's state to bfloat16 at random; “to the nearest” is its control; both: "
        "compensated(half_state(adam)).",
    )
    measurements = [each._asdict() | {"losses": each.losses.tolist()} for each in outcomes]
    for each in measurements:
        each["accuracies"] = each["accuracies"].tolist()
    return Report("Adam with fewer bytes", columns, rows, notes, measurements)


def main() -> None:
    """Measure, print and write."""
    out = arguments(__doc__).out
    with progress() as bars:
        outcomes = list(bars.track(measure(SEEDS), total=len(VARIANTS), description="variants"))
    publish(report(outcomes), out)


if __name__ == "__main__":
    main()
