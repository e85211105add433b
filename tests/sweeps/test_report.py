"""The files of a sweep: what they are and what the pictures show."""

import csv
import dataclasses

import jax
import numpy as np
import PIL.Image
import pytest

import jaxopt_edu as jo
from jaxopt_edu.sweeps import report
from jaxopt_edu.sweeps.distributions import loguniform
from jaxopt_edu.sweeps.space import grid, sample
from tests.sweeps.quadratic import STEPS, sweep

RATES = [0.01, 0.1, 0.5, 3.0]


@pytest.fixture(scope="module")
def result():
    """SGD over four learning rates, of which the last diverges, and momentum over three peaks."""
    template = jo.momentum(jo.schedules.cosine(peak=0.1, steps=STEPS))
    peaks = grid(template, **{"learning_rate.peak": [0.02, 0.1, 0.3], "learning_rate.final": [0.0, 0.01]})
    return sweep(grid(jo.sgd, learning_rate=RATES) + peaks)


def lines(figure):
    """The (x, y) of what is drawn, by name."""
    return {
        line.get_label(): np.array(line.get_data())
        for line in figure.axes[0].lines
        if line.get_label() and not line.get_label().startswith("_")
    }


def test_write(result, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    names = report.write(result, tmp_path)
    assert names == ["summary.txt", "table.csv", "curves.png", "sensitivity.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*names, "notes.txt"])
    assert (tmp_path / "summary.txt").read_text("utf-8") == result.summary() + "\n"
    with open(tmp_path / "table.csv", newline="", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == result.states.size
    for name in names[2:]:
        with PIL.Image.open(tmp_path / name) as picture:
            assert picture.size[0] == 1920
            # A picture of nothing is of one colour.
            assert len(set(picture.convert("L").tobytes())) > 50
    with pytest.raises(OSError, match="make the folder"):
        report.write(result, tmp_path / "missing")


def test_curves_are_those_of_the_best_settings_best_first(result):
    drawn = lines(report.curves(result))
    assert list(drawn) == ["sgd", "momentum(learning_rate=cosine)"]
    x, y = drawn["sgd"]
    np.testing.assert_array_equal(x, result.evaluated_at)
    np.testing.assert_allclose(y, 9 * 0.5 ** (2 * result.evaluated_at) / 2, rtol=1e-4)


def test_sensitivity_takes_the_best_of_each_learning_rate(result):
    assert report.learning_rates(result) == {
        "sgd": "learning_rate",
        "momentum(learning_rate=cosine)": "learning_rate.peak",
    }
    figure = report.figures(result)["sensitivity"]
    drawn = lines(figure)
    x, y = drawn["sgd"]
    assert x.tolist() == RATES
    np.testing.assert_allclose(y[:3], [9 * (1 - rate) ** (2 * STEPS) / 2 for rate in RATES[:3]], rtol=1e-4)
    assert np.isnan(y[3])
    x, y = drawn["momentum(learning_rate=cosine)"]
    assert x.tolist() == [0.02, 0.1, 0.3]
    means = result.values()[4:].reshape(3, 2, 3).mean(axis=2)
    chosen = result.values()[4:].reshape(3, 2, 3)[np.arange(3), means.argmin(axis=1)]
    np.testing.assert_allclose(y, np.median(chosen, axis=1))
    assert figure.axes[0].get_xlabel() == "learning rate"


def test_many_samples_are_thinned_to_the_best_of_their_neighbours():
    key = jax.random.key(0)
    found = sweep(sample(jo.momentum, 200, key=key, learning_rate=loguniform(1e-3, 1), momentum=[0.0, 0.5]))
    figure = report.figures(found)["sensitivity"]
    x, y = lines(figure)["momentum"]
    assert len(x) == report.INTERVALS
    assert np.diff(np.log(x)).max() < 2.1 * np.log(1e3) / report.INTERVALS
    assert y.min() == np.median(found.values(), axis=1)[found.best().index]
    assert figure.axes[0].get_xlabel() == "learning_rate"
    alone = sweep(sample(jo.momentum, 200, key=key, learning_rate=loguniform(1e-3, 1)))
    assert len(lines(report.figures(alone)["sensitivity"])["momentum"][0]) == 200


def test_of_what_is_better_high_the_distance_from_one_is_drawn(result):
    found = dataclasses.replace(result, metric="nearness", mode="max")
    figure = report.curves(found)
    assert figure.axes[0].get_ylabel() == "1 − nearness"
    np.testing.assert_allclose(
        lines(figure)["sgd"][1], 1 - np.median(result.curves["nearness"][2], axis=0), atol=1e-6
    )
    negative = dataclasses.replace(found, curves={"nearness": 3 * result.curves["nearness"]})
    assert report.curves(negative).axes[0].get_ylabel() == "−nearness"


def test_without_a_range_of_learning_rates_there_is_no_sensitivity():
    found = sweep([jo.sgd(0.1), jo.sgd(0.2), jo.momentum(0.1)], seeds=1)
    assert list(report.figures(found)) == ["curves"]
