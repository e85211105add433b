from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_edu.plots import curves, styles
from jaxopt_edu.plots.curves import running_mean
from jaxopt_edu.plots.drawing.seeds import summarise


def line(figure, label) -> Any:
    (found,) = [one for one in figure.axes[0].get_lines() if one.get_label() == label]
    return found


def words(figure):
    return [text.get_text() for text in figure.axes[0].texts if text.get_text()]


def band(figure, position=0):
    """Lower and upper edge of the band at every step, from its outline."""
    outline = figure.axes[0].collections[position].get_paths()[0].vertices
    steps = np.unique(outline[:, 0])
    at = [outline[outline[:, 0] == step, 1] for step in steps]
    return np.array([one.min() for one in at]), np.array([one.max() for one in at])


def test_line_is_the_median_and_band_the_range(losses):
    figure = curves(losses, ylabel="loss")
    for position, (label, values) in enumerate(losses.items()):
        assert line(figure, label).get_color() == styles(losses)[label].color
        np.testing.assert_array_equal(line(figure, label).get_xdata(), np.arange(31))
        np.testing.assert_allclose(line(figure, label).get_ydata(), np.median(values, axis=0), rtol=1e-15)
        low, high = band(figure, position)
        np.testing.assert_array_equal(low, values.min(axis=0))
        np.testing.assert_array_equal(high, values.max(axis=0))
    assert "median of 3 seeds, band from the lowest to the highest finite seed" in words(figure)
    assert figure.axes[0].get_yscale() == "log"
    assert (figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()) == ("step", "loss")


def test_quartile_band_is_numpys():
    values = np.random.default_rng(0).uniform(1, 2, (9, 20))
    figure = curves({"sgd": values}, ylabel="loss", band="quartiles")
    low, high = band(figure)
    np.testing.assert_allclose([low, high], np.quantile(values, [0.25, 0.75], axis=0), rtol=1e-12)
    assert "median of 9 seeds, band from the first to the third quartile" in words(figure)


def test_one_seed_is_drawn_exactly_and_has_no_band():
    values = jnp.array([3.0, 2.0, 0.1])
    figure = curves({"sgd": values}, ylabel="loss", steps=[0, 10, 50])
    np.testing.assert_array_equal(line(figure, "sgd").get_ydata(), np.asarray(values, np.float64))
    np.testing.assert_array_equal(line(figure, "sgd").get_xdata(), [0, 10, 50])
    assert not figure.axes[0].collections
    assert words(figure) == ["sgd"]


def test_words_do_not_overlap_even_where_lines_end_together(losses, clashes):
    assert clashes(curves(losses, ylabel="loss", title="A title", threshold=0.05)) == []
    same = {f"{label}(learning_rate=0.001, decay=0.9)": np.full(10, 0.5) for label in losses}
    assert clashes(curves(same, ylabel="loss", log=False, title="A title")) == []
    many = {f"method {i}": np.geomspace(1, 1e-5, 20) for i in range(16)}
    assert clashes(curves(many, ylabel="loss", title="A title")) == []


def test_labels_stand_in_the_order_of_their_ends(losses):
    figure = curves(losses, ylabel="loss")
    figure.draw_without_rendering()
    heights = {text.get_text(): text.get_window_extent().y0 for text in figure.axes[0].texts}
    ends = {label: np.median(values, axis=0)[-1] for label, values in losses.items()}
    assert sorted(losses, key=lambda label: heights[label]) == sorted(losses, key=lambda label: ends[label])


def test_diverged_seeds_are_counted_and_do_not_flatter_the_median():
    values = np.array([[4.0, 3.0, 2.0], [4.0, 5.0, np.nan], [4.0, 1.0, 1.0], [4.0, 6.0, np.inf]])
    figure = curves({"sgd": values}, ylabel="loss")
    drawn = np.asarray(line(figure, "sgd").get_ydata())
    np.testing.assert_array_equal(drawn[:2], [4.0, 4.0])
    assert np.isnan(drawn[2])  # two of four are lost: the median is between 2 and ∞
    assert "sgd\n2 of 4 seeds diverged" in words(figure)


