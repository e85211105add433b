"""Ctrl-C and SIGTERM wait for a safe point, and say what is kept."""

import os
import signal

import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_edu as jo
from jaxopt_edu.training.signals import signals_wait
from tests.crash import launch


def fit(**options):
    return jo.fit(lambda w, _: w**2, jnp.array(8.0), jo.sgd(0.25), steps=12, every=4, **options)


def sending(number, at=4):
    return lambda moment: os.kill(os.getpid(), number) if moment.step == at else None


def test_ctrl_c_ends_at_a_safe_point_and_loses_nothing(tmp_path, capsys):
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt, match=r"step 4.*resume=True goes on") as caught:
        fit(checkpoint=tmp_path, callback=sending(signal.SIGINT))
    assert type(caught.value) is KeyboardInterrupt
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert float(vars(caught.value)["result"].params) == 0.5
    assert vars(caught.value)["result"].history.stopped == "interrupted"
    assert "Ctrl-C: stopping at the end of this stretch" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) is before
    found = fit(checkpoint=tmp_path, resume=True)
    np.testing.assert_array_equal(found.history.losses, fit().history.losses)


def test_without_a_folder_the_exception_has_the_parameters():
    with pytest.raises(KeyboardInterrupt, match="without checkpoint= nothing is on disk") as caught:
        fit(callback=sending(signal.SIGINT, at=8))
    assert float(vars(caught.value)["result"].params) == 8 / 256


def test_sigterm_ends_with_its_status(tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        fit(checkpoint=tmp_path, callback=sending(signal.SIGTERM))
    assert caught.value.code == 143
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert "stopped at step 4: the checkpoint of step 4 is in" in said[1]
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


SCRIPT = """
import os, signal
import jax.numpy as jnp
import jaxopt_edu as jo

def callback(moment):
    os.kill(os.getpid(), signal.SIGINT)

jo.fit(lambda w, _: w**2, jnp.array(8.0), jo.sgd(0.25), steps=12, every=4, callback=callback)
"""


def test_a_script_ends_with_a_few_lines_and_the_status_of_ctrl_c(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    process = launch(str(tmp_path / "script.py"), tmp_path)
    _, said = process.communicate(timeout=200)
    assert process.returncode == -signal.SIGINT  # which a shell shows as 130
    lines = said.splitlines()
    assert len(lines) < 16, said
    assert lines[0].startswith("fit: Ctrl-C: stopping at the end of this stretch")
    assert lines[-1].startswith("KeyboardInterrupt: fit stopped at step 4: without checkpoint=")
    assert "run.py" not in said


def test_the_second_one_does_not_wait():
    with signals_wait("fit", "soon") as pending:
        os.kill(os.getpid(), signal.SIGINT)
        assert pending.number == signal.SIGINT
        with pytest.raises(KeyboardInterrupt) as caught:
            os.kill(os.getpid(), signal.SIGINT)
    assert not hasattr(caught.value, "result")


def test_a_signal_in_the_last_stretch_changes_nothing():
    assert fit(callback=sending(signal.SIGINT, at=12)).history.stopped == "completed"


def test_a_handler_of_the_users_own_stays():
    came = []
    before = signal.signal(signal.SIGINT, lambda *_: came.append(1))
    try:
        assert fit(callback=sending(signal.SIGINT)).history.stopped == "completed"
    finally:
        signal.signal(signal.SIGINT, before)
    assert came == [1]
