"""Compose with optax: clipping, decoupled weight decay and accumulation around an optimizer of ours.

`jo.chain` is `optax.chain` whose result is still a pytree of its numbers, and `jo.lift` makes the numbers of
optax's own transforms leaves too. So the chain can be closed over, as with optax, or passed to the compiled
function as an argument, where other numbers are new data and not a new compilation.

Run: python examples/chains.py   (after pip install "jaxopt-edu[data]", for scikit-learn's digits)
"""

import time

import jax
import optax

import jaxopt_edu as jo
from jaxopt_edu.problems import mlp

STEPS, ACCUMULATED, BATCH_SIZE = 200, 4, 32
UPDATES = STEPS // ACCUMULATED


def clipped_adamw(peak, weight_decay):
    """AdamW: Adam's direction and the decay of the weights, both times a learning rate that warms up.

    With the decay before Adam it would be L2 regularisation: Adam would divide it by the gradients' size.
    """
    return jo.chain(
        jo.lift(optax.clip_by_global_norm)(max_norm=1.0),
        jo.adam(learning_rate=1.0, b2=0.99),  # its updates have their sign already: they point downhill
        jo.lift(optax.add_decayed_weights)(-weight_decay),
        jo.lift(optax.scale_by_learning_rate)(
            jo.schedules.warmup_cosine(peak=peak, warmup_steps=UPDATES // 5, steps=UPDATES), flip_sign=False
        ),
    )


def train(optimizer, params, data, key):
    """One update for every so many batches, as if they were one large batch."""
    accumulating = optax.MultiSteps(optimizer, every_k_schedule=ACCUMULATED)

    def step(carry, step_key):
        params, state = carry
        rows = jax.random.randint(step_key, (BATCH_SIZE,), 0, len(data.labels))
        gradients = jax.grad(mlp.loss)(params, jax.tree.map(lambda leaf: leaf[rows], data))
        in_force = jo.hyperparameters(optimizer, state.inner_opt_state)
        updates, state = accumulating.update(gradients, state, params)
        return (optax.apply_updates(params, updates), state), in_force["3.learning_rate"]

    start = (params, accumulating.init(params))
    (params, _), learning_rates = jax.lax.scan(step, start, jax.random.split(key, STEPS))
    return params, learning_rates


def main():
    data = jo.problems.digits()
    params = mlp.init(jax.random.key(0), (64, 64, 10))
    key = jax.random.key(1)
    optimizer = clipped_adamw(peak=0.02, weight_decay=0.1)
    print(jo.describe(optimizer))

    closed_over = jax.jit(lambda params: train(optimizer, params, data.train, key))
    passed = jax.jit(train)
    runs = {
        "closed over": lambda: closed_over(params),
        "passed": lambda: passed(optimizer, params, data.train, key),
        "passed with other numbers": lambda: passed(clipped_adamw(0.03, 0.2), params, data.train, key),
    }
    results = {}
    for name, run in runs.items():
        begin = time.perf_counter()
        results[name] = jax.block_until_ready(run())
        seconds = time.perf_counter() - begin
        print(f"{name}: held-out loss {mlp.loss(results[name][0], data.test):.4f}, after {seconds:.2f} s")
    learning_rates = results["passed"][1]
    print("learning rates in force:", *(f"{rate:.4f}" for rate in learning_rates[:: STEPS // 10]))
    return results


if __name__ == "__main__":
    main()
