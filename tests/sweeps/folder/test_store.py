"""A sweep on disk: the same result with and without, resumed, damaged, extended, and refused."""

import json
import os
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_edu as jo
from jaxopt_edu.files import LOCK
from jaxopt_edu.sweeps import Halving, PopulationBased, load
from jaxopt_edu.sweeps.folder.journal import JOURNAL, read_journal
from jaxopt_edu.sweeps.folder.spec import SPEC
from jaxopt_edu.sweeps.folder.store import Store
from tests.sweeps.regression import ADAMS, SGDS, assert_same, evaluate, init, loss_fn, run

PRUNERS = [Halving(min_steps=2, factor=2), PopulationBased(interval=4, share=0.5)]


# Without pruning everything is one stage; that is the easier case, and other tests of this file meet it.
@pytest.fixture(scope="module", params=PRUNERS, ids=["halving", "population"])
def stored(request, tmp_path_factory):
    """A finished sweep's arguments, folder and result."""
    folder = tmp_path_factory.mktemp("store") / "sweep"
    arguments = {"prune": request.param, "keep": 2, "chunk_size": 8, "path": folder}
    return arguments, folder, run(**arguments)


@pytest.fixture
def copy(stored, tmp_path):
    """The same in a folder of its own, which may be damaged."""
    arguments, folder, result = stored
    shutil.copytree(folder, tmp_path / "sweep")
    return arguments | {"path": tmp_path / "sweep", "resume": True}, tmp_path / "sweep", result


def units(folder):
    return sum(event["kind"] == "unit" for event in read_journal(folder))


def test_a_folder_changes_no_bit(stored):
    arguments, _, result = stored
    assert_same(result, run(**arguments | {"path": None}))


def test_resuming_a_finished_sweep_runs_nothing(copy):
    arguments, folder, result = copy
    before = units(folder)
    assert_same(run(**arguments), result)
    assert units(folder) == before


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7])
def test_a_journal_cut_anywhere_goes_on_to_the_same_bits(copy, share):
    arguments, folder, result = copy
    journal = folder / JOURNAL
    size = int(share * journal.stat().st_size)
    os.truncate(journal, size)
    lost = units(folder)
    assert_same(run(**arguments), result)
    assert units(folder) > lost
    assert journal.read_bytes().endswith(b"\n")


def test_damaged_curves_are_named_and_only_they_are_run_again(copy):
    arguments, folder, result = copy
    before = units(folder)
    damaged = sorted((folder / "curves").iterdir())[-1]
    damaged.write_bytes(damaged.read_bytes()[:-40])
    with pytest.warns(RuntimeWarning, match=rf"{damaged.name} is damaged; its runs are computed again"):
        again = run(**arguments)
    assert_same(again, result)
    # At most it and what it goes on from: nothing of the other kind of optimizer.
    assert before < units(folder) <= before + before // 2
    assert_same(run(**arguments), result)


def test_missing_curves_and_damaged_states_are_run_again(copy):
    arguments, folder, result = copy
    sorted((folder / "curves").iterdir())[0].unlink()
    for state in (folder / "state").iterdir():
        state.write_bytes(b"nothing")
    with pytest.warns(RuntimeWarning) as caught:
        again = run(**arguments)
    said = " ".join(str(warning.message) for warning in caught)
    assert "is missing" in said
    assert "is damaged" in said
    assert_same(again, result)


def test_a_damaged_line_of_the_journal_is_named(copy):
    arguments, folder, result = copy
    journal = folder / JOURNAL
    lines = journal.read_bytes().splitlines(keepends=True)
    place = next(number for number, line in enumerate(lines) if b'"unit"' in line)
    lines[place] = lines[place].replace(b'"columns"', b'"colimns"')
    journal.write_bytes(b"".join(lines))
    with pytest.warns(RuntimeWarning, match=f"line {place + 1} is damaged"):
        again = run(**arguments)
    assert_same(again, result)


