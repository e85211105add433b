"""Checkpoints: written whole, the last few kept, refused by name when they do not fit."""

import os
import random
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_edu as jo
from jaxopt_edu.training import CheckpointFolder
from jaxopt_edu.training.loop import start
from jaxopt_edu.training.npz_checkpoint import Identity

KEY = jax.random.key(2)
DATA = np.linspace(-1, 1, 12, dtype=np.float32)
PARAMS = {"w": jnp.array([0.5, -1.0]), "b": jnp.array(0.25)}
OPT = jo.adam(learning_rate=0.1)


def loss_fn(params, batch):
    residual = params["w"][0] * batch + params["b"] - jnp.sin(3 * batch)
    return jnp.mean(residual**2) + jnp.sum(params["w"] ** 2), {"first": batch[0], "residual": residual[:2]}


def fit(steps=12, params=PARAMS, optimizer=OPT, **options):
    options = {"every": 2, "batch_size": 4, "key": KEY} | options
    return jo.fit(loss_fn, params, optimizer, DATA, steps=steps, **options)


def assert_same_run(found, expected):
    assert jax.tree.structure(found[:2]) == jax.tree.structure(expected[:2])
    jax.tree.map(np.testing.assert_array_equal, found[:2], expected[:2])
    jax.tree.map(np.testing.assert_array_equal, found.history[:4], expected.history[:4])
    assert found.history.losses.dtype == expected.history.losses.dtype


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def checkpoints(folder):
    return sorted(file.name for file in folder.iterdir() if file.name.startswith("step-"))


