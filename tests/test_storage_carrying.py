"""What a new tree has in common with an old one is carried over by name, and all of it is told."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import jaxopt_edu as jo
from jaxopt_edu.storage import read_leaves
from jaxopt_edu.training import CheckpointFolder
from tests.draws import normal


def net(classes, seed):
    return {
        "layers": [
            {"weight": normal(4, 4, seed=seed + i), "bias": normal(4, seed=seed + i)} for i in range(2)
        ],
        "head": {"weight": normal(4, classes, seed=seed), "bias": jnp.zeros(classes)},
    }


OLD, NEW = net(10, 0), net(3, 7)
BODY = ("layers/0/bias", "layers/0/weight", "layers/1/bias", "layers/1/weight")


def assert_same(found, expected):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_the_body_is_taken_and_the_head_is_new():
    found = jo.carry_over(OLD, NEW)
    assert_same(found.tree, {"layers": OLD["layers"], "head": NEW["head"]})
    assert found.taken == BODY
    assert found.left == ("head/bias", "head/weight")
    assert found.new == {"head/bias": "10 in old", "head/weight": "4 × 10 in old"}


def test_only_some_leaves_by_pattern_or_by_function():
    by_pattern = jo.carry_over(OLD, NEW, only="layers/0")
    assert by_pattern.taken == BODY[:2]
    assert by_pattern.new["layers/1/bias"] == "not among only"
    assert "layers/1/bias" in by_pattern.left
    assert jo.carry_over(OLD, NEW, only=lambda name, leaf: leaf.shape == (4,)).taken == BODY[::2]
    with pytest.raises(ValueError, match=r"^carry_over: only.*'layer/0'"):
        jo.carry_over(OLD, NEW, only="layer/0")


def test_an_optimizer_s_state_goes_with_its_parameters():
    opt = jo.adam()
    first: Any = opt.init(OLD)
    state = first._replace(count=jnp.int32(1), m=OLD, v=OLD)
    found = jo.carry_over(state, opt.init(NEW))
    assert_same(found.tree.m["layers"], OLD["layers"])
    assert int(found.tree.count) == 1
    assert set(found.new) == {f"{of}/head/{leaf}" for of in "mv" for leaf in ("weight", "bias")}
    assert not np.any(found.tree.v["head"]["weight"])


def test_from_a_checkpoint_s_named_arrays_into_a_run_that_goes_on(tmp_path):
    def loss_fn(params, batch):
        return sum(jnp.mean(leaf**2) for leaf in jax.tree.leaves(params))

    result = jo.fit(loss_fn, OLD, jo.adam(), steps=2, checkpoint=tmp_path)
    leaves, _ = read_leaves(CheckpointFolder(tmp_path).file(2))
    old = {name.removeprefix("carry/params/"): leaf for name, leaf in leaves.items()}
    found = jo.carry_over(old, NEW)
    assert_same(found.tree, {"layers": result.params["layers"], "head": NEW["head"]})
    assert "carry/state/count" in found.left
    jo.fit(loss_fn, found.tree, jo.adam(), steps=1)
    assert_same(jo.carry_over(OLD, found.tree).tree["layers"], OLD["layers"])


def test_each_seed_of_a_sweep_begins_with_the_old_body():
    def init(key):
        return jo.carry_over(OLD, NEW | {"head": {"weight": jax.random.normal(key, (4, 3))}}).tree

    drawn = jax.jit(jax.vmap(init))(jax.random.split(jax.random.key(0), 2))
    body = drawn["layers"][0]["weight"]
    np.testing.assert_array_equal(body, np.stack([OLD["layers"][0]["weight"]] * 2))
    traced = jax.jit(lambda fresh: jo.carry_over(OLD, fresh).tree)(NEW)
    assert_same(traced, jo.carry_over(OLD, NEW).tree)


@pytest.mark.parametrize(
    ("old", "new", "taken"),
    [
        (np.float64, jnp.bfloat16, True),
        (jnp.bfloat16, jnp.float32, True),
        (np.int32, jnp.float32, True),
        (np.float32, jnp.complex64, True),
        (np.float32, jnp.int32, False),
        (np.complex64, jnp.float32, False),
    ],
)
def test_the_dtype_is_the_new_one_and_nothing_is_lost_for_it(old, new, taken):
    both = {"w": np.ones(2, old), "count": 3}, {"w": jnp.zeros(2, new), "count": 0}
    found = jo.carry_over(*both)
    assert found.tree["w"].dtype == new
    assert ("w" in found.taken) == taken
    assert found.tree["w"][0] == (1 if taken else 0)
    assert taken or found.new["w"] == f"{np.dtype(old)} in old"
    assert int(found.tree["count"]) == 3


def test_keys_are_taken_as_keys_only():
    old = {"noise": jax.random.key(1), "w": jnp.ones(2)}
    assert jo.carry_over(old, {"noise": jax.random.key(0)}).tree["noise"] == jax.random.key(1)
    found = jo.carry_over(old, {"noise": jnp.zeros(()), "w": jnp.zeros(2)})
    assert found.new == {"noise": "key<fry> in old"}


def test_a_leaf_is_put_where_the_new_one_lies():
    mesh = Mesh(np.array(jax.devices()[:2]), ("data",))
    split = NamedSharding(mesh, PartitionSpec("data"))
    found = jo.carry_over({"w": np.arange(4.0)}, {"w": jax.device_put(jnp.zeros(4), split)})
    assert found.tree["w"].sharding == split
    np.testing.assert_array_equal(found.tree["w"], np.arange(4))


def test_the_table_shows_every_leaf_once():
    lines = str(jo.carry_over(OLD, NEW)).splitlines()
    assert lines[1].split() == ["head/bias", "3", "new", "10", "in", "old"]
    assert [line.split()[0] for line in lines[3:7]] == list(BODY)
    assert lines[7].split() == ["head/bias", "left"]
    assert lines[-1] == "4 taken, 2 new, 2 left"


def test_nothing_taken_is_an_error_that_shows_both():
    with pytest.raises(
        ValueError, match=r"^carry_over: nothing of old is taken; its leaves are params/head"
    ) as told:
        jo.carry_over({"params": OLD}, NEW)
    assert "those of new head/bias [3], head/weight [4, 3], layers/0/bias [4], …" in str(told.value)
    assert "\n" not in str(told.value)
    with pytest.raises(ValueError, match="nothing of old is taken; its leaves are none"):
        jo.carry_over({}, NEW)


def test_two_leaves_of_one_name_are_refused():
    with pytest.raises(ValueError, match=r"^carry_over: old: two leaves of the tree are named 'a/b'"):
        jo.carry_over({"a/b": 1.0, "a": {"b": 2.0}}, {"a": {"b": 0.0}})


def test_boxes_of_nnx_and_plain_trees_have_the_same_names():
    nnx = pytest.importorskip("flax.nnx")
    model = nnx.Linear(2, 3, rngs=nnx.Rngs(0))
    state = nnx.state(model)
    found = jo.carry_over({"kernel": np.ones((2, 3)), "bias": np.ones(3)}, state)
    assert found.taken == ("bias", "kernel")
    assert float(jax.tree.leaves(found.tree)[0][0]) == 1.0
