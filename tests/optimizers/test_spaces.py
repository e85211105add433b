"""What a fair tuning draws from: every page says it, for names that it has, around what is usual."""

import jax
import numpy as np
import pytest

import jaxopt_edu as jo
from jaxopt_edu.optimizers import OPTIMIZERS, space
from tests.registry import each_optimizer


@each_optimizer
def test_the_space_is_of_the_optimizers_numbers_and_has_the_learning_rate(row):
    drawn = space(row.factory)
    assert set(drawn) <= set(jo.hyperparameters(row.factory()))
    assert "learning_rate" in drawn or row.name in ("prodigy", "dog")
    assert all(isinstance(each, jo.core.Distribution) for each in drawn.values())


@each_optimizer
def test_the_default_lies_inside(row):
    defaults = jo.hyperparameters(row.factory())
    for name, distribution in space(row.factory).items():
        low, high = distribution.quantile(1e-12), distribution.quantile(1 - 1e-12)
        # A decay of 0 is none, which no logarithm reaches.
        assert low <= defaults[name] <= high or (name == "weight_decay" and defaults[name] == 0), name


@each_optimizer
def test_draws_are_settings_that_the_factory_takes(row):
    drawn = jo.sample(row.factory, 16, key=jax.random.key(0), **space(row.factory))
    assert len(drawn) == 16
    assert len({str(jo.hyperparameters(each)) for each in drawn}) == 16


def test_a_space_is_the_callers_own():
    space(jo.adam).clear()
    assert "learning_rate" in space(jo.adam)


def test_other_factories_have_none():
    with pytest.raises(ValueError, match=r"space: factory = .*<lambda>.* is no optimizer of this library"):
        space(lambda: jo.adam())
    assert len(set(OPTIMIZERS)) == len(OPTIMIZERS)


def test_half_of_the_draws_of_adam_are_below_the_middle_of_its_space():
    rates = [
        jo.hyperparameters(each)["learning_rate"]
        for each in jo.sample(jo.adam, 256, key=jax.random.key(1), **space(jo.adam))
    ]
    assert np.mean(np.log10(rates) < -2.5) == pytest.approx(0.5, abs=0.1)
