"""Trees on disk: everything comes back as it was.

Guards against checkpoints that lose field names (a list of leaves fits any optimizer of the same size) and
that round what they store.
"""

import os
import subprocess
import sys
from typing import Any

import chex
import flax.serialization
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_edu as jo
from jaxopt_edu.storage import named_leaves, read, with_named_leaves
from tests.registry import each_optimizer, named

KEY = jax.random.key(0)
PARAMS = {"w": jnp.array([[1.0, -2.0], [0.5, 3.0]]), "b": jnp.array([0.25, -1.0], jnp.bfloat16)}

AROUND = {
    "alone": lambda opt: opt,
    "chain": lambda opt: jo.chain(jo.lift(optax.clip_by_global_norm)(1.0), opt),
    "both wrappers": lambda opt: jo.half_state(jo.compensated(opt), KEY),
}
each_around = pytest.mark.parametrize("around", AROUND)


def one_step(opt, params, state):
    gradients = jax.tree.map(lambda leaf: leaf * 0.5, params)
    updates, state = opt.update(gradients, state, params)
    return optax.apply_updates(params, updates), state


def trained(opt, steps=3):
    params, state = PARAMS, opt.init(PARAMS)
    for _ in range(steps):
        params, state = one_step(opt, params, state)
    return params, state


def assert_same(found, expected):
    """The same structure, Python types, dtypes and bits."""
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for one, other in zip(*map(jax.tree.leaves, (found, expected)), strict=True):
        if isinstance(other, jax.Array):
            assert isinstance(one, jax.Array)
            assert one.dtype == other.dtype
            if jnp.issubdtype(other.dtype, jax.dtypes.prng_key):
                one, other = jax.random.key_data(one), jax.random.key_data(other)
        else:
            assert type(one) is type(other)
        one, other = np.asarray(one), np.asarray(other)
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        assert one.tobytes() == other.tobytes()


def npz(tree, like, folder):
    jo.save(folder / "tree.npz", tree)
    return jo.load(folder / "tree.npz", like)


def msgpack_of_named_leaves(tree, like, folder):
    stored = flax.serialization.msgpack_serialize(named_leaves(tree))
    restored: Any = flax.serialization.msgpack_restore(stored)
    return with_named_leaves(like, restored)


def msgpack_of_the_tree(tree, like, folder):
    return flax.serialization.from_bytes(like, flax.serialization.to_bytes(tree))


def orbax_of_the_tree(tree, like, folder):
    ocp = pytest.importorskip("orbax.checkpoint")
    with ocp.PyTreeCheckpointer() as checkpointer:
        checkpointer.save(folder / "orbax", tree)
        shapes = ocp.checkpoint_utils.construct_restore_args(like)
        return checkpointer.restore(folder / "orbax", item=like, restore_args=shapes)


def orbax_of_named_leaves(tree, like, folder):
    return with_named_leaves(like, orbax_of_the_tree(named_leaves(tree), named_leaves(like), folder))


@each_optimizer
@each_around
def test_npz_brings_optimizer_state_and_parameters_back(row, around, tmp_path):
    opt = AROUND[around](row.build())
    params, state = trained(opt, steps=1)
    tree = {"optimizer": opt, "state": state, "params": params}
    other = AROUND[around](row.make())
    like = {"optimizer": other, "state": other.init(PARAMS), "params": PARAMS}
    found = npz(tree, like, tmp_path)
    assert_same(found, tree)
    assert jo.describe(found["optimizer"]) == jo.describe(opt)


@each_optimizer
def test_msgpack_of_named_leaves(row, tmp_path):
    opt = jo.chain(optax.clip_by_global_norm(1.0), jo.compensated(row.build()))
    tree = (opt, trained(opt, steps=1))
    like = (jo.replace(opt, learning_rate=9), trained(opt, steps=0))
    assert_same(msgpack_of_named_leaves(tree, like, tmp_path), tree)


@each_optimizer
def test_msgpack_of_the_state_itself(row, tmp_path):
    opt = jo.chain(optax.clip_by_global_norm(1.0), jo.compensated(row.build()))
    _, state = trained(opt, steps=1)
    with jax.numpy_dtype_promotion("standard"):
        found = msgpack_of_the_tree(state, opt.init(PARAMS), tmp_path)
    assert_same(jax.tree.map(jnp.asarray, found), state)
    fields = flax.serialization.to_state_dict(state)["1"]["inner"]
    assert tuple(fields) == row.state_type._fields, "flax stores the fields by name"


# Orbax starts threads, and tells on standard logging what it does; its warnings are not about us.
orbax_warnings = pytest.mark.filterwarnings("ignore::DeprecationWarning:orbax", "ignore::UserWarning:orbax")


@orbax_warnings
@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_orbax_of_the_state_itself(name, tmp_path):
    """It stores the state as it is, key and bfloat16 included, with its field names."""
    opt = AROUND["both wrappers"](named(name).build())
    params, state = trained(opt, steps=1)
    tree = {"state": state, "params": params}
    found = orbax_of_the_tree(tree, {"state": opt.init(PARAMS), "params": PARAMS}, tmp_path)
    assert_same(found, tree)
    names = (tmp_path / "orbax" / "_METADATA").read_text()
    assert all(field in names for field in ("inner", "residual", *named(name).memory))


@orbax_warnings
def test_orbax_of_an_optimizer_by_named_leaves(tmp_path):
    """A Partial inside a NamedTuple is more than orbax can walk; a dict of named leaves is not."""
    opt = jo.chain(jo.lift(optax.clip_by_global_norm)(1.0), jo.adam(0.125))
    like = jo.replace(opt, learning_rate=0.5)
    found = orbax_of_named_leaves(opt, like, tmp_path)
    assert jo.describe(found) == jo.describe(opt)
    assert_same(found, opt)


