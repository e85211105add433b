"""Processes that are killed, with no chance to clean up, at moments of a test's choosing."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import jaxopt_edu as jo

ROOT = Path(jo.__file__).parents[1]


def kill_at(event: str, number: int, marker: str, delay: float = 0.0) -> None:
    """Have this process killed when it does something to a file for the n-th time.

    Args:
        event: what Python's audit hooks call it: "open", "os.rename", "os.remove".
        number: which time; the first is 1.
        marker: part of the paths that count.
        delay: seconds to wait then; 0 for just before it happens.
    """
    seen = 0

    def hook(name: str, arguments: tuple) -> None:
        nonlocal seen
        if name == event and marker in str(arguments[0]):
            seen += 1
            if seen == number:
                if delay:
                    threading.Timer(delay, os.kill, (os.getpid(), signal.SIGKILL)).start()
                else:
                    os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def killed(work: Callable[[], None], label: str) -> None:
    """Do something in a process of its own, which has to be killed before it ends.

    JAX must not have started its threads yet, so that a process can still be split off, imports and all.
    """
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status), f"{label}: ended by itself with status {status}"
    assert os.WTERMSIG(status) == signal.SIGKILL


def launch(script: str, place: Path, *arguments: object, **environment: str) -> subprocess.Popen:
    """Start a script with the package on its path and a compilation cache in a folder of the test's."""
    variables = {
        "PYTHONPATH": str(ROOT),
        "JAX_COMPILATION_CACHE_DIR": str(place / "cache"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        "XLA_FLAGS": "",
    }
    command = [sys.executable, "-W", "ignore::RuntimeWarning", script, *map(str, arguments)]
    return subprocess.Popen(
        command,
        env=os.environ | variables | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen) -> str:
    """Wait for a process that has to end well, and give what it printed."""
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return output
