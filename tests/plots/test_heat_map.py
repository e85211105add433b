from typing import Any

import numpy as np
import pytest
from matplotlib.collections import PathCollection, QuadMesh
from matplotlib.contour import ContourSet

from jaxopt_edu.plots import heat_map, save

NAMES: Any = {"xlabel": "learning rate", "ylabel": "momentum", "label": "contraction"}
RATES = np.linspace(0.001, 0.045, 12)
MOMENTA = np.linspace(0.0, 0.96, 9)


def contraction(rates: np.ndarray, momenta: np.ndarray) -> np.ndarray:
    """The spectral radius of heavy ball on a quadratic with eigenvalues 1 and 100; NaN from 1 on."""
    radius = np.zeros(np.broadcast_shapes(rates.shape, momenta.shape))
    for curvature in (1.0, 100.0):
        middle = 1 + momenta - rates * curvature
        root = np.sqrt(middle**2 - 4 * momenta + 0j)
        for one in (middle + root, middle - root):
            radius = np.maximum(radius, np.abs(one) / 2)
    return np.where(radius < 1, radius, np.nan)


def found(figure, kind) -> Any:
    (one,) = [part for part in figure.axes[0].collections if isinstance(part, kind)]
    return one


def words(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def key(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def ring(figure) -> tuple[float, ...]:
    (place,) = {
        tuple(map(float, np.asarray(line.get_xydata())[0]))
        for line in figure.axes[0].get_lines()
        if line.get_markersize() == 17
    }
    return place


@pytest.fixture(scope="module")
def values():
    return contraction(RATES, MOMENTA[:, None])


@pytest.fixture(scope="module")
def theory(values):
    optimum = ((2 / 11) ** 2, (9 / 11) ** 2)
    return heat_map(RATES, MOMENTA, values, **NAMES, marks={"theory": optimum}, title="Momentum")


def test_every_setting_is_a_cell(theory, values):
    cells = found(theory, QuadMesh)
    np.testing.assert_array_equal(np.ma.filled(cells.get_array(), np.nan).reshape(values.shape), values)
    corners = cells.get_coordinates()
    middles = (corners[:-1, :-1] + corners[1:, 1:]) / 2
    np.testing.assert_allclose(middles[0, :, 0], RATES)
    np.testing.assert_allclose(middles[:, 0, 1], MOMENTA)
    assert (theory.axes[0].get_xscale(), theory.axes[0].get_yscale()) == ("linear", "linear")
    assert (theory.axes[0].get_xlabel(), theory.axes[1].get_ylabel()) == ("learning rate", "contraction")


def test_the_best_is_ringed_and_written(theory, values):
    row, column = np.unravel_index(np.nanargmin(values), values.shape)
    assert ring(theory) == (RATES[column], MOMENTA[row])
    best = f"{np.nanmin(values):.3g} at learning rate {RATES[column]:.3g}, momentum {MOMENTA[row]:.3g}"
    assert f"best {best}" in words(theory)


def test_marks_stand_where_they_were_asked_for(theory):
    points = [np.asarray(line.get_xydata())[0].tolist() for line in theory.axes[0].get_lines()]
    assert [pytest.approx(4 / 121), pytest.approx(81 / 121)] in points
    assert key(theory) == ["best measured", "theory", "diverged"]


def test_contours_are_at_the_ticks_of_the_color_bar(theory):
    levels = found(theory, ContourSet).levels
    assert len(levels) >= 3
    assert set(np.round(levels, 9)) <= set(np.round(theory.axes[1].get_yticks(), 9))


def test_diverged_settings_have_no_color(theory, values):
    cells = found(theory, QuadMesh)
    np.testing.assert_array_equal(
        np.ma.getmaskarray(cells.get_array()).reshape(values.shape), np.isnan(values)
    )
    assert [patch.get_hatch() for patch in theory.axes[0].patches] == ["///"]
    assert "diverged" not in key(heat_map(RATES, MOMENTA, np.nan_to_num(values, nan=1.0), **NAMES))


def test_what_ended_beyond_the_top_counts_as_diverged():
    losses = [[1.0, 30.0, 2.0], [4.0, np.nan, 8.0]]
    figure = heat_map([0.1, 0.2, 0.3], [0.0, 0.5], losses, **NAMES, top=10.0)
    lost = np.ma.getmaskarray(found(figure, QuadMesh).get_array()).reshape(2, 3)
    np.testing.assert_array_equal(lost, [[False, True, False], [False, True, False]])
    assert "diverged or ended over 10" in key(figure)
    figure = heat_map([0.1, 0.2, 0.3], [0.0, 0.5], losses, **NAMES, top=3.0, mode="max")
    assert "diverged or ended under 3" in key(figure)


def test_order_of_a_grid_does_not_matter(values, tmp_path):
    generator = np.random.default_rng(0)
    rows, columns = generator.permutation(len(MOMENTA)), generator.permutation(len(RATES))
    mixed = heat_map(RATES[columns], MOMENTA[rows], values[np.ix_(rows, columns)], **NAMES)
    plain = heat_map(RATES, MOMENTA, values, **NAMES)
    one, other = save(mixed, tmp_path / "a.png"), save(plain, tmp_path / "b.png")
    assert one.read_bytes() == other.read_bytes()


def test_logarithmic_cells_meet_at_geometric_means():
    rates = np.geomspace(1e-4, 1, 5)
    figure = heat_map(rates, [0.0, 0.9], np.ones((2, 5)), **NAMES)
    assert figure.axes[0].get_xscale() == "log"
    edges = found(figure, QuadMesh).get_coordinates()[0, :, 0]
    np.testing.assert_allclose(edges[1:-1], np.sqrt(rates[1:] * rates[:-1]))
    assert heat_map(rates, [0.0, 0.9], np.ones((2, 5)), **NAMES, xlog=False).axes[0].get_xscale() == "linear"


def test_scattered_settings_are_marks_the_best_on_top(clashes):
    generator = np.random.default_rng(0)
    rates, momenta = 10 ** generator.uniform(-4, 0, 60), generator.uniform(0, 1, 60)
    losses = 0.01 + np.log10(rates / 0.01) ** 2
    losses[rates > 0.5] = np.inf
    figure = heat_map(rates, momenta, losses, **NAMES, title="A title")
    dots = found(figure, PathCollection)
    order = np.argsort(-losses[np.isfinite(losses)])
    np.testing.assert_array_equal(dots.get_array(), losses[np.isfinite(losses)][order])
    best = int(np.argmin(losses))
    assert ring(figure) == (rates[best], momenta[best])
    crosses = [line for line in figure.axes[0].get_lines() if line.get_marker() == "x"]
    np.testing.assert_array_equal(crosses[0].get_xdata(), rates[rates > 0.5])
    assert clashes(figure) == []


def test_where_higher_is_better_the_highest_is_ringed():
    figure = heat_map([1.0, 2.0], [1.0, 2.0], [[0.1, 0.2], [0.9, np.nan]], **NAMES, mode="max")
    assert ring(figure) == (1.0, 2.0)


def test_words_do_not_overlap(theory, clashes):
    assert clashes(theory) == []


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"values have shape \(2, 3\).*expected \(3, 2\)"):
        heat_map([1.0, 2.0], [1.0, 2.0, 3.0], np.ones((2, 3)), **NAMES)
    with pytest.raises(ValueError, match=r"one momentum for each learning rate: got 3 for 2"):
        heat_map([1.0, 2.0], [1.0, 2.0, 3.0], np.ones(2), **NAMES)
    with pytest.raises(ValueError, match=r"momentum has shape \(2,\): expected \(n,\), finite"):
        heat_map([1.0, 2.0], [1.0, np.nan], np.ones((2, 2)), **NAMES)
    with pytest.raises(ValueError, match="learning rate has the value 0, which a log"):
        heat_map([0.0, 2.0], [1.0, 2.0], np.ones((2, 2)), **NAMES, xlog=True)
    with pytest.raises(ValueError, match="contraction is finite nowhere"):
        heat_map([1.0, 2.0], [1.0, 2.0], np.full((2, 2), np.nan), **NAMES)


def test_the_caller_may_say_which_is_the_best(values):
    place = 2 * RATES.size + 5
    figure = heat_map(RATES[::-1], MOMENTA, values, **NAMES, best=place)
    assert ring(figure) == (RATES[::-1][5], MOMENTA[2])
    assert words(figure)[0].startswith(f"best {values[2, 5]:.3f} at ")
    scattered = heat_map([0.1, 0.2, 0.3], [0.9, 0.8, 0.7], [1.0, 2.0, 3.0], **NAMES, best=1)
    assert ring(scattered) == (0.2, 0.8)
    for place in (-1, 3, 2):
        with pytest.raises(ValueError, match=f"heat_map: best (is|=) {place}"):
            heat_map([0.1, 0.2, 0.3], [0.9, 0.8, 0.7], [1.0, 2.0, np.nan], **NAMES, best=place)
