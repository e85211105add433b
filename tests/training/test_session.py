"""Runs with a time limit: they end at a stop, keep what they have, and go on to the same bits."""

import os
import signal
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_edu as jo
from tests.crash import launch

STEPS, EVERY = 12, 4


def fit(**options):
    return jo.fit(lambda w, _: w**2, jnp.array(8.0), jo.adam(0.25), steps=STEPS, every=EVERY, **options)


def waiting(moment):
    time.sleep(0.02)


def test_a_time_limit_ends_a_run_at_its_next_stop(tmp_path):
    result = fit(seconds=0.01, callback=waiting, checkpoint=tmp_path)
    assert result.history.stopped == "time limit of 0.01 s reached at step 4"
    assert len(result.history.losses) == EVERY
    assert [file.name for file in tmp_path.glob("*.npz")] == ["step-0000000004.npz"]


def test_each_call_has_its_own_time_and_the_steps_are_those_of_one_run(tmp_path):
    stopped = []
    for _ in range(3):
        result = fit(seconds=0.01, callback=waiting, checkpoint=tmp_path, resume=True)
        stopped.append(result.history.stopped)
    assert stopped == [f"time limit of 0.01 s reached at step {step}" for step in (4, 8)] + ["completed"]
    expected = fit()
    np.testing.assert_array_equal(result.history.losses, expected.history.losses)
    jax.tree.map(np.testing.assert_array_equal, result[:2], expected[:2])


def test_a_limit_that_is_not_reached_changes_nothing():
    result = fit(seconds=1000)
    assert result.history.stopped == "completed"
    np.testing.assert_array_equal(result.history.losses, fit().history.losses)


def test_the_callback_has_the_first_word():
    assert (
        fit(seconds=1e-9, callback=lambda moment: True).history.stopped == "stopped by the callback at step 4"
    )


@pytest.mark.parametrize("seconds", [0, -1.0, float("nan"), float("inf"), "60", [60, 60]])
def test_what_is_no_time_is_refused_by_name(seconds):
    with pytest.raises(ValueError, match=r"^fit: seconds = .*; it is a number of seconds above 0, or None"):
        fit(seconds=seconds)


SCRIPT = """
import sys, time
import jax.numpy as jnp
import jaxopt_edu as jo

def callback(moment):
    print(moment.step, flush=True)
    time.sleep(0.05)

keep = {"callback": callback, "checkpoint": sys.argv[1]}
jo.fit(lambda w, _: w**2, jnp.array(8.0), jo.adam(0.25), steps=4000, every=4, **keep)
"""


def test_a_process_that_is_told_to_end_writes_its_checkpoint_and_says_where(tmp_path):
    folder = tmp_path / "run"
    (tmp_path / "script.py").write_text(SCRIPT)
    process = launch(str(tmp_path / "script.py"), tmp_path, folder)
    assert process.stdout is not None
    process.stdout.readline()
    os.kill(process.pid, signal.SIGTERM)
    _, said = process.communicate(timeout=200)
    assert process.returncode == 128 + signal.SIGTERM, said
    step = jo.training.CheckpointFolder(folder).steps()[-1]
    waits, ended = said.splitlines()
    assert waits == "fit: SIGTERM: stopping at the end of this stretch of 4 steps; once more stops at once."
    assert ended.startswith(
        f"fit: SIGTERM: stopped at step {step}: the checkpoint of step {step} is in {folder}"
    )
