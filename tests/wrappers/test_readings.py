"""readings: through chains, groups and wrappers, and in one line where there are none."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_edu as jo

PARAMS = {"b": jnp.ones(2), "w": jnp.full((2, 2), 2.0)}
AROUND = {
    "alone": lambda opt: opt,
    "chain": lambda opt: jo.chain(opt, jo.weight_decay(jo.sgd(0.1), 0.1)),
    "compensated": jo.compensated,
    "averaged": lambda opt: jo.averaged(opt, 0.9),
    "partition": lambda opt: jo.partition({"a": opt, "b": jo.sgd(0.1)}, {"w": "a", "*": "b"}),
}


def after_a_step(opt: Any) -> Any:
    return jax.jit(opt.update)(PARAMS, opt.init(PARAMS), PARAMS)[1]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name == "compensated" else ()) for name in AROUND]
)
def test_a_monitor_is_found_wherever_it_stands(name):
    opt = AROUND[name](jo.monitor(jo.sgd(0.5)))
    found = jo.readings(opt, after_a_step(opt), PARAMS)
    assert found.steps.tolist() == [1]
    assert found.layers == (("w",) if name == "partition" else ("b", "w"))
    np.testing.assert_allclose(found.values["update_ratio"], 0.5, rtol=1e-6)


def test_two_groups_have_the_readings_of_both():
    opt = jo.partition(
        {"a": jo.monitor(jo.sgd(0.5)), "b": jo.monitor(jo.adam(eps=10.0), 1)}, {"w": "a", "*": "b"}
    )
    found = jo.readings(opt, after_a_step(opt), PARAMS)
    assert found.layers == ("w", "b")
    np.testing.assert_allclose(found.values["gradient"], [[4.0, 2**0.5]], rtol=1e-6)
    np.testing.assert_array_equal(found.values["below_eps"], [[np.nan, 1.0]])


@pytest.mark.parametrize("labels", [{"w": "a", "*": "b"}, {"b": "a", "*": "b"}])
def test_a_layer_is_seen_to_be_below_eps_where_one_of_its_leaves_is(labels):
    opt = jo.monitor(jo.partition({"a": jo.adam(eps=10.0), "b": jo.sgd(0.1)}, labels), layers=["*"])
    np.testing.assert_array_equal(jo.readings(opt, after_a_step(opt), PARAMS).values["below_eps"], [[1.0]])


@pytest.mark.parametrize("params", [{}, {"none": None}], ids=str)
def test_a_tree_without_leaves_has_no_layers(params):
    opt: Any = jo.monitor(jo.adam())
    _, state = opt.update(params, opt.init(params), params)
    found = jo.readings(opt, state, params)
    assert found.layers == ()
    assert {each.shape for each in found.values.values()} == {(1, 0)}


def test_before_the_first_step_there_are_none():
    opt = jo.monitor(jo.sgd())
    found = jo.readings(opt, opt.init(PARAMS), PARAMS)
    assert found.steps.shape == (0,)
    assert {each.shape for each in found.values.values()} == {(0, 2)}


def test_what_has_no_number_is_not_a_number():
    """A layer of zeros has no ratio, one without a gradient no rate."""
    opt: Any = jo.monitor(jo.sgd(0.5))
    _, state = opt.update(
        {"b": jnp.zeros(2), "w": jnp.ones(2)},
        opt.init(zeros := {"b": jnp.zeros(2), "w": jnp.zeros(2)}),
        zeros,
    )
    found = jo.readings(opt, state, zeros).values
    assert np.isnan(found["update_ratio"]).all()
    np.testing.assert_array_equal(found["effective_rate"], [[np.nan, 0.5]])
    np.testing.assert_array_equal(found["cosine"], [[0.0, 1.0]])


def test_printed_they_are_a_table_of_the_last_step():
    opt = jo.partition({"a": jo.monitor(jo.adam(0.5)), "b": jo.monitor(jo.sgd(0.5))}, {"w": "a", "*": "b"})
    found = jo.readings(opt, after_a_step(opt), PARAMS)
    assert str(found).splitlines() == [
        "at step 1:",
        "layer  gradient  update  parameter  update_ratio  effective_rate  cosine  below_eps",
        "w             4       1          4          0.25            0.25       1          0",
        "b          1.41   0.707       1.41           0.5             0.5       1          -",
    ]
    assert str(jo.readings(opt, opt.init(PARAMS), PARAMS)) == "2 layers, no readings yet"


def test_what_cannot_be_read_is_told_in_one_line():
    opt = jo.monitor(jo.sgd())
    state = opt.init(PARAMS)
    with pytest.raises(ValueError, match=r"readings: optimizer has no monitor in it; train with monitor\("):
        jo.readings(jo.adam(), state, PARAMS)
    both = jo.chain(jo.monitor(jo.sgd()), jo.monitor(jo.sgd()))
    with pytest.raises(ValueError, match=r"readings: two monitors have a layer 'b'; leave one"):
        jo.readings(both, both.init(PARAMS), PARAMS)
    with pytest.raises(TypeError, match=r"readings: monitor\.update was given a SgdState"):
        jo.readings(opt, jo.sgd().init(PARAMS), PARAMS)
    stacked = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), state)
    with pytest.raises(ValueError, match="readings: the state is a stack of 2; read one of them"):
        jo.readings(opt, stacked, PARAMS)


@pytest.mark.slow
def test_the_best_runs_of_a_sweep_can_be_read():
    opts = [jo.monitor(jo.sgd(rate)) for rate in (0.1, 0.2)]
    result = jo.sweep(
        lambda w, _: jnp.sum(w["b"] ** 2) + jnp.sum(w["w"] ** 2), PARAMS, opts, steps=20, progress=False
    )
    best = result.top[0]
    found = jo.readings(best.optimizer, best.state, best.params)
    assert found.steps.tolist() == [20]
    rate = jo.hyperparameters(best.optimizer)["learning_rate"]
    np.testing.assert_allclose(found.values["effective_rate"], rate, rtol=1e-5)


def test_reading_moves_nothing_to_a_device():
    opt = jo.monitor(jo.chain(jo.lift(optax.clip)(1.0), jo.half_state(jo.adam(), jax.random.key(0))))
    state = opt.init(PARAMS)
    with jax.transfer_guard("disallow"):
        jo.readings(opt, state, PARAMS)
