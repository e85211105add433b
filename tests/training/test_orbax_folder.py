"""Checkpoints by orbax: sharded arrays come back bit for bit, where they were."""

import shutil
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import jaxopt_edu as jo
from jaxopt_edu.training import CheckpointFolder, OrbaxFolder

pytest.importorskip("orbax.checkpoint")
pytestmark = [
    pytest.mark.skipif(jax.device_count() < 8, reason="needs eight devices, see XLA_FLAGS"),
    # Its warnings are not about us.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:orbax", "ignore::UserWarning:orbax"),
]

KEY = jax.random.key(2)
DATA = np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32)
SPECS = {
    "hidden": PartitionSpec(None, "data"),
    "out": PartitionSpec("data"),
    "../odd": PartitionSpec(),
    "": PartitionSpec(),
}
OPT = jo.half_state(jo.adam(learning_rate=0.1), jax.random.key(7))


def sharded_params():
    mesh = Mesh(np.array(jax.devices()[:8]), ("data",))
    params = {
        "hidden": jnp.linspace(-1, 1, 64).reshape(4, 16),
        "out": jnp.linspace(0, 1, 16, dtype=jnp.bfloat16),
        "../odd": jnp.array(0.25),
        "": jnp.zeros((0, 3)),
    }
    return {name: jax.device_put(leaf, NamedSharding(mesh, SPECS[name])) for name, leaf in params.items()}


def loss_fn(params, batch):
    guess = jnp.tanh(batch @ params["hidden"]) @ params["out"].astype(jnp.float32) + params["../odd"]
    return jnp.mean((guess - batch[:, 0]) ** 2), {"first/guess": guess[0]}


def fit(checkpoint=None, steps=8, params=None, optimizer=OPT, **options):
    options = {"every": 2, "batch_size": 4, "key": KEY} | options
    params = sharded_params() if params is None else params
    return jo.fit(loss_fn, params, optimizer, DATA, steps=steps, checkpoint=checkpoint, **options)


def bits(leaf):
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    return np.asarray(leaf)


def assert_same_run(found, expected):
    assert jax.tree.structure(found[:2]) == jax.tree.structure(expected[:2])
    for one, other in zip(jax.tree.leaves(found[:2]), jax.tree.leaves(expected[:2]), strict=True):
        assert (one.dtype, one.sharding) == (other.dtype, other.sharding)
        assert bits(one).tobytes() == bits(other).tobytes()
    jax.tree.map(np.testing.assert_array_equal, found.history[:4], expected.history[:4])


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def name(step):
    return f"step-{step:010d}.orbax"


