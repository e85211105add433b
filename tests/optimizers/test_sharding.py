"""An optimizer's state lies where the parameters lie, leaf by leaf, before and after a compiled step.

Guards against states that are gathered on one device, and against steps whose output lies elsewhere than
their input, which compiles a second time. On eight virtual devices.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import jaxopt_edu as jo
from jaxopt_edu.storage import named_leaves
from tests.registry import each_optimizer

DEVICES = 8
pytestmark = pytest.mark.skipif(jax.device_count() < DEVICES, reason="XLA_FLAGS was set to fewer devices")

SPECIFICATIONS = {
    "rows": PartitionSpec("x"),
    "columns": PartitionSpec(None, "x"),
    "half": PartitionSpec("x"),
    "copied": PartitionSpec(),
    "scalar": PartitionSpec(),
}
AROUND = {
    "alone": lambda opt: opt,
    "chain": lambda opt: jo.chain(optax.clip_by_global_norm(1.0), opt),
    "compensated": jo.compensated,
    "half_state": lambda opt: jo.half_state(opt, jax.random.key(0)),
    "lifted": lambda opt: jo.lift(optax.apply_if_finite)(opt, max_consecutive_errors=3),
}


def sharded_parameters(axis_type):
    mesh = jax.make_mesh((DEVICES,), ("x",), axis_types=(axis_type,))
    arrays = {
        "rows": jnp.ones((16, 3)),
        "columns": jnp.ones((3, 8)),
        "half": jnp.ones(8, jnp.bfloat16),
        "copied": jnp.ones(5),
        "scalar": jnp.float32(1),
    }
    shardings = {name: NamedSharding(mesh, SPECIFICATIONS[name]) for name in arrays}
    return mesh, jax.tree.map(jax.device_put, arrays, shardings)


def check(state, params, copies, further=()):
    """Every leaf of the state that mirrors a parameter lies as it does; how many there are is known.

    What a matrix method keeps besides, such as a product GGᵀ, has other axes than the parameter.
    """
    mirrors = {
        path: leaf
        for path, leaf in named_leaves(state).items()
        if path.split("/")[-1] in params and not {*path.split("/")} & {*further}
    }
    assert len(mirrors) == copies * len(params)
    for path, leaf in mirrors.items():
        parameter = params[path.split("/")[-1]]
        assert leaf.sharding.is_equivalent_to(parameter.sharding, leaf.ndim), path
        assert [shard.data.shape for shard in leaf.addressable_shards] == [
            shard.data.shape for shard in parameter.addressable_shards
        ], path


@each_optimizer
@pytest.mark.parametrize("around", AROUND)
def test_the_state_lies_where_the_parameters_lie(row, around):
    _, params = sharded_parameters(AxisType.Auto)
    opt = AROUND[around](row.build())
    copies = len(row.memory) + (around == "compensated")
    state = opt.init(params)
    check(state, params, copies, row.further)
    check(opt.init(jax.tree.map(as_shape, params)), params, copies, row.further)
    if row.name != "adam":
        return  # the step is the same map over leaves for all of them, and each compilation takes a second
    with jax.numpy_dtype_promotion("standard"):
        updates, after = jax.jit(opt.update)(params, state, params)
    check(after, params, copies)
    check(updates, params, 1)


# Around any optimizer: which field of their state is a copy of the parameters' shapes.
COPIES = {
    "averaged": jo.averaged,
    "lookahead": jo.lookahead,
    "schedule_free": jo.schedule_free,
    "mars": jo.mars,
    "accumulated": lambda opt: jo.accumulated(opt, 2),
}


@pytest.mark.parametrize("around", COPIES)
def test_copies_of_wrappers_lie_where_the_parameters_lie(around):
    _, params = sharded_parameters(AxisType.Auto)
    check(COPIES[around](jo.sgd()).init(params), params, copies=1)


@pytest.mark.parametrize("factory", [jo.shampoo, jo.soap, jo.psgd_kron, jo.muon])
def test_what_has_another_shape_is_split_as_its_parameter_is(factory):
    """Nothing of a layer's state is whole on any device, were it of the side that is not split."""
    mesh = jax.make_mesh((2, 4), ("data", "model"), axis_types=(AxisType.Auto,) * 2)
    specs = {"inputs": ("model", None), "outputs": (None, "model"), "both": ("data", "model")}
    params = {
        name: jax.device_put(jnp.ones((16, 8)), NamedSharding(mesh, PartitionSpec(*spec)))
        for name, spec in specs.items()
    }
    parts = {"inputs": 4, "outputs": 4, "both": 8}
    for path, leaf in named_leaves(factory().init(params)).items():
        if (name := path.split("/")[-1]) in parts:
            assert leaf.size == parts[name] * leaf.addressable_shards[0].data.size, path


def as_shape(array):
    return jax.ShapeDtypeStruct(array.shape, array.dtype, sharding=array.sharding)


@pytest.mark.parametrize("around", ["alone", "compensated"])
def test_with_explicit_axes_a_compiled_init_keeps_them_too(around):
    mesh, params = sharded_parameters(AxisType.Explicit)
    opt = AROUND[around](jo.adam())
    copies = 2 + (around == "compensated")
    with jax.set_mesh(mesh):
        state = jax.jit(opt.init)(params)
        check(state, params, copies)
        updates, after = jax.jit(opt.update)(params, state, params)
    check(after, params, copies)
    check(updates, params, 1)


def test_sharded_steps_are_the_steps_of_one_device():
    _, params = sharded_parameters(AxisType.Auto)
    alone = jax.tree.map(lambda array: jnp.asarray(np.asarray(array)), params)
    opt = jo.adam(0.1)
    step = jax.jit(opt.update)
    for found, expected in zip(
        *(jax.tree.leaves(step(tree, opt.init(tree), tree)[0]) for tree in (params, alone)), strict=True
    ):
        np.testing.assert_allclose(np.asarray(found, np.float32), np.asarray(expected, np.float32), rtol=1e-6)
