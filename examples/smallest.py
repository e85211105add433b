"""The smallest fit: softmax regression on the handwritten digits. Run: python examples/smallest.py"""

import jax
import jax.numpy as jnp
import optax

import jaxopt_edu as jo


def loss_fn(params, batch):
    logits = batch.inputs @ params["weight"] + params["bias"]
    return optax.softmax_cross_entropy_with_integer_labels(logits, batch.labels).mean()


data = jo.problems.digits()
params = {"weight": jnp.zeros((64, 10)), "bias": jnp.zeros(10)}
result = jo.fit(loss_fn, params, jo.adam(1e-2), data.train, steps=500, batch_size=64, key=jax.random.key(0))
print(f"loss on the held-out digits after 500 steps: {loss_fn(result.params, data.test):.3f}")
