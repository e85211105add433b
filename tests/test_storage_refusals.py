"""What is not what was asked for is refused when it is loaded, and a save that fails leaves the old file.

Guards against checkpoints that fit another optimizer by chance, that are pickles (loading one runs it), and
that are half written.
"""

import io
import json
import os
import pickle
import zipfile

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_edu as jo
from jaxopt_edu.storage import named_leaves, structure, with_named_leaves
from tests.registry import OPTIMIZERS, each_optimizer

PARAMS = {"w": jnp.ones((2, 2)), "b": jnp.ones(2, jnp.bfloat16)}


@each_optimizer
@pytest.mark.parametrize("what", ["optimizer", "state"])
def test_the_checkpoint_of_another_optimizer_is_refused(row, what, tmp_path):
    """momentum and nesterov have the same fields and the same shapes: only the structure tells them apart."""
    pick = (lambda opt: opt) if what == "optimizer" else (lambda opt: opt.init(PARAMS))
    path = tmp_path / "tree.npz"
    jo.save(path, pick(row.build()))
    for other in OPTIMIZERS:
        if other.name == row.name:
            continue
        stored, asked = (row.name, other.name) if what == "optimizer" else (row.state_type, other.state_type)
        stored, asked = (each if isinstance(each, str) else each.__name__ for each in (stored, asked))
        with pytest.raises(ValueError, match=rf"holds {stored}, but {asked} was asked for") as caught:
            jo.load(path, pick(other.build()))
        text = str(caught.value)
        assert str(path) in text
        assert structure(pick(row.build())) in text
        assert structure(pick(other.build())) in text


AROUND = {
    "alone": lambda opt: opt,
    "chain": lambda opt: jo.chain(jo.lift(optax.clip_by_global_norm)(1.0), opt),
    "both wrappers": lambda opt: jo.half_state(jo.compensated(opt), jax.random.key(0)),
}


def test_a_wrapped_and_a_bare_optimizer_are_two(tmp_path):
    path = tmp_path / "tree.npz"
    for stored in AROUND:
        jo.save(path, AROUND[stored](jo.adam()))
        for asked in AROUND:
            if asked != stored:
                with pytest.raises(ValueError, match="was asked for; load it with the optimizer"):
                    jo.load(path, AROUND[asked](jo.adam()))


@pytest.mark.parametrize(
    ("like", "message"),
    [
        ({"w": jnp.ones(3)}, r"stored leaf w is float32\[2\], but float32\[3\] is wanted"),
        ({"w": jnp.ones(2, jnp.bfloat16)}, r"stored leaf w is float32\[2\], but bfloat16\[2\] is wanted"),
        ({"w": jnp.ones((2, 1))}, r"but float32\[2, 1\] is wanted"),
        ({"v": jnp.ones(2)}, r"stored: PyTreeDef\({'w': \*}\)\nasked:  PyTreeDef\({'v': \*}\)"),
        ({"w": jnp.ones(2), "v": jnp.ones(2)}, r"asked:  PyTreeDef\({'v': \*, 'w': \*}\)"),
        ({"w": 1.0}, r"but float64\[\] is wanted"),
    ],
    ids=["shape", "dtype", "rank", "name", "more", "scalar"],
)
def test_other_shapes_dtypes_and_names_are_refused(like, message, tmp_path):
    jo.save(tmp_path / "tree.npz", {"w": jnp.ones(2)})
    with pytest.raises(ValueError, match=message):
        jo.load(tmp_path / "tree.npz", like)


def test_named_leaves_that_do_not_fit_are_listed():
    stored = named_leaves(jo.adam().init({"w": jnp.ones(2)}))
    with pytest.raises(ValueError, match=r"missing \['velocity/w'\], not wanted \['m/w', 'v/w'\]"):
        with_named_leaves(jo.momentum().init({"w": jnp.ones(2)}), stored)


def test_the_wording_of_errors_is_no_part_of_the_structure():
    """Or a release that words a limit better would refuse every optimizer stored before it."""
    assert "number" not in structure(jo.adam())
    assert "0x" not in structure(jo.chain(optax.clip(1.0), jo.adam(lambda step: 0.1)))


SMALL = {"w": jnp.arange(3.0), "rate": 0.1}


