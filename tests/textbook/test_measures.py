"""What is measured of runs agrees with hand-made ones."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_edu.textbook.measures import (
    band,
    contraction,
    crossings,
    distances,
    first_at_most,
    path_lengths,
    plain,
)


@pytest.mark.parametrize("factor", [0.3, 0.97, 1.0, 1.4])
def test_contraction_of_a_geometric_row_that_leaves_float32(factor):
    # 0.3³⁰⁰ and 1.4³⁰⁰ are outside of float32: they become 0 and infinity.
    with np.errstate(over="ignore", under="ignore"):
        lengths = np.float32(2.0) * np.float32(factor) ** np.arange(300, dtype=np.float32)
    assert contraction(lengths) == pytest.approx(factor, rel=1e-4)


def test_contraction_averages_over_swings():
    steps = np.arange(400)
    swinging = 0.98**steps * np.sqrt(1 + 0.8 * np.cos(0.9 * steps))
    assert contraction(np.stack([swinging, 0.5**steps])) == pytest.approx([0.98, 0.5], abs=2e-3)


def test_distances_do_not_overflow():
    far = np.array([[3e30, 4e30], [4.0, 4.0]], np.float32)
    assert distances(far, (1.0, 0.0)) == pytest.approx([5e30, 5.0], rel=1e-6)


def test_first_at_most_takes_a_level_for_each_run():
    values = np.array([[3.0, 2.0, np.inf], [3.0, 2.0, 1.0], [np.nan, np.nan, np.nan]])
    np.testing.assert_array_equal(first_at_most(values, np.array([[3.0], [1.0], [1.0]])), [0, 2, np.nan])


def test_who_lands_on_the_floor_and_goes_on_has_crossed_it():
    ways = np.array(
        [[1.0, 0.0, -1.0, -0.0, 0.0, 2.0], [1.0, 0.0, 0.0, 2.0, 0.0, 1.0], [0.0, 0.0, -1.0, 0.0, 3.0, 0]]
    )
    assert crossings(ways).tolist() == [2, 0, 1]
    # A swing of 8 steps that meets its zeros exactly crosses as often as one that just misses them.
    steps = np.arange(80)
    swing = np.sqrt(2) ** -steps * np.where(steps % 4 == 2, 0.0, np.cos(np.pi / 4 * steps))
    assert crossings(swing) == crossings(np.cos(np.pi / 4 * steps + 0.01)) == 20


def test_path_lengths():
    assert path_lengths(np.array([[0.0, 0.0], [3.0, 4.0], [3.0, 5.0]])) == 6.0


def test_a_band_holds_its_share():
    values = np.random.default_rng(0).permutation(101)[:, None] / 100 * np.ones((1, 3))
    line = band("sgd", np.arange(3), values)
    assert line.low is not None
    assert line.high is not None
    np.testing.assert_allclose([line.low[0], line.y[1], line.high[2]], [0.1, 0.5, 0.9])


def test_plain_is_json():
    value = {0.5: (np.arange(2), jnp.ones(()), np.bool_(True)), "nan": np.array([np.inf, 1.0])}
    assert json.loads(json.dumps(plain(value), allow_nan=False)) == {
        "0.5": [[0, 1], 1.0, True],
        "nan": [None, 1.0],
    }
