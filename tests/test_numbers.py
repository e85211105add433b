"""Numbers of every kind mean the same to every argument of every public function, or are refused by name.

The cells are made from the signatures' annotations and the table in tests/public_functions.py.
"""

import inspect
import re
import types
import typing
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.figure import Figure

import jaxopt_edu as jo
from jaxopt_edu.plots import Animation
from jaxopt_edu.sweeps import PopulationBased
from tests.public_functions import ADAM, KEY, ROWS, SLOW, called, check_line

X = np.arange(8, dtype=np.float32)
BATCHES = {"loss_fn": lambda w, x: jnp.mean((w - x) ** 2), "data": X, "batch_size": 2, "key": KEY, "steps": 2}
RUNS = {name: value for name, value in BATCHES.items() if name != "key"}
JUDGED = {"steps": 4, "evaluate": lambda w: {"square": w**2}}
FOUR = [1.0, 2.0, 3.0, 4.0, 5.0]
# What an argument needs beside it so as to mean something.
WITH: dict[tuple[str, str], dict[str, Any]] = {
    **{("fit", name): BATCHES for name in ("batch_size", "first_batch")},
    **{("fit", name): JUDGED for name in ("every", "patience")},
    **{("sweep", name): RUNS for name in ("batch_size", "chunk_size", "seeds", "keep")},
    ("fit", "patience"): {**JUDGED, "every": 1, "metric": "square"},
    ("randint", "low"): {"high": 9},
    ("sweep", "every"): JUDGED,
    ("heat_map", "best"): {"x": FOUR, "y": FOUR, "values": FOUR},
    ("parallel", "best"): {"columns": {"a": FOUR, "b": FOUR}, "values": FOUR},
    ("warmup_cosine", "warmup_steps"): {"steps": 9},
    **{(name, "batch_size"): {**RUNS, "steps": 3} for name in ("rate_test", "rate_ramp")},
}
FOURS = {"float": 4.0, "np.int64": np.int64(4), "np.float64": np.float64(4), "array": jnp.asarray(4)}
NOT_WHOLE = {"4.5": 4.5, "text": "4", "True": True, "array of 4.5": jnp.asarray(4.5)}
NOT_A_NUMBER = {"text": "0.5", "True": True, "complex": 0.5 + 0j, "array of one": np.ones(1)}


def annotated(kind: str):
    """The arguments of that kind of number, alone or beside others (but not in a list)."""
    for name, row in ROWS.items():
        for argument, each in inspect.signature(row.call).parameters.items():
            written = each.annotation
            union = typing.get_origin(written) in (typing.Union, types.UnionType)
            kinds = typing.get_args(written) if union else [written]
            if isinstance(written, str):
                kinds = re.split(r" \| ", written)
            names = {getattr(part, "__name__", part) for part in kinds if typing.get_origin(part) is None}
            if kind in names and "bool" not in names:
                slow = [pytest.mark.slow] if name in SLOW else []
                yield pytest.param(name, argument, id=f"{name}-{argument}", marks=slow)


def given(name, argument, value):
    row = ROWS[name]
    return called(row._replace(good=row.good | WITH.get((name, argument), {})), argument, value)


def assert_same(found, expected):
    """The same, as far as it can be compared: pictures cannot."""
    assert type(found) is type(expected)
    if isinstance(found, Figure | Animation):
        return
    if hasattr(found, "update") and hasattr(found, "init"):
        assert jo.describe(found) == jo.describe(expected)
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        fields = getattr(one, "__dict__", None)
        if fields is None or callable(one):
            np.testing.assert_array_equal(one, other)
            continue
        for name, value in fields.items():
            if not name.startswith("_"):
                assert_same(value, vars(other)[name])


@pytest.mark.parametrize(("name", "argument"), list(annotated("int")))
def test_a_whole_number_may_be_of_any_kind(name, argument, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    expected = given(name, argument, 4)
    for number in FOURS.values():
        assert_same(given(name, argument, number), expected)


@pytest.mark.parametrize(("name", "argument"), list(annotated("int")))
@pytest.mark.parametrize("kind", NOT_WHOLE)
def test_what_is_no_whole_number_is_refused(name, argument, kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((TypeError, ValueError)) as caught:
        given(name, argument, NOT_WHOLE[kind])
    check_line(ROWS[name].call.__name__, argument, str(caught.value))


@pytest.mark.parametrize(("name", "argument"), list(annotated("float")))
def test_a_number_may_be_of_any_kind(name, argument, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tried = 0
    for value in (0.5, 3.0):
        try:
            expected = given(name, argument, value)
        except ValueError as error:  # out of its range, which others test
            check_line(ROWS[name].call.__name__, argument, str(error))
            continue
        kinds = [np.float32, np.float64, np.asarray, jnp.asarray, jnp.float32]
        for kind in kinds + ([int, np.int64, lambda number: jnp.asarray(int(number))] if value == 3 else []):
            assert_same(given(name, argument, kind(value)), expected)
            tried += 1
    assert tried


@pytest.mark.parametrize(("name", "argument"), list(annotated("float")))
@pytest.mark.parametrize("kind", NOT_A_NUMBER)
def test_what_is_no_number_is_refused(name, argument, kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((TypeError, ValueError)) as caught:
        given(name, argument, NOT_A_NUMBER[kind])
    check_line(ROWS[name].call.__name__, argument, str(caught.value))


STEPS = [2.0, np.int64(2), jnp.asarray(2)]


@pytest.mark.parametrize("step", STEPS, ids=repr)
def test_a_step_to_go_on_from_may_be_of_any_kind(step, tmp_path):
    train = {"params": jnp.ones(()), "optimizer": ADAM, "checkpoint": tmp_path, "every": 2}
    jo.fit(lambda w, _: w**2, steps=4, **train)
    assert jo.fit(lambda w, _: w**2, steps=4, resume=step, **train).history.losses.shape == (4,)
    with pytest.raises((TypeError, ValueError), match=r"^fit: resume = 2.5"):
        jo.fit(lambda w, _: w**2, steps=4, resume=2.5, **train)  # type: ignore[arg-type]


SEEDS: Any = [[3.0, np.int64(4)], (np.float64(3), jnp.asarray(4)), np.asarray([3, 4]), jnp.asarray([3, 4])]
BOUNDARIES: Any = [4, 4.0, np.int64(4), jnp.asarray(4)]
FACTORS: Any = [[1, 2.0], (jnp.float32(1), np.int64(2)), (np.asarray(1), jnp.asarray(2.0))]


def test_numbers_in_lists_may_be_of_any_kind():
    rates = [0.5, np.float32(0.5), np.asarray(0.5), jnp.asarray(0.5)]
    for optimizer in jo.grid(jo.sgd, learning_rate=rates):
        assert jo.describe(optimizer) == "sgd(learning_rate=0.5)"
    run = {"params_or_init": jnp.ones(()), "optimizers": [jo.sgd(0.5)], "steps": 1}
    for seeds in SEEDS:
        assert jo.sweep(lambda w, _: w**2, **run, seeds=seeds).seeds == (3, 4)
    parts = [jo.schedules.constant(0.5), jo.schedules.constant(0.25)]
    for boundary in BOUNDARIES:
        joined = jo.schedules.joined(parts, [boundary])
        assert [float(joined(step)) for step in (3, 4)] == [0.5, 0.25]
    for factors in FACTORS:
        assert repr(PopulationBased(5, factors=factors)) == repr(PopulationBased(5, factors=(1.0, 2.0)))
    for rate in rates:
        assert_same(jo.replace(jo.adam(), b1=rate), jo.adam(b1=0.5))