@each_optimizer
def test_training_from_disk_goes_on_bit_for_bit(row, tmp_path):
    opt = AROUND["both wrappers" if row.name == "adam" else "alone"](row.build())
    step = jax.jit(one_step)
    whole = half = (PARAMS, opt.init(PARAMS))
    for _ in range(4):
        whole = step(opt, *whole)
    for _ in range(2):
        half = step(opt, *half)
    resumed, *half = npz((opt, *half), (opt, PARAMS, opt.init(PARAMS)), tmp_path)
    for _ in range(2):
        half = step(resumed, *half)
    assert_same(tuple(half), whole)


def special_values():
    return {
        "bfloat16": jnp.array([1.0, jnp.nan, -0.0, jnp.inf, 1e-3], jnp.bfloat16),
        "float8": jnp.array([1.0, 0.5], jnp.float8_e5m2),
        "int4": jnp.array([1, -3], jnp.int4),
        "float16 scalar": jnp.float16(1e-7),
        "complex": jnp.array([1 + 2j, jnp.nan * 1j], jnp.complex64),
        "NaN with a message": jax.lax.bitcast_convert_type(jnp.uint32(0x7FC12345), jnp.float32),
        "zero size": jnp.ones((0, 3)),
        "boolean": jnp.array([True, False]),
        "key": jax.random.key(3),
        "keys of another kind": jax.random.split(jax.random.key(3, impl="rbg"), 2),
        "old key": jax.random.PRNGKey(5),
        "Python float": 0.1,
        "Python int": 3,
        "Python bool": True,
        "Python complex": 1 + 2j,
        "NumPy": np.array([0.1]),
        "NumPy int64": np.int64(2**40),
        "NumPy big-endian": np.array([1.5, 2.5], ">f4"),
        "none": None,
    }


def test_bits_and_types_come_back(tmp_path):
    values = special_values()
    found = npz(values, jax.tree.map(lambda leaf: leaf, values), tmp_path)
    big = values.pop("NumPy big-endian")
    np.testing.assert_array_equal(found.pop("NumPy big-endian"), big)
    assert_same(found, values)


def test_float64_comes_back_with_and_without_x64(tmp_path, x64):
    values = {"jax": jnp.float64(0.1), "complex": jnp.complex128(0.1 + 0.2j), "numpy": np.float64(0.1)}
    assert_same(npz(values, values, tmp_path), values)


@pytest.mark.parametrize(
    "tree",
    [
        jnp.ones(2),
        (),
        {"file": jnp.ones(1), "allow_pickle": jnp.zeros(1), "manifest.json": jnp.full(1, 2.0)},
        {"w": jnp.ones(1), "w.npy": jnp.zeros(1)},
        {"../outside": jnp.ones(1), "größe": jnp.zeros(1), "": jnp.full(1, 3.0)},
    ],
    ids=["one array", "empty", "argument names", "suffix", "odd names"],
)
def test_any_name_will_do(tree, tmp_path):
    """np.savez has arguments called file and allow_pickle, and takes w.npy for w."""
    assert_same(npz(tree, tree, tmp_path), tree)
    assert os.listdir(tmp_path) == ["tree.npz"]


def test_two_leaves_of_one_name_are_refused(tmp_path):
    tree = {"a/b": jnp.ones(1), "a": {"b": jnp.zeros(1)}}
    with pytest.raises(ValueError, match="two leaves of the tree are named 'a/b'"):
        jo.save(tmp_path / "tree.npz", tree)
    assert os.listdir(tmp_path) == []


def test_others_can_read_the_file(tmp_path):
    _, state = trained(jo.adam())
    jo.save(tmp_path / "state.npz", state)
    with np.load(tmp_path / "state.npz", allow_pickle=False) as file:
        assert {"count", "m/w", "v/w", "m/b", "v/b"} < set(file.files)
        np.testing.assert_array_equal(file["v/w"], state.v["w"])  # type: ignore[attr-defined]


ANOTHER_PROCESS = """
import sys
import jax, jax.numpy as jnp, optax
import jaxopt_edu as jo
params = {"w": jnp.ones((2, 2)), "b": jnp.ones(2, jnp.bfloat16)}
opt = jo.half_state(jo.compensated(jo.chain(optax.clip_by_global_norm(1.0), jo.adam())), jax.random.key(0))
opt, state, params = jo.load(sys.argv[1], (opt, opt.init(params), params))
print(jo.describe(opt))
jo.save(sys.argv[1], (opt, state, params))
"""


def test_another_process_knows_the_structure(tmp_path):
    """Addresses in memory and the order of hashes are others there."""
    inner = jo.compensated(jo.chain(optax.clip_by_global_norm(1.0), jo.adam(0.125)))
    opt = jo.half_state(inner, jax.random.key(7))
    params, state = trained(opt)
    tree = (opt, state, params)
    path = tmp_path / "tree.npz"
    jo.save(path, tree)
    done = subprocess.run(
        [sys.executable, "-c", ANOTHER_PROCESS, path],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONHASHSEED": "7"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == jo.describe(opt)
    assert_same(jo.load(path, tree), tree)


SMALL = {"w": jnp.arange(3.0), "rate": 0.1}


def test_extra_arrays_travel_beside_the_tree(tmp_path):
    path = tmp_path / "tree.npz"
    jo.save(path, SMALL, extra={"losses": np.arange(5.0)})
    assert_same(jo.load(path, SMALL), SMALL)
    chex.assert_trees_all_equal(read(path), {"losses": np.arange(5.0)})
