"""Equinox: partition the model into what is trained and what is not, and hand the first half to `jo.fit`.

In a loop of your own, close over the optimizer or pass it through `jax.jit`: `eqx.filter_jit` takes Python
floats for constants and would compile anew for every learning rate.

Run: python examples/equinox_mlp.py   (after pip install "jaxopt-edu[data]" equinox)
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

import jaxopt_edu as jo


def main():
    data = jo.problems.digits()
    model = eqx.nn.MLP(in_size=64, out_size=10, width_size=64, depth=2, key=jax.random.key(0))
    params, rest = eqx.partition(model, eqx.is_inexact_array)

    def logits(params, inputs):
        return jax.vmap(eqx.combine(params, rest))(inputs)

    def loss_fn(params, batch):
        losses = optax.softmax_cross_entropy_with_integer_labels(logits(params, batch.inputs), batch.labels)
        return losses.mean()

    @jax.jit
    def evaluate(params):
        predicted = logits(params, data.test.inputs).argmax(axis=-1)
        return {"accuracy": jnp.mean(predicted == data.test.labels), "loss": loss_fn(params, data.test)}

    result = jo.fit(
        loss_fn,
        params,
        jo.adam(1e-3),
        data.train,
        steps=500,
        batch_size=64,
        key=jax.random.key(1),
        evaluate=evaluate,
        every=100,
    )
    history = result.history
    for step, accuracy in zip(history.evaluated_at, history.evaluations["accuracy"], strict=True):
        print(f"after {step} steps {accuracy:.3f} of the held-out digits are right")
    trained = eqx.combine(result.params, rest)
    first = jax.tree.map(lambda leaf: leaf[0], data.test)
    print(f"the trained model takes a {first.labels} for a {trained(first.inputs).argmax()}")
    return float(history.evaluations["accuracy"][-1])


if __name__ == "__main__":
    main()
