"""fit with many small leaves: carried end to end, and nobody outside can tell."""

import chex
import jax
import jax.numpy as jnp
import optax
import pytest

import jaxopt_edu as jo
from jaxopt_edu.core.foreign import as_pytree
from jaxopt_edu.core.packing import Layout
from jaxopt_edu.training import packing
from jaxopt_edu.training.packing import layout_that_pays, of_products, pack_carry
from tests.registry import each_optimizer

PARAMS = {f"{i:03d}": jnp.full(1 + i % 3, 1.0 + i / 50) for i in range(9)}
SETTINGS = {"steps": 5, "every": 2, "key": jax.random.key(1), "progress": False}


def loss_fn(params, noise):
    loss = sum(jnp.sum((jnp.ones((2, leaf.size)) @ leaf - noise) ** 2) for leaf in params.values())
    return loss, {"first": params["000"][0]}


def without_products(params, noise):
    return sum(jnp.dot(leaf - noise, leaf - noise) for leaf in params.values())


def train(opt, loss=loss_fn, **settings):
    return jo.fit(loss, PARAMS, opt, lambda key: jax.random.normal(key), **SETTINGS | settings)


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch):
    monkeypatch.setattr(packing, "MANY", 9)


@each_optimizer
def test_only_many_small_leaves_and_our_own_rules_are_packed(row):
    opt = row.build()
    assert layout_that_pays(opt, PARAMS)
    fewer = {name: PARAMS[name] for name in list(PARAMS)[1:]}
    assert layout_that_pays(opt, fewer) is None
    assert layout_that_pays(opt, PARAMS | {"000": jnp.ones(10_000)}) is None
    for other in (jo.chain(opt), jo.compensated(opt), as_pytree(optax.sgd(0.1))):
        assert layout_that_pays(other, PARAMS) is None
    mesh = jax.make_mesh((8,), ("data",))
    everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    assert layout_that_pays(opt, jax.device_put(PARAMS, everywhere)) is None


def test_a_loss_without_matrix_products_is_not_packed(monkeypatch):
    layout = Layout.of(PARAMS)
    assert of_products(loss_fn, layout, PARAMS, jnp.zeros(()))
    assert of_products(jax.checkpoint(jax.jit(loss_fn)), layout, PARAMS, jnp.zeros(()))
    assert not of_products(without_products, layout, PARAMS, jnp.zeros(()))
    packed = []
    monkeypatch.setattr(
        "jaxopt_edu.training.program.pack_carry", lambda *given: packed.append(1) or pack_carry(*given)
    )
    for loss, times in ((without_products, 0), (loss_fn, 1)):
        train(jo.sgd(0.125), loss, steps=2)
        assert len(packed) == times


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_a_packed_run_is_the_run(name, monkeypatch):
    """Three stretches of two, two and one step; XLA may contract the last digit otherwise."""
    opt = getattr(jo, name)(learning_rate=0.01)
    packed = train(opt)
    monkeypatch.setattr(packing, "MANY", 10**6)
    plain = train(opt)
    assert layout_that_pays(opt, PARAMS) is None
    chex.assert_trees_all_close((packed.params, packed.state), (plain.params, plain.state), rtol=1e-5)
    chex.assert_trees_all_close(packed.history.losses, plain.history.losses, rtol=1e-5)


def test_checkpoints_are_those_of_an_unpacked_run(tmp_path, monkeypatch):
    opt = jo.adam(0.01)
    whole = train(opt)
    train(opt, steps=2, checkpoint=tmp_path)
    monkeypatch.setattr(packing, "MANY", 10**6)
    resumed = train(opt, checkpoint=tmp_path, resume=True)
    chex.assert_trees_all_close(resumed.params, whole.params, rtol=1e-5)
