from typing import Any

import numpy as np
import pytest

from jaxopt_edu.plots import sensitivity, styles

RATES = np.geomspace(1e-3, 10, 13)


def final_losses(decay: float) -> np.ndarray:
    """Gradient descent on w²/2 after 20 steps from three starts, (13, 3): diverges beyond a rate of 2."""
    return 0.5 * np.array([1.0, 1.2, 0.9]) ** 2 * ((1 - decay * RATES[:, None]) ** 40 + 1e-6)


@pytest.fixture(scope="module")
def swept():
    values = {"sgd": final_losses(1.0), "momentum": final_losses(5.0), "adam": final_losses(0.3)}
    return {label: (RATES, np.where(v > 1e10, np.nan, v)) for label, v in values.items()}


def line(figure, label) -> Any:
    (found,) = [one for one in figure.axes[0].get_lines() if one.get_label() == label]
    return found


def marks(strip, face) -> list[float]:
    found = [one.get_xdata() for one in strip.get_lines() if one.get_markerfacecolor() == face]
    return [float(x) for xs in found for x in xs]


def test_lines_are_medians_over_a_logarithmic_axis(swept):
    figure = sensitivity({"adam": swept["adam"]})
    found = line(figure, "adam")
    np.testing.assert_array_equal(found.get_xdata(), RATES)
    middle = np.median(swept["adam"][1], axis=1)
    np.testing.assert_allclose(found.get_ydata(), np.where(middle <= 10 * middle[0], middle, np.nan))
    assert figure.axes[0].get_xscale() == figure.axes[0].get_yscale() == "log"
    assert found.get_color() == styles(["adam"])["adam"].color


def test_order_of_settings_does_not_matter(swept):
    rates, values = swept["sgd"]
    shuffled = np.random.default_rng(0).permutation(len(rates))
    one, other = (
        sensitivity({"sgd": (rates, values)}),
        sensitivity({"sgd": (rates[shuffled], values[shuffled])}),
    )
    np.testing.assert_array_equal(line(one, "sgd").get_xydata(), line(other, "sgd").get_xydata())


def test_diverged_settings_are_marked_along_the_top():
    values = np.ones((4, 3))
    values[2, 0], values[3, :2] = np.nan, np.inf
    rates = np.array([0.01, 0.1, 1.0, 10.0])
    figure = sensitivity({"sgd": (rates, values), "adam": (rates, np.ones((4, 3)) / 2)})
    axes, strip = figure.axes
    assert strip.get_position().y0 >= axes.get_position().y0 + axes.get_position().height * 0.9
    assert marks(strip, styles(["sgd"])["sgd"].color) == [10.0]
    assert marks(strip, "white") == [1.0]
    assert np.isnan(line(figure, "sgd").get_ydata()).tolist() == [False, False, False, True]
    assert strip.get_xlim() == axes.get_xlim()
    assert any("filled: half of the seeds or more" in text.get_text() for text in strip.texts)


def test_a_huge_loss_counts_as_diverged_and_does_not_set_the_scale():
    rates = np.array([0.01, 0.1, 1.0])
    figure = sensitivity({"sgd": (rates, np.array([1.0, 0.1, 1e30]))})
    assert figure.axes[0].get_ylim()[1] == pytest.approx(10.0)
    assert marks(figure.axes[1], styles(["sgd"])["sgd"].color) == [1.0]
    assert any("diverged or over 10" in text.get_text() for text in figure.axes[1].texts)


def test_key_lists_the_best_first_and_rings_mark_it(swept):
    figure = sensitivity(swept)
    legend = figure.axes[0].get_legend()
    assert legend is not None
    listed = [text.get_text() for text in legend.get_texts()]
    best = {label: np.nanmin(np.median(values, axis=1)) for label, (_, values) in swept.items()}
    assert [words.split("\n")[0] for words in listed] == sorted(best, key=lambda label: best[label])
    rings = [
        float(np.asarray(one.get_ydata())[0])
        for one in figure.axes[0].get_lines()
        if one.get_markersize() == 15
    ]
    np.testing.assert_allclose(sorted(rings), sorted(best.values()), rtol=1e-12)


def test_words_do_not_overlap(swept, clashes):
    assert clashes(sensitivity(swept, title="How much each method minds", threshold=0.01)) == []


def test_nothing_but_divergence_still_makes_a_figure():
    figure = sensitivity({"sgd": ([0.1, 1.0], np.full((2, 3), np.nan))})
    legend = figure.axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["sgd\nalways diverged"]


def test_where_higher_is_better_the_highest_is_best_and_a_lost_seed_the_lowest():
    rates = np.array([0.01, 0.1, 1.0])
    accuracies = np.array([[0.5, 0.6, 0.7], [0.9, 0.8, np.nan], [0.95, np.nan, np.nan]])
    figure = sensitivity({"sgd": (rates, accuracies), "adam": (rates, [0.3, 0.4, 0.2])}, mode="max")
    axes, strip = figure.axes
    np.testing.assert_allclose(line(figure, "sgd").get_ydata(), [0.6, 0.8, np.nan])
    assert axes.get_yscale() == "linear"
    rings = [
        np.asarray(one.get_xydata())[0].tolist() for one in axes.get_lines() if one.get_markersize() == 15
    ]
    assert rings == [[0.1, 0.8], [0.1, 0.4]]
    legend: Any = axes.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == [
        "sgd\nbest 0.8 at 0.1",
        "adam\nbest 0.4 at 0.1",
    ]
    assert marks(strip, styles(["sgd"])["sgd"].color) == [1.0]
    band = np.asarray(axes.collections[0].get_paths()[0].vertices)
    assert [band[band[:, 0] == rate, 1].min() for rate in (0.01, 0.1)] == [0.5, 0.8]
    assert [band[band[:, 0] == rate, 1].max() for rate in (0.01, 0.1)] == [0.7, 0.9]


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="no results"):
        sensitivity({})
    with pytest.raises(ValueError, match=r"settings of 'sgd' have to be positive .* smallest 0"):
        sensitivity({"sgd": ([0.0, 1.0], [1.0, 2.0])})
    with pytest.raises(ValueError, match="sensitivity: mode = 'best'"):
        sensitivity({"sgd": ([0.1], [1.0])}, mode="best")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match=r"'sgd' has 2 settings but losses of shape \(3,\)"):
        sensitivity({"sgd": ([0.1, 1.0], [1.0, 2.0, 3.0])})