def test_a_loaded_result_is_the_result(stored):
    _, folder, result = stored
    loaded = load(folder)
    assert loaded.summary() == result.summary()
    assert loaded.table() == result.table()
    for name, values in result.curves.items():
        np.testing.assert_array_equal(loaded.curves[name], values)
    for one, other in zip(loaded.top, result.top, strict=True):
        assert (one.number, one.seed, one.value) == (other.number, other.seed, other.value)
        np.testing.assert_array_equal(one.params["slope"], other.params["slope"])
        assert jo.describe(one.optimizer) == jo.describe(other.optimizer)
    assert (folder / "summary.txt").read_text() == result.summary() + "\n"
    assert json.loads((folder / SPEC).read_text())["versions"]["jax"]


def test_added_seeds_and_optimizers_run_only_what_is_new(tmp_path):
    arguments = {"path": tmp_path / "sweep", "resume": True, "keep": 2}
    run(ADAMS[:3], seeds=2, **arguments)
    first = units(tmp_path / "sweep")
    more = run(ADAMS[:3] + SGDS[:2], seeds=[0, 1, 7], **arguments)
    events = [event for event in read_journal(tmp_path / "sweep") if event["kind"] == "group"]
    assert [(len(event["keys"]), event["seeds"]) for event in events] == [
        (3, [0, 1]),
        (3, [7]),
        (2, [0, 1, 7]),
    ]
    assert units(tmp_path / "sweep") == first + 2
    fresh = run(ADAMS[:3] + SGDS[:2], seeds=[0, 1, 7], keep=2)
    for name, values in fresh.curves.items():
        np.testing.assert_allclose(more.curves[name], values, rtol=2e-5)
    assert [best.number for best in more.top] == [best.number for best in fresh.top]
    with pytest.raises(
        ValueError, match=r"was begun with seed 1.* can be added to a sweep, but not taken away"
    ):
        run(ADAMS[:3] + SGDS[:2], seeds=[0, 7], **arguments)


def test_the_same_setting_twice_is_two_runs(tmp_path):
    arguments = {"path": tmp_path / "sweep", "resume": True}
    twice = run([ADAMS[0], ADAMS[0], ADAMS[1]], seeds=1, **arguments)
    assert twice.values()[0] == twice.values()[1] != twice.values()[2]
    assert_same(run([ADAMS[0], ADAMS[0], ADAMS[1]], seeds=1, **arguments), twice)


def changed_loss(w, batch):
    return 1.0001 * loss_fn(w, batch)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 16, "keep": 3}, "keep: 2 there, 3 here; steps: 12 there, 16 here"),
        ({"every": 3}, "evaluated_at"),
        ({"batch_size": 4}, "batch_size: 8 there, 4 here"),
        ({"metric": "near", "mode": "max"}, "metric: 'loss' there, 'near' here"),
        ({"prune": Halving(min_steps=4)}, "prune: '.*there, 'Halving"),
        ({"evaluate": lambda w: {"loss": evaluate(w)["near"]}}, "evaluate: "),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_another_sweep_in_the_same_folder_is_refused(stored, changes, message):
    arguments, _, _ = stored
    with pytest.raises(ValueError, match=f"holds another sweep: .*{message}"):
        run(**arguments | {"resume": True} | changes)


def test_another_loss_other_data_and_other_parameters_are_refused(tmp_path):
    data = {"x": jnp.ones((4, 3)), "y": jnp.zeros(4)}
    arguments = {"steps": 2, "path": tmp_path / "sweep", "resume": True}
    jo.sweep(loss_fn, init, ADAMS[:1], data, **arguments)
    with pytest.raises(ValueError, match="another sweep: loss_fn: "):
        jo.sweep(changed_loss, init, ADAMS[:1], data, **arguments)
    with pytest.raises(ValueError, match="another sweep: data: "):
        jo.sweep(loss_fn, init, ADAMS[:1], data | {"y": jnp.ones(4)}, **arguments)
    with pytest.raises(ValueError, match="another sweep: parameters: "):
        jo.sweep(loss_fn, init(jax.random.key(9)), ADAMS[:1], data, **arguments)


