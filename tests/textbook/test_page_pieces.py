"""What the page is made of: colours, places of names, tables, packed numbers, words."""

import re
from importlib.resources import files

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxopt_edu import problems
from jaxopt_edu.plots.drawing.style import METHODS, QUIET
from jaxopt_edu.textbook.figures import HeatFigure, LinesFigure, Path, PathsFigure, Series
from jaxopt_edu.textbook.page.drawing.ground import ground_of
from jaxopt_edu.textbook.page.drawing.lines import draw_lines
from jaxopt_edu.textbook.page.drawing.look import DARK, GROUND, OTHERS, PAPER, SHADES_OF
from jaxopt_edu.textbook.page.drawing.looks import looks
from jaxopt_edu.textbook.page.drawing.paths import window_of, within_reach
from jaxopt_edu.textbook.page.drawing.placing import FRAME, LETTER, LINE, places
from jaxopt_edu.textbook.page.packing import pack, unpack
from jaxopt_edu.textbook.page.tables import table_of
from jaxopt_edu.textbook.page.words import markdown


def luminance(color):
    """Relative luminance as WCAG 2 defines it."""
    parts = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", METHODS)
def test_methods_can_be_seen_and_read(name):
    look = METHODS[name]
    assert contrast(look.color, PAPER) >= 3
    assert contrast(look.text, PAPER) >= 4.5
    assert contrast(DARK[look.text], DARK[PAPER]) >= 4.5
    # Lines also run over the heights; there the edge of paper around them helps on the light page.
    assert contrast(DARK[look.color], DARK[GROUND[-1]]) >= 3
    assert contrast(look.color, GROUND[-1]) >= 2.2


def test_every_shade_can_be_seen_and_read():
    for light in (*OTHERS, *(shade for shades in SHADES_OF.values() for shade in shades[1:])):
        assert contrast(light, PAPER) >= 4.5, light
        assert contrast(DARK[light], DARK[PAPER]) >= 4.5, light
    every = [*OTHERS, QUIET, *(shade for shades in SHADES_OF.values() for shade in shades)]
    assert len(set(every)) == len(every)
    assert len({DARK[light] for light in every}) == len(every)


def test_a_colour_belongs_to_one_method_or_to_none():
    names = ["Momentum, α = 0.5", "SGD", "Bowl", "Momentum, α = 0.9", "AMSGrad", "theory", "SGD, η = 1"]
    found = looks(names, theory=["theory"])
    assert found["SGD"] == METHODS["sgd"]
    for name in names:
        owner = {"Momentum": "momentum", "SGD": "sgd"}.get(name.split(",")[0])
        assert (found[name].color in OTHERS) == (name in ("Bowl", "AMSGrad"))
        for method, shades in SHADES_OF.items():
            assert (found[name].color in shades) == (method == owner)
    assert found["theory"].color == QUIET
    assert not found["theory"].marker
    assert len(set(found.values())) == len(names)
    # Settings without a method's name have the colour of the figure's method.
    of = looks(["η = 0.1", "η = 0.5"], of="Adadelta")
    assert of["η = 0.1"] == METHODS["adadelta"]
    assert of["η = 0.5"].color == SHADES_OF["adadelta"][1]
    # However many there are, each can be read, and told from the others by its mark or dash.
    many = looks([f"ε = {k}" for k in range(6)], of="Adadelta")
    assert len(set(many.values())) == 6
    assert all(contrast(look.text, PAPER) >= 4.5 for look in many.values())


def test_dark_colours_tell_the_methods_apart():
    dark = [DARK[look.color] for look in METHODS.values()]
    assert len(set(dark)) == len(METHODS)


def test_the_style_sheets_colours_have_contrast():
    css = files("jaxopt_edu.textbook.page").joinpath("browser", "page.css").read_text("utf-8")
    blocks = re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    light, dark, printed = (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block)) for block in blocks)
    # On paper words are darker still, and no badge has a ground.
    assert min(contrast(color, "#ffffff") for color in printed.values()) > 12
    for color in (light, dark, light | printed):
        for paper in ("paper", "side"):
            for words in ("ink", "quiet", "link", "keyword", "holds", "depends", "fails"):
                assert contrast(color[words], color[paper]) >= 4.5, (words, paper)
            assert contrast(color["focus"], color[paper]) >= 3
        for verdict in ("holds", "depends", "fails"):
            assert contrast(color[verdict], color[f"{verdict}-paper"]) >= 4.5


@given(arrays.arrays(np.float32, st.tuples(st.integers(1, 3), st.integers(1, 9))))
def test_packing_loses_nothing(numbers):
    assert unpack(pack(numbers), numbers.shape).tobytes() == numbers.tobytes()


def test_packing_makes_paths_smaller():
    path = (0.9 ** np.arange(1000)).astype(np.float32)
    assert len(pack(np.stack([path, path]))) < 0.8 * path.nbytes * 2


