from typing import Any

import numpy as np
import pytest
from matplotlib.collections import LineCollection

from jaxopt_edu.plots import parallel
from jaxopt_edu.plots.parallel import ASIDE, SPREAD

COLUMNS = {
    "optimizer": ["sgd", "sgd", "adam", "adam", "adam"],
    "learning_rate": [0.01, 1.0, 0.001, 0.01, 0.1],
    "b1": [None, np.nan, 0.9, 0.0, 0.45],
}
LOSSES = [1.2, np.nan, 0.2, 0.4, 0.02]


@pytest.fixture(scope="module")
def figure():
    return parallel(COLUMNS, LOSSES, label="loss", title="A title")


def lines(figure) -> tuple[Any, Any]:
    """The lines of the runs that diverged, and of the others: collections, the worst first."""
    lost, kept = (one for one in figure.axes[0].collections if isinstance(one, LineCollection))
    return lost, kept


def words(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_every_setting_is_a_line_and_the_best_is_last(figure):
    _, kept = lines(figure)
    heights = np.array([segment[:, 1] for segment in kept.get_segments()])
    assert heights.shape == (4, 4)
    # Learning rates 0.01, 0.01, 0.001, 0.1 of 0.001 … 1, by loss 1.2, 0.4, 0.2, 0.02.
    np.testing.assert_allclose(heights[:, 1], [1 / 3, 1 / 3, 0, 2 / 3], atol=1e-12)
    np.testing.assert_allclose(heights[1:, 2], [0, 1, 0.5])
    place = np.log([1.2 / 0.02, 0.4 / 0.02, 0.2 / 0.02, 1.0]) / np.log(60)
    np.testing.assert_allclose(heights[:, 3], place, atol=1e-12)


def test_better_is_darker(figure):
    colors = lines(figure)[1].get_colors()[:, :3].sum(axis=1)
    assert (np.diff(colors) < 0).all()


def test_what_an_optimizer_lacks_passes_below(figure):
    heights = lines(figure)[1].get_segments()[0][:, 1]
    assert heights[2] == pytest.approx(-ASIDE, abs=SPREAD)
    assert words(figure).count("none") == 1


def test_diverged_runs_end_beyond_the_last_axis(figure):
    lost, _ = lines(figure)
    (segment,) = lost.get_segments()
    assert segment[-1, 1] >= 1 + ASIDE - SPREAD
    assert "diverged" in words(figure)
    assert "5 settings, the best drawn thick; dashed: 1 that diverged" in words(figure)


def test_the_best_is_written_beside_its_line(figure):
    beside = [
        text.get_text()
        for text in figure.axes[0].texts
        if text.get_bbox_patch() and text.get_fontweight() == "bold"
    ]
    assert beside == ["0.1", "0.45", "0.02"]


def test_lines_that_share_a_word_are_spread_in_the_order_of_values(figure):
    _, kept = lines(figure)
    adam = [segment[0, 1] for segment in kept.get_segments()[1:]]
    assert adam == sorted(adam, reverse=True)
    assert len(set(adam)) == 3
    assert np.ptp(adam) <= 2 * SPREAD + 1e-12
    assert {"sgd", "adam"} <= set(words(figure))


def test_where_higher_is_better_diverged_runs_end_below():
    figure = parallel({"rate": [0.1, 0.2, 0.3]}, [0.5, 0.9, np.nan], label="accuracy", mode="max")
    lost, kept = lines(figure)
    assert lost.get_segments()[0][-1, 1] < -ASIDE + SPREAD + 1e-12
    np.testing.assert_allclose([segment[-1, 1] for segment in kept.get_segments()], [0.0, 1.0])


def test_outliers_count_as_diverged_and_that_is_said():
    losses = [*np.linspace(1, 2, 20), 500.0]
    figure = parallel({"rate": np.arange(21.0)}, losses, label="loss", log=False)
    assert any("dashed: 1 that diverged or ended over 2" in one for one in words(figure))


def test_a_column_may_be_forced_to_a_scale():
    figure = parallel({"rate": [1.0, 10.0, 100.0]}, [1.0, 2.0, 3.0], label="loss", logs={"rate": False})
    heights = sorted(segment[0, 1] for segment in lines(figure)[1].get_segments())
    np.testing.assert_allclose(heights, [0.0, 9 / 99, 1.0])


def test_words_do_not_overlap(figure, clashes):
    assert clashes(figure) == []
    generator = np.random.default_rng(0)
    names = ("learning_rate", "momentum", "decay", "rho", "b1", "b2", "weight_decay")
    columns = {name: generator.uniform(0, 1, 50) for name in names} | {"optimizer": ["adam", "rmsprop"] * 25}
    values = generator.uniform(0.1, 1, 50)
    plain = parallel(columns, values, label="training loss", title="A title")
    # The best's numbers lie over ticks where they must, on a ground of their own.
    marked = {text.get_text() for text in plain.axes[0].texts if text.get_bbox_patch()}
    assert [pair for pair in clashes(plain) if not marked & set(pair)] == []


def test_a_column_with_one_value_and_one_without_any_are_drawn():
    figure = parallel({"a": [0.5, 0.5], "b": [None, None]}, [1.0, 2.0], label="loss")
    heights = np.array([segment[:2, 1] for segment in lines(figure)[1].get_segments()])
    np.testing.assert_allclose(heights[:, 0], 0.5)
    assert (heights[:, 1] < 0).all()


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="no columns"):
        parallel({}, [1.0], label="loss")
    with pytest.raises(ValueError, match=r"values have shape \(1, 1\): expected \(settings,\)"):
        parallel({"a": [1.0]}, [[1.0]], label="loss")
    with pytest.raises(ValueError, match="a has 1 values for 2 settings"):
        parallel({"a": [1.0]}, [1.0, 2.0], label="loss")
    with pytest.raises(ValueError, match=r"a mixes words and numbers: 'x' and 1\.0"):
        parallel({"a": ["x", 1.0]}, [1.0, 2.0], label="loss")
    with pytest.raises(ValueError, match="a has the value 0"):
        parallel({"a": [0.0, 1.0]}, [1.0, 2.0], label="loss", logs={"a": True})
    with pytest.raises(ValueError, match="logs names 'c', but the columns are a"):
        parallel({"a": [0.0, 1.0]}, [1.0, 2.0], label="loss", logs={"c": True})


def test_the_caller_may_say_which_is_the_best():
    figure = parallel({"rate": [0.1, 0.2, 0.3]}, [1.0, 2.0, 3.0], label="loss", best=1)
    assert [
        text.get_text()
        for text in figure.axes[0].texts
        if text.get_bbox_patch() and text.get_fontweight() == "bold"
    ] == ["0.2", "2"]


def test_no_number_is_written_twice_and_none_lies_under_a_line():
    columns = {"batch_size": [32.0, 64.0, 128.0], "learning_rate": [0.1, 0.01, 0.001]}
    axes = parallel(columns, [0.3, 0.2, 0.1], label="loss").axes[0]
    words = [text.get_text() for text in axes.texts]
    for number in ("32", "64", "128", "0.1", "0.01", "0.001"):
        beside = [text for text in axes.texts if text.get_text() == number and text.get_position()[0] < 1.5]
        assert len(beside) == 1, (number, words)
    lines = [artist.get_zorder() for artist in (*axes.lines, *axes.collections)]
    numbers = [text for text in axes.texts if text.get_text().replace(".", "").isdigit()]
    assert min(text.get_zorder() for text in numbers) > max(lines)
    assert all(text.get_bbox_patch() is not None for text in numbers)