def test_every_damaged_byte_is_noticed_or_harmless(tmp_path):
    """Each byte of a file turned round: an error of ours, or the numbers that were stored."""
    path = tmp_path / "tree.npz"
    jo.save(path, SMALL)
    whole = path.read_bytes()
    refused = 0
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 0xFF
        path.write_bytes(damaged)
        try:
            found = jo.load(path, SMALL)
        except ValueError as error:
            refused += "damaged or was not written by jaxopt_edu" in str(error)
        else:
            chex.assert_trees_all_equal(found, SMALL)
    assert refused > len(whole) / 2


def test_a_truncated_file_is_refused(tmp_path):
    path = tmp_path / "tree.npz"
    jo.save(path, SMALL)
    whole = path.read_bytes()
    for length in range(0, len(whole), 13):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=rf"{path} is damaged or was not written by jaxopt_edu"):
            jo.load(path, SMALL)


class Bomb:
    """What a pickle does when it is loaded."""

    def __reduce__(self):
        return (os.mkdir, (os.environ["BOMB"],))


def foreign_npz(path):
    with open(path, "wb") as file:
        np.savez(file, w=np.ones(3))


def foreign_npy(path):
    with open(path, "wb") as file:
        np.save(file, np.ones(3))


def pickled(path):
    path.write_bytes(pickle.dumps(Bomb()))


def pickled_array(path):
    """An npz of ours in which one array is a pickle."""
    jo.save(path, SMALL)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.array([Bomb()], dtype=object), allow_pickle=True)
    members["w.npy"] = buffer.getvalue()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def other_manifest(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("manifest.json", json.dumps(["something else"]))


FOREIGN = (foreign_npz, foreign_npy, pickled, pickled_array, other_manifest)


@pytest.mark.parametrize("write", FOREIGN, ids=[write.__name__ for write in FOREIGN])
def test_foreign_files_are_refused_and_nothing_is_unpickled(write, tmp_path, monkeypatch):
    monkeypatch.setenv("BOMB", str(tmp_path / "exploded"))
    path = tmp_path / "tree.npz"
    write(path)
    with pytest.raises(ValueError, match="damaged or was not written by jaxopt_edu"):
        jo.load(path, SMALL)
    assert not (tmp_path / "exploded").exists()


def test_the_bomb_would_have_gone_off(tmp_path, monkeypatch):
    monkeypatch.setenv("BOMB", str(tmp_path / "exploded"))
    pickle.loads(pickle.dumps(Bomb()))
    assert (tmp_path / "exploded").exists()


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=rf"there is no file {tmp_path}/absent.npz"):
        jo.load(tmp_path / "absent.npz", SMALL)
    with pytest.raises(OSError, match=str(tmp_path)):
        jo.load(tmp_path, SMALL)
    with pytest.raises(OSError, match="make the folder"):
        jo.save(tmp_path / "absent" / "tree.npz", SMALL)


@pytest.mark.parametrize(
    "leaf",
    [object(), "text", jax.nn.relu, 2**70, np.array(["text"]), np.array([None])],
    ids=["object", "string", "function", "large", "strings", "objects"],
)
def test_what_is_no_array_is_refused_by_name_and_the_old_file_stays(leaf, tmp_path):
    path = tmp_path / "tree.npz"
    jo.save(path, SMALL)
    with pytest.raises(TypeError, match=r"leaf layer/1 of tree is a .*; only arrays, numbers and"):
        jo.save(path, {"layer": [jnp.ones(2), leaf]})
    chex.assert_trees_all_equal(jo.load(path, SMALL), SMALL)
    assert os.listdir(tmp_path) == ["tree.npz"]


def test_a_save_that_fails_on_the_way_leaves_the_old_file(tmp_path, monkeypatch):
    """The disk is full after the first array."""
    path = tmp_path / "tree.npz"
    jo.save(path, SMALL)
    write_array = np.lib.format.write_array

    def full(file, array, **options):
        if array.shape == (3,):
            raise OSError(28, "No space left on device")
        write_array(file, array, **options)

    monkeypatch.setattr(np.lib.format, "write_array", full)
    with pytest.raises(OSError, match="No space left on device"):
        jo.save(path, {"w": jnp.zeros(3), "rate": 0.2})
    chex.assert_trees_all_equal(jo.load(path, SMALL), SMALL)
    assert os.listdir(tmp_path) == ["tree.npz"]
