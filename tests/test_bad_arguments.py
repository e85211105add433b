"""Every argument of every public function, given the wrong kind: one line.

The cells are made from the signatures and the table in tests/public_functions.py.
"""

import inspect
import types

import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_edu as jo
from jaxopt_edu import (
    core,
    diagnosis,
    optimizers,
    plots,
    problems,
    schedules,
    sweeps,
    trackers,
    training,
    wrappers,
)
from jaxopt_edu.optimizers import OPTIMIZERS
from tests.other_public_names import WITHOUT
from tests.public_functions import ADAM, KEY, ROWS, SLOW, WRONG, called, check_line, numbers_of

PUBLIC = (jo, core, optimizers, schedules, wrappers, trackers, training, diagnosis, sweeps, problems, plots)


def public():
    found = {}
    for package in PUBLIC:
        for name in package.__all__:
            value = getattr(package, name)
            constant = isinstance(value, types.ModuleType | types.UnionType | tuple | core.Limit)
            state = isinstance(value, type) and name.endswith("State")
            if not (constant or state):
                found[id(value)] = name, value
    return found.values()


def test_every_public_name_has_a_row_or_a_reason():
    rows = {id(row.call) for row in ROWS.values()}
    assert sorted(name for name, value in public() if id(value) not in rows and name not in WITHOUT) == []
    assert sorted(name for name, value in public() if id(value) in rows and name in WITHOUT) == []
    assert sorted(WITHOUT.keys() - {name for name, _ in public()}) == []


def cells():
    for name, row in ROWS.items():
        for argument in inspect.signature(row.call).parameters:
            for kind, value in WRONG.items():
                if kind not in row.right.get(argument, ()):
                    yield pytest.param(row, argument, value, id=f"{name}-{argument}-{kind}")


@pytest.mark.parametrize(("row", "argument", "value"), list(cells()))
def test_a_wrong_argument_gets_one_line(row, argument, value, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((TypeError, ValueError)) as caught:
        called(row, argument, value)
    check_line(row.call.__name__, argument, str(caught.value))


READ = {"load", "sweeps.load", "rewrite", "mnist", "plots.save"}  # from where nothing is


@pytest.mark.parametrize("name", [name for name in ROWS if name not in READ | SLOW])
def test_every_row_is_right_but_for_one_argument(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = next(iter(inspect.signature(ROWS[name].call).parameters), None)
    given = ROWS[name].good
    called(ROWS[name], first, given[first]) if first in given else ROWS[name].call(**given)


@pytest.mark.parametrize("factory", OPTIMIZERS, ids=lambda factory: factory.__name__)
def test_a_negative_hyperparameter_is_refused(factory):
    for argument in numbers_of(factory):
        with pytest.raises(ValueError, match=rf"^{factory.__name__}: {argument} = -1 (is out|must be)"):
            factory(**{argument: -1})


X = np.ones((4, 2), np.float32)


@pytest.mark.parametrize(
    ("name", "arguments", "shown"),
    [
        ("fit", {"key": 3}, "key = 3"),
        ("fit", {"mesh": 3}, "mesh = 3"),
        ("fit", {"checkpoint": 3}, "checkpoint = 3"),
        ("fit", {"callback": 3}, "callback = 3"),
        ("fit", {"loss_fn": None}, "loss_fn = None"),
        ("fit", {"loss_fn": lambda w, batch: None, "steps": 1}, "loss_fn returned NoneType"),
        ("fit", {"data": X, "batch_size": 5, "key": KEY, "steps": 1}, "batch_size = 5"),
        ("fit", {"replacement": "no"}, "replacement = 'no'"),
        ("fit", {"metric": "accuracy"}, "metric = 'accuracy'"),
        ("fit", {"steps": 2.5}, "steps = 2.5"),
        ("sweep", {"loss_fn": lambda w, batch: None}, "loss_fn returned NoneType"),
        ("sweep", {"metric": "accuracy"}, "metric = 'accuracy'"),
        ("sweep", {"devices": []}, "devices = []"),
        ("sweep", {"devices": "cpu"}, "devices = 'cpu'"),
        ("sweep", {"prune": "halving"}, "prune = 'halving'"),
        ("sweep", {"prune": sweeps.Halving}, "prune = <class"),
        ("sweep", {"prune": sweeps.Halving(min_steps=100), "steps": 5}, "prune = Halving(min_steps=100"),
        ("sweep", {"replacement": "no"}, "replacement = 'no'"),
        ("sweep", {"data": X, "batch_size": 5}, "batch_size = 5"),
        ("sweep", {"data": "digits"}, "data is str;"),
        ("sweep", {"seeds": [1, 1]}, "seeds = [1, 1]"),
        ("sweep", {"optimizers": ADAM}, "optimizers"),
        ("describe", {"optimizer": 3}, "optimizer = 3"),
        ("half_state", {"key": 3}, "key = 3"),
        ("PopulationBased", {"share": "a"}, "share = 'a'"),
    ],
)
def test_what_users_once_tried_is_answered_in_one_line(name, arguments, shown):
    row = ROWS[name]
    with pytest.raises((TypeError, ValueError)) as caught:
        row.call(**row.good | arguments)
    check_line(name, shown, str(caught.value))


def test_a_list_of_numbers_is_data_and_no_iterator():
    result = jo.fit(lambda w, x: jnp.mean((w - x) ** 2), jnp.zeros(()), jo.sgd(0.5), [1.0, 3.0], steps=1)
    assert float(result.params) == 2.0
