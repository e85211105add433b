"""A hundred learning rates in one compiled program: an optimizer is a pytree, so a sweep is a vmap.

Run: python examples/sweep_by_vmap.py   (after pip install "jaxopt-edu[data]", for scikit-learn's digits)
"""

import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxopt_edu as jo
from jaxopt_edu.problems import mlp

STEPS, BATCH_SIZE = 200, 64


def train(optimizer, params, data, key):
    def step(carry, step_key):
        params, state = carry
        rows = jax.random.randint(step_key, (BATCH_SIZE,), 0, len(data.train.labels))
        batch = jax.tree.map(lambda leaf: leaf[rows], data.train)
        updates, state = optimizer.update(jax.grad(mlp.loss)(params, batch), state, params)
        return (optax.apply_updates(params, updates), state), None

    start = (params, optimizer.init(params))
    (params, _), _ = jax.lax.scan(step, start, jax.random.split(key, STEPS))
    return mlp.loss(params, data.test), mlp.accuracy(params, data.test)


def main():
    data = jo.problems.digits()
    params = mlp.init(jax.random.key(0), (64, 32, 10))
    learning_rates = np.geomspace(1e-4, 100, 100)
    optimizers = jo.stack([jo.momentum(learning_rate=rate) for rate in learning_rates])

    begin = time.perf_counter()
    sweep = jax.jit(jax.vmap(train, in_axes=(0, None, None, None)))
    losses, accuracies = sweep(optimizers, params, data, jax.random.key(1))
    best = int(jnp.nanargmin(losses))
    seconds = time.perf_counter() - begin
    print(f"{len(losses)} runs of {STEPS} steps took {seconds:.1f} s, compilation included")
    print(f"best of them: {jo.describe(jo.unstack(optimizers)[best])}")
    print(f"it gets {accuracies[best]:.3f} of the held-out digits right, with a loss of {losses[best]:.3f}")
    print(f"{int(jnp.sum(~jnp.isfinite(losses)))} runs diverged to NaN, and took none of the others along")
    return {"learning_rate": float(learning_rates[best]), "losses": losses, "accuracies": accuracies}


if __name__ == "__main__":
    main()
