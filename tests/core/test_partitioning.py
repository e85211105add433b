"""Several optimizers for one tree: each leaf moves as it does with its own optimizer alone."""

import json
from collections import OrderedDict
from typing import Any

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
from jaxopt_edu.core import kind
from jaxopt_edu.recipes import from_recipe, recipe
from jaxopt_edu.storage import named_leaves, structure
from tests.registry import each_optimizer

PARAMS: Any = {
    "embed": {"embedding": jnp.ones((3, 2))},
    "layers": [{"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}, {"kernel": jnp.ones((2, 2)), "bias": None}],
    "bias": jnp.ones(1),
}
PATTERNS = {"*/bias": "slow", "embed": "slow", "*": "fast"}
TREE = {
    "embed": "slow",
    "layers": [{"kernel": "fast", "bias": "slow"}, {"kernel": "fast", "bias": None}],
    "bias": "slow",
}


def by_shape(name, leaf):
    return "fast" if leaf.ndim == 2 and not name.startswith("embed") else "slow"


LABELS: dict[str, Any] = {"patterns": PATTERNS, "tree": TREE, "function": by_shape}
each_labels = pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)


def parted(labels: Any = PATTERNS, **optimizers: Any) -> Any:
    return jo.partition(optimizers or {"slow": jo.sgd(0.25), "fast": jo.momentum(0.5)}, labels)


def steps(opt: Any, params: Any, n: int = 2) -> Any:
    state = opt.init(params)
    for _ in range(n):
        updates, state = opt.update(params, state, params)
        params = optax.apply_updates(params, updates)
    return params, state


def halves(params: Any) -> list:
    return [float(np.asarray(leaf, np.float32).ravel()[0]) for leaf in jax.tree.leaves(params)]


SLOW, FAST = 0.75**2, 0.5 - 0.45 - 0.25


@each_labels
@pytest.mark.parametrize("compiled", [False, True])
def test_each_leaf_goes_where_its_label_says(labels, compiled):
    run = jax.jit(steps) if compiled else steps
    params, state = run(parted(labels), PARAMS)
    assert jax.tree.structure(params) == jax.tree.structure(PARAMS)
    # In the tree's order: bias, embedding, first bias and kernel, second kernel.
    np.testing.assert_allclose(halves(params), [SLOW, SLOW, SLOW, FAST, FAST], rtol=1e-6)
    velocity = state.inner["fast"].velocity
    assert velocity["bias"] is None
    assert list(named_leaves(state)) == [
        "inner/fast/count",
        "inner/fast/velocity/layers/0/kernel",
        "inner/fast/velocity/layers/1/kernel",
        "inner/slow/count",
    ]


@each_optimizer
def test_a_leaf_moves_as_it_does_alone(row):
    tree: Any = {"a": jnp.array([1.0, -2.0]), "b": jnp.array([0.5])}
    opt = parted({"a": "one", "*": "other"}, one=row.build(), other=jo.sgd(0.1))
    state, alone = opt.init(tree), row.build()
    updates, state = opt.update(tree, state, tree)
    expected, own = alone.update({"a": tree["a"]}, alone.init({"a": tree["a"]}), {"a": tree["a"]})
    np.testing.assert_array_equal(updates["a"], expected["a"])
    for name in row.memory:
        found = getattr(state.inner["one"], name)
        assert found["b"] is None
        np.testing.assert_array_equal(found["a"], getattr(own, name)["a"])


def test_the_first_pattern_counts_and_means_all_that_lies_below():
    labels = {"layers/0": "slow", "layers": "fast", "*": "slow"}
    params, _ = steps(parted(labels), PARAMS)
    np.testing.assert_allclose(halves(params), [SLOW, SLOW, SLOW, SLOW, FAST], rtol=1e-6)


CONTAINERS = {
    "FrozenDict": lambda tree: flax.core.freeze(tree),
    "OrderedDict": lambda tree: OrderedDict(reversed(tree.items())),
    "tuple": lambda tree: tuple(tree.values()),
    "one array": lambda tree: tree["bias"],
    "Equinox": lambda tree: eqx.nn.Linear(2, 3, key=jax.random.key(0)),
    "NNX": lambda tree: nnx.state(nnx.Linear(2, 3, rngs=nnx.Rngs(0)), nnx.Param),
}


@pytest.mark.parametrize("container", CONTAINERS)
def test_whatever_the_parameters_are_kept_in(container):
    params = CONTAINERS[container](PARAMS)
    opt = parted({"*": "slow"})
    updates, _ = opt.update(params, opt.init(params), params)
    assert jax.tree.structure(updates) == jax.tree.structure(params)
    chex.assert_trees_all_equal(updates, jax.tree.map(lambda leaf: -0.25 * leaf, params))
    # A tree of labels of another container, read by its names.
    if container in ("FrozenDict", "OrderedDict"):
        found, _ = steps(parted(TREE), params)
        assert sorted(halves(found)) == pytest.approx(sorted([SLOW, SLOW, SLOW, FAST, FAST]))


def test_biases_of_nnx_and_equinox_are_called_so():
    for container in ("Equinox", "NNX"):
        params = CONTAINERS[container](PARAMS)
        opt = parted({"*/bias": "slow", "*": "fast"})
        updates, _ = opt.update(params, opt.init(params), params)
        for (path, update), leaf in zip(
            jax.tree_util.tree_flatten_with_path(updates)[0], jax.tree.leaves(params), strict=True
        ):
            rate = 0.25 if "bias" in jax.tree_util.keystr(path) else 0.5
            np.testing.assert_allclose(update, -rate * leaf, rtol=1e-6)


def test_labels_of_a_module_are_a_tree_though_it_can_be_called():
    model = eqx.nn.MLP(2, 1, 3, 1, key=jax.random.key(0))
    params = eqx.filter(model, eqx.is_inexact_array)
    labels = jax.tree.map(lambda leaf: "fast" if leaf.ndim == 2 else "slow", params)
    opt = parted(labels)
    updates, _ = opt.update(params, opt.init(params), params)
    np.testing.assert_allclose(updates.layers[0].weight, -0.5 * params.layers[0].weight, rtol=1e-6)
    np.testing.assert_allclose(updates.layers[0].bias, -0.25 * params.layers[0].bias, rtol=1e-6)


def test_its_numbers_have_names_and_are_data():
    opt = parted()
    assert jo.hyperparameters(opt) == {
        "slow.learning_rate": 0.25,
        "fast.learning_rate": 0.5,
        "fast.momentum": 0.9,
    }
    other = jo.replace(opt, **{"slow.learning_rate": 0.5, "fast.momentum": 0.0})
    assert jax.tree.structure(other) == jax.tree.structure(opt) == jax.tree.structure(parted())
    traced = []

    @jax.jit
    def run(opt, params):
        traced.append(1)
        return steps(opt, params)[0]

    first = run(opt, PARAMS)
    np.testing.assert_allclose(halves(run(other, PARAMS)), [0.25] * 5, rtol=1e-6)
    np.testing.assert_allclose(halves(first), [SLOW, SLOW, SLOW, FAST, FAST], rtol=1e-6)
    assert len(traced) == 1
    stacked = jo.stack([opt, other])
    found = jax.vmap(steps, in_axes=(0, None))(stacked, PARAMS)[0]
    np.testing.assert_allclose(found["bias"], [[SLOW], [0.25]], rtol=1e-6)
    slope = jax.grad(lambda opt: steps(opt, PARAMS, 1)[0]["bias"][0])(opt)
    assert jo.hyperparameters(slope)["slow.learning_rate"] == -1


def test_it_is_described_and_read_with_a_state():
    opt = parted(slow=jo.sgd(lambda step: 0.25), fast=jo.momentum(0.5))
    text = jo.describe(parted())
    assert text == (
        "partition({slow: sgd(learning_rate=0.25), fast: momentum(learning_rate=0.5, momentum=0.9)}, "
        "labels={*/bias: 'slow', embed: 'slow', *: 'fast'})"
    )
    assert kind(parted()).startswith("partition({slow: sgd, fast: momentum}")
    assert jo.hyperparameters(opt, opt.init(PARAMS))["slow.learning_rate"] == 0.25
    assert "0x" not in structure(parted(by_shape)) + jo.describe(parted(by_shape))


@pytest.mark.parametrize("labels", [PATTERNS, TREE], ids=["patterns", "tree"])
def test_it_is_stored_as_json_and_read_again(labels):
    opt = parted(labels)
    again: Any = from_recipe(json.loads(json.dumps(recipe(opt))))
    assert jax.tree.structure(again) == jax.tree.structure(opt)
    assert jo.describe(again) == jo.describe(opt)


def test_a_partition_in_a_partition_and_in_everything_else():
    inner = parted({"*/bias": "slow", "*": "fast"}, slow=jo.sgd(0.25), fast=jo.sgd(0.5))
    opt = jo.half_state(
        jo.compensated(
            jo.chain(
                optax.clip(10.0),
                jo.partition({"in": inner, "out": jo.sgd(0.125)}, {"layers": "in", "*": "out"}),
            )
        ),
        jax.random.key(0),
    )
    params, _ = steps(opt, PARAMS, 1)
    assert halves(params) == [0.875, 0.875, 0.75, 0.5, 0.5]


def test_what_an_optimizer_computes_of_its_tree_it_computes_of_its_leaves():
    clipped = jo.chain(optax.clip_by_global_norm(1.0), jo.sgd(1.0))
    params: Any = {"a": jnp.array([3.0, 4.0]), "b": jnp.array([100.0])}
    opt = parted({"a": "clipped", "b": "plain"}, clipped=clipped, plain=jo.sgd(0.0))
    updates, _ = opt.update(params, opt.init(params), params)
    np.testing.assert_allclose(updates["a"], [-0.6, -0.8], rtol=1e-6)


def test_an_optimizer_without_leaves_is_no_mistake():
    opt = parted(lambda name, leaf: "fast")
    assert halves(steps(opt, PARAMS)[0]) == pytest.approx([FAST] * 5)


MISTAKES = {
    "a pattern that means nothing": (
        {"*/bais": "slow", "*": "fast"},
        r"the pattern '\*/bais' means no leaf; there are bias, embed/embedding, layers/0/bias",
    ),
    "a leaf without a label": (
        {"*/bias": "slow"},
        r"leaf embed/embedding has no label; .* slow, fast\. A pattern",
    ),
    "a label without an optimizer": (
        {"*": "fats"},
        r"leaf bias has the label 'fats', which no optimizer has",
    ),
    "a tree that lacks a leaf": (
        {"bias": "slow", "layers": "fast"},
        "leaf embed/embedding has no label; the optimizers are slow, fast",
    ),
    "a function that answers nothing": (lambda name, leaf: None, "leaf bias has no label"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_named(mistake):
    labels, message = MISTAKES[mistake]
    with pytest.raises(ValueError, match=f"^partition: {message}"):
        parted(labels).init(PARAMS)


def test_mistakes_are_named_when_it_is_made():
    makes: Any = jo.partition
    with pytest.raises(TypeError, match=r"in labels, that of dense is 3; it must be a text, an opt"):
        parted({"dense": 3})
    with pytest.raises(ValueError, match=r"partition: optimizers = \{\} should be a dict"):
        jo.partition({}, PATTERNS)
    with pytest.raises(ValueError, match=r"partition: optimizers = sgd\(.* should be a dict"):
        makes(jo.sgd(), PATTERNS)
    with pytest.raises(ValueError, match=r"the name 'a\.b' of an optimizer comes before a dot"):
        jo.partition({"a.b": jo.sgd()}, {"*": "a.b"})
    with pytest.raises(TypeError, match="the name 0 of an optimizer is no text"):
        makes({0: jo.sgd()}, PATTERNS)
    with pytest.raises(TypeError, match=r"partition: 'slow' is .*not an optax transform"):
        makes({"slow": jo.sgd}, {"*": "slow"})
    with pytest.raises(TypeError, match=r"partition\.update was given a tuple"):
        parted().update(PARAMS, (), PARAMS)


def test_labels_are_looked_up_once_for_a_tree():
    asked = []

    def label(name, leaf):
        asked.append(name)
        return "fast"

    steps(parted(label), PARAMS, 5)
    assert len(asked) == 5
