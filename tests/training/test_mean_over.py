"""Means over a whole data set are those of one batch that holds all of it."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_edu as jo
from tests.draws import draw

W = np.array([1.0, -2.0, 0.5])
X, Y = draw(23, 3), draw(23)


def squares(w, batch):
    return jnp.mean((batch["x"] @ w - batch["y"]) ** 2)


def with_metric(w, batch):
    return squares(w, batch), {"positive": jnp.mean((batch["y"] > 0).astype(batch["y"].dtype))}


def stateful(w, seen, batch):
    return squares(w, batch) + seen, seen + 1


def data(dtype: Any = np.float64):
    return {"x": jnp.asarray(X, dtype), "y": jnp.asarray(Y, dtype)}


class Loader:
    """Batches that may be read again and again."""

    def __init__(self, *batches):
        self.batches = batches

    def __iter__(self):
        return iter(self.batches)


def loader(*sizes, dtype: Any = np.float64):
    ends = np.cumsum((0, *sizes))
    return Loader(
        *[{"x": X[i:j].astype(dtype), "y": Y[i:j].astype(dtype)} for i, j in itertools.pairwise(ends)]
    )


EXPECTED = np.mean((X @ W - Y) ** 2)


@pytest.mark.parametrize("batch_size", [None, 1, 5, 22, 23, 100])
def test_arrays_in_batches_of_any_size_agree_with_numpy(x64, batch_size):
    found = jo.mean_over(with_metric, data(), batch_size=batch_size)(jnp.asarray(W))
    np.testing.assert_allclose(found["loss"], EXPECTED, rtol=1e-12)
    np.testing.assert_allclose(found["positive"], np.mean(Y > 0), rtol=1e-12)
    assert found["loss"].dtype == jnp.float64


@pytest.mark.parametrize("sizes", [(23,), (5, 5, 5, 5, 3), (1, 20, 2)])
def test_a_loader_of_unequal_batches_agrees_with_numpy(x64, sizes):
    evaluate = jo.mean_over(squares, loader(*sizes))
    for _ in range(2):
        np.testing.assert_allclose(evaluate(jnp.asarray(W))["loss"], EXPECTED, rtol=1e-12)


def test_in_single_precision_ten_thousand_batches_lose_nothing():
    numbers = np.linspace(0.1, 1.0, 30_001, dtype=np.float32)
    for batch_size in (3, None):
        found = jo.mean_over(lambda w, x: w * jnp.mean(x), numbers, batch_size=batch_size)(jnp.float32(1))
        np.testing.assert_allclose(found["loss"], np.mean(numbers, dtype=np.float64), rtol=1e-6)


@pytest.mark.parametrize("batches", ["arrays", "loader"])
def test_with_a_model_state_it_is_given_and_its_successor_thrown_away(batches):
    given = data(np.float32) if batches == "arrays" else loader(20, 3, dtype=np.float32)
    size = {"batch_size": 5} if batches == "arrays" else {}
    w, seen = jnp.asarray(W, jnp.float32), jnp.array(2.0)
    for function in (stateful, lambda *a: stateful(*a)[0], lambda *a: {"loss": stateful(*a)[0]}):
        found = jo.mean_over(function, given, **size)(w, seen)
        assert found.keys() == {"loss"}
        np.testing.assert_allclose(found["loss"], EXPECTED + 2.0, rtol=1e-6)
    metrics = jo.mean_over(lambda *a: (*stateful(*a), {"seen": a[1]}), given, **size)(w, seen)
    np.testing.assert_allclose(metrics["seen"], 2.0)


def test_numbers_of_every_kind_have_a_mean():
    kinds = {"bool": jnp.bool_, "whole": jnp.int32, "half": jnp.bfloat16}
    evaluate = jo.mean_over(
        lambda w, x: {name: jnp.sum(x).astype(kind) for name, kind in kinds.items()} | {"python": 2},
        np.array([0, 3, 4], np.float32),
        batch_size=1,
    )
    found = evaluate(jnp.float32(1))
    np.testing.assert_allclose(
        [found[name] for name in (*kinds, "python")], [2 / 3, 7 / 3, 7 / 3, 2], rtol=1e-6
    )
    assert {value.dtype for value in found.values()} == {jnp.dtype(jnp.float32)}


def test_it_is_a_pure_function_that_is_mapped_and_differentiated():
    evaluate = jo.mean_over(squares, data(np.float32), batch_size=5)
    w = jnp.asarray(W, jnp.float32)
    several = jax.vmap(evaluate)(jnp.stack([w, 2 * w]))["loss"]
    np.testing.assert_allclose(several, [evaluate(w)["loss"], evaluate(2 * w)["loss"]], rtol=1e-6)
    slope = jax.grad(lambda w: evaluate(w)["loss"])(w)
    np.testing.assert_allclose(slope, 2 * (X @ W - Y) @ X / 23, rtol=1e-5)


def test_one_evaluation_compiles_the_function_for_a_full_batch_and_for_the_rest_only():
    traced = []

    def counted(w, x):
        traced.append(len(x))
        return jnp.mean(x) * w

    for evaluate in (
        jo.mean_over(counted, np.arange(23.0, dtype=np.float32), batch_size=5),
        jo.mean_over(counted, Loader(*(np.ones(size, np.float32) for size in (5, 5, 3)))),
    ):
        traced.clear()
        for factor in (1.0, 2.0, 3.0):
            evaluate(jnp.float32(factor))
        assert sorted(traced) == [3, 5]


def test_fit_and_sweep_take_it_as_evaluate():
    start, opt, of = jnp.asarray(W, jnp.float32), jo.sgd(0.1), data(np.float32)
    every: dict[str, Any] = {"steps": 4, "every": 2, "metric": "loss"}
    evaluate = jo.mean_over(with_metric, of, batch_size=10)
    result = jo.fit(with_metric, start, opt, of, evaluate=evaluate, **every)
    evaluated, at_end = result.history.evaluations["loss"], squares(result.params, of)
    np.testing.assert_allclose(evaluated[-1], at_end, rtol=1e-6)
    swept = jo.sweep(squares, start, [opt, jo.sgd(0.01)], of, evaluate=evaluate, **every)
    np.testing.assert_allclose(swept.curves["loss"][0, 0, 1:], evaluated, rtol=1e-6)
    evaluate = jo.mean_over(squares, loader(20, 3, dtype=np.float32))
    result = jo.fit(squares, start, opt, of, evaluate=evaluate, **every)
    np.testing.assert_allclose(result.history.evaluations["loss"], evaluated, rtol=1e-6)


def test_a_sweep_refuses_names_that_the_loss_function_gives_too():
    start = jnp.asarray(W, jnp.float32)
    evaluate = jo.mean_over(with_metric, data(np.float32))
    with pytest.raises(ValueError, match=r"^sweep: loss_fn and evaluate both give 'positive'.*'test_pos"):
        jo.sweep(with_metric, start, [jo.sgd(0.1)], data(np.float32), steps=2, evaluate=evaluate)


def test_a_mistake_is_seen_before_the_first_step():
    evaluate = jo.mean_over(lambda w, batch: batch["y"], data(np.float32))
    with pytest.raises(TypeError, match=r"^mean_over: function gave 'loss' with shape \(23,\)"):
        jo.fit(
            squares, jnp.asarray(W, jnp.float32), jo.sgd(0.1), data(np.float32), steps=4, evaluate=evaluate
        )


def test_a_sweep_refuses_a_loader_in_one_line():
    with pytest.raises(TypeError, match=r"^mean_over: data is a loader, which compiled code \(sweep"):
        jo.sweep(
            squares,
            jnp.asarray(W, jnp.float32),
            [jo.sgd(0.1)],
            data(np.float32),
            steps=2,
            evaluate=jo.mean_over(squares, loader(23)),
        )


def infinite(w, x):
    return jnp.sum(x) * jnp.inf


@pytest.mark.parametrize(("numbers", "mean"), [([1.0, 1.0], np.inf), ([1.0, -1.0], np.nan)])
def test_what_is_not_finite_stays_so(numbers, mean):
    array = np.array(numbers, np.float32)
    for evaluate in (
        jo.mean_over(infinite, array, batch_size=1),
        jo.mean_over(infinite, Loader(*array[:, None])),
    ):
        np.testing.assert_array_equal(evaluate(jnp.float32(1))["loss"], mean)


@pytest.mark.parametrize(
    ("function", "given", "message"),
    [
        (squares, (batch for batch in loader(23)), r"data = .* is an iterator.*can be iterated again"),
        (squares, {"x": X, "y": Y[1:]}, r"data: the leaves of the arrays need a common leading axis"),
        (squares, [X, Y[1:]], "data: .* of batches give a loader"),
        (squares, {"x": X[:0], "y": Y[:0]}, "data: the leading axis of the arrays has length 0"),
        (squares, None, "data = None is NoneType; it has to be a pytree of arrays"),
        (lambda w: w, X, "function is called as function"),
    ],
)
def test_what_is_no_data_set_is_refused(function, given, message):
    with pytest.raises((TypeError, ValueError), match=f"^mean_over: {message}"):
        jo.mean_over(function, given)


def test_a_loader_has_batches_of_its_own_size():
    with pytest.raises(ValueError, match=r"^mean_over: batch_size = 4 is for arrays"):
        jo.mean_over(squares, loader(23), batch_size=4)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda w, x: None, "function gave 'loss' as NoneType"),
        (lambda w, x: (w, {"loss": w}), 'function gave a metric named "loss"'),
        (lambda w, x: (w, [w]), "loss_fn returned metrics as list"),
        (lambda w, x: {"z": jax.lax.complex(w, w)}, r"function gave 'z' with shape \(\) and dtype complex64"),
        (lambda w, x: {"z": float(w)}, "function is compiled"),
        (lambda w, s, x: w, r"function is called as function\(params, batch\)"),
    ],
)
def test_what_is_no_mean_is_refused_in_one_line(function, message):
    for given in (np.ones(3, np.float32), Loader(np.ones(3, np.float32))):
        with pytest.raises((TypeError, ValueError), match=f"^mean_over: {message}") as caught:
            jo.mean_over(function, given)(jnp.float32(1))
        assert "\n" not in str(caught.value)


def test_a_loader_without_a_batch_and_one_with_other_names_are_refused():
    with pytest.raises(ValueError, match=r"^mean_over: data gave no batch"):
        jo.mean_over(squares, Loader())(W)
    by_size = jo.mean_over(
        lambda w, x: {str(len(x)): w}, Loader(np.ones(2, np.float32), np.ones(3, np.float32))
    )
    with pytest.raises(ValueError, match=r"gave \['3'\] for batch 1, but \['2'\] for the first one"):
        by_size(jnp.float32(1))
