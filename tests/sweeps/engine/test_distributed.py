"""Several real processes make one sweep, over JAX's own runtime on loopback.

This file is also what each process runs: `python test_distributed.py FOLDER PORT COUNT INDEX KILL_AFTER`.
"""

import os
import signal
import socket
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

import jaxopt_edu as jo
from jaxopt_edu.sweeps import Halving, load
from jaxopt_edu.sweeps.engine.worker import Worker
from tests.crash import finish, launch
from tests.sweeps.regression import run


def settings():
    # A key starts JAX, which the processes may do only when they have found each other.
    keyed = [jo.half_state(jo.momentum(rate), jax.random.key(1)) for rate in (0.01, 0.03, 0.1)]
    return jo.grid(jo.adam, learning_rate=np.geomspace(1e-3, 0.5, 6).tolist()) + keyed


ARGUMENTS = {"prune": Halving(min_steps=4, factor=2), "chunk_size": 4, "keep": 2}


def script(folder, port, count, index, kill_after):
    jax.distributed.initialize(f"127.0.0.1:{port}", int(count), int(index), initialization_timeout=60)
    work, units = Worker.run, 0

    def counted(*arguments):
        nonlocal units
        units += 1
        if units == int(kill_after):
            os.kill(os.getpid(), signal.SIGKILL)
        return work(*arguments)

    setattr(Worker, "run", counted)  # noqa: B010 (pyright takes an assignment for a mistake)
    result = run(settings(), path=folder, resume=True, **ARGUMENTS)
    assert len(jax.devices()) == int(count)
    assert len(jax.local_devices()) == 1
    # Every process has the whole result; gloo writes on standard output in between, line ends or not.
    found = f"{np.nansum(result.curves['loss'])} {len(result.top)}"
    (Path(folder).parent / f"said-{index}").write_text(found)


def together(place, folder, count, kill_after=()):
    """Start the processes of one sweep; some of them are to kill themselves before their n-th unit."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    kills = dict(kill_after)
    return [launch(__file__, place, folder, port, count, i, kills.get(i, 0)) for i in range(count)]


@pytest.fixture(scope="module")
def alone():
    return run(settings(), devices=jax.devices()[:1], **ARGUMENTS)


def assert_close(folder, expected):
    found = load(folder)
    np.testing.assert_array_equal(found.states, expected.states)
    np.testing.assert_array_equal(found.made, expected.made)
    # Fewer runs side by side in each process: products are summed in another order.
    for name, values in expected.curves.items():
        np.testing.assert_allclose(found.curves[name], values, rtol=2e-5)
    assert [best.number for best in found.top] == [best.number for best in expected.top]


@pytest.mark.slow
def test_three_processes_give_the_table_of_one(alone, tmp_path):
    for process in together(tmp_path, tmp_path / "sweep", 3):
        finish(process)
    said = [(tmp_path / f"said-{i}").read_text() for i in range(3)]
    assert said[0] == said[1] == said[2]
    assert_close(tmp_path / "sweep", alone)


@pytest.mark.slow
def test_a_process_that_is_killed_leaves_a_sweep_that_resumes(alone, tmp_path):
    # Not the one that writes: that one is left waiting in the middle of a unit.
    folder = tmp_path / "sweep"
    processes = together(tmp_path, folder, 2, [(1, 4)])
    assert processes[1].wait(timeout=200) == -signal.SIGKILL
    for process in processes:
        process.kill()
        process.communicate()
    done = len(list((folder / "curves").iterdir()))
    assert done > 0
    for process in together(tmp_path, folder, 2):
        finish(process)
    assert_close(folder, alone)
    assert len(list((folder / "curves").iterdir())) > done


if __name__ == "__main__":
    script(*sys.argv[1:])
