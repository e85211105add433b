"""What is wrong with a sweep is named before its first step; what is right in another form is taken."""

import sys
from typing import Any

import chex
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jaxopt_edu as jo
from jaxopt_edu.sweeps import Halving, PopulationBased
from tests.sweeps.regression import ADAMS, BATCH, DATA, SGDS, evaluate, init, loss_fn

ARGUMENTS: dict[str, Any] = {
    "loss_fn": loss_fn,
    "params_or_init": init,
    "optimizers": ADAMS,
    "data": DATA,
    "steps": 12,
    "seeds": 2,
    "batch_size": BATCH,
    "every": 4,
    "evaluate": evaluate,
}


class Line(eqx.Module):
    """A model that can be called, as Equinox's are."""

    slope: jax.Array
    offset: jax.Array

    def __call__(self, x):
        return x @ self.slope + self.offset


def test_a_model_that_can_be_called_is_parameters():
    def loss(line, batch):
        return jnp.mean((line(batch["x"]) - batch["y"]) ** 2)

    line = Line(jnp.zeros(3), jnp.zeros(()))
    found = jo.sweep(loss, line, SGDS, DATA, steps=4, batch_size=BATCH)
    given = jo.sweep(
        loss_fn, {"slope": line.slope, "offset": line.offset}, SGDS, DATA, steps=4, batch_size=BATCH
    )
    assert isinstance(found.top[0].params, Line)
    np.testing.assert_array_equal(found.top[0].params.slope, given.top[0].params["slope"])


@pytest.mark.parametrize("kind", ["module", "state"])
def test_an_nnx_model_or_its_state_is_parameters(kind):
    def model(key):
        return nnx.Linear(3, 1, rngs=nnx.Rngs(params=key))

    graph, _ = nnx.split(model(jax.random.key(0)))

    def drawn(key):
        return model(key) if kind == "module" else nnx.state(model(key))

    def loss(given, batch):
        linear = given if kind == "module" else nnx.merge(graph, given)
        return jnp.mean((linear(batch["x"])[:, 0] - batch["y"]) ** 2)

    best = jo.sweep(loss, drawn, SGDS, DATA, steps=4, seeds=2, batch_size=BATCH).top[0]
    first, batches = (jax.random.fold_in(jax.random.key(best.seed), purpose) for purpose in (0, 1))
    alone = jo.fit(loss, drawn(first), best.optimizer, DATA, steps=4, batch_size=BATCH, key=batches)
    assert jax.tree.structure(best.params) == jax.tree.structure(alone.params)
    chex.assert_trees_all_close(best.params, alone.params, rtol=1e-5)


def test_a_partial_with_arrays_in_it_is_a_function_all_the_same():
    def drawn(scale, key):
        return jax.tree.map(lambda leaf: scale * leaf, init(key))

    partial = jax.tree_util.Partial(drawn, jnp.ones(()))
    found = jo.sweep(loss_fn, partial, SGDS, DATA, steps=4, batch_size=BATCH)
    given = jo.sweep(loss_fn, init, SGDS, DATA, steps=4, batch_size=BATCH)
    np.testing.assert_array_equal(found.curves["training_loss"], given.curves["training_loss"])


def test_numbers_of_any_kind_are_taken():
    arguments: dict[str, Any] = {
        "steps": 12.0,
        "seeds": np.int64(2),
        "batch_size": float(BATCH),
        "every": np.float32(4),
        "keep": np.array(1),
        "chunk_size": 1024.0,
    }
    found = jo.sweep(loss_fn, init, SGDS, DATA, **arguments)
    seeds: Any = [0.0, np.uint8(1)]
    given = jo.sweep(loss_fn, init, SGDS, DATA, steps=12, seeds=seeds, batch_size=BATCH, every=4)
    np.testing.assert_array_equal(found.curves["training_loss"], given.curves["training_loss"])
    assert (found.seeds, found.steps) == (given.seeds, 12) == ((0, 1), 12)


