"""The perceptron against flax, a forward pass in NumPy, and its own initial statistics."""

import functools

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_edu import problems
from jaxopt_edu.problems import Examples, mlp

SIZES = (6, 5, 4, 3)
init = jax.jit(functools.partial(mlp.init, layer_sizes=SIZES))


@pytest.fixture(scope="module")
def params():
    return jax.tree.map(lambda leaf: leaf + 0.1, init(jax.random.key(0)))


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(0)
    return Examples(
        inputs=jnp.asarray(rng.normal(size=(8, 6)), jnp.float32),
        labels=jnp.asarray(rng.integers(0, 3, 8), jnp.int32),
    )


def logits_in_float64(params, inputs):
    activations = np.asarray(inputs, np.float64)
    for index, layer in enumerate(params):
        if index:
            activations = np.maximum(activations, 0)
        activations = activations @ np.asarray(layer.weight, np.float64) + np.asarray(layer.bias, np.float64)
    return activations


def test_layers_have_the_sizes_asked_for_in_float32(x64):
    params = jax.eval_shape(init, jax.random.key(0))
    assert [layer.weight.shape for layer in params] == [(6, 5), (5, 4), (4, 3)]
    assert [layer.bias.shape for layer in params] == [(5,), (4,), (3,)]
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {np.dtype(np.float32)}


def test_initial_weights_are_he_normal_and_biases_zero():
    params = mlp.init(jax.random.key(0), (400, 100, 50))
    for layer in params:
        weights = np.asarray(layer.weight, np.float64) / np.sqrt(2 / layer.weight.shape[0])
        # Five standard errors of the mean, the variance and the fourth moment of N(0, 1).
        error = 5 / np.sqrt(weights.size)
        assert abs(weights.mean()) < error
        assert abs((weights**2).mean() - 1) < error * np.sqrt(2)
        assert abs((weights**4).mean() - 3) < error * np.sqrt(96)
        assert not layer.bias.any()


def test_layers_and_keys_have_weights_of_their_own():
    one, other = (mlp.init(jax.random.key(seed), (4, 4, 4)) for seed in (0, 1))
    assert (one[0].weight != one[1].weight).all()
    assert (one[0].weight != other[0].weight).all()


def test_vmap_over_seeds_gives_each_seed_its_own_init():
    keys = jax.random.split(jax.random.key(0), 3)
    stacked = jax.jit(jax.vmap(init))(keys)
    one_by_one = [init(key) for key in keys]
    chex.assert_trees_all_close(
        stacked, jax.tree.map(lambda *leaves: jnp.stack(leaves), *one_by_one), rtol=1e-6
    )


@pytest.mark.parametrize("sizes", [(), (64,), (64, 0), (64, -1, 10), (64, 10.0)])
def test_bad_sizes_are_named(sizes):
    with pytest.raises(ValueError, match=r"layer_sizes is .*two or more positive integers"):
        mlp.init(jax.random.key(0), sizes)


def test_logits_are_flaxs(params, batch):
    class Reference(nn.Module):
        @nn.compact
        def __call__(self, inputs):
            for features in SIZES[1:-1]:
                inputs = nn.relu(nn.Dense(features)(inputs))
            return nn.Dense(SIZES[-1])(inputs)

    reference = {
        f"Dense_{index}": {"kernel": layer.weight, "bias": layer.bias} for index, layer in enumerate(params)
    }
    expected = Reference().apply({"params": reference}, batch.inputs)
    np.testing.assert_allclose(mlp.apply(params, batch.inputs), np.asarray(expected), rtol=1e-5, atol=1e-6)


def test_loss_and_accuracy_are_the_textbook_ones(params, batch):
    logits, labels = logits_in_float64(params, batch.inputs), np.asarray(batch.labels)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = -np.log(probabilities[np.arange(8), labels]).mean()
    assert float(mlp.loss(params, batch)) == pytest.approx(expected, rel=1e-5)
    accuracy = (logits.argmax(axis=1) == labels).mean()
    assert 0 < accuracy < 1
    assert float(mlp.accuracy(params, batch)) == pytest.approx(accuracy)


def test_loss_stays_finite_for_huge_logits(batch):
    layer = mlp.Layer(weight=jnp.full((6, 3), 1e30), bias=jnp.zeros(3))
    assert np.isfinite(mlp.loss([layer], batch))


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32, jnp.float64])
def test_dtype_follows_the_parameters(x64, batch, dtype):
    params = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, dtype), jax.eval_shape(init, jax.random.key(0))
    )
    loss, gradients = jax.eval_shape(jax.value_and_grad(mlp.loss), params, batch)
    assert (loss.shape, loss.dtype) == ((), dtype)
    assert {leaf.dtype for leaf in jax.tree.leaves(gradients)} == {np.dtype(dtype)}
    accuracy = jax.eval_shape(mlp.accuracy, params, batch)
    assert (accuracy.shape, accuracy.dtype) == ((), jnp.float32)


def test_a_few_steps_learn_the_digits():
    data = problems.digits()

    @jax.jit
    def train(params):
        def step(params, _):
            gradients = jax.grad(mlp.loss)(params, data.train)
            return jax.tree.map(lambda w, g: w - 0.3 * g, params, gradients), None

        return jax.lax.scan(step, params, length=60)[0]

    params = train(mlp.init(jax.random.key(0), (64, 32, 32, 10)))
    assert float(mlp.accuracy(params, data.test)) > 0.9


def plain_loss(params, batch):
    """The same as everybody writes it."""
    *hidden, last = params
    activations = batch.inputs
    for layer in hidden:
        activations = jax.nn.relu(activations @ layer.weight + layer.bias[None, :])
    logits = activations @ last.weight + last.bias[None, :]
    return -jnp.mean(jnp.sum(jax.nn.log_softmax(logits) * jax.nn.one_hot(batch.labels, 3), axis=1))


def test_derivatives_are_those_of_the_plain_network(params, batch):
    def derivatives(loss, params):
        gradient = jax.grad(lambda params: loss(params, batch))
        direction = jax.tree.map(jnp.cos, params)
        slope = jax.jvp(lambda params: loss(params, batch), (params,), (direction,))[1]
        forward_over_reverse = jax.jvp(gradient, (params,), (direction,))[1]
        reverse_over_reverse = jax.vjp(gradient, params)[1](direction)[0]
        return gradient(params), slope, forward_over_reverse, reverse_over_reverse

    found = jax.jit(functools.partial(derivatives, mlp.loss))(params)
    expected = jax.jit(functools.partial(derivatives, plain_loss))(params)
    chex.assert_trees_all_close(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="the layout is one for CPUs")
def test_no_product_of_many_networks_has_a_transposed_left_factor(params, batch):
    """XLA's CPU backend hands such products to no library."""
    many = jax.tree.map(lambda leaf: jnp.stack([leaf] * 4), params)

    def transposed(loss):
        gradients = jax.jit(jax.vmap(jax.grad(loss), in_axes=(0, None)))
        program = gradients.lower(many, batch).compile().as_text()
        products = [
            line for line in (program or "").splitlines() if " dot(" in line and "lhs_batch_dims={0}" in line
        ]
        assert products
        return [line for line in products if "lhs_contracting_dims={1}" in line]

    assert not transposed(mlp.loss)
    assert transposed(plain_loss)
