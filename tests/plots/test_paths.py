from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.contour import ContourSet

from jaxopt_edu.plots import paths, styles

DOMAIN = ((-8, 8), (-4, 4))
LONG = "adam(learning_rate=0.001, b1=0.9, b2=0.999, eps=1e-8)"
LABELS = ("sgd", "momentum", LONG, "rmsprop", "adagrad", "adadelta", "nesterov")


def bowl(w):
    return w[0] ** 2 / 20 + w[1] ** 2


def saddle(w):
    return w[0] ** 2 - w[1] ** 2


def line(axes, label) -> Any:
    (found,) = [one for one in axes.get_lines() if one.get_label() == label]
    return found


def filled(axes) -> Any:
    (found,) = [one for one in axes.collections if isinstance(one, ContourSet) and one.filled]
    return found


def words(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def levels(figure):
    """The levels of the contour lines of each panel."""
    return [
        np.asarray(one.levels)
        for axes in figure.axes
        for one in axes.collections
        if isinstance(one, ContourSet) and not one.filled
    ]


@pytest.fixture(scope="module")
def seven(descents):
    return paths(bowl, DOMAIN, descents, minima=[(0, 0)], title="Seven on a bowl")


def test_seven_methods_get_a_panel_each_and_one_together(seven, descents):
    assert len(seven.axes) == 8
    for axes, (label, points) in zip(seven.axes, descents.items(), strict=False):
        np.testing.assert_array_equal(line(axes, label).get_xydata(), points)
        np.testing.assert_array_equal(line(seven.axes[-1], label).get_xydata(), points)
    assert {axes.get_xlim() for axes in seven.axes} == {DOMAIN[0]}
    assert {axes.get_ylim() for axes in seven.axes} == {DOMAIN[1]}


def test_every_method_keeps_its_style(seven, descents):
    for axes, (label, style) in zip(seven.axes, styles(descents).items(), strict=False):
        found = line(axes, label)
        assert (found.get_color(), found.get_marker()) == (style.color, style.marker)


def test_words_do_not_overlap(seven, clashes):
    assert clashes(seven) == []


@pytest.mark.parametrize(
    "domain", [((-1000, 100), (-1000, 4500)), ((-20, 20), (-2, 2.5)), ((-2, 2), (-2, 2))]
)
@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_words_do_not_overlap_in_other_windows(clashes, domain, count):
    ways = {name: np.array([[-1.9, 1.9], [9e3, 9e3], [-1.5, 1.0]]) for name in LABELS[:count]}
    assert clashes(paths(bowl, domain, ways, minima=[(0, 0)], title="A title")) == []


def test_panels_keep_the_shape_of_the_window(seven):
    width, height = seven.get_size_inches()
    for axes in seven.axes:
        box = axes.get_position()
        assert box.width * width / (box.height * height) == pytest.approx(2.0)


def test_levels_are_geometric_above_the_minimum(seven):
    found = levels(seven)
    assert len(found) == 8
    for one in found:
        np.testing.assert_allclose(one[1:] / one[:-1], one[1] / one[0], rtol=1e-6)
        assert one[0] > 0
        assert one[-1] < bowl((8, 4))


def test_levels_follow_an_added_constant():
    start = {"sgd": np.array([[-7.0, 2.0]])}
    plain = levels(paths(bowl, DOMAIN, start))[0]
    lifted = levels(paths(lambda w: bowl(w) + 100.0, DOMAIN, start))[0]
    np.testing.assert_allclose(lifted, plain, rtol=1e-2)  # 100 + x leaves float32 five digits of x


def test_a_known_minimum_outside_the_window_is_what_heights_count_from():
    figure = paths(bowl, ((2, 8), (1, 4)), {"sgd": np.array([[7.0, 2.0]])}, minima=[(0, 0)])
    (found,) = levels(figure)
    np.testing.assert_allclose(found[1:] / found[:-1], found[1] / found[0], rtol=1e-6)
    assert found[0] >= bowl((2, 1))


def test_levels_of_a_saddle_are_symmetric_and_geometric():
    (found,) = levels(paths(saddle, ((-2, 2), (-2, 2)), {"sgd": np.array([[-1.5, 0.1]])}))
    np.testing.assert_allclose(found, -found[::-1], rtol=1e-6)
    above = found[found > 0]
    assert len(above) >= 4
    np.testing.assert_allclose(above[1:] / above[:-1], above[1] / above[0], rtol=1e-6)


def test_heights_are_not_clipped():
    def steep(w):
        return jnp.exp(4 * w[0]) + w[1] ** 2

    figure = paths(steep, ((-2, 2), (-2, 2)), {"sgd": np.array([[0.0, 0.5]])}, minima=[(-2, 0)])
    assert filled(figure.axes[0]).zmax == pytest.approx(float(np.exp(8.0) + 4.0 - np.exp(-8.0)), rel=1e-5)


def test_where_the_function_is_not_finite_there_is_a_hole():
    def partly(w):
        return jnp.log(w[0]) ** 2 + w[1] ** 2

    figure = paths(partly, ((-1, 3), (-1, 1)), {"sgd": np.array([[2.0, 0.5]])})
    (found,) = levels(figure)
    assert np.isfinite(found).all()
    outlines = [one.vertices for one in filled(figure.axes[0]).get_paths() if len(one.vertices)]
    assert 0 <= min(vertices[:, 0].min() for vertices in outlines) < 0.05


def test_a_path_ends_where_it_diverges_and_says_so(descents):
    broken = descents["momentum"].copy()
    broken[12:] = np.nan
    infinite = descents["sgd"].copy()
    infinite[5, 1] = np.inf
    never = np.full((4, 2), np.nan)
    figure = paths(bowl, DOMAIN, {"momentum": broken, "sgd": infinite, "adam": never})
    assert {"diverged at step 12", "diverged at step 5", "diverged at step 0"} <= set(words(figure))
    np.testing.assert_array_equal(line(figure.axes[0], "momentum").get_xydata(), broken[:12])
    np.testing.assert_array_equal(line(figure.axes[1], "sgd").get_xydata(), infinite[:5])
    assert len(line(figure.axes[2], "adam").get_xydata()) == 0


def test_a_path_that_leaves_is_drawn_to_the_first_point_outside():
    steps = np.arange(40)[:, None]
    away = np.array([-7.0, 2.0]) * np.array([0.9, -1.12]) ** steps
    figure = paths(bowl, DOMAIN, {"sgd": away})
    # 2 · 1.12⁷ = 4.42 is the first beyond 4
    assert "leaves the window at step 7" in words(figure)
    np.testing.assert_array_equal(line(figure.axes[0], "sgd").get_xydata(), away[:8])


def test_a_path_that_comes_back_says_so_and_is_drawn_whole():
    points = np.array([[0.0, 0.0], [9.0, 0.0], [9.0, 1.0], [1.0, 1.0]])
    figure = paths(bowl, DOMAIN, {"sgd": points})
    assert "out at step 1, back at 3" in words(figure)
    np.testing.assert_array_equal(line(figure.axes[0], "sgd").get_xydata(), points)


def test_a_jump_beyond_float32_is_drawn(tmp_path):
    from jaxopt_edu.plots import save

    figure = paths(bowl, DOMAIN, {"sgd": np.array([[-7.0, 2.0], [1e300, -1e300], [2e300, 1.0]])})
    assert "leaves the window at step 1" in words(figure)
    assert save(figure, tmp_path / "a.png").stat().st_size > 1000


def test_value_reached_is_written():
    figure = paths(bowl, DOMAIN, {"sgd": np.array([[-7.0, 2.0], [2.0, 1.0]])})
    assert "f = 1.2 after 1 steps" in words(figure)


def test_two_share_a_panel_unless_asked_not_to(descents):
    two = {label: descents[label] for label in ("sgd", "momentum")}
    assert len(paths(bowl, DOMAIN, two).axes) == 1
    assert len(paths(bowl, DOMAIN, two, layout="separate").axes) == 3
    assert len(paths(bowl, DOMAIN, descents, layout="together").axes) == 1


def test_start_and_minima_are_marked(descents):
    def marks(figure):
        return [
            one.get_xydata().ravel().tolist()
            for one in figure.axes[0].get_lines()
            if one.get_marker() in "o*"
        ]

    one = {"momentum": descents["momentum"]}
    figure = paths(bowl, DOMAIN, one, minima=[(0, 0), (1, 1)])
    assert all(point in marks(figure) for point in ([-7.0, 2.0], [0.0, 0.0], [1.0, 1.0]))
    assert [3.0, 3.0] in marks(paths(bowl, DOMAIN, one, start=(3.0, 3.0)))


def test_background_is_lighter_than_every_line(seven, descents):
    darkest_ground = min(sum(color[:3]) for color in filled(seven.axes[0]).get_facecolor())
    assert darkest_ground > max(sum(to_rgb(style.color)) for style in styles(descents).values()) + 0.4


def test_bad_input_is_named():
    one = {"sgd": np.array([[-7.0, 2.0]])}
    with pytest.raises(ValueError, match=r"trajectory of 'sgd' has shape \(3,\): expected \(steps \+ 1, 2\)"):
        paths(bowl, DOMAIN, {"sgd": np.zeros(3)})
    with pytest.raises(ValueError, match="no trajectories"):
        paths(bowl, DOMAIN, {})
    with pytest.raises(ValueError, match="low below high"):
        paths(bowl, ((8, -8), (-4, 4)), one)
    with pytest.raises(ValueError, match="paths: layout = 'rows'"):
        paths(bowl, DOMAIN, one, layout="rows")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match=r"returned shape \(2,\)"):
        paths(lambda w: w, DOMAIN, one)
    with pytest.raises(ValueError, match="is 3 everywhere"):
        paths(lambda w: 0.0 * w[0] + 3.0, DOMAIN, one)
    with pytest.raises(ValueError, match="is finite nowhere"):
        paths(lambda w: w[0] * jnp.nan, DOMAIN, one)
