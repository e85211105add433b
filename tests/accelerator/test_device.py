"""What is promised of a device: the same bits twice, the CPU's numbers up to roundings, arrays that stay.

Run where JAX finds an accelerator, these compare it with the CPU beside it; on a CPU they hold of themselves.
"""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_edu as jo
from jaxopt_edu.core.noise import place_noise
from jaxopt_edu.problems import mlp
from jaxopt_edu.wrappers.half_state import stochastic_round
from tests.registry import each_optimizer

# By default their kind is tested on the CPU elsewhere.
pytestmark = pytest.mark.slow
KEY = jax.random.key(0)
HERE, CPU = jax.devices()[0], jax.devices("cpu")[0]
PARAMS = {
    "w": jnp.linspace(-1.0, 2.0, 600).reshape(20, 30),
    "b": jnp.ones(7),
    "half": jnp.ones(5, jnp.bfloat16),
}
STEPS = 20


def on(device, function, *arguments):
    """The function compiled for a device, its results as numpy arrays."""
    with jax.default_device(device):
        results = jax.jit(function)(*jax.device_put(arguments, device))
        assert all(leaf.devices() == {device} for leaf in jax.tree.leaves(results))
        return jax.tree.map(_as_numpy, results)


def _as_numpy(leaf):
    return np.asarray(jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf)


def descend(opt, params):
    """Steps down a sum of squares with another curvature for each number."""

    def step(carry, _):
        params, state = carry
        gradients = jax.tree.map(lambda leaf: leaf * _curvatures(leaf), params)
        updates, state = opt.update(gradients, state, params)
        return (jax.tree.map(jnp.add, params, updates), state), None

    return jax.lax.scan(step, (params, opt.init(params)), length=STEPS)[0]


def _curvatures(leaf):
    return jnp.linspace(0.1, 1, leaf.size, dtype=jnp.float32).reshape(leaf.shape).astype(leaf.dtype)


@each_optimizer
def test_the_same_bits_twice_and_the_cpus_numbers(row):
    first, second = (on(HERE, descend, row.build(), PARAMS) for _ in range(2))
    chex.assert_trees_all_equal(first, second)
    elsewhere = on(CPU, descend, row.build(), PARAMS)
    chex.assert_trees_all_equal_dtypes(first, elsewhere)
    for name, tolerance in (("w", 1e-5), ("b", 1e-5), ("half", 0.02)):
        mine, theirs = (np.asarray(each[0][name], np.float32) for each in (first, elsewhere))
        np.testing.assert_allclose(mine, theirs, rtol=tolerance, atol=tolerance)
    assert not np.array_equal(first[0]["w"], PARAMS["w"]), "nothing has moved"


def test_random_bits_and_roundings_are_the_cpus_own():
    words = jax.random.bits(KEY, (3,), jnp.uint32)
    bits = [on(device, lambda words: place_noise(words, (1000,)), words) for device in (HERE, CPU)]
    np.testing.assert_array_equal(*bits)
    numbers = jnp.asarray(np.random.default_rng(0).normal(size=1000) * 10.0, jnp.float32)
    rounded = [
        on(device, lambda x, key: stochastic_round(x, key).astype(jnp.float32), numbers, KEY)
        for device in (HERE, CPU)
    ]
    np.testing.assert_array_equal(*rounded)


@pytest.mark.parametrize(
    "around",
    [lambda opt: jo.half_state(opt, KEY), jo.compensated, jo.packed],
    ids=["half", "compensated", "packed"],
)
def test_wrappers_give_the_same_bits_twice(around):
    opt = around(jo.adam(0.01))
    first, second = (on(HERE, descend, opt, PARAMS) for _ in range(2))
    chex.assert_trees_all_equal(first, second)
    alone = on(HERE, descend, jo.adam(0.01), PARAMS)
    np.testing.assert_allclose(first[0]["w"], alone[0]["w"], rtol=0, atol=0.05)


DATA = {"x": np.random.default_rng(1).normal(size=(64, 4)).astype(np.float32)}


def loss_fn(params, batch):
    return jnp.mean(jnp.square(mlp.apply(params, batch["x"]) - batch["x"]))


def init(key):
    return mlp.init(key, (4, 8, 4))


def trained(**options):
    settings = {"steps": 30, "batch_size": 16, "key": jax.random.key(1), "progress": False} | options
    return jo.fit(loss_fn, init(KEY), jo.adam(0.01), DATA, **settings)


def test_fit_is_deterministic_here_and_near_the_cpu():
    first, second = trained(), trained()
    chex.assert_trees_all_equal((first.params, first.state), (second.params, second.state))
    np.testing.assert_array_equal(first.history.losses, second.history.losses)
    assert all(leaf.devices() == {HERE} for leaf in jax.tree.leaves(first.params))
    with jax.default_device(CPU), jax.default_matmul_precision("highest"):
        elsewhere = trained()
    # Products may be made in less than float32 unless they are asked for.
    np.testing.assert_allclose(first.history.losses, elsewhere.history.losses, rtol=0.02)


def test_fit_goes_on_from_a_checkpoint_to_the_same_bits(tmp_path):
    whole = trained(every=10)
    trained(steps=20, every=10, checkpoint=tmp_path)
    resumed = trained(every=10, checkpoint=tmp_path, resume=True)
    chex.assert_trees_all_equal(resumed.params, whole.params)


def test_all_devices_of_the_kind_train_together():
    mesh = jax.make_mesh((len(jax.devices()),), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    together = trained(mesh=mesh)
    np.testing.assert_allclose(together.history.losses, trained().history.losses, rtol=0.02)
    assert all(leaf.devices() == set(jax.devices()) for leaf in jax.tree.leaves(together.params))


def test_a_sweep_is_deterministic_here_and_each_run_what_fit_does():
    opts = jo.grid(jo.adam, learning_rate=[0.003, 0.01, 1e20])
    first, second = (
        jo.sweep(loss_fn, init, opts, DATA, steps=30, batch_size=16, every=10, seeds=2) for _ in range(2)
    )
    np.testing.assert_array_equal(first.curves["training_loss"], second.curves["training_loss"])
    assert (first.states[2] == "DIVERGED").all()
    assert (first.states[:2] == "COMPLETE").all()
    key = jax.random.key(0)
    alone = jo.fit(
        loss_fn,
        init(jax.random.fold_in(key, 0)),
        opts[1],
        DATA,
        steps=30,
        batch_size=16,
        key=jax.random.fold_in(key, 1),
        progress=False,
    )
    means = alone.history.losses.reshape(3, 10).mean(axis=1)
    np.testing.assert_allclose(first.curves["training_loss"][1, 0, 1:], means, rtol=0.02)
