import numpy as np
import pytest
from matplotlib.colors import to_rgb

from jaxopt_edu.plots.drawing.scales import (
    SHADES,
    check_positive,
    chosen_logarithmically,
    number,
    shading,
    spans_decades,
    ticks,
)


@pytest.mark.parametrize(
    ("settings", "logarithmic"),
    [
        (np.geomspace(1e-4, 1, 40), True),
        (10 ** np.random.default_rng(0).uniform(-4, 0, 60), True),
        ([16, 32, 64, 128, 256], True),
        ([0.001, 1.0], True),
        (np.linspace(0.001, 0.045, 40), False),
        (np.random.default_rng(0).uniform(0, 1, 60), False),
        ([0.9, 0.99, 0.999], False),
        ([0.0, 0.5, 0.9], False),
        ([0.1, 0.1], False),
        ([np.nan, 0.1], False),
    ],
)
def test_an_axis_is_logarithmic_where_settings_were_chosen_so(settings, logarithmic):
    assert chosen_logarithmically(np.asarray(settings, dtype=float)) == logarithmic


def test_values_are_logarithmic_where_they_span_decades():
    assert spans_decades(np.array([0.004, np.nan, 2.3]))
    assert not spans_decades(np.array([0.8, 1.0]))
    assert not spans_decades(np.array([0.0, 1.0]))
    assert not spans_decades(np.array([np.nan]))


def test_an_outlier_does_not_use_up_the_colors():
    values = np.array([*np.linspace(1, 2, 20), 500.0])
    look = shading("loss", values, mode="min", log=False, worst=None)
    assert (look.low, look.high, look.worst, look.beyond) == (1.0, 2.0, 2.0, True)
    assert look.norm(500.0) == 1.0
    np.testing.assert_allclose(look.norm(np.array([1.0, 1.5, 2.0])), [0.0, 0.5, 1.0])
    whole = shading("loss", values[:-1], mode="min", log=False, worst=None)
    assert not whole.beyond


@pytest.mark.parametrize("mode", ["min", "max"])
def test_the_best_is_the_darkest(mode):
    values = np.array([1.0, 10.0, 100.0, np.nan])
    look = shading("loss", values, mode=mode, log=True, worst=None)
    light = [sum(look.colors(float(look.norm(value)))[:3]) for value in (1.0, 10.0, 100.0)]
    assert light == sorted(light, reverse=mode == "max")
    assert look.worst == pytest.approx(100.0 if mode == "min" else 1.0)
    np.testing.assert_allclose(float(look.norm(10.0)), 0.5)


def test_shades_only_get_paler():
    light = [np.dot(to_rgb(shade), (0.2126, 0.7152, 0.0722)) for shade in SHADES]
    assert light == sorted(light)


def test_equal_values_still_have_a_scale():
    look = shading("loss", np.array([2.0, 2.0]), mode="min", log=None, worst=None)
    assert look.low < 2.0 < look.high


def test_ticks_are_round_and_inside():
    np.testing.assert_allclose(ticks(0.0041, 2.6, log=True), [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2])
    np.testing.assert_allclose(ticks(1e-10, 1e-2, log=True, most=5), 10.0 ** np.array([-10, -8, -6, -4, -2]))
    np.testing.assert_allclose(ticks(0.0, 1.0, log=False, most=6), [0, 0.2, 0.4, 0.6, 0.8, 1.0])
    narrow = ticks(0.0021, 0.0024, log=True)
    assert len(narrow) >= 3
    assert ((narrow > 0.0020999) & (narrow < 0.0024001)).all()


def test_numbers_are_short():
    assert [number(value) for value in (0, 1, 0.12345, -2.5, 1e-8, 123456, 0.001, 999.7, 9999.0)] == [
        *("0", "1", "0.123", "−2.5", "1e−8", "1.23e5", "0.001", "1000", "1e4")
    ]
    assert number(3.3934e-10, 2) == "3.4e−10"


def test_what_a_scale_cannot_show_is_named():
    with pytest.raises(ValueError, match="eps has the value 0, which a logarithmic scale cannot show"):
        check_positive("eps", np.array([0.0, 1.0]))
    with pytest.raises(ValueError, match="loss is finite nowhere"):
        shading("loss", np.array([np.nan]), mode="min", log=None, worst=None)
    with pytest.raises(ValueError, match=r"top is 0\.5, but the best loss is 1"):
        shading("loss", np.array([1.0, 2.0]), mode="min", log=None, worst=0.5)
    with pytest.raises(ValueError, match="mode is 'best'"):
        shading("loss", np.array([1.0]), mode="best", log=False, worst=None)  # pyright: ignore[reportArgumentType]