def test_where_higher_is_better_a_diverged_seed_is_the_lowest():
    values = np.array([[0.1, 0.5, 0.9], [0.1, 0.6, np.nan], [0.1, 0.7, 0.8]])
    figure = curves({"sgd": values}, ylabel="accuracy", mode="max", band="quartiles")
    np.testing.assert_array_equal(line(figure, "sgd").get_ydata(), [0.1, 0.6, 0.8])
    assert figure.axes[0].get_yscale() == "linear"
    low, high = band(figure)
    np.testing.assert_array_equal(low, [0.1, 0.5, figure.axes[0].get_ylim()[0]])
    np.testing.assert_array_equal(high, [0.1, 0.7, 0.9])


def test_a_single_run_says_where_it_diverged(losses, clashes):
    broken = np.array([1.0, 2.0, 40.0, 1e30, np.nan, np.nan])
    figure = curves({"sgd": broken, "adam": np.linspace(1, 0.5, 6), "all": broken * np.nan}, ylabel="loss")
    assert "sgd\ndiverged at step 4" in words(figure)
    assert "all\ndiverged at step 0" in words(figure)
    assert figure.axes[0].get_ylim()[1] < 2  # a run on its way to infinity does not set the scale
    np.testing.assert_array_equal(line(figure, "sgd").get_ydata(), broken)
    assert clashes(figure) == []


def test_only_diverged_runs_still_make_a_figure():
    figure = curves({"sgd": np.full((2, 5), np.nan)}, ylabel="loss")
    assert "sgd\n2 of 2 seeds diverged" in words(figure)


def test_top_cuts_the_axis_and_says_who_leaves_it():
    figure = curves({"sgd": [1.0, 10.0, 100.0], "adam": [1.0, 0.5, 0.2]}, ylabel="loss", top=20.0)
    assert figure.axes[0].get_ylim()[1] == 20.0
    assert "sgd\nover the top from step 2" in words(figure)


def test_smoothing_is_said_and_is_the_running_mean(losses):
    figure = curves({"sgd": losses["sgd"][0]}, ylabel="loss", smooth=4)
    assert "running mean over 4 values" in words(figure)
    values = losses["sgd"][0]
    expected = [values[max(0, step - 3) : step + 1].mean() for step in range(len(values))]
    np.testing.assert_allclose(line(figure, "sgd").get_ydata(), expected, rtol=1e-12)
    assert running_mean(np.array([[1.0, 3.0]]), 9).tolist() == [[1.0, 2.0]]


def test_threshold_is_drawn_inside_the_axis():
    figure = curves({"sgd": [1.0, 0.5]}, ylabel="loss", threshold=0.01)
    low, high = figure.axes[0].get_ylim()
    assert low < 0.01 < high
    assert any(np.all(np.asarray(one.get_ydata()) == 0.01) for one in figure.axes[0].get_lines())
    assert "0.01" in words(figure)


def test_zero_loss_falls_off_a_logarithmic_axis():
    figure = curves({"sgd": [1.0, 0.1, 0.0]}, ylabel="loss")
    figure.draw_without_rendering()
    assert 0.05 < figure.axes[0].get_ylim()[0] < 0.1


def test_median_of_huge_losses_does_not_overflow():
    found = summarise(np.array([[1e308], [1.7e308]]), "range")
    assert found.middle[0] == pytest.approx(1.35e308)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="no histories"):
        curves({}, ylabel="loss")
    with pytest.raises(ValueError, match=r"values of 'sgd' have shape \(1, 1, 2\)"):
        curves({"sgd": [[[1.0, 2.0]]]}, ylabel="loss")
    with pytest.raises(ValueError, match="loss reaches -3, which a logarithmic axis cannot show: pass"):
        curves({"sgd": [1.0, -3.0]}, ylabel="loss")
    with pytest.raises(ValueError, match="no positive value"):
        curves({"sgd": [0.0, 0.0]}, ylabel="loss")
    with pytest.raises(ValueError, match="curves: band = 'sd'; it is 'range' or 'quartiles' or 'none'"):
        curves({"sgd": [1.0]}, ylabel="loss", band="sd")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="'sgd' has 2 values"):
        curves({"sgd": [1.0, 2.0]}, ylabel="loss", steps=[0, 1, 2])
    with pytest.raises(ValueError, match="curves: smooth = 0"):
        curves({"sgd": [1.0, 2.0]}, ylabel="loss", smooth=0)
    with pytest.raises(ValueError, match=r"top is 0\.5, but the lowest loss is 1"):
        curves({"sgd": [1.0, 2.0]}, ylabel="loss", top=0.5)
