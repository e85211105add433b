"""What version 0.1.0 wrote is read: files of format 1, without numbers of their format or checksums.

tests/data/first_edition was written by that version, with the calls that stand here.
"""

import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_edu as jo
from jaxopt_edu.sweeps import load, rewrite
from jaxopt_edu.sweeps.folder.identity import optimizer_keys
from jaxopt_edu.sweeps.folder.journal import read_journal
from jaxopt_edu.sweeps.folder.spec import read_spec

WRITTEN = Path(__file__).parent / "data" / "first_edition"
X = np.linspace(-1, 1, 8, dtype=np.float32)
LINE = {"x": X, "y": 3 * X + 1}


def distance(w, _):
    return jnp.sum((w - 3) ** 2)


def slow_start(learning_rate, nesterov=False):
    """A factory that no recipe can name."""
    return optax.sgd(learning_rate, momentum=0.5, nesterov=nesterov)


def on_a_line(line, batch):
    return jnp.mean((line["a"] * batch["x"] + line["b"] - batch["y"]) ** 2)


def swept(nesterov=True, learning_rate=0.125):
    return [
        jo.sgd(0.25),
        jo.lift(slow_start, static=("nesterov",))(learning_rate, nesterov=nesterov),
        jo.half_state(jo.adam(0.5), jax.random.key(1)),
        jo.adam(jo.schedules.cosine(peak=0.5, steps=4)),
        jo.chain(jo.lift(optax.clip)(1.0), jo.momentum(0.1)),
    ]


LAST = [0.703125, 1.1324501, 6.3230495, 7.673292, 13.292822]


@pytest.fixture
def stored(tmp_path):
    return shutil.copytree(WRITTEN, tmp_path / "stored")


def test_its_sweep_is_loaded():
    result = load(WRITTEN / "sweep", swept())
    assert list(map(jo.describe, result.optimizers)) == list(map(jo.describe, swept()))
    assert (result.steps, result.seeds, result.metric, result.mode) == (4, (0,), "training_loss", "min")
    assert result.evaluated_at.tolist() == [0, 2, 4]
    assert result.made.ravel().tolist() == [4] * 5
    assert set(result.states.ravel()) == {"COMPLETE"}
    curves = result.curves["training_loss"][:, 0]
    np.testing.assert_array_equal(curves[:, 0], 18.0)
    np.testing.assert_array_equal(curves[:, -1], np.asarray(LAST, np.float32))
    first, second = result.top
    assert (first.number, first.value, first.step) == (0, 0.703125, 4)
    np.testing.assert_array_equal(first.params[""], np.asarray([2.8125, 2.8125], np.float32))
    np.testing.assert_array_equal(second.state["0/trace"], np.asarray([-3.4804688, -3.4804688], np.float32))


def test_its_descriptions_are_compared_by_what_they_show():
    assert load(WRITTEN / "sweep", swept(nesterov=False)).steps == 4  # it did not write that down
    for other in (swept(learning_rate=0.12), [*swept()[:1], jo.sgd(0.125), *swept()[2:]]):
        with pytest.raises(
            ValueError, match=r"has slow_start\(learning_rate=0.125\), .* optimizer 1 of those"
        ):
            load(WRITTEN / "sweep", other)
    with pytest.raises(ValueError, match=r"^load: .*pass optimizers=, the list that was swept\.$"):
        load(WRITTEN / "sweep")


def test_its_sweep_gets_checksums(stored):
    before = rewrite(stored / "sweep", swept())
    assert (stored / "sweep" / "SHA256SUMS").is_file()
    np.testing.assert_array_equal(
        load(stored / "sweep", swept()).curves["training_loss"], before.curves["training_loss"]
    )


def test_its_optimizers_are_known_again():
    keys = [event["keys"][0] for event in read_journal(WRITTEN / "sweep") if event["kind"] == "group"]
    ours = [0, 2, 3, 4]  # of optax's, the program is traced, which every JAX writes otherwise
    assert [keys[place] for place in ours] == [
        optimizer_keys(swept(), jax.ShapeDtypeStruct((2,), jnp.float32))[place] for place in ours
    ]


# Whether a loss is the same is known by its program, which every JAX writes otherwise.
@pytest.mark.skipif(
    version("jax") != read_spec(WRITTEN / "sweep")["versions"]["jax"],
    reason="it was written with another JAX",
)
@pytest.mark.filterwarnings("ignore:.*was made with:RuntimeWarning")
def test_its_sweep_goes_on_and_runs_nothing_twice(stored):
    given = {"steps": 4, "keep": 2, "path": stored / "sweep", "resume": True}
    result = jo.sweep(distance, jnp.zeros(2), swept(), **given)
    np.testing.assert_array_equal(result.curves["training_loss"][:, 0, -1], np.asarray(LAST, np.float32))
    units = [event for event in read_journal(stored / "sweep") if event["kind"] == "unit"]
    assert len(units) == len(swept())
    assert (stored / "sweep" / "SHA256SUMS").is_file()
    with pytest.raises(ValueError, match=r"holds another sweep: loss_fn: "):
        jo.sweep(lambda w, _: jnp.sum(w**2), jnp.zeros(2), swept(), **given)


def test_its_checkpoint_goes_on_to_what_it_would_have_become(stored):
    losses = [4.9183674, 4.384693, 4.323677, 3.2970278, 3.432638, 2.9113376, 3.1530306, 1.9814833]
    start = {"a": jnp.zeros(()), "b": jnp.zeros(())}
    order = {"batch_size": 4, "key": jax.random.key(0), "every": 2}
    place = {"checkpoint": stored / "fit", "resume": True}
    kept = jo.fit(on_a_line, start, jo.adam(0.1), LINE, steps=4, **order, **place)
    np.testing.assert_array_equal(kept.history.losses, np.asarray(losses[:4], np.float32))
    np.testing.assert_array_equal(kept.params["a"], np.float32(0.39842558))
    longer = jo.fit(on_a_line, start, jo.adam(0.1), LINE, steps=8, **order, **place)
    np.testing.assert_allclose(longer.history.losses, losses, rtol=1e-5)
    np.testing.assert_allclose(longer.params["b"], 0.71230066, rtol=1e-5)
    with pytest.raises(ValueError, match=r"is of another run: its batch_size is 4, but 2 was asked for"):
        jo.fit(on_a_line, start, jo.adam(0.1), LINE, steps=9, **(order | {"batch_size": 2}), **place)


def test_its_file_is_loaded():
    adam = jo.adam()
    like: Any = adam, adam.init({"w": jnp.zeros(3, jnp.bfloat16)}), jax.random.key(0)
    optimizer, state, key = jo.load(WRITTEN / "optimizer.npz", like)
    assert jo.describe(optimizer) == "adam(learning_rate=0.5, b1=0.75, b2=0.999, eps=1e-08)"
    assert state.count == 1
    np.testing.assert_array_equal(state.m["w"], np.asarray([0, 0.25, 0.5], np.float32))
    np.testing.assert_allclose(state.v["w"], [0, 0.001, 0.004], rtol=2e-5)
    assert jax.random.key_data(key).tolist() == [0, 7]
