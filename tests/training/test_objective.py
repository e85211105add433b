"""The forms in which a loss may be written, and what is said about the others."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import jaxopt_edu as jo
from jaxopt_edu.training.objective import as_pytree_function, objective

PARAMS = jnp.array([1.0, 2.0])


def evaluate(loss_fn, *, stateful=False):
    return objective(loss_fn, stateful=stateful)(PARAMS, jnp.zeros(3), "batch")


@pytest.mark.parametrize(
    ("loss_fn", "stateful", "model_state", "metrics"),
    [
        (lambda p, b: 2.0, False, None, {}),
        (lambda p, b: (2.0, {"batch": b}), False, None, {"batch": "batch"}),
        (lambda p, s, b: (2.0, s + 1), True, [1, 1, 1], {}),
        (lambda p, s, b: (2.0, s + 1, {"batch": b}), True, [1, 1, 1], {"batch": "batch"}),
    ],
)
def test_forms_of_a_loss(loss_fn, stateful, model_state, metrics):
    loss, outcome = evaluate(loss_fn, stateful=stateful)
    assert float(loss) == 2.0
    assert outcome.metrics == metrics
    assert outcome.model_state is None if model_state is None else outcome.model_state.tolist() == model_state


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (PARAMS, r"shape \(2,\) and dtype float32.*take the mean"),
        (jnp.ones((1,)), r"shape \(1,\)"),
        (jnp.array(1), "dtype int32"),
        (jnp.array(1j), "dtype complex64.*real part"),
        (jnp.array(True), "dtype bool"),
    ],
)
@pytest.mark.parametrize("stateful", [False, True])
def test_a_loss_that_is_no_real_number_is_refused(loss, message, stateful):
    loss_fn = (lambda p, s, b: (loss, s)) if stateful else (lambda p, b: loss)
    with pytest.raises(TypeError, match=message):
        evaluate(loss_fn, stateful=stateful)


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        (3.0, "metrics as float; they have to be a dict"),
        ([1.0], "metrics as list"),
        (None, "metrics as NoneType"),
        ({"layer": {"norm": 1.0}}, "the metric 'layer' as dict"),
        ({"norms": [1.0, 2.0]}, "the metric 'norms' as list"),
        ({"nothing": None}, "the metric 'nothing' as NoneType"),
        ({3: 1.0}, "the metric 3 as float"),
    ],
)
def test_metrics_that_are_no_dict_of_arrays_are_refused(metrics, message):
    with pytest.raises(TypeError, match=message):
        evaluate(lambda p, b: (1.0, metrics))


@pytest.mark.parametrize("result", [1.0, (1.0,), (1.0, 2, {}, 4)])
def test_a_stateful_loss_without_its_state_is_refused(result):
    with pytest.raises(TypeError, match=r"with a model_state.* has to return \(loss, model_state\)"):
        evaluate(lambda p, s, b: result, stateful=True)


def test_fit_says_it_too():
    with pytest.raises(TypeError, match=r"loss of shape \(2,\)"):
        jo.fit(lambda p, _: p, PARAMS, jo.adam(), steps=1)
    with pytest.raises(TypeError, match="metrics as tuple"):
        jo.fit(lambda p, _: (jnp.sum(p), (1.0,)), PARAMS, jo.adam(), steps=1)


def test_metrics_of_every_step_come_back():
    def loss_fn(p, _):
        return jnp.sum(p**2), {"half": p.astype(jnp.bfloat16), "python": 7, "p": p}

    history = jo.fit(loss_fn, PARAMS, jo.sgd(learning_rate=0.25), steps=5, every=2).history
    expected = np.array([[1.0, 2.0]]) * 0.5 ** np.arange(5)[:, None]
    np.testing.assert_array_equal(history.metrics["p"], expected)
    np.testing.assert_array_equal(history.metrics["half"], expected)
    np.testing.assert_array_equal(history.metrics["python"], np.full(5, 7))


def test_functions_as_pytrees():
    def function(w, batch):
        return w

    wrapped = as_pytree_function(function)
    assert jax.tree.leaves(wrapped) == []
    # Two wrappings of one function are the same key of the compilation cache.
    assert jax.tree.structure(wrapped) == jax.tree.structure(as_pytree_function(function))
    assert jax.tree.structure(wrapped) != jax.tree.structure(as_pytree_function(lambda w, batch: w))


@pytest.mark.parametrize("leaf", [np.ones(3), jnp.ones(3), np.ones(1), 2.0])
def test_functions_that_are_pytrees_stay_as_they_are(leaf):
    function = Partial(lambda leaf, w, batch: w, leaf)
    assert as_pytree_function(function) is function


def test_a_sweep_says_which_line_of_evaluate_wants_a_number():
    def evaluate(params):
        return float(params)

    with pytest.raises(
        TypeError, match=r"sweep: evaluate is compiled.*line \d+ of test_objective\.py.*float\("
    ):
        jo.sweep(lambda w, _: w**2, jnp.ones(()), [jo.sgd(0.1)], steps=1, evaluate=evaluate)
