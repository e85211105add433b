"""A run goes on with another number of devices than it was begun with, in processes that have that many.

This file is also what each process runs: `python test_device_counts.py FOLDER STEPS`.
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import jaxopt_edu as jo
from jaxopt_edu.training import CheckpointFolder, OrbaxFolder
from tests.crash import finish, launch

FOLDERS = {"npz": CheckpointFolder, "orbax": OrbaxFolder}
RANDOM = np.random.default_rng(6)
X = RANDOM.normal(size=(64, 8)).astype(np.float32)
HIDDEN = jnp.asarray(RANDOM.normal(size=(8, 16)) / 3, jnp.float32)
OUT = jnp.asarray(RANDOM.normal(size=16) / 4, jnp.float32)
# How many devices, and up to which step.
STAGES = [(8, 8), (4, 16), (1, 24), (8, 32)]


def loss_fn(params, batch):
    return jnp.mean((jnp.tanh(batch @ params["hidden"]) @ params["out"] - jnp.sin(batch.sum(axis=1))) ** 2)


def fit(steps, **options):
    """Train by FSDP on all devices that there are."""
    count = jax.device_count()
    mesh = jax.make_mesh((count,), ("data",), axis_types=(AxisType.Auto,))
    split = {"hidden": PartitionSpec(None, "data"), "out": PartitionSpec("data")}
    params = {
        name: jax.device_put(leaf, NamedSharding(mesh, split[name]))
        for name, leaf in {"hidden": HIDDEN, "out": OUT}.items()
    }
    run = {"batch_size": 16, "key": jax.random.key(1), "every": 8, "mesh": mesh}
    return jo.fit(loss_fn, params, jo.adam(0.01), X, steps=steps, progress=False, **run, **options)


def script(folder, steps):
    for kind, make in FOLDERS.items():
        result = fit(int(steps), checkpoint=make(f"{folder}-{kind}"), resume=True)
        for leaf in (result.params["hidden"], result.state.m["hidden"], result.state.v["hidden"]):
            assert leaf.addressable_shards[0].data.shape == (8, 16 // jax.device_count())
        np.savez(f"{folder}-{kind}-{steps}.npz", losses=result.history.losses, out=result.params["out"])


@pytest.mark.slow
@pytest.mark.skipif(jax.device_count() < 8, reason="needs eight devices, see XLA_FLAGS")
def test_a_run_goes_on_with_any_number_of_devices(tmp_path):
    pytest.importorskip("orbax.checkpoint")
    for count, steps in STAGES:
        flags = f"--xla_force_host_platform_device_count={count}"
        finish(launch(__file__, tmp_path, tmp_path / "run", steps, XLA_FLAGS=flags))
    expected = fit(STAGES[-1][1])
    assert expected.history.losses[-1] < 0.9 * expected.history.losses[0]
    for kind in FOLDERS:
        with np.load(tmp_path / f"run-{kind}-{STAGES[-1][1]}.npz") as found:
            np.testing.assert_allclose(found["losses"], expected.history.losses, rtol=1e-6)
            np.testing.assert_allclose(found["out"], expected.params["out"], atol=1e-6)


if __name__ == "__main__":
    script(*sys.argv[1:])
