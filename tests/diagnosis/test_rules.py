"""The rules on readings made by hand: just beyond a threshold and just within, and numbers that are none."""

import numpy as np
import pytest

from jaxopt_edu.diagnosis import diagnose
from jaxopt_edu.wrappers import Readings

HEALTHY = {
    "gradient": 1.0,
    "update": 1e-2,
    "parameter": 10.0,
    "update_ratio": 1e-3,
    "effective_rate": 1e-2,
    "cosine": 0.4,
    "clipped": np.nan,
    "below_eps": np.nan,
}


def readings(**changes):
    """Four readings of two layers, of which the second has the values given."""
    values = {name: np.full((4, 2), value) for name, value in HEALTHY.items()}
    for name, column in changes.items():
        values[name][:, 1] = column
    return Readings(np.array([10, 20, 30, 40]), ("a", "b"), values)


FAULTS = {
    "dead": ({"gradient": [1, 1, 1, 0]}, {"gradient": [0, 0, 0, 1e-20]}),
    "exploding": ({"gradient": [1, 0.5, 501, 1]}, {"gradient": [1e3, 1, 2, 900]}),
    "still": ({"update_ratio": 9e-7}, {"update_ratio": [9e-7, 2e-6, 2e-6, 2e-6]}),
    "too slow": ({"update_ratio": 9e-6}, {"update_ratio": 2e-5}),
    "too fast": ({"update_ratio": [1, 0.2, 0.2, 0.05]}, {"update_ratio": [5, 0.2, 0.05, 0.05]}),
    "layers apart": ({"update_ratio": 1.1}, {"update_ratio": 0.9}),
    "against the gradient": ({"cosine": [0.4, 0.01, -0.2, 0.3]}, {"cosine": [0.01, 0.03, 0.03, 0.03]}),
    "eps rules": ({"below_eps": 0.6}, {"below_eps": 0.4}),
    "always clipped": ({"clipped": 1.0}, {"clipped": 0.9}),
}


def named(record):
    return {finding.name: finding for finding in diagnose(record).findings}


@pytest.mark.parametrize("name", FAULTS)
def test_just_beyond_the_threshold_and_just_within(name):
    beyond, within = FAULTS[name]
    assert named(readings(**beyond))[name].layers == (("a", "b") if name == "layers apart" else ("b",))
    assert name not in named(readings(**within))


def test_a_finding_tells_the_steps_that_show_it():
    found = named(readings(cosine=[0.4, 0.01, -0.2, 0.3]))["against the gradient"]
    assert (found.first_step, found.last_step) == (20, 30)
    assert found.measured == pytest.approx(-0.095)
    assert named(readings(gradient=[1, 0.5, 501, np.inf]))["exploding"].measured == np.inf


def test_what_is_not_a_number_is_no_fault():
    assert named(readings(update_ratio=np.nan, effective_rate=np.nan)) == {}


def test_a_gradient_that_is_no_number_explodes():
    assert set(named(readings(gradient=[1, 1, np.nan, 1]))) == {"exploding"}


def test_a_bias_that_grows_from_zero_has_no_ratio_to_compare():
    falling = [50.0, 0.09, 0.09, 0.09]
    assert named(readings(update_ratio=falling, parameter=[1, 2, 3, 4])) == {}
    assert set(named(readings(update_ratio=1.1, parameter=[1, 2, 3, 4]))) == {"too fast"}


def test_one_reading_is_enough_for_most():
    one = readings(update_ratio=0.5, cosine=-1.0)
    one = one._replace(steps=one.steps[:1], values={name: each[:1] for name, each in one.values.items()})
    assert set(named(one)) == {"too fast"}
