import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from jaxopt_edu.plots.drawing.labels import spread, wrap

intervals = st.lists(
    st.tuples(st.floats(-0.5, 1.5, allow_subnormal=False), st.floats(0.01, 0.1)), min_size=1, max_size=9
)


@given(intervals)
def test_spread_keeps_order_and_room_and_bounds(given_intervals):
    centres, sizes = (np.array(part) for part in zip(*given_intervals, strict=True))
    places = spread(centres, sizes, 0.0, 1.0)
    order = np.argsort(centres, kind="stable")
    gaps = np.diff(places[order]) - (sizes[order][1:] + sizes[order][:-1]) / 2
    assert (gaps >= -1e-9).all()
    assert (places - sizes / 2 >= -1e-9).all()
    assert (places + sizes / 2 <= 1 + 1e-9).all()


@given(intervals)
def test_spread_leaves_what_does_not_overlap(given_intervals):
    _, sizes = (np.array(part) for part in zip(*given_intervals, strict=True))
    centres = np.cumsum(sizes + 0.001) - sizes / 2
    np.testing.assert_allclose(spread(centres, sizes, 0.0, 2.0), centres, atol=1e-12)


def test_spread_moves_as_little_as_a_quadratic_program():
    generator = np.random.default_rng(0)
    for _ in range(5):
        centres, sizes = np.sort(generator.uniform(0, 1, 6)), generator.uniform(0.05, 0.15, 6)
        apart = (sizes[1:] + sizes[:-1]) / 2
        best = minimize(
            lambda places, centres=centres: ((places - centres) ** 2).sum(),
            np.linspace(0, 1, 6),
            constraints=[
                {"type": "ineq", "fun": lambda places, apart=apart: np.diff(places) - apart},
                {"type": "ineq", "fun": lambda places, sizes=sizes: places[0] - sizes[0] / 2},
                {"type": "ineq", "fun": lambda places, sizes=sizes: 1 - sizes[-1] / 2 - places[-1]},
            ],
            method="SLSQP",
            options={"ftol": 1e-14, "maxiter": 500},
        )
        np.testing.assert_allclose(spread(centres, sizes, 0.0, 1.0), best.x, atol=1e-5)


def test_spread_without_enough_room_stands_around_the_middle():
    np.testing.assert_allclose(spread([0.5, 0.5, 0.5], [1.0, 1.0, 1.0], 0.0, 1.0), [-0.5, 0.5, 1.5])


@given(st.text(alphabet="ab ,(", max_size=60), st.integers(4, 30))
def test_wrap_loses_nothing_but_spaces(text, width):
    assert wrap(text, width).replace("\n", "").replace(" ", "") == text.replace(" ", "")


def test_wrap_breaks_after_commas_and_brackets():
    assert wrap("adam(learning_rate=0.1, b1=0.9)", 24) == "adam(learning_rate=0.1,\nb1=0.9)"
    assert wrap("sgd", 24) == "sgd"
