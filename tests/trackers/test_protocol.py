"""What is told of an optimizer, and what it takes to be a tracker."""

import subprocess
import sys

import jax.numpy as jnp
import optax
import pytest

import jaxopt_edu as jo
from jaxopt_edu import trackers
from jaxopt_edu.trackers import CSV, JSONLines, MLflow, TensorBoard, Tracker, WandB
from jaxopt_edu.trackers.protocol import described

TRACKERS = [CSV("x"), JSONLines("x"), TensorBoard("x"), WandB("x"), MLflow("x")]


@pytest.mark.parametrize("tracker", TRACKERS, ids=repr)
def test_each_has_the_methods_of_the_protocol(tracker):
    assert isinstance(tracker, Tracker)
    assert repr(tracker).startswith(f"{type(tracker).__name__}('x'")


def test_an_optimizer_is_its_kind_and_its_plain_numbers():
    optimizer = jo.chain(jo.lift(optax.clip)(1), jo.momentum(jnp.float32(0.5), momentum=0.25))
    told = described(optimizer)
    assert told == {
        "optimizer": "chain(clip, momentum)",
        "max_delta": 1.0,
        "learning_rate": 0.5,
        "momentum": 0.25,
    }
    assert {type(value) for value in told.values()} == {str, float}
    assert described(jo.lift(optax.scale)(jnp.arange(2.0)))["step_size"] == "[0, 1]"


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "mlflow"])
def test_a_library_that_is_missing_is_one_line_with_the_command(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for module in [module for module in sys.modules if module.partition(".")[0] == name]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, name, None)
    (tracker,) = (one for one in TRACKERS if type(one).__name__.lower() == name)
    with pytest.raises(ImportError, match=rf'needs {name}: pip install "jaxopt-edu\[{name}\]"$'):
        tracker.start({})


def test_the_libraries_are_imported_when_a_run_starts():
    code = "import sys, jaxopt_edu.trackers; print(*{name.partition('.')[0] for name in sys.modules})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "jaxopt_edu" in run.stdout
    assert {"tensorboard", "wandb", "mlflow"} & set(run.stdout.split()) == set()
    assert trackers.WandB is WandB