def test_names_hide_neither_each_other_nor_leave_the_window():
    window = np.array([[-10.0, 10.0], [-5.0, 5.0]])
    turns = np.linspace(0, 12, 200)
    ways = [
        np.stack(
            [8 * np.exp(-turns / 4) * np.cos(turns + k), 4 * np.exp(-turns / 4) * np.sin(turns + k)], axis=1
        )
        for k in range(7)
    ]
    names = [f"method {k}" for k in range(7)]
    marks = np.array([[0.0, 0.0]])
    found = [place for place in places(ways, names, window, marks=marks) if place is not None]
    assert len(found) == len(names)
    scale = FRAME / 20
    halves = [np.array([LETTER * len(name), LINE]) / 2 for name in names]
    for i, place in enumerate(found):
        assert (np.abs(place) * scale + halves[i] <= np.array([10, 5]) * scale).all()
        assert (np.abs(place) * scale >= halves[i]).any()
        for j in range(i):
            assert (np.abs(place - found[j]) * scale >= halves[i] + halves[j]).any()
    assert places([np.array([[50.0, 50.0]])], ["far"], window, marks=marks) == [None]


def test_ground_is_lowest_at_the_minimum_and_its_lines_are_level():
    ground = ground_of(problems.beale)
    rows, columns = ground.shades.shape
    row, column = np.unravel_index(np.argmin(ground.shades), ground.shades.shape)
    assert abs(-4.5 + 9 * column / (columns - 1) - 3.0) < 0.3
    assert abs(-4.5 + 9 * row / (rows - 1) - 0.5) < 0.3
    lines = ground_of(problems.bowl).lines.astype(float)
    pieces = np.split(lines, np.flatnonzero(np.isnan(lines[:, 0])) + 1)
    assert len(pieces) > 10
    for x, y in (piece[:-1].T for piece in pieces if len(piece) > 200):
        heights = x**2 / 20 + y**2
        assert np.ptp(heights) < 0.01 * heights.mean()


def test_the_window_shrinks_to_what_is_worth_seeing():
    points = np.array([[-7.0, 2.0], [0.5, -0.5], [0.0, 0.0]])
    path = Path("SGD", points, np.zeros(3))
    window = window_of(PathsFigure(problems.bowl, (path,)))
    assert ((points > window[:, 0]) & (points < window[:, 1])).all()
    assert np.ptp(window[0]) < 12
    wide = Path("SGD", np.array([[-9.0, -4.5], [9.0, 4.5]]), np.zeros(2))
    np.testing.assert_array_equal(window_of(PathsFigure(problems.bowl, (wide,))), problems.bowl.domain)


def test_only_what_is_far_away_is_left_out():
    window = np.array([[-2.0, 2.0], [-1.0, 1.0]])
    points = np.array([[0.0, 0.0], [3.0, 5.0], [70.0, 39.0], [70.0, 41.0], [-1e30, 0.0]], np.float32)
    kept = within_reach(points, window)
    assert kept.dtype == np.float32
    np.testing.assert_array_equal(kept[:3], points[:3])
    assert np.isnan(kept[3:]).all()


def test_tables_have_the_figures_numbers():
    path = Path("SGD", np.arange(62.0).reshape(31, 2), np.arange(31.0) / 8)
    table = table_of(PathsFigure(problems.bowl, (path,)))
    assert table.head == ("path", "step", "x", "y", "f(x, y)")
    assert table.rows[0] == ("SGD", "0", "0", "1", "0")
    assert table.rows[-1] == ("SGD", "30", "60", "61", "3.75")
    assert table.caption.endswith("; 6 of up to 31 steps on a path.")

    x = np.array([1.0, 2.0])
    plain = LinesFigure((Series("a", x, -x), Series("b", x, np.array([np.nan, 7]))), "x", "y")
    assert table_of(plain).rows == (("1", "−1", "—"), ("2", "−2", "7"))
    banded = LinesFigure((Series("a", x, x, x - 1, x + 1),), "x", "y")
    assert table_of(banded).rows[1] == ("a", "2", "2", "1", "3")

    many = np.arange(33.0)
    whole = LinesFigure((Series("a", many, many, many, many), Series("b", many, many)), "x", "y")
    assert len(table_of(whole).rows) == 66
    assert table_of(whole).caption == "y, by x."
    more = np.arange(1000.0)
    assert table_of(LinesFigure((Series("a", more, more),), "x", "y")).caption.endswith(
        "; 13 of up to 1000 points on a line."
    )

    heat = HeatFigure(x, x, np.array([[1.0, 2.0], [3.0, np.inf]]), "rate", "momentum", "loss")
    assert table_of(heat).head == ("momentum", "1", "2")
    assert table_of(heat).rows == (("1", "1", "2"), ("2", "3", "∞"))


def test_a_chart_says_what_it_cannot_draw():
    x = np.array([1.0, 2.0, 3.0])
    series = (Series("gap", x, np.array([1, np.nan, 2])), Series("none", x, np.array([1.0, 0, 2])))
    even, log = (draw_lines(LinesFigure(series, "x", "y", yscale=scale))[1] for scale in ("linear", "log"))
    assert even == ["No value where a line has a gap or ends early: gap."]
    assert log == [*even, "0 somewhere, where a logarithmic axis draws nothing: none."]


def test_markdown_shows_html_and_sets_equations():
    made = markdown("a <b>c</b> `<d>`, $x < \\eta$\n\n| h |\n|---|\n| 1 |")
    assert "<b>" not in made
    assert "&lt;b&gt;" in made
    assert "<mo>&#x0003C;</mo>" in made
    assert "η" in made
    assert "<th>h</th>" in made
    # Money is no equation.
    assert "<math" not in markdown("It costs $5.")
