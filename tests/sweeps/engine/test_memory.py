"""Too many runs for the memory: as many as fit, by the compiler's word or after the machine's no.

This file is also a script that lives with little memory: `python test_memory.py CHUNK_SIZE`.
"""

import os
import resource
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_edu as jo
from jaxopt_edu.sweeps.engine import program
from tests.crash import finish, launch
from tests.sweeps.regression import ADAMS, run

SIZE = 2_000_000  # numbers in the parameters of a run: 8 MB, and 24 with Adam's state
SETTINGS = 64
ROOM = 1_200_000_000


def script(chunk_size):
    settings = jo.grid(jo.adam, learning_rate=np.geomspace(1e-3, 0.1, SETTINGS).tolist())

    def sweep(settings, **changes):
        return jo.sweep(
            lambda w, batch: jnp.mean((w - 1) ** 2), jnp.zeros(SIZE), settings, steps=2, keep=0, **changes
        )

    sweep(settings[:1])  # threads and libraries have their memory
    used = int(open("/proc/self/statm").read().split()[0]) * os.sysconf("SC_PAGE_SIZE")  # noqa: SIM115
    resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, used + ROOM))
    result = sweep(settings, chunk_size=int(chunk_size))
    print((result.states == "COMPLETE").sum(), bool(np.isfinite(result.values()).all()))


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs Linux to measure and limit memory")
def test_what_does_not_fit_is_halved_until_it_does(tmp_path):
    # All 64 at once take at least 64 · 24 MB = 1.5 GB, more than the room.
    process = launch(__file__, tmp_path, SETTINGS)
    assert finish(process).split() == [str(SETTINGS), "True"]


def test_the_chunk_size_is_what_the_compiler_says_fits(monkeypatch):
    monkeypatch.setattr(program, "_free_memory", lambda device: 150_000_000)
    shapes = []
    fits = program.Program.fits

    def noted(self):
        shapes.append(fits.__get__(self))
        return shapes[-1]

    monkeypatch.setattr(program.Program, "fits", property(noted))
    big = jnp.zeros(100_000)
    settings = jo.grid(jo.adam, learning_rate=np.geomspace(1e-3, 0.1, 128).tolist())
    result = jo.sweep(
        lambda w, batch: jnp.mean((w - 1) ** 2), big, settings, steps=1, devices=jax.devices()[:1]
    )
    # 128 runs of 1.2 MB, held and written, need more than half of 150 MB.
    assert shapes[-1]
    assert shapes.count(False) >= 1
    assert (result.states == "COMPLETE").all()


def test_other_errors_of_the_runtime_are_not_taken_for_a_lack_of_memory(monkeypatch):
    def broken(*arguments):
        raise jax.errors.JaxRuntimeError("INTERNAL: something else")

    monkeypatch.setattr(program.Program, "__call__", broken)
    with pytest.raises(jax.errors.JaxRuntimeError, match="something else"):
        run(ADAMS)


def test_a_host_says_what_is_available(monkeypatch, tmp_path):
    device = types.SimpleNamespace(platform="cpu", memory_stats=lambda: None)
    told = tmp_path / "meminfo"
    told.write_text("MemTotal:  9000 kB\nMemFree:  10 kB\nMemAvailable:  2000 kB\n")
    monkeypatch.setattr(program, "MEMORY", told)
    assert program._free_memory(device) == 2_048_000
    monkeypatch.setattr(program, "MEMORY", tmp_path / "none")
    assert program._free_memory(device) > 1e8
    assert program._sharing([device, device]) == 2


def test_devices_with_memory_of_their_own_are_asked():
    device = types.SimpleNamespace(
        platform="gpu", memory_stats=lambda: {"bytes_limit": 100, "bytes_in_use": 30}
    )
    assert program._free_memory(device) == 70
    assert program._sharing([device, device]) == 1


if __name__ == "__main__":
    script(*sys.argv[1:])
