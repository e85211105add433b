"""What each distribution gives, against SciPy's and by its own promises."""

import math

import hypothesis.strategies as st
import numpy as np
import pytest
import scipy.stats
from hypothesis import assume, given

import jaxopt_edu as jo
from jaxopt_edu.core import distributions as d

FINITE = st.floats(-1e6, 1e6, allow_subnormal=False)
ABOVE_0 = st.floats(1e-9, 1e6, allow_subnormal=False)
OPEN = st.floats(2.0**-53, 1 - 2.0**-53)


def one_minus_loguniform(low, high):
    return d.one_minus(d.loguniform(low, high))


MADE = st.one_of(
    st.tuples(st.just(d.uniform), FINITE, FINITE),
    st.tuples(st.just(d.loguniform), ABOVE_0, ABOVE_0),
    st.tuples(st.just(d.quniform), FINITE, FINITE, st.floats(1e-3, 1e3)),
    st.tuples(st.just(d.randint), st.integers(-1000, 1000), st.integers(-1000, 1000)),
    st.tuples(st.just(d.normal), FINITE, st.floats(1e-6, 1e3)),
    st.tuples(st.just(d.choice), st.lists(FINITE, min_size=1)),
    st.tuples(st.just(one_minus_loguniform), ABOVE_0, ABOVE_0),
)


def build(words):
    make, *arguments = words
    if make in (d.uniform, d.loguniform, d.quniform, d.randint, one_minus_loguniform):
        assume(arguments[0] != arguments[1])
        arguments[:2] = sorted(arguments[:2])
    return make(*arguments)


@given(MADE, OPEN)
def test_a_draw_is_inside_and_its_repr_makes_the_distribution_again(words, u):
    made = build(words)
    again = eval(repr(made), dict(vars(d)))
    assert again == made
    assert hash(again) == hash(made)
    value = made.quantile(u)
    if isinstance(made, d.Choice):
        assert value in made.options
        return
    assert type(value) is (int if isinstance(made, d.RandInt) else float)
    assert math.isfinite(value)
    if isinstance(made, d.RandInt):
        assert made.low <= value < made.high
    elif isinstance(made, d.OneMinus):
        assert made.of.quantile(1e-15) <= 1 - value + 1e-9 * (1 + abs(value))
        assert 1 - value <= made.of.quantile(1 - 1e-15) + 1e-9 * (1 + abs(value))
    elif not isinstance(made, d.Normal):
        assert made.low <= value <= made.high


@given(MADE, OPEN, OPEN)
def test_quantiles_do_not_decrease(words, u, v):
    made = build(words)
    assume(not isinstance(made, d.Choice))
    low, high = sorted([u, v])
    assert made.quantile(low) <= made.quantile(high)


@given(OPEN)
def test_quantiles_are_those_of_scipy(u):
    for made, oracle in [
        (d.uniform(-1, 3), scipy.stats.uniform(-1, 4)),
        (d.loguniform(1e-4, 1), scipy.stats.loguniform(1e-4, 1)),
        (d.normal(2, 0.5), scipy.stats.norm(2, 0.5)),
    ]:
        assert made.quantile(u) == pytest.approx(oracle.ppf(u), rel=1e-9, abs=1e-12)
    assert abs(d.randint(3, 10).quantile(u) - scipy.stats.randint(3, 10).ppf(u)) <= (
        # On the border between two whole numbers either is right.
        abs(u * 7 - round(u * 7)) < 1e-9
    )


def test_steps_and_options_are_equally_likely():
    u = (np.arange(3000) + 0.5) / 3000
    for made, values in [
        (d.quniform(0.1, 0.6, 0.1), [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]),
        (d.quniform(16, 100, 32), [16, 48, 80]),
        (d.randint(-1, 2), [-1, 0, 1]),
        (d.choice(["a", None]), ["a", None]),
    ]:
        drawn = [made.quantile(float(each)) for each in u]
        assert [drawn.count(value) for value in values] == [3000 / len(values)] * len(values)


@pytest.mark.parametrize(
    ("make", "arguments", "error", "text"),
    [
        (
            d.uniform,
            (1, 0),
            ValueError,
            "uniform: low = 1.0 is not below high = 0.0; give the lower end first",
        ),
        (d.uniform, (-1e308, 1e308), ValueError, "is not finite; move the ends together"),
        (d.uniform, (0, float("inf")), ValueError, "uniform: high = inf is out of range"),
        (d.loguniform, (0, 1), ValueError, "loguniform: low = 0 is out of range; .* above 0"),
        (d.loguniform, ("a", 1), TypeError, "loguniform: low = 'a' is str"),
        (d.quniform, (0, 1, 0), ValueError, "quniform: q = 0 is out of range"),
        (d.randint, (0.5, 2), TypeError, r"randint: low = 0\.5 is not a whole number; quniform"),
        (d.randint, (2, 2), ValueError, "randint: low = 2 is not below high = 2"),
        (d.normal, (0, 0), ValueError, "normal: deviation = 0 is out of range"),
        (d.choice, ([],), ValueError, "choice: there is nothing to choose from"),
        (d.choice, (3,), TypeError, r"choice: options = 3 is not a list; write choice\(\[a, b, …\]\)"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(make, arguments, error, text):
    with pytest.raises(error, match=text):
        make(*arguments)


def test_repr_is_what_one_would_write():
    cosine = jo.schedules.cosine(peak=0.1, steps=500)
    assert repr([d.loguniform(1e-4, 1), d.quniform(0, 1, 0.25), d.randint(1, 9)]) == (
        "[loguniform(0.0001, 1), quniform(0, 1, 0.25), randint(1, 9)]"
    )
    assert repr(d.choice([0, cosine])) == "choice([0, cosine(peak=0.1, steps=500, final=0)])"
    assert repr(d.uniform(0.1 + 0.2, 1)) == "uniform(0.30000000000000004, 1)"


@pytest.mark.parametrize("given", [0.5, None, [0.1, 0.2], d.choice([0.1, 0.2])])
def test_one_minus_is_of_a_distribution_of_numbers(given):
    with pytest.raises(TypeError, match=r"one_minus: .* is no distribution of numbers; write it as in"):
        d.one_minus(given)


def test_one_minus_keeps_the_digits_beside_1():
    drawn = d.one_minus(d.loguniform(1e-4, 1e-2))
    assert drawn.quantile(0.5) == pytest.approx(0.999, rel=1e-12)
    assert 0.99 <= drawn.quantile(1e-9) < drawn.quantile(1 - 1e-9) <= 0.9999
    assert repr(d.one_minus(drawn)) == "one_minus(one_minus(loguniform(0.0001, 0.01)))"
