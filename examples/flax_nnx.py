"""A network with batch norm in Flax NNX, trained in two ways.

With `jo.fit` the network is split into its parameters, which the optimizer moves, and its batch statistics,
which the loss function hands back as the model's own state. With `nnx.Optimizer` the loop is your own.

Run: python examples/flax_nnx.py   (after pip install "jaxopt-edu[data]" flax)
"""

import jax
import jax.numpy as jnp
import optax
from flax import nnx

import jaxopt_edu as jo


class Network(nnx.Module):
    """A perceptron with one hidden layer and batch norm."""

    def __init__(self, rngs: nnx.Rngs):
        self.hidden = nnx.Linear(64, 128, rngs=rngs)
        self.norm = nnx.BatchNorm(128, rngs=rngs)
        self.last = nnx.Linear(128, 10, rngs=rngs)

    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Logits, shape (batch, 10)."""
        return self.last(nnx.relu(self.norm(self.hidden(inputs))))


def cross_entropy(model, batch):
    return optax.softmax_cross_entropy_with_integer_labels(model(batch.inputs), batch.labels).mean()


def accuracy(model, examples):
    model.eval()  # the running averages instead of the batch's own
    return float(jnp.mean(model(examples.inputs).argmax(axis=-1) == examples.labels))


def with_fit(data, optimizer):
    graph, params, statistics = nnx.split(Network(nnx.Rngs(0)), nnx.Param, nnx.BatchStat)

    def loss_fn(params, statistics, batch):
        # NNX refuses to write new statistics into variables from outside this function.
        model = nnx.merge(graph, params, statistics, copy=True)
        loss = cross_entropy(model, batch)
        return loss, nnx.state(model, nnx.BatchStat)

    result = jo.fit(
        loss_fn,
        params,
        optimizer,
        data.train,
        steps=200,
        batch_size=128,
        key=jax.random.key(0),
        model_state=statistics,
    )
    return nnx.merge(graph, result.params, result.model_state)


def with_nnx_optimizer(data, optimizer):
    model = Network(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optimizer, wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, batch):
        optimizer.update(model, nnx.grad(cross_entropy)(model, batch))

    for key in jax.random.split(jax.random.key(0), 100):
        rows = jax.random.randint(key, (128,), 0, len(data.train.labels))
        step(model, optimizer, jax.tree.map(lambda leaf, rows=rows: leaf[rows], data.train))
    return model


def main():
    data = jo.problems.digits()
    accuracies = {}
    for train in (with_fit, with_nnx_optimizer):
        accuracies[train.__name__] = accuracy(train(data, jo.adam(3e-3)), data.test)
        print(f"{train.__name__}: {accuracies[train.__name__]:.3f} of the held-out digits are right")
    return accuracies


if __name__ == "__main__":
    main()