def test_the_largest_seeds_are_streams_of_their_own():
    seeds = [0, 1, 2**31, 2**32 - 1]
    first = jo.sweep(loss_fn, init, SGDS[:1], DATA, steps=1, seeds=seeds).curves["training_loss"][0, :, 0]
    assert len(set(first.tolist())) == 4


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"optimizers": []}, ValueError, "the list of optimizers is empty"),
        ({"optimizers": jo.adam()}, TypeError, "optimizers is a single one; give a list"),
        ({"optimizers": [jo.adam]}, TypeError, r"optimizers\[0\] is <function adam.*call its factory"),
        ({"optimizers": 3}, TypeError, "optimizers = 3 is no list of optimizers"),
        ({"optimizers": None}, TypeError, "optimizers = None is no list"),
        (
            {"loss_fn": None},
            TypeError,
            r"loss_fn = None is NoneType, not a function; it is called as loss\(params, batch\)",
        ),
        (
            {"loss_fn": lambda w, batch: (0.0 * w["offset"], {"x": w["slope"]})},
            TypeError,
            "metric 'x' with shape",
        ),
        ({"evaluate": 3}, TypeError, "evaluate = 3 is int, not a function"),
        ({"evaluate": lambda w: None}, TypeError, "evaluate gave 'value' as NoneType"),
        ({"evaluate": lambda w: {"a": "high"}}, TypeError, "evaluate gave 'a' as str"),
        ({"params_or_init": {"w": "high"}}, TypeError, r"parameter \['w'\] is a str, not an array"),
        ({"model_state": {"mean": "high"}}, TypeError, r"model_state\['mean'\] is str, not an array"),
        ({"steps": 4.5}, ValueError, "steps = 4.5 must be a whole number"),
        ({"steps": [4, 8]}, TypeError, r"\[sweep\(…, steps=n\) for n in \[4, 8\]\]"),
        ({"batch_size": [4, 8]}, TypeError, r"\[sweep\(…, batch_size=n\) for n in \[4, 8\]\]"),
        ({"batch_size": 41}, ValueError, "batch_size = 41 is more than the 40 examples"),
        ({"data": {"x": DATA["x"], "y": DATA["y"][:7]}}, ValueError, "need a common leading axis"),
        ({"data": {"x": DATA["x"][:0]}}, ValueError, "there are no examples"),
        ({"data": {"x": "high"}}, TypeError, r"data\['x'\] is 'high', of type str"),
        ({"data": {"x": np.array(["a"])}}, TypeError, r"data\['x'\] has dtype <U1"),
        ({"data": 3}, TypeError, "data is int; it has to be"),
        ({"data": iter([DATA])}, TypeError, "data is an iterator, whose batches can be seen by one run only"),
        ({"params_or_init": {"n": jnp.zeros(2, jnp.int32)}}, TypeError, r"parameter \['n'\] has dtype int32"),
        ({"batch_size": "all"}, TypeError, "batch_size = 'all' is str"),
        ({"replacement": "no"}, TypeError, "replacement = 'no' is str; it is True or False"),
        ({"resume": "no"}, TypeError, "resume = 'no' is str; it is True or False"),
        ({"path": 3}, TypeError, "path = 3 is int; it must be the path of a folder"),
        ({"progress": 3}, TypeError, "progress = 3 is int; it is True or False"),
        ({"devices": "cpu"}, TypeError, "devices = 'cpu' is no list of devices"),
        ({"devices": []}, ValueError, r"devices = \[\] must be one or more different devices"),
        ({"devices": jax.devices()[:1] * 2}, ValueError, "must be one or more different devices"),
        ({"prune": "halving"}, TypeError, r"prune = 'halving' is no pruner; it is one of sweeps\.Halving"),
        ({"prune": Halving}, TypeError, "prune = <class .* is no pruner"),
        (
            {"prune": Halving(min_steps=100)},
            ValueError,
            r"prune = Halving\(.*\) judges nobody within steps = 12",
        ),
        ({"prune": PopulationBased(interval=12)}, ValueError, "judges nobody within steps = 12"),
        (
            {"seeds": [0, 2**32, 2**40, 1]},
            ValueError,
            "seeds has 4294967296, which begins the same stream as 0",
        ),
        ({"seeds": "ab"}, TypeError, "seeds = 'ab' is str"),
        ({"seeds": [0.5]}, ValueError, "seeds = 0.5 must be a whole number of at least 0"),
        ({"metric": 3}, ValueError, "metric = 3; runs can be ranked by loss"),
        ({"steps": 0}, ValueError, "steps = 0 must be a whole number of at least 1"),
        ({"seeds": 0}, ValueError, "seeds = 0"),
        ({"seeds": [1, 1]}, ValueError, "different seeds"),
        ({"every": 2.5}, ValueError, "every = 2.5"),
        ({"keep": -1}, ValueError, "keep = -1"),
        ({"chunk_size": "big"}, TypeError, "chunk_size = 'big'"),
        ({"mode": "least"}, ValueError, "mode = 'least'; it is 'min' or 'max'"),
        ({"metric": "acc"}, ValueError, "metric = 'acc'; runs can be ranked by loss, near, training_loss"),
        ({"evaluate": lambda w: {"a": 1.0, "b": 2.0}}, ValueError, r'none of them "loss"; say metric='),
        ({"evaluate": lambda w: {"training_loss": 1.0}}, ValueError, "a name that is taken"),
        ({"evaluate": lambda w: w["slope"]}, TypeError, r"'value' with shape \(3,\)"),
        ({"resume": True}, ValueError, "resume=True needs path=folder"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_bad_input_is_named_before_any_run(monkeypatch, changes, kind, message):
    monkeypatch.setattr(sys.modules["jaxopt_edu.sweeps.sweep"], "run_group", None)
    with pytest.raises(kind, match=message) as caught:
        jo.sweep(**(ARGUMENTS | changes))
    assert str(caught.value).startswith("sweep: ")
    assert "\n" not in str(caught.value)


def test_a_metric_of_the_losss_own_name_is_refused():
    with pytest.raises(ValueError, match="a metric named 'training_loss'"):
        jo.sweep(lambda w, b: (loss_fn(w, b), {"training_loss": w["offset"]}), init, ADAMS, DATA, steps=1)
