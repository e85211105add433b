"""The loss curve on eight devices is that on one, whoever splits the data."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

import jaxopt_edu as jo

# tests/conftest.py asks for them, unless XLA_FLAGS says otherwise.
pytestmark = pytest.mark.skipif(jax.device_count() < 8, reason="needs eight devices, see XLA_FLAGS")

KEY = jax.random.key(1)
RNG = np.random.default_rng(1)
X = RNG.normal(size=(64, 4)).astype(np.float32)
DATA = {"x": X, "y": np.sin(X.sum(axis=1))}
PARAMS = {
    "hidden": jnp.asarray(RNG.normal(size=(4, 16)) / 2, jnp.float32),
    "out": jnp.asarray(RNG.normal(size=16) / 4, jnp.float32),
}
OPT = jo.adam(learning_rate=0.01)


def loss_fn(params, batch):
    return jnp.mean((jnp.tanh(batch["x"] @ params["hidden"]) @ params["out"] - batch["y"]) ** 2)


def host_batches():
    generator = np.random.default_rng(2)
    while True:
        rows = generator.integers(0, 64, 16)
        yield {"x": X[rows], "y": DATA["y"][rows]}


def sample(key):
    x = jax.random.normal(key, (16, 4))
    return {"x": x, "y": jnp.sin(x.sum(axis=1))}


def mesh():
    return Mesh(np.array(jax.devices()[:8]), ("data",))


def fit(params=PARAMS, data=DATA, **options):
    return jo.fit(loss_fn, params, OPT, data, steps=40, every=20, **options)


def assert_same_curve(found, expected):
    np.testing.assert_allclose(found.history.losses, expected.history.losses, rtol=1e-6)
    assert found.history.losses[-1] < 0.9 * found.history.losses[0]


@pytest.mark.parametrize(
    ("data", "options"),
    [
        (lambda: DATA, {"batch_size": 16, "key": KEY}),
        (lambda: DATA, {}),
        pytest.param(lambda: sample, {"key": KEY}, marks=pytest.mark.slow),
        (host_batches, {}),
    ],
    ids=["arrays", "whole", "sample", "iterator"],
)
def test_a_mesh_gives_the_curve_of_one_device(data, options):
    result = fit(data=data(), mesh=mesh(), **options)
    expected = fit(data=data(), **options)
    np.testing.assert_allclose(result.history.losses, expected.history.losses, rtol=1e-6)
    assert len(result.params["out"].sharding.device_set) == 8
    assert result.params["out"].sharding.is_fully_replicated
    assert len(expected.params["out"].sharding.device_set) == 1


def test_a_mesh_takes_any_batch():
    def loss(w, batch):
        return jnp.mean((batch["x"] @ w - batch["scale"]) ** 2), {"length": batch["x"].shape[0]}

    # A length that eight does not divide, and a leaf without an axis to split.
    batches = [{"x": X[:8], "scale": np.float32(1)}, {"x": X[:5], "scale": np.float32(1)}]
    losses = [
        jo.fit(loss, jnp.ones(4), OPT, iter(batches), steps=2, mesh=devices).history.losses
        for devices in (mesh(), None)
    ]
    np.testing.assert_allclose(*losses, rtol=1e-6)
    assert losses[0].shape == (2,)


def test_the_batch_is_split():
    sizes = []

    def spied(params, batch):
        jax.debug.inspect_array_sharding(
            batch["x"], callback=lambda sharding: sizes.append(sharding.shard_shape((16, 4)))
        )
        return loss_fn(params, batch)

    jo.fit(spied, PARAMS, OPT, DATA, steps=2, batch_size=16, key=KEY, mesh=mesh())
    assert set(sizes) == {(2, 4)}


def test_sharded_inputs_stay_sharded():
    split = NamedSharding(mesh(), PartitionSpec("data"))
    data = jax.device_put(DATA, split)
    whole = jax.device_put(PARAMS, NamedSharding(mesh(), PartitionSpec()))
    expected = fit()
    assert_same_curve(fit(params=whole, data=data), expected)
    assert_same_curve(fit(data=data), expected)


def test_sharded_parameters_are_resumed_where_they_were(tmp_path):
    placement = {"hidden": PartitionSpec(None, "data"), "out": PartitionSpec("data")}
    params = jax.tree.map(
        lambda leaf, spec: jax.device_put(leaf, NamedSharding(mesh(), spec)), PARAMS, placement
    )
    expected = fit(params=params)
    assert expected.params["hidden"].addressable_shards[0].data.shape == (4, 2)
    assert_same_curve(expected, fit())
    jo.fit(loss_fn, params, OPT, DATA, steps=20, every=20, checkpoint=tmp_path)
    resumed = fit(params=params, checkpoint=tmp_path, resume=True)
    np.testing.assert_array_equal(resumed.history.losses, expected.history.losses)
    for name in placement:
        assert resumed.params[name].sharding == expected.params[name].sharding
        np.testing.assert_array_equal(resumed.params[name], expected.params[name])
    assert resumed.state.m["hidden"].addressable_shards[0].data.shape == (4, 2)


def test_a_mesh_run_is_resumed_to_the_same_bits(tmp_path):
    options = {"batch_size": 16, "key": KEY, "mesh": mesh()}
    expected = fit(**options)
    jo.fit(loss_fn, PARAMS, OPT, DATA, steps=20, every=20, checkpoint=tmp_path, **options)
    resumed = fit(checkpoint=tmp_path, resume=True, **options)
    np.testing.assert_array_equal(resumed.history.losses, expected.history.losses)
    np.testing.assert_array_equal(resumed.params["hidden"], expected.params["hidden"])


def test_a_mesh_run_stops_at_nan_as_well():
    def breaks(params, batch):
        loss = loss_fn(params, batch)
        return jnp.where(loss < 0.9 * float(fit_once), jnp.nan, loss)

    fit_once = loss_fn(PARAMS, DATA)
    with pytest.warns(RuntimeWarning, match="the loss is nan"):
        result = jo.fit(breaks, PARAMS, OPT, DATA, steps=40, every=20, mesh=mesh())
    assert np.isfinite(result.history.losses[:-1]).all()
    assert len(result.params["out"].sharding.device_set) == 8


def sharded(devices, **placement):
    return {
        name: jax.device_put(leaf, NamedSharding(devices, placement.get(name, PartitionSpec())))
        for name, leaf in PARAMS.items()
    }


@pytest.mark.parametrize("explicit", [True, False])
def test_parameters_that_are_sharded_stay_so_and_batches_are_split_over_any_axes(explicit):
    kind = AxisType.Explicit if explicit else AxisType.Auto
    devices = jax.make_mesh((2, 4), ("replica", "fsdp"), axis_types=(kind, kind))
    placement = {"hidden": PartitionSpec(None, "fsdp"), "out": PartitionSpec("fsdp")}
    options = {"batch_size": 16, "key": KEY}
    params = sharded(devices, **placement)
    found = fit(params=params, mesh=devices, data_axis=("replica", "fsdp"), **options)
    np.testing.assert_allclose(found.history.losses, fit(**options).history.losses, rtol=1e-6)
    for name in PARAMS:
        assert found.params[name].sharding == params[name].sharding
        for moment in (found.state.m, found.state.v):
            shard = moment[name].addressable_shards[0].data.shape
            assert shard == params[name].addressable_shards[0].data.shape


def test_a_mesh_as_jax_makes_it_is_taken():
    made = jax.make_mesh((8,), ("data",))
    options = {"batch_size": 16, "key": KEY}
    found = fit(mesh=made, **options)
    np.testing.assert_allclose(found.history.losses, fit(**options).history.losses, rtol=1e-6)


def test_parameters_of_other_devices_are_refused_by_name():
    few = Mesh(np.array(jax.devices()[:4]), ("data",))
    with pytest.raises(ValueError, match=r"fit: .*hidden.* 4 devices that are not the 8 of the mesh"):
        fit(params=sharded(few), mesh=mesh())
    with pytest.raises(
        ValueError, match=r"fit: data_axis = 'model' is no axis of the mesh, which has \('data',\)"
    ):
        fit(mesh=mesh(), data_axis="model")
