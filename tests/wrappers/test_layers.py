"""Layers: leaves, what they lie in, or what patterns mean."""

from typing import Any

import numpy as np
import pytest

import jaxopt_edu as jo
from jaxopt_edu.wrappers.layers import layers_of

PARAMS = {"blocks": [{"bias": 1, "kernel": 2}, {"bias": 3, "kernel": 4}], "head": 5, "none": None}


def test_each_leaf_is_a_layer_of_its_name():
    names = ("blocks/0/bias", "blocks/0/kernel", "blocks/1/bias", "blocks/1/kernel", "head")
    assert layers_of("monitor", None, PARAMS) == (names, (0, 1, 2, 3, 4))
    assert layers_of("monitor", None, np.ones(2)).names == ("(the whole tree)",)


def test_a_depth_cuts_names():
    assert layers_of("monitor", 1, PARAMS) == (("blocks", "head"), (0, 0, 0, 0, 1))


def test_the_first_pattern_that_means_a_leaf_counts():
    assert layers_of("monitor", ("*/bias", "blocks/1", "*"), PARAMS).places == (0, 1, 0, 2, 1)


def test_patterns_that_leave_a_leaf_or_mean_none_are_told():
    with pytest.raises(ValueError, match=r"monitor: no pattern of layers means the leaf head; a pattern"):
        layers_of("monitor", ("blocks",), PARAMS)
    with pytest.raises(
        ValueError, match=r"monitor: the pattern 'tail' of layers means no leaf .*blocks/0/bia"
    ):
        layers_of("monitor", ("*", "tail"), PARAMS)


@pytest.mark.parametrize("layers", [[], ["a", 1], {"a": 1}, "head", 1.5, 0])
def test_what_is_no_layers_is_refused_when_it_is_built(layers):
    wrong: Any = layers
    with pytest.raises((TypeError, ValueError), match="monitor: layers = ") as caught:
        jo.monitor(jo.sgd(), wrong)
    assert "\n" not in str(caught.value)
