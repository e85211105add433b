"""Several real processes at one fit, over JAX's own runtime on loopback, and one folder of checkpoints.

This file is also what each process runs: `python test_distributed.py FOLDER PORT COUNT INDEX KIND KILL`.
"""

import os
import signal
import socket
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import jaxopt_edu as jo
from jaxopt_edu.training import CheckpointFolder, OrbaxFolder
from tests.crash import finish, kill_at, launch

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(24, 4)).astype(np.float32)
FOLDERS = {
    "npz": CheckpointFolder,
    "orbax": OrbaxFolder,
    "sharded": CheckpointFolder,
    "alone": CheckpointFolder,
}


def loss_fn(params, batch):
    return jnp.mean((jnp.tanh(batch @ params["hidden"]) @ params["out"] - jnp.sin(batch[:, 0])) ** 2)


def script(folder, port, count, index, kind, kill):
    """Fit; `kill` is how this process is to end, as step:4 or os.rename:3, or "" for well."""
    jax.distributed.initialize(
        f"127.0.0.1:{port}", int(count), int(index), initialization_timeout=60, heartbeat_timeout_seconds=10
    )
    mesh = Mesh(np.array(jax.devices()), ("data",))
    params = {"hidden": jnp.linspace(-1, 1, 24).reshape(4, 6), "out": jnp.ones(6)}
    if kind in ("sharded", "orbax"):
        split = NamedSharding(mesh, PartitionSpec(None, "data"))
        params["hidden"] = jax.device_put(np.asarray(params["hidden"]), split)
        params["out"] = jax.device_put(np.ones(6, np.float32), NamedSharding(mesh, PartitionSpec()))
    event, _, number = kill.partition(":")
    if event == "os.rename":
        kill_at(event, int(number), "step-")

    def callback(moment):
        if event == "step" and moment.step == int(number):
            os.kill(os.getpid(), signal.SIGKILL)

    result = jo.fit(
        loss_fn,
        params,
        jo.half_state(jo.adam(learning_rate=0.05), jax.random.key(1)),
        X,
        steps=12,
        batch_size=12,
        key=jax.random.key(2),
        every=2,
        checkpoint=FOLDERS[kind](folder),
        resume=True,
        callback=callback,
        mesh=mesh if kind == "npz" else None,
        progress=False,
    )
    leaves = [np.asarray(shard.data) for leaf in jax.tree.leaves(result[:2]) for shard in _shards(leaf)]
    np.savez(f"{folder}-{index}.npz", result.history.losses, *leaves)


def _shards(leaf):
    keyed = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return (jax.random.key_data(leaf) if keyed else leaf).addressable_shards


def together(place, folder, count, kind, kills=()):
    """Start the processes of one fit, some of which are to be killed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    kills = dict(kills)
    return [launch(__file__, place, folder, port, count, i, kind, kills.get(i, "")) for i in range(count)]


def finished(place, folder, count, kind):
    for process in together(place, folder, count, kind):
        finish(process)
    found = []
    for index in range(count):
        with np.load(f"{folder}-{index}.npz") as arrays:
            found.append([arrays[name].tobytes() for name in arrays.files])
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "kind", "kills"),
    [
        (2, "npz", [(1, "step:6")]),
        (2, "npz", [(0, "os.rename:4")]),
        (3, "npz", [(0, "step:4")]),
        (2, "sharded", [(1, "step:6")]),
        (2, "alone", [(0, "os.rename:3")]),
        (2, "orbax", [(1, "step:6")]),
        (3, "orbax", [(0, "os.rename:5")]),
    ],
)
def test_a_killed_process_leaves_a_fit_that_resumes_to_the_same_bits(tmp_path, count, kind, kills):
    if kind == "orbax":
        pytest.importorskip("orbax.checkpoint")
    expected = finished(tmp_path, tmp_path / "whole", count, kind)
    folder = tmp_path / "run"
    processes = together(tmp_path, folder, count, kind, kills)
    victim = kills[0][0]
    assert processes[victim].wait(timeout=200) == -signal.SIGKILL
    for process in processes:
        process.kill()
        process.communicate()
    reached = FOLDERS[kind](folder).steps()
    assert reached
    assert reached[-1] < 12
    assert finished(tmp_path, folder, count, kind) == expected
    assert sorted(path.name for path in folder.iterdir() if path.name.startswith(".")) == []


@pytest.mark.slow
def test_a_folder_that_is_not_shared_is_told(tmp_path):
    """Each process has a folder of its own; that of the first one already has checkpoints."""
    finished(tmp_path, tmp_path / "first", 2, "npz")
    for file in Path(tmp_path / "first").glob("step-*12.npz"):
        file.unlink()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = [
        launch(__file__, tmp_path, tmp_path / name, port, 2, i, "npz", "")
        for i, name in enumerate(("first", "second"))
    ]
    said = [process.communicate(timeout=200)[1] for process in processes]
    assert all(process.returncode for process in processes)
    assert "the folder has to be on a disk that all of them share" in said[1]
    assert "process 1 could not be seen in" in said[0]


if __name__ == "__main__":
    script(*sys.argv[1:])