def name(step):
    return f"step-{step:010d}.npz"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder of checkpoints of steps 4, 6 and 8; not to be changed."""
    folder = tmp_path_factory.mktemp("finished")
    fit(steps=8, checkpoint=folder)
    return folder


@pytest.fixture
def folder(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "run")


def test_the_last_few_are_kept(finished, tmp_path):
    assert checkpoints(finished) == [name(4), name(6), name(8)]
    assert sorted(contents(finished).keys() - set(checkpoints(finished))) == ["history-000001.log"]
    fit(steps=5, checkpoint=CheckpointFolder(tmp_path / "deep" / "run", keep=1))
    assert checkpoints(tmp_path / "deep" / "run") == [name(5)]


def test_other_files_in_the_folder_are_left_alone(tmp_path):
    for other in ("notes.txt", "step-12.npz", "step-0000000002.npz.bak"):
        (tmp_path / other).write_text("mine")
    fit(steps=6, checkpoint=CheckpointFolder(tmp_path, keep=1))
    assert sorted(contents(tmp_path)) == sorted(
        ["notes.txt", "step-12.npz", "step-0000000002.npz.bak", name(6), "history-000001.log"]
    )


def test_writing_checkpoints_changes_nothing(tmp_path):
    assert_same_run(fit(checkpoint=tmp_path), fit())


@pytest.mark.parametrize("resume", [True, 8, 6, 4])
def test_a_resumed_run_is_the_uninterrupted_run(folder, resume):
    assert_same_run(fit(checkpoint=folder, resume=resume), fit())


def test_evaluations_come_back(tmp_path):
    def evaluate(params):
        return {"b": params["b"], "w": params["w"]}

    expected = fit(evaluate=evaluate)
    fit(steps=6, evaluate=evaluate, checkpoint=tmp_path)
    assert_same_run(fit(evaluate=evaluate, checkpoint=tmp_path, resume=True), expected)
    assert expected.history.evaluations["w"].shape == (6, 2)


def test_a_finished_run_is_only_read(folder):
    before = contents(folder)
    assert_same_run(fit(steps=8, checkpoint=folder, resume=True), fit(steps=8))
    assert contents(folder) == before


def test_resume_begins_anew_where_there_is_nothing(tmp_path):
    assert_same_run(fit(checkpoint=tmp_path / "new", resume=True), fit())


def test_another_learning_rate_goes_on_when_told(folder):
    before = contents(folder)
    slower = {"optimizer": jo.adam(learning_rate=0.01), "checkpoint": folder, "resume": True}
    with pytest.raises(ValueError, match=r"learning_rate was 0\.1 and is 0\.01\. Pass allow_changes=True"):
        fit(**slower)
    assert contents(folder) == before
    result = fit(**slower, allow_changes=True)
    np.testing.assert_array_equal(result.history.losses[:9], fit().history.losses[:9])
    assert not np.array_equal(result.history.losses[9:], fit().history.losses[9:])


@pytest.mark.parametrize(
    ("optimizer", "dtype"),
    [
        (jo.half_state(OPT, jax.random.key(7)), jnp.float32),
        (jo.compensated(jo.sgd(learning_rate=0.1)), jnp.bfloat16),
    ],
    ids=["half_state", "compensated bfloat16"],
)
def test_keys_and_bfloat16_come_back(tmp_path, optimizer, dtype):
    def loss(w, _):
        return jnp.sum((w - 1) ** 2)

    def train(**options):
        return jo.fit(loss, jnp.zeros(3, dtype), optimizer, steps=12, every=4, **options)

    expected = train(checkpoint=tmp_path)
    for resume in (4, 8):
        found = train(checkpoint=tmp_path, resume=resume)
        jax.tree.map(
            lambda a, b: np.testing.assert_array_equal(_plain(a), _plain(b)), found[:2], expected[:2]
        )
        np.testing.assert_array_equal(found.history.losses, expected.history.losses)


def _plain(leaf):
    return jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf


def test_a_model_state_comes_back(tmp_path):
    def loss(w, seen, batch):
        return jnp.sum((w - batch) ** 2), seen + batch[0]

    def train(steps, **options):
        return jo.fit(
            loss,
            jnp.zeros(()),
            OPT,
            DATA,
            steps=steps,
            every=2,
            batch_size=4,
            key=KEY,
            model_state=jnp.zeros(()),
            **options,
        )

    expected = train(8)
    train(4, checkpoint=tmp_path)
    found = train(8, checkpoint=tmp_path, resume=True)
    np.testing.assert_array_equal(found.model_state, expected.model_state)
    np.testing.assert_array_equal(found.params, expected.params)


def test_a_folder_in_use_is_refused(folder):
    before = contents(folder)
    with pytest.raises(FileExistsError, match=r"steps \[4, 6, 8\].*pass resume=True"):
        fit(checkpoint=folder)
    assert contents(folder) == before


def test_a_step_that_is_not_there(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no checkpoint of step 5; it has \[4, 6, 8\]"):
        fit(checkpoint=folder, resume=5)
    with pytest.raises(FileNotFoundError, match="no checkpoint of step 0; it has none"):
        fit(checkpoint=tmp_path / "new", resume=0)


def test_a_checkpoint_beyond_the_steps_asked_for(folder):
    with pytest.raises(ValueError, match="the checkpoint is of step 8, which is more than steps = 6"):
        fit(steps=6, checkpoint=folder, resume=True)
    assert len(fit(steps=6, checkpoint=folder, resume=4).history.losses) == 6


def test_keep_has_to_keep_one(tmp_path):
    with pytest.raises(ValueError, match="keep = 0"):
        CheckpointFolder(tmp_path, keep=0)


def test_left_over_later_ones_do_not_push_out_the_new(folder):
    fit(steps=5, every=1, checkpoint=CheckpointFolder(folder, keep=2), resume=4)
    assert checkpoints(folder) == [name(4), name(5), name(6), name(8)]
    # Each of them still has its own history.
    assert_same_run(fit(checkpoint=folder, resume=8), fit())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": jo.momentum(learning_rate=0.1)}, "AdamState, but Carry, MomentumState was asked for"),
        ({"key": jax.random.key(3)}, r"its key is \[0 2\], but \[0 3\] was asked for"),
        ({"key": jax.random.key(2, impl="rbg")}, r"identity/key is key<fry>.*key<rbg>"),
        ({"batch_size": 3}, "its batch_size is 4, but 3 was asked for"),
        ({"replacement": True}, "its replacement is False, but True was asked for"),
        ({"params": PARAMS | {"b": jnp.ones(1)}}, r"carry/params/b is float32\[\], but float32\[1\]"),
        ({"params": PARAMS | {"b": jnp.ones((), jnp.bfloat16)}}, r"float32\[\], but bfloat16\[\]"),
        ({"params": PARAMS | {"extra": jnp.ones(())}}, r"'extra': \*"),
    ],
    ids=["optimizer", "key", "kind of key", "batch_size", "replacement", "shape", "dtype", "structure"],
)
def test_another_runs_checkpoint_is_refused_by_name(folder, options, message):
    before = contents(folder)
    with pytest.raises(ValueError, match=message) as caught:
        fit(checkpoint=folder, resume=True, **options)
    assert name(8) in str(caught.value)
    assert "no earlier one that fits" in str(caught.value)
    assert contents(folder) == before


@pytest.mark.parametrize("left", [0.0, 0.02, 0.5, 0.98])
def test_a_truncated_one_is_refused_and_the_one_before_is_offered(folder, left):
    newest = folder / name(8)
    whole = newest.read_bytes()
    newest.write_bytes(whole[: int(left * len(whole))])
    before = contents(folder)
    with pytest.raises(ValueError, match="is damaged") as caught:
        fit(checkpoint=folder, resume=True)
    assert name(8) in str(caught.value)
    assert f"{name(6)}, is good: resume=6 goes on" in str(caught.value)
    assert contents(folder) == before
    assert_same_run(fit(checkpoint=folder, resume=6), fit())
    # What was damaged has been written anew on the way, or removed as one of the oldest.
    assert_same_run(fit(checkpoint=folder, resume=True), fit())


def test_all_damaged(folder):
    for step in (4, 6, 8):
        (folder / name(step)).write_bytes(b"nothing of ours")
    with pytest.raises(ValueError, match="damaged or was not written by jaxopt_edu") as caught:
        fit(checkpoint=folder, resume=True)
    assert "no earlier one that fits; begin anew in another folder" in str(caught.value)


def test_a_damaged_one_in_between_is_not_offered(folder):
    for step in (6, 8):
        (folder / name(step)).write_bytes(b"")
    with pytest.raises(ValueError, match="resume=4 goes on"):
        fit(checkpoint=folder, resume=True)


def test_no_flipped_bit_goes_through(folder):
    like, identity = start(OPT, PARAMS), Identity(KEY, 4, False)
    reader = CheckpointFolder(folder)
    good = reader.read(like, identity, 8)
    assert good is not None
    newest = folder / name(8)
    whole = newest.read_bytes()
    bits = random.Random(0).sample(range(8 * len(whole)), 300)
    refused = 0
    for bit in bits:
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        newest.write_bytes(flipped)
        try:
            found = reader.read(like, identity, 8)
        except ValueError:
            refused += 1
            continue
        # Such as a bit of the time of writing: it may pass only if nothing of the content is touched.
        assert found is not None
        jax.tree.map(np.testing.assert_array_equal, (found.step, found.carry), (good.step, good.carry))
        jax.tree.map(np.testing.assert_array_equal, found.history, good.history)
    assert refused > 200


def test_a_full_disk_leaves_the_earlier_ones(folder, monkeypatch):
    before = contents(folder)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device"):
        fit(checkpoint=folder, resume=True)
    monkeypatch.undo()
    assert contents(folder) == before
    assert_same_run(fit(checkpoint=folder, resume=True), fit())


def test_names_and_numbers_of_any_kind(tmp_path):
    def loss(w, _):
        return jnp.sum(w**2), {"a/b": w[0], "file": w[0].astype(jnp.bfloat16), "": w[0]}

    def train(**options):
        return jo.fit(loss, jnp.ones(2), OPT, steps=6, every=3, evaluate=float_of_sum, **options)

    expected = train(checkpoint=tmp_path)
    found = train(checkpoint=tmp_path, resume=3)
    assert list(found.history.metrics) == ["", "a/b", "file"]
    jax.tree.map(np.testing.assert_array_equal, found.history[:4], expected.history[:4])


def float_of_sum(params):
    return {"evaluations/x": float(params.sum()), "losses": 1}
