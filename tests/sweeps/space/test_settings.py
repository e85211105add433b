"""grid and sample: which settings there are, in which order, and what is refused."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.stats

import jaxopt_edu as jo
from jaxopt_edu.core import settings
from jaxopt_edu.core.distributions import choice, loguniform, normal, quniform, randint, uniform
from jaxopt_edu.sweeps.space.settings import grid, sample
from tests.registry import each_optimizer

KEY = jax.random.key(0)


def column(optimizers, name):
    return [settings(opt)[name] for opt in optimizers]


@each_optimizer
def test_a_grid_has_every_combination_and_the_last_axis_is_the_fastest(row):
    names = list(row.hyperparameters)[-2:]
    values = [[0.25, 0.5], [0.125, 0.75, 0.875]][-len(names) :]
    optimizers = grid(row.factory, **dict(zip(names, values, strict=True)))
    found = [tuple(settings(opt)[name] for name in names) for opt in optimizers]
    assert found == list(itertools.product(*values))
    stacked = jo.stack(optimizers)
    assert settings(stacked)[names[-1]].shape == (len(found),)


def test_axes_may_be_lists_tuples_ranges_arrays_and_choices():
    for axis in ([1, 2], (1, 2), range(1, 3), np.array([1, 2]), jnp.array([1.0, 2.0]), choice([1, 2])):
        rates = column(grid(jo.sgd, learning_rate=axis), "learning_rate")
        assert rates == [1.0, 2.0]
        assert all(type(rate) is float for rate in rates)
    assert column(grid(jo.sgd, learning_rate=0.5), "learning_rate") == [0.5]
    assert jo.describe(grid(jo.sgd)[0]) == jo.describe(jo.sgd())


def test_schedules_are_values_and_their_numbers_axes():
    peaks = [0.25, 0.5]
    cosines = [jo.schedules.cosine(peak=peak, steps=8) for peak in peaks]
    listed = grid(jo.adam, learning_rate=cosines, b1=[0.5])
    called = grid(
        lambda peak, b1: jo.adam(jo.schedules.cosine(peak=peak, steps=8), b1=b1), peak=peaks, b1=0.5
    )
    template = grid(jo.adam(cosines[0]), **{"learning_rate.peak": peaks, "b1": 0.5})
    texts = [[jo.describe(opt) for opt in each] for each in (listed, called, template)]
    assert texts[0] == texts[1] == texts[2]
    assert settings(jo.stack(listed))["learning_rate.peak"].tolist() == peaks


def test_lifted_optimizers_and_chains():
    rates = [1e-3, 1e-4]
    assert column(grid(jo.lift(optax.lion), learning_rate=rates), "learning_rate") == rates
    opt = jo.chain(jo.lift(optax.clip)(1.0), jo.sgd(0.1), jo.momentum(0.2))
    found = grid(opt, **{"2.learning_rate": [0.3, 0.4], "max_delta": [0.5, 0.25]})
    assert column(found, "2.learning_rate") == [0.3, 0.3, 0.4, 0.4]
    assert column(found, "max_delta") == [0.5, 0.25, 0.5, 0.25]
    assert len(jo.unstack(jo.stack(found))) == 4
    # What is static makes another structure.
    both = grid(jo.lift(optax.sgd), learning_rate=rates, momentum=0.9, nesterov=[False, True])
    assert len({jax.tree.structure(opt) for opt in both}) == 2


def test_a_sample_has_what_was_asked_for():
    found = sample(
        jo.adam,
        200,
        key=KEY,
        learning_rate=loguniform(1e-4, 1),
        b1=[0, 0.9],
        b2=0.5,
        eps=quniform(0, 1, 0.25),
    )
    rates = column(found, "learning_rate")
    assert all(type(rate) is float and 1e-4 <= rate <= 1 for rate in rates)
    assert scipy.stats.kstest(np.log10(rates), scipy.stats.uniform(-4, 4).cdf).pvalue > 0.01
    assert set(column(found, "b1")) == {0.0, 0.9}
    assert set(column(found, "b2")) == {0.5}
    assert set(column(found, "eps")) == {0.0, 0.25, 0.5, 0.75, 1.0}
    assert np.corrcoef(np.log(rates), column(found, "eps"))[0, 1] < 0.2
    assert settings(jo.stack(found))["b1"].shape == (200,)


@pytest.mark.parametrize("quasi", [None, "sobol", "halton"])
def test_the_same_key_gives_the_same_list_and_a_larger_n_adds_to_its_end(quasi):
    axes = {"learning_rate": loguniform(1e-4, 1), "momentum": [0.0, 0.5, 0.9]}

    def draw(n, key=KEY):
        return [jo.describe(opt) for opt in sample(jo.momentum, n, key=key, quasi=quasi, **axes)]

    few = draw(5)
    np.random.seed(1)
    with jax.enable_x64(True), jax.threefry_partitionable(False):
        assert draw(5) == few
    assert draw(37)[:5] == few
    assert draw(5, jax.random.PRNGKey(0)) == few
    assert draw(5, jax.random.key(1)) != few


def test_the_draws_of_a_key_are_these():
    found = sample(jo.sgd, 3, key=KEY, learning_rate=uniform(0, 1))
    assert column(found, "learning_rate") == pytest.approx(
        [0.03202066918615876, 0.49351905451663913, 0.24744477784871266], rel=1e-15
    )


def test_a_name_keeps_its_draws_whatever_stands_beside_it():
    rates = column(sample(jo.sgd, 4, key=KEY, learning_rate=uniform(0, 1)), "learning_rate")
    more = sample(jo.adam, 4, key=KEY, b1=uniform(0, 1), learning_rate=uniform(0, 1), b2=uniform(0, 1))
    assert column(more, "learning_rate") == rates
    assert column(more, "b1") != column(more, "b2")


@pytest.mark.parametrize("quasi", ["sobol", "halton"])
def test_quasi_random_points_fill_the_square(quasi):
    found = sample(
        jo.momentum, 256, key=KEY, quasi=quasi, learning_rate=uniform(0, 1), momentum=uniform(0, 1)
    )
    points = np.array([column(found, "learning_rate"), column(found, "momentum")]).T
    cells = np.unique((points * 8).astype(int), axis=0, return_counts=True)[1]
    # 4 to each of 64 cells; of independent points some cell would stay empty, one time in two.
    assert len(cells) == 64
    if quasi == "sobol":
        assert set(cells) == {4}
    random = np.random.default_rng(0).random((256, 2))
    assert scipy.stats.qmc.discrepancy(points) < scipy.stats.qmc.discrepancy(random) / 5


def test_quasi_random_points_suit_every_distribution():
    found = sample(
        jo.adam,
        32,
        key=KEY,
        quasi="sobol",
        learning_rate=normal(5, 1),
        b1=choice([0.0, 0.5]),
        b2=0.75,
        eps=randint(1, 5),
    )
    assert np.mean(column(found, "learning_rate")) == pytest.approx(5, abs=0.05)
    assert sorted(column(found, "b1")) == [0.0] * 16 + [0.5] * 16
    assert sorted(column(found, "eps")) == sorted([1.0, 2.0, 3.0, 4.0] * 8)
    assert jo.describe(sample(jo.sgd, 1, key=KEY, quasi="sobol")[0]) == jo.describe(jo.sgd())


WRONG: Any = "wrong"


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: grid(jo.adam, lr=[1]), ValueError, "grid: adam has no argument 'lr'; it has learning_rate,"),
        (lambda: grid(jo.adam(), lr=[1]), ValueError, "no hyperparameter 'lr'; it has learning_rate, b1"),
        (lambda: grid(jo.adam, b1=[0.5, 1.5]), ValueError, r"grid: setting 1 \(b1=1\.5\) .* out of range"),
        (lambda: grid(jo.adam, b1=["a"]), TypeError, r"setting 0 \(b1='a'\) cannot be built: adam: b1 = 'a'"),
        (lambda: grid(jo.adam, b1=[]), ValueError, "grid: b1 is an empty list"),
        (lambda: grid(jo.adam, b1=uniform(0, 1)), ValueError, r"b1 = uniform\(0, 1\) has no end of values"),
        (lambda: grid(optax.adam, learning_rate=[1]), TypeError, r"cannot be seen, .*lift\(optax\.lion\)"),
        (lambda: grid(lambda a: a, a=[1]), TypeError, "grid: the factory returned 1, not an optimizer"),
        (lambda: grid(WRONG), TypeError, "grid: factory = 'wrong' is neither an optimizer nor a function"),
        (lambda: sample(jo.sgd, 0, key=KEY), ValueError, "sample: n = 0 must be a whole number"),
        (lambda: sample(jo.sgd, 1, key=KEY, learning_rate=[]), ValueError, "learning_rate is an empty list"),
        (lambda: sample(jo.sgd, 1, key=WRONG), TypeError, r"key = 'wrong' is not a single random key; .*key"),
        (lambda: sample(jo.sgd, 1, key=jax.random.split(KEY)), TypeError, "is not a single random key"),
        (
            lambda: sample(jo.sgd, 1, key=KEY, quasi=WRONG),
            ValueError,
            "quasi = 'wrong' is unknown",
        ),
        (
            lambda: sample(jo.sgd, 9, key=KEY, learning_rate=normal(0, 1)),
            ValueError,
            r"sample: setting \d \(learning_rate=-.*\) cannot be built: sgd: learning_rate = -",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(call, error, text):
    with pytest.raises(error, match=text):
        call()
