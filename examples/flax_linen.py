"""Flax Linen: the optimizer as the `tx` of a TrainState, with a jitted step and a loop of your own.

Run: python examples/flax_linen.py   (after pip install "jaxopt-edu[data]" flax)
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from flax.training.train_state import TrainState

import jaxopt_edu as jo

EPOCHS, BATCH_SIZE = 20, 128


class Network(nn.Module):
    """A perceptron with one hidden layer."""

    @nn.compact
    def __call__(self, inputs):
        """Logits, shape (batch, 10)."""
        return nn.Dense(10)(nn.relu(nn.Dense(64)(inputs)))


@jax.jit
def step(state, batch):
    def loss_fn(params):
        logits = state.apply_fn(params, batch.inputs)
        return optax.softmax_cross_entropy_with_integer_labels(logits, batch.labels).mean()

    loss, gradients = jax.value_and_grad(loss_fn)(state.params)
    return state.apply_gradients(grads=gradients), loss


def main():
    data = jo.problems.digits()
    batches = len(data.train.labels) // BATCH_SIZE
    network = Network()
    schedule = jo.schedules.cosine(peak=1e-2, steps=EPOCHS * batches)
    state = TrainState.create(
        apply_fn=network.apply,
        params=network.init(jax.random.key(0), data.train.inputs[:1]),
        tx=jo.adam(learning_rate=schedule),
    )
    order = np.random.default_rng(0)
    loss = jnp.inf
    for _ in range(EPOCHS):
        shuffled = order.permutation(len(data.train.labels))
        for rows in shuffled[: batches * BATCH_SIZE].reshape(batches, BATCH_SIZE):
            state, loss = step(state, jax.tree.map(lambda leaf, rows=rows: leaf[rows], data.train))
    predicted = network.apply(state.params, data.test.inputs).argmax(axis=-1)  # type: ignore[union-attr]
    accuracy = float(jnp.mean(predicted == data.test.labels))
    print(f"loss of the last of {int(state.step)} batches: {float(loss):.4f}")
    print(f"{accuracy:.3f} of the held-out digits are right")
    return accuracy


if __name__ == "__main__":
    main()
