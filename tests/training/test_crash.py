"""A run that is killed, with no chance to clean up, goes on to the same bits.

This file is also the training script that gets killed: `python test_crash.py FOLDER RESULT [KILLS...]`.
"""

import os
import random
import signal
import sys
import time
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_edu as jo
from jaxopt_edu.training import CheckpointFolder, OrbaxFolder
from tests.crash import finish, kill_at, killed, launch

EVERY = 2
FOLDERS = {"npz": CheckpointFolder, "orbax": OrbaxFolder}


def train(folder, steps, callback=None):
    def loss_fn(params, average, batch):
        loss = jnp.mean((batch @ params["w"] + params["b"] - jnp.sin(batch[:, 0])) ** 2)
        return loss, 0.9 * average + 0.1 * loss, {"first": batch[0, 0]}

    return jo.fit(
        loss_fn,
        {"w": jnp.ones(3), "b": jnp.zeros(())},
        jo.half_state(jo.adam(learning_rate=0.01), jax.random.key(1)),
        np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32),
        steps=steps,
        batch_size=8,
        key=jax.random.key(2),
        every=EVERY,
        model_state=jnp.zeros(()),
        evaluate=lambda params, average: average,
        callback=callback,
        checkpoint=FOLDERS[os.environ.get("CHECKPOINTS", "npz")](folder),
        resume=True,
    )


def write(result, path):
    leaves = [
        jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf
        for leaf in jax.tree.leaves((result.params, result.state, result.model_state, result.history[:4]))
    ]
    # As bytes, for which a NaN equals itself and -0 is not 0.
    np.savez(path, *[np.frombuffer(np.asarray(leaf).tobytes(), np.uint8) for leaf in leaves])


def script(folder, result, steps, *kills):
    """Train in a process for each kill, told as event:number, then to the end, then without a break."""
    for each in kills:
        event, number = each.split(":")

        def work(event=event, number=number):
            kill_at(event, int(number), "step-")
            train(folder, int(steps))

        killed(work, each)
        print(each, *sorted(os.listdir(folder)) if os.path.isdir(folder) else [], flush=True)
    write(train(folder, int(steps), lambda moment: print(moment.step, flush=True)), result)
    if kills:
        write(train(f"{folder}-whole", int(steps)), f"{result}-whole.npz")


def assert_same_files(found, expected):
    with np.load(found) as found, np.load(expected) as expected:
        assert found.files == expected.files
        assert len(expected.files) == 14
        for name in expected.files:
            np.testing.assert_array_equal(found[name], expected[name])


def assert_checkpoints_are_whole(folder):
    for file in folder.glob("step-*.npz"):
        with zipfile.ZipFile(file) as archive:
            assert archive.testzip() is None


def test_killed_while_it_writes(tmp_path):
    """Before a draft is begun, before it gets its name, and before an old one is removed."""
    run, result = tmp_path / "run", tmp_path / "result.npz"
    output = finish(launch(__file__, tmp_path, run, result, 24, "open:1", "os.rename:3", "os.remove:3"))
    first, second, third = (line.split() for line in output.splitlines()[:3])
    assert [name for name in first if "step-" in name] == []
    # The third checkpoint was a draft only, and the run went on from the second.
    assert [name for name in second if name.startswith("step-")] == names(2, 4)
    assert len([name for name in second if name.startswith(".step-0000000006")]) == 1
    assert [name for name in third if name.startswith("step-")] == names(2, 4, 6, 8)
    assert output.splitlines()[3:] == [str(step) for step in range(10, 26, EVERY)]
    assert_checkpoints_are_whole(run)
    assert_same_files(result, f"{result}-whole.npz")


def names(*steps):
    return [f"step-{step:010d}.npz" for step in steps]


@pytest.mark.slow
def test_killed_at_random_moments(tmp_path):
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed = {seed}")
    moments = random.Random(seed)
    steps = 2000 * EVERY
    run, result, expected = tmp_path / "run", tmp_path / "result.npz", tmp_path / "expected.npz"
    whole = launch(__file__, tmp_path, tmp_path / "whole", expected, steps)
    reached = []
    for number in range(20):
        process = launch(__file__, tmp_path, run, result, steps)
        assert process.stdout is not None
        if number % 5 == 4:
            # Anywhere from the first import on.
            time.sleep(moments.uniform(0, 2))
        else:
            for _ in range(moments.randrange(1, 20)):
                reached.append(int(process.stdout.readline()))
            time.sleep(moments.uniform(0, 0.01))
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL, "the run ended before it could be killed"
        assert_checkpoints_are_whole(run)
    finish(launch(__file__, tmp_path, run, result, steps))
    finish(whole)
    # It did go on each time, rather than begin anew.
    assert reached == sorted(reached)
    assert_same_files(result, expected)


if __name__ == "__main__":
    script(*sys.argv[1:])
