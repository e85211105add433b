"""Ctrl-C and SIGTERM end a sweep at an evaluation: nothing is lost, and a line says how to go on."""

import os
import signal
import subprocess
import sys
import time

import jax
import pytest

from jaxopt_edu.files import LOCK
from jaxopt_edu.sweeps import Halving, load
from tests.sweeps.regression import ADAMS, SGDS, assert_same, run

STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143}
COMMAND = "import sys; from jaxopt_edu.cli import main; sys.exit(main())"
PRUNED = Halving(min_steps=4, factor=2)


def sending(number, after):
    """A progress function that sends this process a signal once so many steps were made."""
    sent = []

    def report(steps, best):
        if steps >= after and not sent:
            sent.append(os.kill(os.getpid(), number))

    return report


@pytest.fixture(scope="module")
def whole():
    """A sweep's arguments and its result where nothing comes in between."""
    given = {"optimizers": ADAMS + SGDS, "prune": PRUNED, "every": 2}
    return given, run(**given)


@pytest.mark.parametrize("after", [1, 40, 70, 130])
def test_ctrl_c_at_any_evaluation_loses_nothing(tmp_path, capsys, whole, after):
    given, expected = whole
    with pytest.raises(
        KeyboardInterrupt, match=r"sweep stopped after .* of 192 steps: .*resume=True"
    ) as caught:
        run(**given, path=tmp_path / "runs", progress=sending(signal.SIGINT, after))
    assert isinstance(caught.value, KeyboardInterrupt)
    assert str(tmp_path / "runs") in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "Ctrl-C: stopping at the next evaluation" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert_same(run(**given, path=tmp_path / "runs", resume=True), expected)


def test_without_a_folder_it_is_said_that_nothing_is_kept():
    with pytest.raises(KeyboardInterrupt, match="without path= nothing is on disk"):
        run(SGDS, progress=sending(signal.SIGINT, 1))


def test_sigterm_ends_with_its_status_and_leaves_no_draft(tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        run(SGDS, path=tmp_path, progress=sending(signal.SIGTERM, 1))
    assert caught.value.code == 143
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert "SIGTERM: stopped after" in said[1]
    assert {each.name for each in tmp_path.iterdir()} <= {
        LOCK, "spec.json", "journal.jsonl", "curves", "state", "partial.npz",
    }  # fmt: skip
    assert_same(run(SGDS, path=tmp_path, resume=True), run(SGDS))


def test_a_signal_in_the_last_stretch_changes_nothing():
    assert_same(run(SGDS, progress=sending(signal.SIGINT, 4 * 2 * 12)), run(SGDS))


@pytest.mark.slow
@pytest.mark.parametrize("number", STATUS)
def test_the_command_ends_with_one_line_and_goes_on(tmp_path, number):
    folder = tmp_path / "runs"
    words = "digits sgd learning_rate=0.01,0.1 adam learning_rate=0.001,0.01 --seeds 2 --steps 4000 --out"
    command = [sys.executable, "-c", COMMAND, "sweep", *words.split(), str(folder)]
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    journal = folder / "journal.jsonl"
    # A program was compiled, and the first unit runs.
    while process.poll() is None and not (journal.is_file() and b"chunk size" in journal.read_bytes()):
        time.sleep(0.05)
    process.send_signal(number)
    _, said = process.communicate()
    lines = said.decode().splitlines()
    assert process.returncode == STATUS[number], said.decode()
    assert sum("stopping at the next evaluation" in line for line in lines) == 1
    assert "Traceback" not in said.decode()
    assert f"are kept in {folder}, and resume=True (--resume) goes on" in lines[-1]
    assert not [each for each in folder.rglob("*") if each.name.startswith(".") and each.name != LOCK]
    subprocess.run([*command, "--resume"], env=environment, check=True, capture_output=True)
    assert jax.numpy.all(load(folder).made == 4000)
