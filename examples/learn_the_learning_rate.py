"""Let gradient descent find its own learning rate.

Training is a function of the optimizer, and the optimizer is a pytree of numbers: jax.grad goes through
a whole training run and says how the loss at its end would change with the learning rate.

Run: python examples/learn_the_learning_rate.py   (after pip install "jaxopt-edu[data]")
"""

import jax
import jax.numpy as jnp

import jaxopt_edu as jo
from jaxopt_edu.problems import digits, mlp
from jaxopt_edu.training import descend, start


def main() -> None:
    data = digits()
    params = mlp.init(jax.random.key(0), (64, 32, 10))
    batches = jax.tree.map(lambda column: column[:1400].reshape(20, 70, *column.shape[1:]), data.train)

    @jax.jit
    @jax.value_and_grad
    def loss_after_training(log_rate: jax.Array) -> jax.Array:
        optimizer = jo.adam(learning_rate=jnp.exp(log_rate))
        trained, _, _ = descend(mlp.loss, optimizer, start(optimizer, params), batches)
        return mlp.loss(trained.params, data.train)

    log_rate = jnp.log(1e-4)
    learner = jo.rmsprop(learning_rate=0.5, decay=0.9)  # one level up, one number to train
    state = learner.init(log_rate)
    for outer_step in range(12):
        loss, hypergradient = loss_after_training(log_rate)
        print(f"{outer_step:2}: learning rate {jnp.exp(log_rate):.5f}, loss after training {loss:.4f}")
        updates, state = learner.update(hypergradient, state)
        log_rate = jax.tree.map(jnp.add, log_rate, updates)


if __name__ == "__main__":
    main()
