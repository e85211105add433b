"""What a sweep does besides training grows no faster than its runs; work is counted, not time."""

import sys

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_edu as jo
from jaxopt_edu.sweeps.engine import program
from jaxopt_edu.sweeps.engine.groups import plan_groups
from jaxopt_edu.sweeps.folder.identity import optimizer_keys
from jaxopt_edu.sweeps.folder.store import Store

pytestmark = pytest.mark.slow


def calls(function):
    """How many calls, those of built-in functions included, a function takes."""
    count = 0

    def note(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(None)
    return count


class Counted(str):
    """A text that counts how often it is compared."""

    comparisons = 0
    __hash__ = str.__hash__

    def __eq__(self, other):
        Counted.comparisons += 1
        return str.__eq__(self, other)


def assert_linear(work):
    """Four times as much to do takes four times the work, not sixteen times."""
    few, many = work(32), work(128)
    assert many < 5 * few + 1000, (few, many)


def test_a_finished_sweep_is_resumed_in_linear_work(tmp_path):
    def work(settings):
        def sweep(resume):
            optimizers = jo.grid(jo.sgd, learning_rate=np.linspace(0.1, 1, settings).tolist())
            path = tmp_path / str(settings)
            jo.sweep(
                lambda w, _: w**2, jnp.ones(()), optimizers, steps=1, path=path, resume=resume, chunk_size=8
            )

        sweep(False)
        sweep(True)  # whatever is compiled or imported once
        return calls(lambda: sweep(True))

    assert_linear(work)


def test_a_summary_of_many_kinds_takes_linear_work():
    def work(kinds):
        optimizers = tuple(jo.chain(optax.clip(1.0 + kind), jo.sgd(0.1)) for kind in range(kinds))
        arrays = np.zeros((kinds, 1), int)
        curves = {"loss": np.arange(2.0 * kinds, dtype=np.float32).reshape(kinds, 1, 2)}
        states = np.full((kinds, 1), "COMPLETE")
        steps = np.array([0, 1])
        given = (optimizers, (0,), 1, steps, curves, arrays + 1, states, "loss", "min", (), optimizers)
        found = jo.SweepResult(*given)
        return calls(found.summary)

    assert_linear(work)


def test_groups_are_planned_without_comparing_all_settings_with_all(tmp_path):
    def work(settings):
        optimizers = jo.grid(jo.sgd, learning_rate=np.linspace(0.1, 1, settings).tolist())
        keys = [Counted(key) for key in optimizer_keys(optimizers, jnp.ones(()))]
        store = Store(tmp_path / str(settings))
        Counted.comparisons = 0
        store.begin({}, resume=False)
        for _ in range(2):
            plan_groups(optimizers, [list(range(settings))], keys, (0, 1), store)
        store.end()
        return Counted.comparisons

    assert_linear(work)


def test_programs_of_many_structures_do_not_stay_in_memory(monkeypatch):
    monkeypatch.setattr(program, "KEPT_PROGRAMS", 2)
    program.compiled.cache_clear()
    kinds = [jo.chain(optax.clip(1.0 + kind), jo.sgd(0.1)) for kind in range(4)]
    jo.sweep(lambda w, _: w**2, jnp.ones(()), kinds, steps=1)
    assert program.compiled.cache_info().currsize == 1
    assert program.advance._cache_size() <= 1  # type: ignore[attr-defined]
