"""A problem says everything of a sweep but its optimizers."""

from typing import Any

import jax
import numpy as np
import pytest

import jaxopt_edu as jo
from jaxopt_edu import problems

RATES = jo.grid(jo.sgd, learning_rate=[0.003, 0.01])


@pytest.fixture(scope="module")
def problem():
    return problems.quadratic_deep(dimension=20, batch_size=4)


def test_a_problem_is_its_pieces(problem):
    whole = jo.sweep(problem, RATES, steps=40)
    pieces = jo.sweep(problem.loss, problem.init, RATES, steps=40, **problem.setup)
    np.testing.assert_array_equal(whole.curves["validation"], pieces.curves["validation"])
    assert (whole.metric, whole.mode) == ("validation", "min")
    assert whole.best().mean < problem.trivial


def test_its_steps_are_the_problems_where_none_are_said(problem):
    assert jo.sweep(problem, optimizers=RATES[:1], every=problem.steps).steps == problem.steps == 500


def test_another_metric_may_decide(problem):
    assert jo.sweep(problem, RATES, steps=40, metric="training_loss").metric == "training_loss"


@pytest.mark.parametrize("name", ["data", "evaluate"])
def test_what_the_problem_has_is_not_given_again(problem, name):
    given: dict[str, Any] = {name: jax.numpy.ones(3)}
    with pytest.raises(TypeError, match=rf"sweep: {name} = .*, but the problem quadratic_deep\(dimension=20"):
        jo.sweep(problem, RATES, **given)


def test_a_start_besides_the_problems_is_refused(problem):
    with pytest.raises(TypeError, match=r"sweep: params_or_init = .* leave it out"):
        jo.sweep(problem, {"w": 1.0}, RATES)


def test_no_optimizers_is_said(problem):
    with pytest.raises(TypeError, match="sweep: optimizers = None is no list of optimizers"):
        jo.sweep(problem)
