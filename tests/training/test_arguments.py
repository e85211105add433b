"""What can be known before the first step is told before the first step, in one line."""

import os
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_edu as jo
from jaxopt_edu.training.arguments import checked_key

DATA = np.linspace(-1, 1, 12, dtype=np.float32)
PARAMS = {"w": jnp.ones(2), "b": jnp.ones(())}
OPT = jo.adam(learning_rate=0.1)
STATE: Any = OPT.init(PARAMS)


def loss_fn(params, batch):
    return jnp.mean((params["w"][0] * batch + params["b"] - jnp.sin(3 * batch)) ** 2)


def fit(loss=loss_fn, params=PARAMS, optimizer=OPT, data=DATA, steps=4, **options):
    merged: dict[str, Any] = {"every": 2} | options
    return jo.fit(loss, params, optimizer, data, steps=steps, **merged)


def two_tuple(params, batch):
    return loss_fn(params, batch), {}, {}


def stateful(returned):
    return lambda params, model_state, batch: (loss_fn(params, batch), returned)


MISTAKES = {
    "loss is None": (
        {"loss": None},
        TypeError,
        r"fit: loss_fn = None is NoneType, not a func.*loss\(params",
    ),
    "loss takes one": ({"loss": lambda p: 0.0}, TypeError, r"loss_fn is called as loss\(params, batch\)"),
    "no return": ({"loss": lambda p, b: None}, TypeError, "returned NoneType as its loss.*return statement"),
    "a string": ({"loss": lambda p, b: "low"}, TypeError, "returned str as its loss"),
    "a vector": ({"loss": lambda p, b: b}, TypeError, r"a loss of shape \(12,\)"),
    "three": ({"loss": two_tuple}, TypeError, "not a tuple of 3; .*needs model_state="),
    "optimizer": ({"optimizer": 3}, TypeError, "fit: optimizer = 3 is not an optax transform"),
    "evaluate": ({"evaluate": 3}, TypeError, "fit: evaluate = 3 is int, not a function"),
    "evaluate takes two": ({"evaluate": lambda p, s: 0.0}, TypeError, r"called as evaluate\(params\), but"),
    "callback": ({"callback": 3}, TypeError, "fit: callback = 3 is int, not a function"),
    "mesh": ({"mesh": 3}, TypeError, "fit: mesh = 3 is no mesh of devices; give jax.make_mesh"),
    "data_axis alone": ({"data_axis": "data"}, ValueError, "fit: data_axis = 'data' needs the mesh"),
    "checkpoint": ({"checkpoint": 3}, TypeError, "fit: checkpoint = 3 is no folder"),
    "resume": ({"checkpoint": "x", "resume": "yes"}, ValueError, "fit: resume = 'yes'; it is True"),
    "key": ({"key": 0, "batch_size": 4}, TypeError, r"fit: key = 0 is not a single random key; give"),
    "keys": ({"key": jax.random.split(jax.random.key(0))}, TypeError, r"an array of key<fry>\[2\] is"),
    "raw keys": ({"key": np.zeros((2, 2), np.uint32)}, TypeError, r"an array of uint32\[2, 2\]"),
    "no key data": ({"key": np.zeros(3, np.uint32)}, TypeError, r"an array of uint32\[3\] is not a single"),
    "evaluate gives a tuple": (
        {"evaluate": jax.jit(lambda p: {"a": (p["w"], p["b"])})},
        TypeError,
        r"^fit: evaluate gave .*'a'; it has to return a number",
    ),
    "evaluate gives no such": (
        {"evaluate": jax.jit(lambda p: {"a": p["b"]}), "metric": "b"},
        ValueError,
        r"^fit: metric = 'b'; a run can be judged by a, training_loss",
    ),
    "evaluate gives a vector": (
        {"evaluate": jax.jit(lambda p: p["w"]), "patience": 2},
        ValueError,
        r"^fit: evaluate gives 'value' as float32\[2\], and a run is judged by one real number",
    ),
    "a model's state of text": (
        {"loss": stateful(1), "model_state": {"mode": "train", "mean": 0.5}},
        TypeError,
        r"^fit: model_state\['mode'\] is of type str; every leaf",
    ),
    "a model's state of objects": (
        {"loss": stateful(1), "model_state": [np.array([None])]},
        TypeError,
        r"^fit: model_state\[0\] is of type ndarray",
    ),
    "a model's state with more": (
        {"loss": stateful({"a": 1.0, "b": 2.0}), "model_state": {"a": 0.5}},
        TypeError,
        r"^fit: loss_fn returned a model_state of another structure than it was given: \['b'\] is in one",
    ),
    "a model's state that grows": (
        {"loss": stateful({"a": jnp.ones(3)}), "model_state": {"a": jnp.ones(2)}},
        TypeError,
        r"^fit: loss_fn returned model_state\['a'\] as float32\[3\], but it was given float32\[2\]",
    ),
    "a model's state of another dtype": (
        {"loss": stateful({"a": jnp.ones(2)}), "model_state": {"a": jnp.ones(2, jnp.int32)}},
        TypeError,
        r"^fit: loss_fn returned model_state\['a'\] as float32\[2\], but it was given int32\[2\]",
    ),
    "first_batch": ({"first_batch": -1}, ValueError, "fit: first_batch = -1 must be a whole"),
    "batch_size": ({"batch_size": "8"}, TypeError, "fit: batch_size = '8' is str"),
    "other state": ({"state": jo.sgd().init(PARAMS)}, ValueError, "fit: state is not one that this"),
    "other shapes": (
        {"state": OPT.init({"w": jnp.ones(3), "b": jnp.ones(())})},
        ValueError,
        r"\.m\['w'\].*\(3,\)",
    ),
    "other dtype": (
        {"state": STATE._replace(count=jnp.zeros(()))},
        ValueError,
        r"fit: state\.count is float32, but for these parameters it is int32",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_told_before_the_first_step(mistake, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options, kind, message = MISTAKES[mistake]
    moments = []
    with pytest.raises(kind, match=message) as caught:
        fit(**{"callback": moments.append} | options)
    assert "\n" not in str(caught.value)
    assert moments == []
    assert os.listdir(tmp_path) == []


def test_a_line_that_wants_a_number_is_shown():
    def wants_a_number(params, batch):
        value = loss_fn(params, batch)
        return value if float(value) > 0 else -value

    with pytest.raises(
        TypeError, match=r"is compiled.*line \d+ of test_arguments\.py.*float\(value\)"
    ) as told:
        fit(loss=wants_a_number)
    assert isinstance(told.value.__cause__, jax.errors.ConcretizationTypeError)


@pytest.mark.parametrize("value", [4, 4.0, np.int64(4), np.float32(4)])
def test_whole_numbers_of_any_kind(value):
    result = fit(steps=value, every=value, batch_size=value, key=jax.random.key(0), first_batch=value)
    assert len(result.history.losses) == 4


def test_keys_of_both_kinds_are_one(tmp_path):
    older, newer = jax.random.PRNGKey(7), jax.random.key(7)
    assert checked_key(older) == newer
    options: dict[str, Any] = {"batch_size": 4, "checkpoint": tmp_path}
    fit(key=older, **options)
    found = fit(key=newer, steps=8, resume=True, **options)
    expected = fit(key=newer, steps=8, batch_size=4)
    np.testing.assert_array_equal(found.history.losses, expected.history.losses)


def test_a_relative_folder_stays_where_it_was(tmp_path, monkeypatch):
    home, other = tmp_path / "home", tmp_path / "other"
    home.mkdir()
    other.mkdir()
    monkeypatch.chdir(home)
    fit(checkpoint="run", callback=lambda moment: os.chdir(other))
    assert len([name for name in os.listdir(home / "run") if name.startswith("step-")]) == 2
    assert os.listdir(other) == []


def test_a_state_goes_on_as_one_longer_run():
    options: dict[str, Any] = {"batch_size": 4, "key": jax.random.key(1)}
    expected = fit(steps=8, **options)
    first = fit(steps=4, **options)
    rest = fit(params=first.params, state=first.state, first_batch=4, **options)
    np.testing.assert_array_equal(
        np.concatenate([first.history.losses, rest.history.losses]), expected.history.losses
    )
    jax.tree.map(np.testing.assert_array_equal, rest[:2], expected[:2])
    assert not first.state.count.is_deleted()


def test_the_best_run_of_a_sweep_goes_on():
    run = jo.sweep(loss_fn, PARAMS, [OPT], DATA, steps=4, batch_size=4).top[0]
    key = jax.random.fold_in(jax.random.key(run.seed), 1)
    rest = fit(
        params=run.params, optimizer=run.optimizer, state=run.state, first_batch=4, key=key, batch_size=4
    )
    expected = fit(steps=8, key=key, batch_size=4)
    np.testing.assert_allclose(rest.history.losses, expected.history.losses[4:], rtol=1e-5)


def test_no_transfers_that_nobody_asked_for():
    optimizer, data, key = jax.device_put((OPT, DATA, jax.random.key(0)))
    with jax.transfer_guard("disallow"):
        result = fit(optimizer=optimizer, data=data, batch_size=4, key=key)
        assert len(fit(data=np.asarray(DATA)).history.losses) == 4
    assert len(result.history.losses) == 4
