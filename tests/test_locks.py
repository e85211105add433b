"""A folder has one writer; who it is gets told, and a process that dies takes its lock with it."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from jaxopt_edu.files import LOCK, FolderLock, locks

HOLD = """
import sys, time
from jaxopt_edu.files import FolderLock
lock = FolderLock(sys.argv[1], "fit")
lock.take()
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def lock(tmp_path):
    held = FolderLock(tmp_path, "fit")
    held.take()
    yield held
    held.release()


def refusal(folder):
    with pytest.raises(BlockingIOError) as caught:
        FolderLock(folder, "sweep").take()
    return str(caught.value)


def test_one_at_a_time(lock, tmp_path):
    said = refusal(tmp_path)
    assert f"sweep: {tmp_path} is being written to by this very process" in said
    assert "since 20" in said
    lock.release()
    assert os.listdir(tmp_path) == []
    second = FolderLock(tmp_path, "fit")
    second.take()
    second.release()


def test_a_second_process_is_told_who_the_first_is_and_a_kill_lets_it_in(tmp_path):
    first = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True)
    assert first.stdout is not None
    assert first.stdout.readline() == "held\n"
    said = refusal(tmp_path)
    assert f"process {first.pid} on {os.uname().nodename} (-c {tmp_path})" in said
    assert f"wait until it ends, or stop it (kill {first.pid}), then go on with resume=True" in said
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert os.listdir(tmp_path) == [LOCK]
    after = FolderLock(tmp_path, "fit")
    after.take()
    after.release()
    assert os.listdir(tmp_path) == []


FORK = """
import os, sys, time
from jaxopt_edu.files import FolderLock
lock = FolderLock(sys.argv[1], "fit")
lock.take()
if os.fork() == 0:
    time.sleep(60)
print("held", flush=True)
time.sleep(60)
"""


def test_a_forked_child_that_outlives_its_parent_does_not_keep_it(tmp_path):
    command = [sys.executable, "-W", "ignore", "-c", FORK, tmp_path]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert parent.stdout is not None
    assert parent.stdout.readline() == "held\n"
    refusal(tmp_path)
    parent.kill()
    parent.wait()
    after = FolderLock(tmp_path, "fit")
    after.take()
    after.release()
    os.killpg(parent.pid, signal.SIGKILL)
    parent.communicate()


def test_whoever_is_shut_out_at_first_gets_in_later(lock, tmp_path):
    other = FolderLock(tmp_path, "fit")
    with pytest.raises(BlockingIOError):
        other.take()
    lock.release()
    other.take()
    other.check()
    other.release()


def test_many_at_once_are_one_at_a_time(tmp_path):
    """Also while the file is removed and made again all the time."""
    code = """
import sys, time
from jaxopt_edu.files import FolderLock
end = time.time() + 2
while time.time() < end:
    lock = FolderLock(sys.argv[1], "fit")
    try:
        lock.take()
    except BlockingIOError:
        continue
    with open(sys.argv[1] + "/inside", "x"):
        pass
    import os; os.unlink(sys.argv[1] + "/inside")
    lock.release()
    print("x", end="")
"""
    several = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
        for _ in range(3)
    ]
    entered = [len(process.communicate()[0]) for process in several]
    assert [process.returncode for process in several] == [0, 0, 0]
    assert sum(entered) > 20


def test_a_folder_that_is_gone_is_told(lock, tmp_path):
    lock.check()
    (tmp_path / LOCK).unlink()
    with pytest.raises(FileNotFoundError, match="is not the one this run began with"):
        lock.check()
    tmp_path.rmdir()
    with pytest.raises(FileNotFoundError, match="was deleted while this run was writing into it"):
        lock.check()
    lock.release()
    assert not tmp_path.exists()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_without_locks_a_warning_says_so(tmp_path, monkeypatch, number):
    def none(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(locks.fcntl, "flock", none)
    lock = FolderLock(tmp_path, "fit")
    with pytest.warns(RuntimeWarning, match=r"is not locked against a second writer.*no locks"):
        lock.take()
    lock.check()
    lock.release()


def test_without_flock_a_warning_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "fcntl", None)
    with pytest.warns(RuntimeWarning, match="this system has no flock: start no other run"):
        FolderLock(tmp_path, "fit").take()


def test_a_holder_that_has_not_said_who_it_is(lock, tmp_path, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    (tmp_path / LOCK).write_bytes(b"")
    assert "another process is writing into" in refusal(tmp_path)


@pytest.mark.parametrize("ending", [signal.SIGKILL, None])
def test_a_lock_tells_whether_its_holder_was_killed(tmp_path, ending):
    source = HOLD.replace("time.sleep(60)", "sys.stdin.read(); lock.release()")
    holder = subprocess.Popen(
        [sys.executable, "-c", source, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    told = []
    waiting = threading.Thread(target=lambda: told.append(FolderLock(tmp_path, "fit").outlives_its_holder()))
    waiting.start()
    waiting.join(0.2)
    assert waiting.is_alive()
    if ending is not None:
        holder.send_signal(ending)
    holder.communicate()
    waiting.join(10)
    assert told == [ending is not None]


def test_a_lock_that_nobody_holds_has_no_holder_to_outlive(tmp_path):
    assert FolderLock(tmp_path, "fit").outlives_its_holder() is False
