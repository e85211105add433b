"""Parameters in whatever tree people keep them: each leaf moves as it does alone, and the tree stays.

Guards against optimizers that take None for a leaf, a module that can be called for a schedule or a mask, or
a NamedTuple for a pair of their own.
"""

import dataclasses
from collections import OrderedDict
from typing import Any, NamedTuple

import chex
import equinox as eqx
import flax.core
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jaxopt_edu as jo
from tests.registry import each_optimizer

KEY = jax.random.key(0)
W, B = np.array([1.0, -2.0], np.float32), np.array([[0.5], [3.0]], np.float32)


class Layer(NamedTuple):
    weight: Any
    bias: Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Registered:
    weight: Any
    bias: Any
    name: str = dataclasses.field(default="layer", metadata={"static": True})


@chex.dataclass
class ChexDataclass:
    weight: Any
    bias: Any


class Callable(eqx.Module):
    """A model that is its own function, as Equinox's are."""

    weight: Any
    bias: Any
    activation: Any = eqx.field(static=True, default=jax.nn.relu)

    def __call__(self, x):
        raise AssertionError("the parameters were called")


class TwoLayers(nnx.Module):
    def __init__(self, rngs):
        self.first = nnx.Linear(2, 3, rngs=rngs)
        self.second = nnx.Linear(3, 1, rngs=rngs)
        self.steps = nnx.Variable(jnp.arange(2))

    def __call__(self, x):
        return self.second(jnp.tanh(self.first(x)))


def never(*args, **kwargs):
    raise AssertionError("the parameters were called")


def equinox_layer():
    return eqx.nn.MLP(2, 1, 3, 1, key=KEY)


TREES = {
    "one array": lambda: jnp.asarray(W),
    "scalar": lambda: jnp.float32(2),
    "zero size": lambda: {"none of them": jnp.ones((0, 3)), "w": W},
    "None leaves": lambda: {"w": W, "frozen": None, "deeper": [None, (B, None)]},
    "empty dict": dict,
    "empty tuple": tuple,
    "None": lambda: None,
    "tuple": lambda: (W, B),
    "pair of pairs": lambda: ((W, B), (W, B)),
    "list": lambda: [W, [B]],
    "NamedTuple": lambda: Layer(W, Layer(B, None)),
    "OrderedDict": lambda: OrderedDict(z=W, a=B),
    "registered dataclass": lambda: Registered(W, B),
    "chex dataclass": lambda: ChexDataclass(weight=W, bias=B),
    "FrozenDict": lambda: flax.core.freeze({"layer": {"w": W, "b": B}}),
    "NNX state": lambda: nnx.state(TwoLayers(nnx.Rngs(0)), nnx.Param),
    "NNX split": lambda: nnx.split(TwoLayers(nnx.Rngs(0)), nnx.Param, ...)[1],
    "Equinox filter": lambda: eqx.filter(equinox_layer(), eqx.is_inexact_array),
    "Equinox partition": lambda: eqx.partition(equinox_layer(), eqx.is_inexact_array)[0],
    "callable module": lambda: Callable(W, B),
    "Partial": lambda: jax.tree_util.Partial(never, W, bias=B),
    "optimizer": lambda: jo.momentum(learning_rate=jnp.float32(0.5), momentum=jnp.float32(0.25)),
}

AROUND = {
    "alone": lambda opt: opt,
    "chain": lambda opt: jo.chain(optax.clip_by_global_norm(1e3), opt),
    "both wrappers": lambda opt: jo.half_state(jo.compensated(opt), KEY),
    "lifted": lambda opt: jo.lift(optax.apply_if_finite)(opt, max_consecutive_errors=3),
}


@each_optimizer
@pytest.mark.parametrize("tree", TREES)
def test_each_leaf_moves_as_it_does_in_a_plain_list(row, tree):
    if row.reads_params and tree == "None":
        pytest.skip("to a rule that reads the parameters, None is no empty tree: they are missing")
    params = TREES[tree]()
    opt = row.build()
    leaves, treedef = jax.tree.flatten(params)
    updates, state = opt.update(params, opt.init(params), params)
    assert jax.tree.structure(updates) == treedef
    for name in row.memory:
        assert jax.tree.structure(getattr(state, name)) == treedef
    expected, _ = opt.update(leaves, opt.init(leaves), leaves)
    chex.assert_trees_all_equal(jax.tree.leaves(updates), expected)
    for update, leaf in zip(expected, leaves, strict=True):
        assert np.all((update != 0) == ((leaf != 0) & (row.waits == 0)))
    assert jax.tree.structure(optax.apply_updates(params, updates)) == treedef


