"""A race over a surface visits the points that a few lines of NumPy visit."""

from dataclasses import replace

import numpy as np
import pytest

import jaxopt_edu as jo
from jaxopt_edu import problems
from jaxopt_edu.core.naming import hyperparameters
from jaxopt_edu.race import LEARNING_RATES, race_on_surface
from jaxopt_edu.race.surface import target

START = np.array([-7.0, 2.0])


def bowl(point):
    return point[..., 0] ** 2 / 20 + point[..., 1] ** 2


def bowl_gradient(point):
    return np.array([point[0] / 10, 2 * point[1]])


def numpy_path(learning_rate, momentum, steps):
    point, velocity = START.copy(), np.zeros(2)
    path = [point]
    for _ in range(steps):
        velocity = momentum * velocity - learning_rate * bowl_gradient(point)
        point = point + velocity
        path.append(point)
    return np.array(path)


@pytest.mark.parametrize(
    ("method", "optimizer", "learning_rate", "momentum"),
    [
        ("sgd", jo.sgd(learning_rate=0.95), 0.95, 0.0),
        ("momentum", jo.momentum(learning_rate=0.1), 0.1, 0.9),
    ],
)
def test_the_bowl_by_hand(x64, method, optimizer, learning_rate, momentum):
    result = race_on_surface(problems.bowl, method, optimizer, steps=30)
    path = numpy_path(learning_rate, momentum, 30)
    np.testing.assert_allclose(result.path, path, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(result.losses, bowl(path), rtol=1e-12, atol=1e-14)
    assert result.method == method
    assert result.settings_tried == 1
    assert hyperparameters(result.optimizer) == hyperparameters(optimizer)
    assert result.seconds > 0
    below = np.flatnonzero(bowl(path) <= 0.01 * bowl(START))
    assert result.steps_to_target == below[0]


def test_float32_path_stays_close_to_the_exact_one():
    result = race_on_surface(problems.bowl, "sgd", jo.sgd(learning_rate=0.95), steps=30)
    assert result.path.dtype == np.float32
    # Rounding of half a unit in the last place of 7 a step, thirty steps.
    np.testing.assert_allclose(result.path, numpy_path(0.95, 0.0, 30), rtol=0, atol=30 * 2.4e-7)


def test_target_never_reached():
    result = race_on_surface(problems.bowl, "sgd", jo.sgd(learning_rate=0.0), steps=3)
    assert result.steps_to_target is None
    np.testing.assert_array_equal(result.path, np.tile(START.astype(np.float32), (4, 1)))


def test_the_first_reaching_counts_even_if_the_run_leaves_again(x64):
    # Momentum swings through the valley: below the target at step 1, above it later.
    surface = replace(problems.bowl, start=(0.0, 2.0))
    result = race_on_surface(surface, "momentum", jo.momentum(learning_rate=0.49), steps=4)
    goal = 0.01 * 4.0
    assert result.losses[1] <= goal < result.losses[2]
    assert result.steps_to_target == 1


@pytest.mark.parametrize("surface", problems.SURFACES, ids=lambda surface: surface.name)
def test_targets_lie_between_the_start_and_the_minimum(surface):
    first = float(surface.function(np.array(surface.start, np.float32)))
    if surface.minimum is None:
        # Both saddles have value 0; one below is reached only by leaving along the falling direction.
        assert target(surface) == -1 < first
    else:
        assert surface.minimum < target(surface) < first
        share = (target(surface) - surface.minimum) / (first - surface.minimum)
        assert share == pytest.approx(0.01, rel=1e-3)


def test_the_grid_keeps_the_lowest_last_value():
    steps = 20
    result = race_on_surface(
        problems.beale, "adam", jo.adam(b1=0.8), steps=steps, learning_rates=LEARNING_RATES
    )
    alone = [
        race_on_surface(problems.beale, "adam", jo.adam(learning_rate=rate, b1=0.8), steps=steps)
        for rate in LEARNING_RATES[4:9]
    ]
    last = [each.losses[-1] for each in alone]
    best = int(np.argmin(last))
    # The best of all twelve lies among the middle five, so these five say which.
    assert 0 < best < 4
    assert result.settings_tried == 12
    assert hyperparameters(result.optimizer) == hyperparameters(alone[best].optimizer)
    # The stacked program may round otherwise than the single one: a few units in the last place a step.
    np.testing.assert_allclose(result.path, alone[best].path, rtol=steps * 1e-6)


def test_a_diverging_run_is_told_as_it_is(x64):
    result = race_on_surface(problems.bowl, "sgd", jo.sgd(learning_rate=1.5), steps=8)
    # y is multiplied by 1 − 2 · 1.5 = −2 at every step.
    np.testing.assert_allclose(result.path[:, 1], 2.0 * (-2.0) ** np.arange(9))
    assert result.losses[-1] > result.losses[0]


def test_a_run_that_overflows_is_never_the_best():
    with np.errstate(all="raise"):
        result = race_on_surface(
            problems.rosenbrock, "sgd", jo.sgd(), steps=20, learning_rates=(10.0, 1.0, 1e-4)
        )
    assert hyperparameters(result.optimizer)["learning_rate"] == 1e-4
    alone = race_on_surface(problems.rosenbrock, "sgd", jo.sgd(learning_rate=10.0), steps=20)
    assert not np.isfinite(alone.losses[-1])
    assert alone.steps_to_target is None
