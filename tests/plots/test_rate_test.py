from typing import Any

import numpy as np
import pytest

from jaxopt_edu.plots import rate_test

RATES = np.geomspace(1e-4, 1.0, 9)
LOSSES = np.stack([(np.log10(RATES) + 2) ** 2 + noise for noise in (0.0, 0.1, 0.3)])
LOSSES[:, -1] = np.nan
LOSSES[0, -2] = 1e9


def draw(**more) -> Any:
    return rate_test(RATES, LOSSES, first=5.0, suggestion=0.01, interval=(0.005, 0.02), **more)


def test_line_dots_and_crosses():
    axes = draw().axes[0]
    lines = axes.get_lines()
    dots = [line for line in lines if line.get_marker() == "o"]
    assert [len(line.get_xdata()) for line in dots] == [8, 8, 8]
    np.testing.assert_array_equal(dots[1].get_ydata(), LOSSES[1, :-1])
    crosses = [line for line in lines if line.get_marker() == "x"]
    assert [line.get_xdata().tolist() for line in crosses] == [[1.0]] * 3
    (median,) = [line for line in lines if len(line.get_xdata()) == 9]
    np.testing.assert_allclose(median.get_ydata()[:-1], np.median(LOSSES, axis=0)[:-1])
    assert np.isnan(median.get_ydata()[-1])
    assert axes.get_xscale() == "log"


def test_a_loss_that_explodes_stands_at_the_edge():
    axes = draw().axes[0]
    low, high = axes.get_ylim()
    assert -1 < low < 0
    assert 5 < high < 9
    (first, *_) = [line for line in axes.get_lines() if line.get_marker() == "o"]
    assert 5 <= first.get_ydata()[-1] <= high


def test_suggestion_and_interval_are_marked_and_said():
    axes = draw(smoothed=LOSSES).axes[0]
    marked = [line for line in axes.get_lines() if list(line.get_xdata()) == [0.01, 0.01]]
    assert len(marked) == 1
    said = " ".join(text.get_text() for text in axes.texts)
    for words in (
        "median of 3 seeds",
        "smoothed over the rate",
        "crosses: 3 of 27 diverged",
        "suggestion 0.01 (95 % interval 0.005 to 0.02)",
        "at the start",
    ):
        assert words in said


def test_words_do_not_overlap(clashes):
    assert clashes(draw(title="Which rate")) == []


@pytest.mark.parametrize(
    ("rates", "losses", "more", "message"),
    [
        (RATES[::-1], LOSSES, {}, "each above the one before"),
        (-RATES, LOSSES, {}, "positive numbers"),
        (RATES, LOSSES[:, 1:], {}, r"losses has shape \(3, 8\), but there are 9 rates"),
        (RATES, LOSSES, {"smoothed": LOSSES[1:]}, r"smoothed has shape \(2, 9\)"),
        (RATES, np.full(9, np.nan), {}, "no finite value: every run diverged"),
        (RATES, LOSSES, {"suggestion": -1}, "suggestion is -1: a logarithmic axis"),
        (RATES, LOSSES, {"suggestion": 0.1, "interval": (2, 1)}, "interval is .* the lower one first"),
    ],
)
def test_bad_input_is_named(rates, losses, more, message):
    with pytest.raises(ValueError, match=f"^rate_test: {message}|^rate_test: .*{message}"):
        rate_test(rates, losses, **more)