# To compensated, None is no empty tree: it asks for the parameters that are missing.
@pytest.mark.parametrize("tree", [name for name in TREES if name != "None"])
@pytest.mark.parametrize("around", [name for name in AROUND if name != "alone"])
def test_chains_wrappers_and_lifted_transforms_take_them_too(around, tree):
    params = TREES[tree]()
    opt = AROUND[around](jo.adam(0.1))
    state = opt.init(params)
    # Traced only: structures and dtypes are settled there, and nothing is compiled.
    updates, after = jax.eval_shape(opt.update, params, state, params)
    assert jax.tree.structure(updates) == jax.tree.structure(params)
    chex.assert_trees_all_equal_shapes_and_dtypes(state, after)
    if around != "chain":
        return
    updates, _ = opt.update(params, state, params)
    # The first step of Adam is η in every coordinate that has a gradient.
    for update, leaf in zip(*map(jax.tree.leaves, (updates, params)), strict=True):
        np.testing.assert_allclose(update, -0.1 * np.sign(leaf), rtol=1e-3)


X = jnp.linspace(-1, 1, 16).reshape(8, 2)
Y = jnp.sin(X.sum(axis=1, keepdims=True))


def rate(row):
    return {
        "sgd": 0.1,
        "momentum": 0.02,
        "nesterov": 0.02,
        "adagrad": 0.1,
        "adadelta": 30.0,
        "radam": 0.1,
        "lamb": 0.1,
        "lars": 30.0,
        "adafactor": 0.3,
        "prodigy": 1.0,
        "dog": 1.0,
        "muon": 0.1,
        "shampoo": 0.5,
        "psgd_kron": 0.2,
    }.get(row.name, 0.02)


@each_optimizer
def test_an_nnx_model_in_its_own_optimizer(row):
    model = TwoLayers(nnx.Rngs(0))
    trainer = nnx.Optimizer(model, row.build(learning_rate=rate(row)), wrt=nnx.Param)

    @nnx.jit
    def step(model, trainer):
        def loss(model):
            return jnp.mean(jnp.square(model(X) - Y))

        value, gradients = nnx.value_and_grad(loss)(model)
        trainer.update(model, gradients)
        return value

    losses = [float(step(model, trainer)) for _ in range(30)]
    assert losses[-1] < 0.6 * losses[0]
    np.testing.assert_array_equal(model.steps[...], [0, 1])


@each_optimizer
def test_an_equinox_model_passed_together_with_its_optimizer(row):
    @eqx.filter_jit
    def step(opt, model, state):
        def loss(model):
            return jnp.mean(jnp.square(jax.vmap(model)(X) - Y))

        value, gradients = eqx.filter_value_and_grad(loss)(model)
        updates, state = opt.update(gradients, state, eqx.filter(model, eqx.is_inexact_array))
        return value, eqx.apply_updates(model, updates), state

    model = equinox_layer()
    opt = row.build(learning_rate=rate(row))
    state = opt.init(eqx.filter(model, eqx.is_inexact_array))
    losses = []
    for _ in range(30):
        value, model, state = step(opt, model, state)
        losses.append(float(value))
    assert losses[-1] < 0.6 * losses[0]


SHAPES = {"w": jax.ShapeDtypeStruct((2, 3), jnp.bfloat16), "b": jax.ShapeDtypeStruct((), jnp.float32)}


@each_optimizer
@pytest.mark.parametrize("around", AROUND)
def test_shapes_alone_are_enough_for_init(row, around):
    opt = AROUND[around](row.build())
    real = opt.init(jax.tree.map(lambda leaf: jnp.ones(leaf.shape, leaf.dtype), SHAPES))
    chex.assert_trees_all_equal(opt.init(SHAPES), real)
    chex.assert_trees_all_equal_shapes_and_dtypes(jax.eval_shape(opt.init, SHAPES), real)
    assert jax.tree.structure(jax.eval_shape(opt.init, SHAPES)) == jax.tree.structure(real)


@each_optimizer
@pytest.mark.parametrize("around", AROUND)
def test_tree_map_params_finds_what_mirrors_the_parameters(row, around):
    """optax's way to shard or cast a state: by init on a placeholder, which a stricter init would refuse."""
    params = {"w": jnp.ones((2, 3)), "b": jnp.ones(2)}
    opt = AROUND[around](row.build())
    state = opt.init(params)
    marked = optax.tree_map_params(
        opt, lambda leaf: "mirror", state, transform_non_params=lambda leaf: "rest"
    )
    mirrors = [mark for mark in jax.tree.leaves(marked) if mark == "mirror"]
    copies = len(row.memory) + (around == "both wrappers")
    assert len(mirrors) == 2 * copies
    assert len(jax.tree.leaves(marked)) == len(jax.tree.leaves(state))


@each_optimizer
@pytest.mark.parametrize("around", AROUND)
def test_fields_are_found_and_set_by_name(row, around):
    params = {"w": jnp.ones(3)}
    state = AROUND[around](row.build()).init(params)
    for name in row.memory:
        chex.assert_trees_all_equal_shapes(optax.tree_utils.tree_get(state, name), params)
        changed = optax.tree_utils.tree_set(state, **{name: {"w": jnp.full(3, 7.0)}})
        chex.assert_trees_all_equal(optax.tree_utils.tree_get(changed, name), {"w": jnp.full(3, 7.0)})
        assert jax.tree.structure(changed) == jax.tree.structure(state)
    counts = optax.tree_utils.tree_get_all_with_path(state, "count")
    assert [int(count) for _, count in counts] == [0] * (2 if around == "both wrappers" else 1)