@pytest.fixture(scope="module")
def expected():
    return fit()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder of checkpoints of steps 2, 4 and 6; not to be changed."""
    folder = tmp_path_factory.mktemp("finished")
    fit(OrbaxFolder(folder), steps=6)
    return folder


@pytest.fixture
def folder(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "run")


@pytest.mark.parametrize("resume", [True, 2])
def test_a_resumed_run_is_the_uninterrupted_run(folder, expected, resume):
    resumed = fit(OrbaxFolder(folder), resume=resume)
    assert_same_run(resumed, expected)
    assert resumed.params["hidden"].addressable_shards[0].data.shape == (4, 2)
    assert OrbaxFolder(folder).steps() == [4, 6, 8]


def test_arrays_come_back_with_the_shardings_asked_for(folder):
    """What eight devices wrote, one may read."""
    params = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)), sharded_params())
    resumed = fit(OrbaxFolder(folder), steps=6, params=params, resume=True)
    assert {len(leaf.sharding.device_set) for leaf in jax.tree.leaves(resumed[:2])} == {1}
    written = fit(steps=6)
    for one, other in zip(jax.tree.leaves(resumed[:2]), jax.tree.leaves(written[:2]), strict=True):
        np.testing.assert_array_equal(bits(one), bits(other))


def test_what_was_free_to_move_still_is(tmp_path):
    """Parameters that a resume pins to one device cannot meet data that is split over eight."""
    mesh = Mesh(np.array(jax.devices()[:8]), ("data",))
    data = jax.device_put(DATA, NamedSharding(mesh, PartitionSpec("data")))

    def train(steps, **options):
        return jo.fit(
            lambda w, x: jnp.mean((x @ w) ** 2), jnp.ones(4), OPT, data, steps=steps, every=2, **options
        )

    train(2, checkpoint=OrbaxFolder(tmp_path))
    resumed = train(4, checkpoint=OrbaxFolder(tmp_path), resume=True)
    np.testing.assert_allclose(resumed.history.losses, train(4).history.losses, rtol=1e-6)


def test_keep(tmp_path):
    drafts = tmp_path / f".{name(2)}-cut" / "new"
    drafts.mkdir(parents=True)
    (tmp_path / "notes.txt").write_text("mine")
    fit(OrbaxFolder(tmp_path, keep=1), steps=4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["history-000001.log", "notes.txt", name(4)]


def test_a_folder_in_use_is_refused(folder):
    with pytest.raises(FileExistsError, match=r"steps \[2, 4, 6\].*pass resume=True"):
        fit(OrbaxFolder(folder))


def test_the_other_format_is_refused(folder, tmp_path):
    with pytest.raises(FileExistsError, match=r"another format, step-.*orbax: pass checkpoint=OrbaxFolder"):
        fit(CheckpointFolder(folder), resume=True)
    (tmp_path / "step-0000000002.npz").write_bytes(b"")
    with pytest.raises(FileExistsError, match=r"step-0000000002.npz: pass checkpoint=CheckpointFolder"):
        fit(OrbaxFolder(tmp_path), resume=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": jo.momentum(learning_rate=0.1)}, "MomentumState was asked for"),
        ({"key": jax.random.key(3)}, r"its key is \[0 2\], but \[0 3\] was asked for"),
        ({"batch_size": 3}, "its batch_size is 4, but 3 was asked for"),
        ({"params": {"../odd": jnp.ones(1)}}, r"carry/params/\.\./odd is float32\[\], but float32\[1\]"),
        ({"params": {"out": jnp.ones(16)}}, r"carry/params/out is bfloat16\[16\], but float32\[16\]"),
        ({"params": {"out": jnp.ones((0,), jnp.bfloat16)}}, r"bfloat16\[16\], but bfloat16\[0\]"),
        ({"params": {"": jnp.ones((0, 2))}}, r"carry/params/ is float32\[0, 3\], but float32\[0, 2\]"),
        ({"optimizer": jo.half_state(jo.adam(), jax.random.key(7, impl="rbg"))}, r"key<fry>.*key<rbg>"),
    ],
    ids=["optimizer", "key", "batch_size", "shape", "dtype", "emptied", "empty shape", "kind of key"],
)
def test_another_runs_checkpoint_is_refused_by_name(folder, options, message):
    before = contents(folder)
    if "params" in options:
        options = {"params": sharded_params() | options["params"]}
    with pytest.raises(ValueError, match=message) as caught:
        fit(OrbaxFolder(folder), resume=True, **options)
    assert name(6) in str(caught.value)
    assert "no earlier one that fits" in str(caught.value)
    assert contents(folder) == before


def largest(path):
    return max((file for file in path.rglob("*") if file.is_file()), key=lambda file: file.stat().st_size)


def flip_a_bit(path):
    file = largest(path / "arrays")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def truncate(path):
    (path / "rest.npz").write_bytes((path / "rest.npz").read_bytes()[:-10])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (flip_a_bit, "is damaged: its file arrays/.* has changed"),
        (lambda path: largest(path / "arrays").unlink(), "is damaged: its file arrays/.* is missing"),
        (lambda path: (path / "rest.npz").unlink(), "it has no rest.npz"),
        (truncate, "rest.npz is damaged"),
        (lambda path: jo.save(path / "rest.npz", {}), "it has no rest.npz of ours"),
    ],
    ids=["flipped bit", "lost file", "no rest", "truncated rest", "another's rest"],
)
def test_a_damaged_one_is_refused_and_the_one_before_is_offered(folder, damage, message):
    damage(folder / name(6))
    before = contents(folder)
    with pytest.raises(ValueError, match=message) as caught:
        fit(OrbaxFolder(folder), resume=True)
    assert f"{name(4)}, is good: resume=4 goes on" in str(caught.value)
    assert contents(folder) == before


def test_a_damaged_one_is_written_anew_on_the_way(folder, expected):
    flip_a_bit(folder / name(6))
    assert_same_run(fit(OrbaxFolder(folder), resume=4), expected)
    assert_same_run(fit(OrbaxFolder(folder), resume=6), expected)


def test_a_write_that_fails_leaves_the_earlier_ones(folder, expected, monkeypatch):
    before = contents(folder)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("jaxopt_edu.training.orbax_folder.write_npz", full)
    with pytest.raises(OSError, match="No space left on device"):
        fit(OrbaxFolder(folder), resume=True)
    monkeypatch.undo()
    after = contents(folder)
    assert {path: after[path] for path in before} == before
    assert_same_run(fit(OrbaxFolder(folder), resume=True), expected)


def test_without_orbax_one_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "orbax.checkpoint", None)
    with pytest.raises(ImportError, match=r'pip install "jaxopt-edu\[orbax\]"'):
        OrbaxFolder(tmp_path)
