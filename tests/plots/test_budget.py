import itertools
from typing import Any

import numpy as np
import pytest

from jaxopt_edu.plots import budget, styles
from jaxopt_edu.plots.budget import best_of, counts

VALUES = np.array([0.3, 2.0, 0.1, 1.0, 0.7, 5.0])


def line(figure, label) -> Any:
    (found,) = [one for one in figure.axes[0].get_lines() if one.get_label() == label]
    return found


def words(figure):
    return [text.get_text() for text in figure.axes[0].texts if text.get_text()]


@pytest.mark.parametrize("mode", ["min", "max"])
def test_closed_form_is_what_all_draws_give(mode):
    pick = min if mode == "min" else max
    median, mean = (best_of(VALUES, counts(6), mode, one) for one in ("median", "mean"))
    for count in range(1, len(VALUES) + 1):
        bests = [pick(drawn) for drawn in itertools.combinations(VALUES, count)]
        assert median.middle[count - 1] == pytest.approx(np.median(bests))
        assert mean.middle[count - 1] == pytest.approx(np.mean(bests))
        quartiles = np.quantile(bests, [0.25, 0.75], method="averaged_inverted_cdf")
        np.testing.assert_allclose([median.low[count - 1], median.high[count - 1]], quartiles)


def test_a_bootstrap_comes_near():
    generator = np.random.default_rng(0)
    values = generator.lognormal(size=64)
    found = best_of(values, np.array([1, 4, 16]), "min", "mean")
    for place, count in enumerate((1, 4, 16)):
        drawn = [generator.permutation(values)[:count].min() for _ in range(4000)]
        error = np.std(drawn) / np.sqrt(len(drawn))
        assert found.middle[place] == pytest.approx(np.mean(drawn), abs=4 * error)


def test_many_settings_do_not_overflow():
    tried = counts(10_000)
    assert (tried[0], tried[-1], len(tried) <= 200) == (1, 10_000, True)
    found = best_of(np.arange(10_000.0), tried, "min", "mean")
    assert np.isfinite(found.middle).all()
    # The expected smallest of n of 0 … N − 1 is (N − n) / (n + 1).
    np.testing.assert_allclose(found.middle, (10_000 - tried) / (tried + 1), rtol=1e-7, atol=1e-7)


def test_diverged_settings_are_the_worst():
    found = best_of(np.array([np.nan, 1.0, np.inf, 2.0]), counts(4), "min", "median")
    assert np.isinf(found.middle[0])  # between 2 and infinity
    assert found.middle[1:].tolist() == [1.5, 1.0, 1.0]
    mean = best_of(np.array([np.nan, 1.0, np.inf, 2.0]), counts(4), "min", "mean")
    assert np.isinf(mean.middle[:2]).all()
    np.testing.assert_allclose(mean.middle[2:], [1.25, 1.0])
    figure = budget({"sgd": [np.nan, 1.0, np.inf, 2.0]})
    assert "sgd\n2 of 4 settings diverged" in words(figure)
    assert np.isnan(line(figure, "sgd").get_ydata()[0])


def test_a_setting_is_the_median_of_its_seeds():
    figure = budget({"sgd": [[1.0, 5.0, 3.0], [2.0, 0.5, np.nan]], "adam": [4.0, 1.5]}, log=False)
    np.testing.assert_array_equal(line(figure, "sgd").get_ydata(), [2.5, 2.0])
    np.testing.assert_array_equal(line(figure, "adam").get_ydata(), [2.75, 1.5])
    assert line(figure, "adam").get_color() == styles(["sgd", "adam"])["adam"].color
    assert "the median of its 1 to 3 seeds" in words(figure)[0]


def test_the_axis_counts_whole_settings():
    axes = budget({"sgd": np.geomspace(1e-3, 1, 30)}).axes[0]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert axes.get_xlim() == (1, 30)
    assert [place for place in axes.get_xticks() if place <= 30] == [1, 2, 5, 10, 20]
    assert budget({"sgd": [0.1, 0.9]}, mode="max").axes[0].get_yscale() == "linear"


def test_words_do_not_overlap(losses, clashes):
    results = {label: values.T for label, values in losses.items()}
    assert clashes(budget(results, title="What a budget buys")) == []
    assert clashes(budget({label: [1.0] for label in losses}, mode="max", title="A title")) == []


def test_nothing_but_divergence_still_makes_a_figure():
    assert "sgd\n2 of 2 settings diverged" in words(budget({"sgd": [np.nan, np.inf]}))


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="no results"):
        budget({})
    with pytest.raises(ValueError, match=r"values of 'sgd' have shape \(1, 1, 1\): expected \(settings,\)"):
        budget({"sgd": [[[1.0]]]})
    with pytest.raises(ValueError, match="budget: mode = 'best'"):
        budget({"sgd": [1.0]}, mode="best")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="budget: middle = 'mode'"):
        budget({"sgd": [1.0]}, middle="mode")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="final loss reaches -1, which a logarithmic axis cannot show"):
        budget({"sgd": [1.0, -1.0]}, log=True)
