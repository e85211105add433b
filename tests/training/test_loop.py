"""The compiled loop does what a plain Python loop of optax steps does."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_edu as jo
from jaxopt_edu.training import Carry, descend, start

STEPS = 12
DATA = np.random.default_rng(0).normal(size=(STEPS, 8, 3))
PARAMS = {"w": np.array([0.5, -1.0, 2.0]), "b": np.array(0.25)}


def loss_fn(params, batch):
    residual = batch @ params["w"] + params["b"] - jnp.sin(batch[:, 0])
    return jnp.mean(residual**2)


def arrays(dtype):
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), (PARAMS, DATA))


def python_loop(optimizer, params, data, update):
    """One jitted gradient and one optax step after another, nothing else."""
    step = jax.jit(jax.value_and_grad(loss_fn))
    state, losses, path = optimizer.init(params), [], []
    for batch in data:
        loss, gradients = step(params, batch)
        updates, state = update(gradients, state, params, loss)
        params = optax.apply_updates(params, updates)
        losses.append(loss)
        path.append(params)
    return params, losses, path


@pytest.fixture
def promotion(request):
    """Optax's own transforms mix dtypes; ours must not."""
    with jax.numpy_dtype_promotion(request.param):
        yield


def plain(optimizer):
    def update(gradients, state, params, loss):
        return optimizer.update(gradients, state, params)

    return update


def with_value(optimizer):
    def update(gradients, state, params, loss):
        return optimizer.update(gradients, state, params, value=loss)

    return update


@pytest.mark.parametrize(
    ("optimizer", "how", "promotion"),
    [
        (jo.sgd(learning_rate=0.1), plain, "strict"),
        (jo.nesterov(learning_rate=0.05), plain, "strict"),
        (jo.adam(learning_rate=0.1), plain, "strict"),
        (optax.adamw(0.1), plain, "standard"),
        (jo.chain(optax.clip_by_global_norm(0.5), jo.momentum(learning_rate=0.05)), plain, "strict"),
        (optax.polyak_sgd(max_learning_rate=0.3), with_value, "standard"),
        (optax.chain(optax.sgd(0.1), optax.contrib.reduce_on_plateau(patience=1)), with_value, "standard"),
    ],
    indirect=["promotion"],
    ids=["sgd", "nesterov", "adam", "optax adamw", "chain", "polyak_sgd", "reduce_on_plateau"],
)
def test_agrees_with_a_python_loop(x64, promotion, optimizer, how):
    params, data = arrays(jnp.float64)
    expected, losses, path = python_loop(optimizer, params, data, how(optimizer))
    carry, found, records = jax.jit(
        lambda params, data: descend(
            loss_fn, optimizer, start(optimizer, params), data, record=lambda carry: carry.params
        )
    )(params, data)
    assert found.shape == (STEPS,)
    # XLA fuses the compiled loop otherwise than single steps; a dozen steps may move the last few bits.
    close = partial(np.testing.assert_allclose, rtol=1e-12, atol=1e-14)
    jax.tree.map(
        close,
        (found, carry.params, records),
        (jnp.stack(losses), expected, jax.tree.map(lambda *points: jnp.stack(points), *path)),
    )
    assert not np.allclose(carry.params["w"], params["w"], rtol=1e-2)


def test_agrees_with_numpy_on_sgd(x64):
    params, data = arrays(jnp.float64)
    w, b = PARAMS["w"].copy(), PARAMS["b"].copy()
    for batch in DATA:
        residual = batch @ w + b - np.sin(batch[:, 0])
        w, b = w - 0.1 * 2 * (residual @ batch) / len(batch), b - 0.1 * 2 * residual.mean()
    opt = jo.sgd(learning_rate=0.1)
    carry, _, records = descend(loss_fn, opt, start(opt, params), data)
    np.testing.assert_allclose(carry.params["w"], w, rtol=1e-13)
    np.testing.assert_allclose(carry.params["b"], b, rtol=1e-13)
    assert records == ()


def test_two_pieces_are_one_run():
    params, data = arrays(jnp.float32)
    opt = jo.adam(learning_rate=0.1)
    piece = jax.jit(lambda carry, data: descend(loss_fn, opt, carry, data))
    whole, losses, _ = piece(start(opt, params), data)
    half, first, _ = piece(start(opt, params), data[:6])
    rest, second, _ = piece(half, data[6:])
    np.testing.assert_array_equal(np.concatenate([first, second]), losses)
    assert isinstance(rest, Carry)
    for found, expected in zip(jax.tree.leaves(rest), jax.tree.leaves(whole), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_steps_without_batches():
    opt = jo.sgd(learning_rate=0.25)
    carry, losses, points = descend(
        lambda w, _: w**2, opt, start(opt, jnp.array(8.0)), None, steps=3, record=lambda carry: carry.params
    )
    assert losses.tolist() == [64.0, 16.0, 4.0]
    assert points.tolist() == [4.0, 2.0, 1.0]
    assert float(carry.params) == 1.0


def test_records_see_the_state_after_the_step():
    opt = jo.adam()
    _, _, counts = descend(
        lambda w, _: w**2,
        opt,
        start(opt, jnp.array(1.0)),
        None,
        steps=3,
        record=lambda carry: carry.state.count,
    )
    assert counts.tolist() == [1, 2, 3]


@pytest.mark.parametrize("optimizer", [jo.sgd(learning_rate=0.25), jo.adam(learning_rate=0.2)])
def test_complex_parameters_descend(optimizer):
    target = 3.0 - 2.0j

    def distance(z, _):
        return jnp.real((z - target) * jnp.conj(z - target))

    first = jnp.array(-1.0 + 1.0j, jnp.complex64)
    carry, losses, _ = jax.jit(lambda z: descend(distance, optimizer, start(optimizer, z), None, steps=300))(
        first
    )
    assert losses[0] == 25.0
    assert losses[1] < losses[0]
    assert losses[-1] < 1e-6
    np.testing.assert_allclose(carry.params, target, atol=1e-3)


def test_line_search_gets_the_loss_function():
    opt = optax.chain(optax.sgd(1.0), optax.scale_by_backtracking_linesearch(max_backtracking_steps=20))
    _, losses, _ = jax.jit(lambda w: descend(lambda w, _: 50 * w**2, opt, start(opt, w), None, steps=6))(
        jnp.array(1.0)
    )
    # A step of 1 along −f′ overshoots a hundredfold; every accepted step goes down.
    assert (np.diff(losses) < 0).all()


def test_missing_length_and_mismatched_length_are_refused():
    opt = jo.sgd()
    with pytest.raises(ValueError, match="length"):
        descend(lambda w, _: w**2, opt, start(opt, jnp.array(1.0)), None)
    with pytest.raises(ValueError, match="length"):
        descend(lambda w, x: (w * x) ** 2, opt, start(opt, jnp.array(1.0)), jnp.ones(3), steps=4)


def test_runs_under_vmap_over_optimizers():
    settings = jo.stack([jo.sgd(learning_rate=0.125), jo.sgd(learning_rate=0.25)])
    ends = jax.jit(
        jax.vmap(
            lambda opt: descend(lambda w, _: w**2, opt, start(opt, jnp.array(4.0)), None, steps=2)[0].params
        )
    )(settings)
    assert ends.tolist() == [4 * 0.75**2, 1.0]
