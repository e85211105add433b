"""A stored sweep goes on with more steps, as if it had been begun with them."""

import signal

import numpy as np
import pytest

from jaxopt_edu.sweeps import Halving, load
from jaxopt_edu.sweeps.folder.journal import read_journal
from tests.sweeps.folder.test_signals import sending
from tests.sweeps.regression import ADAMS, SGDS, assert_same, run

KINDS = ADAMS[:2] + SGDS


def curves(folder):
    return sorted(each.stem for each in (folder / "curves").iterdir())


def test_a_finished_sweep_is_made_longer_to_the_same_bits(tmp_path):
    given = {"optimizers": KINDS, "keep": 2, "path": tmp_path / "sweep"}
    short = run(**given)
    # Interrupted on the way, the shorter one still stands.
    with pytest.raises(KeyboardInterrupt):
        run(**given, steps=20, every=None, resume=True, progress=sending(signal.SIGINT, 50))
    assert_same(load(tmp_path / "sweep"), short)
    before = curves(tmp_path / "sweep")
    long = run(**given, steps=20, every=None, resume=True)
    expected = run(KINDS, steps=20, keep=2)
    assert_same(long, expected)
    assert_same(load(tmp_path / "sweep"), expected)
    assert long.evaluated_at.tolist() == [0, 4, 8, 12, 16, 20]
    for name, values in short.curves.items():
        np.testing.assert_array_equal(long.curves[name][..., : values.shape[-1]], values)
    # Nothing of the shorter runs is left, and nothing is run twice.
    kept = curves(tmp_path / "sweep")
    assert kept[0] > before[0]
    assert_same(run(**given, steps=20, every=None, resume=True), expected)
    assert curves(tmp_path / "sweep") == kept
    assert sum(event["kind"] == "result" for event in read_journal(tmp_path / "sweep")) == 2


def test_an_unfinished_one_and_seeds_too(tmp_path):
    given = {"path": tmp_path, "resume": True, "optimizers": SGDS}
    with pytest.raises(KeyboardInterrupt):
        run(**given, chunk_size=2, progress=sending(signal.SIGINT, 30))
    found = run(**given, steps=20, seeds=3, chunk_size=2)
    np.testing.assert_array_equal(found.made, 20)
    expected = run(SGDS, steps=20, seeds=3, chunk_size=2)
    for name, values in expected.curves.items():
        np.testing.assert_allclose(found.curves[name], values, rtol=2e-5)


def test_what_cannot_be_is_refused_by_name(tmp_path):
    run(SGDS, path=tmp_path / "plain")
    given = {"optimizers": SGDS, "path": tmp_path / "plain", "resume": True}
    with pytest.raises(ValueError, match=r"sweep: .*steps: 12 there, 8 here: a sweep can be made longer"):
        run(**given, steps=8)
    with pytest.raises(ValueError, match=r"sweep: .*evaluates at .*leave out every="):
        run(**given, steps=20, every=3)
    pruned = {"optimizers": SGDS, "path": tmp_path / "pruned", "prune": Halving(min_steps=4, factor=2)}
    run(**pruned)
    with pytest.raises(ValueError, match=r"sweep: .*steps: 12 there, 16 here, and its pruner judges"):
        run(**pruned, resume=True, steps=16)
