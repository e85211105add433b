"""The table of groups against what the optimizers do: numbers, and bytes counted in their states."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import jaxopt_edu as jo
from jaxopt_edu.core.shardings import with_automatic_axes
from tests.registry import every_optimizer

PARAMS: Any = {
    "dense": {"kernel": jnp.ones((3, 2)), "bias": jnp.ones(2)},
    "last": {"kernel": jnp.ones((2, 2), jnp.bfloat16), "bias": None},
    "scale": jnp.ones(()),
}
NAMES = ["dense/bias", "dense/kernel", "last/kernel", "scale"]


def as_shape(array: jax.Array) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(array.shape, array.dtype, sharding=array.sharding)


def groups_of(opt: Any, **further: Any) -> dict[str, str]:
    return {row.name: row.group for row in jo.groups(opt, PARAMS, **further).rows}


def values_of(opt: Any, name: str, **further: Any) -> list[float | None]:
    return [row.values.get(name) for row in jo.groups(opt, PARAMS, **further).rows]


def test_each_leaf_has_a_row():
    table = jo.groups(jo.sgd(0.5), PARAMS)
    assert [row.name for row in table.rows] == NAMES
    assert [row.shape for row in table.rows] == [(2,), (3, 2), (2, 2), ()]
    assert [row.dtype for row in table.rows] == ["float32", "float32", "bfloat16", "float32"]
    assert [row.parameter_bytes for row in table.rows] == [8, 24, 8, 4]
    assert (table.total.leaves, table.total.numbers, table.total.parameter_bytes) == (4, 13, 44)


@every_optimizer
def test_the_bytes_are_those_of_the_state(row):
    params = {"a": jnp.ones((3, 2)), "b": {"c": jnp.ones(4)}}
    opt = row.build()
    table = jo.groups(opt, params)
    state = jax.eval_shape(opt.init, params)
    size = lambda tree: sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))  # noqa: E731
    assert table.total.state_bytes == size(state)
    if row.elementwise:
        mirrors = [getattr(state, name) for name in row.memory]
        assert [each.state_bytes for each in table.rows] == [
            sum(size(mirror["a"]) for mirror in mirrors),
            sum(size(mirror["b"]) for mirror in mirrors),
        ]


def test_partitions_and_companions_say_who_has_a_leaf():
    opt = jo.averaged(
        jo.partition({"m": jo.muon(), "r": jo.chain(optax.clip(1.0), jo.sgd())}, {"dense": "m", "*": "r"})
    )
    assert groups_of(opt) == {
        "dense/bias": "m.others: averaged(adamw)",
        "dense/kernel": "m: averaged(muon)",
        "last/kernel": "r: averaged(chain(clip, sgd))",
        "scale": "r: averaged(chain(clip, sgd))",
    }
    totals = jo.groups(opt, PARAMS).totals
    assert {name: total.leaves for name, total in totals.items()} == {
        "m.others: averaged(adamw)": 1,
        "m: averaged(muon)": 1,
        "r: averaged(chain(clip, sgd))": 2,
    }
    # Averages of float32, and what muon and adamw remember.
    assert [row.state_bytes for row in jo.groups(opt, PARAMS).rows] == [8 + 16, 24 + 24, 16, 4]


def test_the_numbers_are_those_in_force_at_each_leaf():
    falling = jo.schedules.linear(1.0, 0.0, steps=4)
    opt = jo.weight_decay(jo.sgd(jo.where("dense", falling, 0.25)), 0.5, mask=jo.matrices_only)
    assert values_of(opt, "learning_rate", step=1) == [0.75, 0.75, 0.25, 0.25]
    assert values_of(opt, "rate") == [None, 0.5, 0.5, None]
    grown = jo.sgd(jo.layerwise(["dense", "last", "*"], 1.0, 0.5))
    assert values_of(grown, "learning_rate") == [0.25, 0.25, 0.5, 1.0]
    twice = jo.chain(jo.sgd(0.5), jo.sgd(0.25))
    assert (values_of(twice, "0.learning_rate")[0], values_of(twice, "1.learning_rate")[0]) == (0.5, 0.25)
    assert (
        values_of(jo.muon(), "steps") == [None] * 4
    )  # no number that could be replaced by another in a sweep


def test_the_numbers_are_those_that_move_the_leaves():
    opt = jo.partition(
        {"a": jo.sgd(jo.where("*/bias", 0.5, 0.25)), "b": jo.sgd(2.0)}, {"dense": "a", "*": "b"}
    )
    ones = jax.tree.map(jnp.ones_like, PARAMS)
    updates, _ = opt.update(ones, opt.init(PARAMS), PARAMS)
    moved = [-float(np.ravel(np.asarray(leaf, np.float32))[0]) for leaf in jax.tree.leaves(updates)]
    assert values_of(opt, "learning_rate") == moved


def test_what_is_not_trained_is_shown_as_that():
    params = PARAMS | {"table": jnp.arange(3)}
    table = jo.groups(jo.adam(), params, trainable=["dense", "scale"])
    assert {row.name: row.group for row in table.rows} == {
        "dense/bias": "adam",
        "dense/kernel": "adam",
        "last/kernel": "not trained",
        "scale": "adam",
        "table": "not trained",
    }
    assert table.totals["not trained"].state_bytes == 0
    assert table.totals["not trained"].parameter_bytes == 8 + 12


def test_other_trees():
    (row,) = jo.groups(jo.adam(), jnp.ones((2, 3))).rows
    assert (row.name, row.state_bytes) == ("", 48)
    assert jo.groups(jo.adam(), {}).rows == ()
    shapes = jax.eval_shape(lambda: PARAMS)
    label = lambda name, leaf: "m" if leaf.ndim > 1 else "r"  # noqa: E731
    opt = jo.partition({"m": jo.sgd(), "r": jo.adam()}, label)
    assert jo.groups(opt, shapes) == jo.groups(opt, PARAMS)
    assert groups_of(optax.adam(0.1)) == dict.fromkeys(NAMES, "chain")
    assert groups_of(jo.lift(optax.adam)(0.1)) == dict.fromkeys(NAMES, "adam")


def test_the_text_is_two_tables():
    opt = jo.adamw(0.1, weight_decay=jo.where("*/bias", 0.0, 0.01))
    assert str(jo.groups(opt, PARAMS)) == "\n".join(
        [
            "leaf          shape   dtype     group  weight_decay  bytes  state bytes",
            "dense/bias    2       float32   adamw             0      8           16",
            "dense/kernel  3 × 2   float32   adamw          0.01     24           48",
            "last/kernel   2 × 2   bfloat16  adamw          0.01      8           32",
            "scale         scalar  float32   adamw          0.01      4            8",
            "",
            "group  leaves  numbers  bytes  state bytes",
            "adamw       4       13     44          104",
            "all         4       13     44          108",
            "",
            "the same for all: learning_rate=0.1, b1=0.9, b2=0.999, eps=1e-08",
        ]
    )


@pytest.mark.skipif(jax.device_count() < 8, reason="XLA_FLAGS was set to fewer devices")
@pytest.mark.parametrize("given", [jnp.asarray, as_shape], ids=["arrays", "shapes"])
@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit])
@pytest.mark.parametrize("opt", [jo.shampoo(largest=4), optax.adam(0.1)], ids=["shampoo", "optax"])
def test_the_bytes_on_one_device_are_those_of_its_shards(opt, kind, given):
    mesh = jax.make_mesh((2, 4), ("data", "model"), axis_types=(kind, kind))
    params = {
        "kernel": jax.device_put(jnp.ones((4, 8)), NamedSharding(mesh, PartitionSpec(None, "model"))),
        "bias": jax.device_put(jnp.ones(8), NamedSharding(mesh, PartitionSpec())),
    }
    table = jo.groups(opt, jax.tree.map(given, params))
    state = opt.init(with_automatic_axes(params))
    on_one = lambda tree: sum(leaf.addressable_shards[0].data.nbytes for leaf in jax.tree.leaves(tree))  # noqa: E731
    in_all = lambda tree: sum(leaf.nbytes for leaf in jax.tree.leaves(tree))  # noqa: E731
    total = table.total
    assert (total.parameter_bytes, total.parameter_bytes_per_device) == (160, 32 + 32)
    assert (total.state_bytes, total.state_bytes_per_device) == (in_all(state), on_one(state))
    lines = str(table).splitlines()
    assert lines[0].endswith("bytes  state bytes  bytes a device  state bytes a device")
    (everything,) = (line for line in lines if line.startswith("all "))
    assert everything.split()[-4:] == ["160", str(in_all(state)), "64", str(on_one(state))]


REFUSED: dict[str, tuple[Any, str]] = {
    "a stack": (
        lambda: jo.groups(jo.stack([jo.sgd(), jo.sgd()]), PARAMS),
        "^groups: learning_rate has shape",
    ),
    "no optimizer": (lambda: jo.groups(3, PARAMS), "^groups: optimizer = 3"),  # type: ignore[arg-type]
    "an integer": (lambda: jo.groups(jo.sgd(), {"n": jnp.arange(2)}), r"parameter \['n'\] has dtype int32"),
    "a pattern": (lambda: jo.groups(jo.sgd(), PARAMS, trainable="x"), "^groups: trainable: the pattern 'x'"),
    "a step": (lambda: jo.groups(jo.sgd(), PARAMS, step=-1), "^groups: step = -1"),
}


@pytest.mark.parametrize(("call", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_shown_is_said(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call()
