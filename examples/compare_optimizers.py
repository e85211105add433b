"""Which optimizer trains a small transformer best, each tuned alike? Against steps and against seconds.

A budget for each: 16 settings drawn from the SPACE of its page, a run each, judged on validation text. The
best setting runs again with eight seeds that the tuning has not seen, and is judged on further text. Within a
seed all start from the same parameters and see the same batches, so differences are taken seed by seed.

Run: OPENBLAS_NUM_THREADS=1 python examples/compare_optimizers.py   (about a quarter of an hour on two cores;
--quick shows that it works). The threads of OpenBLAS, which JAX decomposes matrices with on a CPU, cost SOAP
more than its products. Kill it at any moment and run it again: it goes on from the folder compare-optimizers.
"""

import argparse
import hashlib
import platform
import statistics
import time
from functools import partial
from pydoc_data.topics import topics

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.tree_util import Partial
from rich.progress import track
from scipy import stats
from transformer import init, loss_fn, random_windows

import jaxopt_edu as jo
from jaxopt_edu.optimizers import space

WIDTH, CONTEXT, WINDOWS = 32, 32, 256  # of the model, and windows of held-out text


def contenders(steps):
    """Factories, and what their numbers are drawn from: the rate is the peak of a warm-up and a cosine."""

    def rate(peak):
        return jo.schedules.warmup_cosine(peak=peak, warmup_steps=steps / 10, steps=steps)

    def scheduled(factory, learning_rate, **numbers):
        return factory(rate(learning_rate), **numbers)

    def with_companion(factory, learning_rate, **numbers):  # for what is no matrix; their rates fit AdamW's
        others = jo.adamw(rate(learning_rate), b2=0.95, weight_decay=0.0)
        return factory(rate(learning_rate), others=others, **numbers)

    def schedule_free(b1, **numbers):  # which takes the place of momentum and schedule
        return jo.schedule_free(jo.adamw(b1=0.0, **numbers), b1=b1, warmup_steps=steps / 10)

    def prodigy(**numbers):  # which finds the peak itself
        return jo.prodigy(jo.schedules.cosine(peak=1.0, steps=steps), **numbers)

    return {
        "AdamW": (partial(scheduled, jo.adamw), space(jo.adamw)),
        "Lion": (partial(scheduled, jo.lion), space(jo.lion)),
        "Muon": (partial(with_companion, jo.muon), space(jo.muon)),
        "SOAP": (partial(with_companion, jo.soap), space(jo.soap)),
        "schedule-free AdamW": (schedule_free, space(jo.adamw)),
        "Prodigy": (prodigy, space(jo.prodigy)),
    }


def texts():
    """The topics of Python's reference, a paragraph once: to train on, to tune by, to report; and a line."""
    text = "\n\n".join(dict.fromkeys("\n\n".join(topics.values()).split("\n\n")))
    alphabet, indices = np.unique(list(text), return_inverse=True)
    train, validation, test = np.split(indices.astype(np.int32), [len(text) * 8 // 10, len(text) * 9 // 10])
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    about = f"{len(text):,} characters of pydoc_data.topics of Python {platform.python_version()}, {digest}"
    return len(alphabet), jnp.asarray(train), windows(validation), windows(test), about


def windows(text):
    starts = np.linspace(0, len(text) - CONTEXT - 1, WINDOWS).astype(int)
    return jnp.asarray(text[starts[:, None] + np.arange(CONTEXT + 1)])


def seconds_a_step(optimizers, params, sample, repeats):
    """Medians over turns in which the optimizers alternate, of compiled loops without evaluation."""

    @jax.jit
    def some_steps(opt, carry, keys):
        def step(carry, key):
            params, state = carry
            updates, state = opt.update(jax.grad(loss_fn)(params, sample(key)), state, params)
            return (optax.apply_updates(params, updates), state), None

        return jax.lax.scan(step, carry, keys)[0]

    keys = jax.random.split(jax.random.key(0), 20)
    carries = [some_steps(opt, (params, opt.init(params)), keys) for opt in optimizers]
    seconds = [[] for _ in optimizers]
    for _ in track(range(repeats), "step times"):
        for place, opt in enumerate(optimizers):
            begun = time.perf_counter()
            carries[place] = jax.block_until_ready(some_steps(opt, carries[place], keys))
            seconds[place].append((time.perf_counter() - begun) / len(keys))
    return [statistics.median(each) for each in seconds]


def interval(values, sign=""):
    """The mean, and half of Student's interval of 95 % around it."""
    half = stats.sem(values) * stats.t.ppf(0.975, len(values) - 1)
    return f"{np.mean(values):{sign}.3f} ± {half:.3f}"


def table(names, curves, evaluated_at, seconds):
    """Lines of Markdown: losses after parts of AdamW's steps, and after the time that it takes for them."""
    steps = evaluated_at[-1]
    yield "| | ¼ of the steps | ½ | all | − AdamW's | ms a step | ½ of AdamW's seconds | all |"
    yield "|---|---|---|---|---|---|---|---|"
    for place, (name, runs) in enumerate(zip(names, curves, strict=True)):

        def after(when, runs=runs):
            return np.array([np.interp(when, evaluated_at, run) for run in runs])

        slower = seconds[place] / seconds[0]
        yield f"| {name} | " + " | ".join(
            [
                *(interval(after(part * steps)) for part in (0.25, 0.5, 1)),
                interval(runs[:, -1] - curves[0, :, -1], "+") if place else "",
                f"{1e3 * seconds[place]:.1f}",
                *(interval(after(part * steps / slower)) for part in (0.5, 1)),
            ]
        ) + " |"  # fmt: skip


def main(steps, trials, seeds, folder):
    characters, train, validation, test, about = texts()
    sample = Partial(partial(random_windows, context=CONTEXT), train)
    first = partial(init, characters=characters, width=WIDTH)
    chosen, key = contenders(steps), jax.random.key(0)
    drawn = [
        opt
        for factory, of in chosen.values()
        for opt in jo.sample(factory, trials, key=key, quasi="sobol", **of)
    ]
    # One after another: side by side SOAP would pay for its bases at every step.
    shared = {"steps": steps, "every": max(1, steps // 20), "chunk_size": 1, "resume": True}
    judge = Partial(loss_fn, text=validation)
    tuned = jo.sweep(loss_fn, first, drawn, sample, evaluate=judge, path=f"{folder}/tuning", **shared)
    order = tuned.ranking()
    best = [tuned.optimizers[order[order // trials == place][0]] for place in range(len(chosen))]
    judge, fresh = Partial(loss_fn, text=test), range(1, seeds + 1)
    final = jo.sweep(
        loss_fn, first, best, sample, seeds=fresh, evaluate=judge, path=f"{folder}/final", **shared
    )
    seconds = seconds_a_step(best, first(key), sample, repeats=3 if trials < 4 else 15)
    print(f"\n{steps} steps; {trials} settings each; {seeds} seeds; {about}\n")
    print("\n".join(table(chosen, final.curve_of(), final.evaluated_at, seconds)), end="\n\n")
    for name, opt in zip(chosen, best, strict=True):
        print(f"{name}: {jo.describe(opt)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few steps, to see that it works")
    parser.add_argument("--out", default="compare-optimizers", help="the folder (default: %(default)s)")
    options = parser.parse_args()
    main(*((20, 2, 2) if options.quick else (400, 16, 8)), options.out)
