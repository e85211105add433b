"""What half precision and parts of a batch do to a transformer: its loss, its steps, its memory.

    python -m tests.benchmarks --only mixed_precision

The example's transformer, parameters in float32, trained with Adam on this repository's text: on the same
batches from the same parameters within a seed. The loss is that of held-out text, evaluated in float32.
Steps are timed in turns. Bytes are what XLA sets aside for the gradient, besides parameters and result.
"""

import statistics
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.tree_util import Partial

import jaxopt_edu as jo
from examples import transformer
from tests.benchmarks.output import Bars, Report
from tests.benchmarks.timing import Rival, in_turns, ratio

STEPS, SEEDS, RATE = 300, 1, 3e-3
PARTS = 4
WHOLE = "float32"


def attention_in_float32(attend: Callable[..., Any], *arrays: jax.Array, **options: Any) -> jax.Array:
    """Attention whose products are float32's; XLA has those of float16 for no CPU."""
    return attend(*(array.astype(jnp.float32) for array in arrays), **options).astype(arrays[0].dtype)


def with_wide_attention(params: Any, text: jax.Array) -> jax.Array:
    """The example's loss, in float16 on CPUs too."""
    wide = partial(attention_in_float32, jax.nn.dot_product_attention)
    with mock.patch.object(jax.nn, "dot_product_attention", wide):
        return transformer.loss_fn(params, text)


class Variant(NamedTuple):
    """One way to compute the loss."""

    loss_fn: Callable[..., Any]
    wrap: Callable[[Any], Any] = lambda opt: opt


IN_BFLOAT16 = jo.mixed_precision(transformer.loss_fn)
IN_FLOAT16 = jo.mixed_precision(with_wide_attention, jnp.float16)
VARIANTS = {
    WHOLE: Variant(transformer.loss_fn),
    f"{WHOLE}, {PARTS} parts": Variant(jo.micro_batches(transformer.loss_fn, PARTS)),
    "bfloat16": Variant(IN_BFLOAT16),
    f"bfloat16, {PARTS} parts": Variant(jo.micro_batches(IN_BFLOAT16, PARTS)),
    "float16": Variant(IN_FLOAT16),
    "float16, loss_scaling": Variant(IN_FLOAT16, jo.loss_scaling),
}


class Text(NamedTuple):
    """What is trained on, and what is evaluated."""

    characters: int
    train: jax.Array
    windows: jax.Array


def text() -> Text:
    """This repository's; the last tenth is held out."""
    alphabet, indices = np.unique(list(transformer.repository_text()), return_inverse=True)
    train, held_out = np.split(indices.astype(np.int32), [len(indices) * 9 // 10])
    starts = np.arange(0, len(held_out) - transformer.CONTEXT, transformer.CONTEXT)
    windows = held_out[starts[:, None] + np.arange(transformer.CONTEXT + 1)]
    return Text(len(alphabet), jnp.asarray(train), jnp.asarray(windows))


def run(quick: bool, bars: Bars) -> list[Report]:
    """Train every variant with every seed, then time them all in turns."""
    known, steps, seeds = text(), 2 if quick else STEPS, 1 if quick else SEEDS
    variants = {name: VARIANTS[name] for name in (WHOLE, "bfloat16")} if quick else VARIANTS
    known = known._replace(windows=known.windows[: transformer.BATCH_SIZE]) if quick else known
    measured: dict[str, dict[str, Any]] = {}
    with bars.task("mixed precision", len(variants) + 1) as advance:
        for name, variant in variants.items():
            with bars.case(f"mixed_precision, {name}"):
                losses = [held_out_loss(variant, known, steps, seed) for seed in range(seeds)]
                measured[name] = {"variant": name, "losses": losses, "bytes": gradient_bytes(variant, known)}
            advance()
        rivals = {name: Rival(stepper(variants[name], known), 0.0) for name in measured}
        for name, seconds in in_turns(rivals, 2 if quick else 7).items():
            measured[name]["seconds"] = seconds
        advance()
    return [report(list(measured.values()), steps)]


def optimizer(variant: Variant, steps: int) -> Any:
    """Adam as in the example."""
    warmup = jo.schedules.warmup_cosine(peak=RATE, warmup_steps=steps / 10, steps=steps)
    return variant.wrap(jo.chain(optax.clip_by_global_norm(1.0), jo.adam(warmup, b2=0.99)))


def held_out_loss(variant: Variant, known: Text, steps: int, seed: int) -> float:
    """Nats a character of held-out text after so many steps."""
    first, batches = jax.random.split(jax.random.key(seed))
    result = jo.fit(
        variant.loss_fn,
        transformer.init(first, known.characters),
        optimizer(variant, steps),
        Partial(transformer.random_windows, known.train),
        steps=steps,
        key=batches,
        progress=False,
    )
    return float(transformer.validation_loss(result.params, known.windows))


def stepper(variant: Variant, known: Text) -> Callable[[int], None]:
    """Makes steps of training, compiled as `fit` compiles them."""
    opt = optimizer(variant, STEPS)
    step = jo.training.make_step(variant.loss_fn, opt, Partial(transformer.random_windows, known.train))
    compiled = jax.jit(step, donate_argnums=0)
    carry = jo.training.start(opt, transformer.init(jax.random.key(0), known.characters))

    def steps(number: int) -> None:
        nonlocal carry
        for _ in range(number):
            carry, told = compiled(carry, jax.random.key(1))
            jax.block_until_ready(told)

    return steps


def gradient_bytes(variant: Variant, known: Text) -> int:
    """What XLA sets aside for value and gradient of a batch."""
    params = jax.eval_shape(lambda key: transformer.init(key, known.characters), jax.random.key(0))
    batch = jax.ShapeDtypeStruct((transformer.BATCH_SIZE, transformer.CONTEXT + 1), jnp.int32)
    analysis: Any = jax.jit(jax.value_and_grad(variant.loss_fn)).lower(params, batch).compile()
    return analysis.memory_analysis().temp_size_in_bytes


def report(measured: list[dict[str, Any]], steps: int) -> Report:
    """A line for each variant."""
    whole = measured[0]
    rows = []
    for each in measured:
        excess = [own / other - 1 for own, other in zip(each["losses"], whole["losses"], strict=True)]
        rows.append(
            (
                each["variant"],
                f"{statistics.mean(each['losses']):.3f}",
                "" if each is whole else f"{100 * min(excess):+.1f} to {100 * max(excess):+.1f}",
                f"{1e3 * statistics.median(each['seconds']):.3g}",
                "" if each is whole else str(ratio(each["seconds"], whole["seconds"])),
                f"{each['bytes'] / 2**20:.1f}",
            )
        )
    columns = ("", "held-out loss", "% above float32", "ms a step", "× float32", "MiB for the gradient")
    notes = (
        f"{steps} steps, batches of {transformer.BATCH_SIZE}; % above float32 of the same seed, from the "
        f"least to the most of {len(whole['losses'])} seeds, which differ by about 1 % themselves.",
        f"Parts: micro_batches(loss_fn, {PARTS}). ×: the turns' ratios, their median and quartiles.",
    )
    return Report("A transformer in half precision and in parts", columns, rows, notes, measured)
