"""The best moment of a run: found in both directions, kept, and there again after a resume."""

import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_edu as jo
from jaxopt_edu.training import OrbaxFolder

OPT = jo.sgd(learning_rate=0.25)


def fit(values, **options):
    """w goes 8, 4, 2, … and is judged by a row of values."""
    following = iter(values)
    options = {"steps": 4 * len(values), "every": 4, "evaluate": lambda w: next(following)} | options
    return jo.fit(lambda w, _: w**2, jnp.array(8.0), OPT, **options)


def best_of(values, **options):
    found = fit(values, **options).best
    assert found is not None
    return found


def w_at(step):
    return 8 * 0.5**step


@pytest.mark.parametrize(
    ("values", "mode", "step", "value"),
    [
        ([3.0, 1.0, 2.0, 1.0], "min", 8, 1.0),
        ([0.1, 0.9, np.nan, 0.9], "max", 8, 0.9),
        ([np.nan, np.inf, 5.0], "min", 12, 5.0),
        ([False, True, False], "max", 8, 1.0),
    ],
)
def test_the_best_moment_is_given_beside_the_last(values, mode, step, value):
    result = fit(values, mode=mode)
    assert result.best is not None
    assert result.best[1:3] == (step, value)
    assert float(result.best.params) == w_at(step)
    assert float(result.params) == w_at(4 * len(values))


def test_an_accuracy_that_rises_is_not_stopped():
    rising = [0.1, 0.2, 0.3, 0.4]
    assert fit(rising, mode="max", patience=1).history.stopped == "completed"
    assert fit(rising, patience=1).history.stopped == "no improvement in 1 evaluations, at step 8"


def test_a_metric_is_chosen_by_name():
    values = [{"loss": 1.0, "accuracy": 0.1}, {"loss": 2.0, "accuracy": 0.3}, {"loss": 3.0, "accuracy": 0.2}]
    assert best_of(values).step == 4
    assert best_of(values, metric="accuracy", mode="max").step == 8
    assert best_of(values, metric="training_loss").step == 12
    stopped = fit(values, metric="accuracy", mode="max", patience=1, steps=40).history.stopped
    assert stopped.endswith("step 12")


def test_the_training_loss_is_the_mean_since_the_evaluation_before():
    result = fit([0.0, 0.0], metric="training_loss")
    assert result.best is not None
    assert result.best.value == np.mean([w_at(step) ** 2 for step in range(4, 8)])
    assert fit([0.0], evaluate=None).best is None
    assert best_of([0.0], evaluate=None, metric="training_loss").step == 4


def test_what_cannot_be_ranked_is_not_the_best():
    assert fit([np.nan, np.inf]).best is None
    assert fit([np.ones(2), np.ones(2)]).best is None
    assert fit([{"a": 1.0, "b": 2.0}]).best is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "up"}, "fit: mode = 'up'; it is 'min' or 'max'"),
        ({"metric": "accuracy"}, "metric = 'accuracy'; a run can be judged by value, training_loss"),
        ({"metric": "accuracy", "evaluate": None}, "metric = 'accuracy' needs evaluate="),
        ({"metric": "value", "evaluate": lambda w: np.ones(2)}, r"'value' as float64\[2\].*one real number"),
    ],
)
def test_what_there_is_not_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        fit([1.0], **options)


@pytest.mark.parametrize("folder", [lambda path: path, OrbaxFolder], ids=["npz", "orbax"])
def test_the_best_moment_survives_a_resume(tmp_path, folder):
    values = [3.0, 1.0, 2.0, 4.0]
    fit(values[:3], checkpoint=folder(tmp_path))
    found = best_of(values[3:], steps=16, checkpoint=folder(tmp_path), resume=True)
    assert found[1:3] == best_of(values)[1:3] == (8, 1.0)
    assert float(found.params) == w_at(8)
    # Judged the other way round the one that was kept is not the best.
    assert best_of([5.0], steps=20, checkpoint=folder(tmp_path), resume=True, mode="max").step == 20


def test_a_model_state_belongs_to_it():
    values = iter([2.0, 1.0, 3.0])
    result = jo.fit(
        lambda w, count, _: (w**2, count + 1),
        jnp.array(8.0),
        OPT,
        steps=12,
        every=4,
        model_state=jnp.zeros(()),
        evaluate=lambda w, count: next(values),
    )
    assert result.best is not None
    assert (result.best.step, float(result.best.model_state)) == (8, 8.0)