def test_folders_that_hold_something_are_refused(stored, tmp_path):
    arguments, _, _ = stored
    with pytest.raises(FileExistsError, match="holds a sweep already: pass resume=True"):
        run(**arguments)
    (tmp_path / "thesis.txt").write_text("important")
    with pytest.raises(FileExistsError, match="holds other things"):
        run(path=tmp_path)
    with pytest.raises(FileNotFoundError, match="holds no sweep"):
        load(tmp_path)
    store = Store(tmp_path / "new")
    store.begin({"steps": 1}, resume=False)
    store.end()
    with pytest.raises(FileNotFoundError, match="is not finished"):
        load(tmp_path / "new")
    (tmp_path / "new" / SPEC).write_text("{")
    with pytest.raises(ValueError, match="is damaged"):
        Store(tmp_path / "new").begin({"steps": 1}, resume=True)


def test_other_versions_are_told(stored, monkeypatch):
    arguments, _, result = stored
    now = {"python": "3", "jaxopt-edu": "1", "jax": "99", "jaxlib": "99", "optax": "1", "numpy": "1"}
    monkeypatch.setattr("jaxopt_edu.sweeps.folder.spec.versions", lambda: now)
    with pytest.warns(RuntimeWarning, match="jax .*, now 99.*may differ in their last digits"):
        assert_same(run(**arguments | {"resume": True}), result)


def test_an_optimizer_of_ones_own_is_loaded_with_the_list(tmp_path):
    plain = [optax.sgd(0.1), jo.sgd(0.2)]
    result = run(plain, path=tmp_path / "sweep", seeds=1)
    with pytest.raises(ValueError, match=r"cannot be made again of its description .*pass optimizers="):
        load(tmp_path / "sweep")
    np.testing.assert_array_equal(load(tmp_path / "sweep", plain).values(), result.values())


def test_a_second_sweep_is_refused_while_the_first_writes(tmp_path):
    said = []

    def second(steps, value):
        with pytest.raises(BlockingIOError, match=r"sweep: .* is being written to by this very") as caught:
            run(ADAMS[:1], path=tmp_path / "sweep", resume=True)
        said.append(str(caught.value))
        # Whoever reads is not kept out.
        with pytest.raises(FileNotFoundError, match="is not finished"):
            load(tmp_path / "sweep")

    result = run(ADAMS[:1], path=tmp_path / "sweep", progress=second)
    assert said
    assert_same(run(ADAMS[:1], path=tmp_path / "sweep", resume=True), result)
    assert not (tmp_path / "sweep" / LOCK).exists()


def test_a_folder_that_is_deleted_on_the_way_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"sweep: the folder .* was deleted while this run"):
        run(
            ADAMS[:1],
            path=tmp_path / "sweep",
            progress=lambda steps, value: shutil.rmtree(tmp_path / "sweep", ignore_errors=True),
        )
    assert not (tmp_path / "sweep").exists()


def test_a_full_disk_is_known_before_the_first_step(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    steps = []
    with pytest.raises(OSError, match=r"into the folder .*the disk is full: make room on it"):
        run(ADAMS[:1], path=tmp_path / "sweep", progress=lambda made, value: steps.append(made))
    assert steps == []
    monkeypatch.undo()
    assert run(ADAMS[:1], path=tmp_path / "sweep").states[0, 0] == "COMPLETE"


def test_a_sweep_stays_where_it_began_after_a_change_of_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    run(ADAMS[:1], path="sweep", progress=lambda steps, value: os.chdir(tmp_path / "elsewhere"))
    assert os.listdir(tmp_path / "elsewhere") == []
    assert load(tmp_path / "sweep").states[0, 0] == "COMPLETE"
