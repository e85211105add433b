"""The folder of a run's checkpoints: one writer, a history that is appended to, and trouble told by name."""

import errno
import os
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_edu as jo
from jaxopt_edu.files import LOCK, FolderLock
from jaxopt_edu.storage import save
from jaxopt_edu.training import CheckpointFolder
from jaxopt_edu.training.history import History
from jaxopt_edu.training.loop import start
from jaxopt_edu.training.npz_checkpoint import Best, Checkpoint, Identity

OPT = jo.adam(learning_rate=0.1)
NOBODY = Identity(None, 0, False)


def loss_fn(w, batch):
    return jnp.sum((w - 1) ** 2), {"first": w[0]}


def largest(w):
    return {"largest": w.max()}


def fit(steps=8, **options):
    return jo.fit(loss_fn, jnp.zeros(3), OPT, steps=steps, every=2, evaluate=largest, **options)


@pytest.fixture(scope="module")
def expected():
    return fit()


def assert_same_run(found, expected):
    jax.tree.map(np.testing.assert_array_equal, found[:2], expected[:2])
    jax.tree.map(np.testing.assert_array_equal, found.history[:4], expected.history[:4])


def test_a_second_run_is_refused_and_the_first_goes_on(tmp_path, expected):
    refused = []

    def second(moment):
        with pytest.raises(
            BlockingIOError, match=r"fit: .* is being written to by this very process"
        ) as caught:
            fit(checkpoint=tmp_path, resume=True)
        refused.append(str(caught.value))

    assert_same_run(fit(checkpoint=tmp_path, callback=second), expected)
    assert len(refused) == 4
    assert not (tmp_path / LOCK).exists()


def test_the_lock_is_given_back_after_errors(tmp_path):
    def stumbles(moment):
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        fit(checkpoint=tmp_path, callback=stumbles)
    with pytest.raises(ValueError, match="more than steps = 1"):
        fit(steps=1, checkpoint=tmp_path, resume=True)
    with pytest.raises(FileNotFoundError, match="no checkpoint of step 7"):
        fit(checkpoint=tmp_path, resume=7)
    lock = FolderLock(tmp_path, "fit")
    lock.take()
    lock.release()


def test_a_run_goes_on_where_it_began_after_a_change_of_the_working_folder(tmp_path, monkeypatch, expected):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    found = fit(checkpoint="run", callback=lambda moment: os.chdir(tmp_path / "elsewhere"))
    assert_same_run(found, expected)
    assert os.listdir(tmp_path / "elsewhere") == []
    assert CheckpointFolder(tmp_path / "run").steps() == [4, 6, 8]


def test_a_folder_deleted_on_the_way_is_told_and_not_made_again(tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(FileNotFoundError, match=r"fit: the folder .*run was deleted while this run"):
        fit(checkpoint=folder, callback=lambda moment: shutil.rmtree(folder))
    assert not folder.exists()


def test_a_folder_made_again_by_another_is_left_alone(tmp_path):
    folder = tmp_path / "run"

    def replaced(moment):
        shutil.rmtree(folder)
        folder.mkdir()

    with pytest.raises(FileNotFoundError, match="is not the one this run began with"):
        fit(checkpoint=folder, callback=replaced)
    assert os.listdir(folder) == []


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "the disk is full: make room"),
        (errno.EROFS, "this file system is read-only"),
        (errno.EACCES, "you may not write there"),
    ],
)
def test_what_can_be_known_is_known_before_the_first_step(tmp_path, monkeypatch, number, advice):
    steps = []

    def fails(descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match=rf"cannot write 'a first small file' into .*{advice}") as caught:
        fit(checkpoint=tmp_path / "run", callback=lambda moment: steps.append(moment.step))
    assert caught.value.errno == number
    assert steps == []
    assert os.listdir(tmp_path / "run") == []


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs a folder in which even root cannot write")
def test_a_place_where_no_folder_can_be_made():
    with pytest.raises(OSError, match=r"cannot write 'run' into the folder '/proc'"):
        fit(checkpoint="/proc/run")


def test_the_history_is_written_once(tmp_path):
    """Eighty times the steps take eighty times the bytes, not 6,400 times."""

    def log_size(steps):
        folder = tmp_path / str(steps)
        fit(steps=steps, checkpoint=folder)
        newest = CheckpointFolder(folder).file(steps).stat().st_size
        return newest, (folder / "history-000001.log").stat().st_size

    short, long = log_size(20), log_size(1600)
    assert long[0] <= short[0] + 20  # the numbers in it have more digits
    assert 75 < long[1] / short[1] < 85


