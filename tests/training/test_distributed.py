"""Several real processes at one fit, over JAX's own runtime on loopback, and one folder of checkpoints.

This file is also what each process runs: `python test_distributed.py FOLDER PORT COUNT INDEX KIND KILL`.
"""

import functools
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

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
    "alone": CheckpointFolder,
    "fsdp-npz": CheckpointFolder,
    "fsdp-orbax": OrbaxFolder,
}


def loss_fn(params, batch):
    return jnp.mean((jnp.tanh(batch @ params["hidden"]) @ params["out"] - jnp.sin(batch[:, 0])) ** 2)


def script(folder, port, count, index, kind, kill):
    """Fit; `kill` is how this process is to end, as step:4, sigterm:4 or os.rename:3, or "" for well."""
    jax.distributed.initialize(
        f"127.0.0.1:{port}", int(count), int(index), initialization_timeout=60, heartbeat_timeout_seconds=10
    )
    mesh = Mesh(np.array(jax.devices()), ("data",))
    options: dict[str, Any] = {}
    params = {"hidden": jnp.linspace(-1, 1, 24).reshape(4, 6), "out": jnp.ones(6)}
    if kind == "npz":
        options = {"mesh": mesh}
    elif kind == "orbax":
        params = _sharded(params, mesh, hidden=PartitionSpec(None, "data"))
    elif kind.startswith("fsdp"):
        # Each process holds both replicas of its own part of the parameters' columns.
        devices = np.array(jax.devices()).reshape(int(count), 2).T
        mesh = Mesh(devices, ("replica", "shard"))
        params = _sharded(params, mesh, hidden=PartitionSpec(None, "shard"), out=PartitionSpec("shard"))
        options = {"mesh": mesh, "data_axis": ("replica", "shard")}
    event, _, number = kill.partition(":")
    if event == "os.rename":
        kill_at(event, int(number), "step-")

    def callback(moment):
        if event == "step" and moment.step == int(number):
            os.kill(os.getpid(), signal.SIGKILL)
        if event == "sigterm" and moment.step >= int(number):
            if moment.step == int(number):
                os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.3)  # the processes need a moment to agree, in which tiny steps would all be made

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
        tracker=jo.trackers.CSV(f"{folder}.csv"),
        progress=False,
        **options,
    )
    if kind.startswith("fsdp"):
        assert result.params["hidden"].sharding == params["hidden"].sharding
        assert result.params["hidden"].addressable_shards[0].data.shape == (4, 6 // int(count))
    leaves = [np.asarray(shard.data) for leaf in jax.tree.leaves(result[:2]) for shard in _shards(leaf)]
    np.savez(f"{folder}-{index}.npz", result.history.losses, *leaves)


def _sharded(params, mesh, **specs):
    return {
        name: jax.device_put(np.asarray(leaf), NamedSharding(mesh, specs.get(name, PartitionSpec())))
        for name, leaf in params.items()
    }


def _shards(leaf):
    keyed = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return (jax.random.key_data(leaf) if keyed else leaf).addressable_shards


def together(place, folder, count, kind, kills=()):
    """Start the processes of one fit, some of which are to be killed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    kills, devices = dict(kills), 2 if kind.startswith("fsdp") else 1
    return [
        launch(
            __file__, place, folder, port, count, i, kind, kills.get(i, ""),
            XLA_FLAGS=f"--xla_force_host_platform_device_count={devices}",
        )
        for i in range(count)
    ]  # fmt: skip


def finished(place, folder, count, kind):
    for process in together(place, folder, count, kind):
        finish(process)
    found = []
    for index in range(count):
        with np.load(f"{folder}-{index}.npz") as arrays:
            found.append([arrays[name].tobytes() for name in arrays.files])
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What a run gives that nobody kills, made once of each kind."""
    place = tmp_path_factory.mktemp("whole")
    return functools.cache(
        lambda count, kind: (place / "cache", finished(place, place / f"{count}-{kind}", count, kind))
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "kind", "kills"),
    [
        (2, "npz", [(1, "step:6")]),
        (3, "npz", [(0, "os.rename:4")]),
        (2, "alone", [(0, "os.rename:3")]),
        (3, "orbax", [(0, "os.rename:5")]),
        (2, "fsdp-npz", [(1, "step:6")]),
        (2, "fsdp-orbax", [(0, "step:6")]),
        (3, "fsdp-orbax", [(2, "step:6")]),
    ],
)
def test_a_killed_process_leaves_a_fit_that_resumes_to_the_same_bits(
    tmp_path, undisturbed, count, kind, kills
):
    if "orbax" in kind:
        pytest.importorskip("orbax.checkpoint")
    cache, expected = undisturbed(count, kind)
    (tmp_path / "cache").symlink_to(cache)
    folder = tmp_path / "run"
    processes = together(tmp_path, folder, count, kind, kills)
    victim = kills[0][0]
    assert processes[victim].wait(timeout=200) == -signal.SIGKILL
    for index, process in enumerate(processes):
        if victim == 0 and index:
            told = f"fit: process 0 of {count} has ended, and process {index} cannot go on without; what was"
            said = process.communicate(timeout=60)[1]
            # JAX aborts it within milliseconds, and the line comes before that if Python is quick enough.
            assert told in said or "JAX distributed service detected fatal errors" in said
        elif kind == "fsdp-orbax" and index != victim:
            told = (
                f"fit: process {victim} of {count} has ended, and process {index} cannot go on without; what"
            )
            assert told in process.communicate(timeout=60)[1]
        process.kill()
        process.communicate()
    reached = FOLDERS[kind](folder).steps()
    assert reached
    assert reached[-1] < 12
    assert finished(tmp_path, folder, count, kind) == expected
    # One process tracks, and without doubles.
    told = [line.partition(",")[0] for line in (tmp_path / "run.csv").read_text().splitlines()]
    assert told == ["step", "2", "4", "6", "8", "10", "12"]
    assert sorted(path.name for path in folder.iterdir() if path.name.startswith(".")) == []


@pytest.mark.slow
def test_sigterm_at_one_process_ends_all_of_them_at_the_same_step(tmp_path, undisturbed):
    cache, expected = undisturbed(2, "npz")
    (tmp_path / "cache").symlink_to(cache)
    processes = together(tmp_path, tmp_path / "run", 2, "npz", [(1, "sigterm:2")])
    for process in processes:
        said = process.communicate(timeout=200)[1]
        assert process.returncode == 128 + signal.SIGTERM, said
        reached = CheckpointFolder(tmp_path / "run").steps()[-1]
        assert f"fit: SIGTERM: stopped at step {reached}: the checkpoint of step {reached} is in" in said
    assert reached < 12
    assert finished(tmp_path, tmp_path / "run", 2, "npz") == expected


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