def test_a_history_file_that_no_checkpoint_needs_is_removed(tmp_path, expected):
    for steps in (2, 4, 6, 8):
        fit(steps=steps, checkpoint=tmp_path, resume=True)
        assert_same_run(fit(checkpoint=tmp_path, resume=True), expected) if steps == 8 else None
    logs = sorted(path.name for path in tmp_path.glob("history-*"))
    assert logs == ["history-000002.log", "history-000003.log", "history-000004.log"]


@pytest.mark.parametrize("damage", ["cut", "flipped", "missing"])
def test_a_damaged_history_is_told_and_the_checkpoint_before_is_offered(tmp_path, expected, damage):
    fit(steps=6, checkpoint=tmp_path)
    log = tmp_path / "history-000001.log"
    content = log.read_bytes()
    if damage == "missing":
        log.unlink()
    else:
        place = len(content) - 3
        changed = content[:place] + (
            b"" if damage == "cut" else bytes([content[place] ^ 4]) + content[place + 1 :]
        )
        log.write_bytes(changed)
    with pytest.raises(ValueError, match=r"history-000001\.log, which holds the losses") as caught:
        fit(checkpoint=tmp_path, resume=True)
    if damage == "missing":
        assert "no earlier one that fits" in str(caught.value)
        return
    assert "resume=4 goes on from there" in str(caught.value)
    assert_same_run(fit(checkpoint=tmp_path, resume=4), expected)


def test_what_comes_after_a_checkpoint_in_the_history_file_is_not_its_own(tmp_path, expected):
    """A kill between the history and the checkpoint."""
    fit(steps=6, checkpoint=tmp_path)
    with open(tmp_path / "history-000001.log", "ab") as file:
        file.write(b"half a rec")
    assert_same_run(fit(checkpoint=tmp_path, resume=True), expected)


def moment(step=2, **fields):
    carry = start(OPT, jnp.arange(3.0))
    losses = np.arange(step, dtype=np.float32)
    return Checkpoint(step, carry, History(losses, {}, np.zeros(0, np.int64), {}, ""), **fields)


def test_the_best_parameters_and_notes_come_back(tmp_path):
    folder, like = CheckpointFolder(tmp_path), start(OPT, jnp.zeros(3))
    assert folder.begin(like, NOBODY, False) is None
    folder.write(moment(2), NOBODY)
    best = Best(jnp.array([5.0, 6.0, 7.0]), 3, 0.25)
    folder.write(moment(4, best=best, notes={"source": {"at": [1, "x", 0.5]}}), NOBODY)
    folder.end()
    first, second = folder.read(like, NOBODY, 2), folder.read(like, NOBODY, 4)
    assert first is not None
    assert (first.best, first.notes) == (None, {})
    assert second is not None
    assert second.best is not None
    assert (second.best.params.tolist(), *second.best[1:]) == ([5.0, 6.0, 7.0], 3, 0.25, None)
    assert second.notes == {"source": {"at": [1, "x", 0.5]}}


def test_a_checkpoint_of_the_first_format_is_read(tmp_path, expected):
    """It had the whole history in itself, and no number."""
    fit(steps=4, checkpoint=tmp_path)
    reader, like = CheckpointFolder(tmp_path), start(OPT, jnp.zeros(3))
    found = reader.read(like, NOBODY, 4)
    assert found is not None
    shutil.rmtree(tmp_path)
    tmp_path.mkdir()
    history = found.history
    extra = {"losses": history.losses, "evaluated_at": history.evaluated_at}
    extra |= {f"metrics/{name}": values for name, values in history.metrics.items()}
    extra |= {f"evaluations/{name}": values for name, values in history.evaluations.items()}
    content = {"identity": NOBODY._asdict(), "carry": found.carry, "step": 4}
    save(reader.file(4), content, extra=extra)
    assert_same_run(fit(checkpoint=tmp_path, resume=True), expected)
    assert_same_run(fit(checkpoint=tmp_path, resume=4), expected)


def test_a_renamed_checkpoint_is_refused(tmp_path):
    fit(steps=4, checkpoint=tmp_path)
    folder = CheckpointFolder(tmp_path)
    folder.file(4).rename(folder.file(6))
    with pytest.raises(ValueError, match="it has been renamed"):
        fit(checkpoint=tmp_path, resume=6)
