"""Runs of the textbook go where a few lines of NumPy go."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

import jaxopt_edu as jo
from jaxopt_edu import problems
from jaxopt_edu.textbook.runs import heights, on_surface, random_starts, run_all, surface_paths

RATES = (0.3, 0.95)


def momentum_on_the_bowl(point, rate, steps):
    velocity, points = np.zeros(2), [np.array(point)]
    for _ in range(steps):
        velocity = 0.9 * velocity - rate * np.array([0.1, 2.0]) * points[-1]
        points.append(points[-1] + velocity)
    return np.array(points)


def test_settings_and_starts_are_the_leading_axes(x64):
    starts = [(-7.0, 2.0), (1.0, 1.0), (0.0, -3.0)]
    runs = on_surface(problems.bowl, [jo.momentum(rate) for rate in RATES], starts, steps=20)
    expected = [[momentum_on_the_bowl(start, rate, 20) for start in starts] for rate in RATES]
    np.testing.assert_allclose(runs.params, expected, rtol=1e-10, atol=1e-12)
    # The velocity is the step just made, and at rest before the first.
    np.testing.assert_allclose(runs.states.velocity[:, :, 1:], np.diff(expected, axis=2), atol=1e-12)
    assert not runs.states.velocity[:, :, 0].any()
    np.testing.assert_array_equal(runs.states.count[1, 2], np.arange(21))


def test_a_problem_for_every_setting_and_noise_for_every_run():
    curvatures = (1.0, 4.0)
    losses = [problems.noisy_quadratic([each], noise_scale=0.5).loss for each in curvatures]
    keys = jax.random.split(jax.random.key(3), (3, 10))
    starts = jnp.array([[1.0], [2.0], [3.0]])
    runs = run_all(losses, [jo.sgd(learning_rate=0.1)] * 2, starts, keys)
    assert runs.params.shape == (2, 3, 11, 1)
    noise = np.array([[jax.random.normal(key, (1,)) for key in row] for row in keys])
    for i, curvature in enumerate(curvatures):
        before, after = runs.params[i, :, :-1], runs.params[i, :, 1:]
        np.testing.assert_allclose(after, before - 0.1 * (curvature * before + 0.5 * noise), rtol=1e-5)


def test_another_seed_and_setting_trace_nothing_anew():
    traces = []

    def traced(point):
        traces.append(point)
        return jnp.sum(point**2)

    surface = replace(problems.bowl, function=traced)
    on_surface(surface, [jo.sgd(0.5)], random_starts(surface, 0, 3), steps=7)
    known = len(traces)
    on_surface(surface, [jo.sgd(0.4)], random_starts(surface, 1, 3), steps=7)
    assert len(traces) == known > 0


def test_paths_of_optimizers_of_different_kinds():
    paths = surface_paths(
        problems.bowl, {"SGD": jo.sgd(0.5), "Momentum": jo.momentum(0.1)}, steps=4, start=(2.0, 1.0)
    )
    assert [path.name for path in paths] == ["SGD", "Momentum"]
    # y: 1 − 0.5 · 2 = 0; x: a factor 1 − 0.5 · 0.1 a step.
    np.testing.assert_allclose(paths[0].points[1:, 1], 0.0)
    np.testing.assert_allclose(paths[0].points[:, 0], 2 * 0.95 ** np.arange(5), rtol=1e-6)
    np.testing.assert_allclose(paths[1].points, momentum_on_the_bowl((2.0, 1.0), 0.1, 4), rtol=1e-5)
    np.testing.assert_allclose(paths[0].values, heights(problems.bowl.function, paths[0].points))


def test_random_starts_fill_the_window():
    starts = random_starts(problems.bowl, 5, 500)
    assert starts.shape == (500, 2)
    assert starts.dtype == np.float32
    low, high = np.array(problems.bowl.domain).T
    assert (starts >= low).all()
    assert (starts <= high).all()
    # The extremes of 500 draws lie within 5 % of the window's ends, but for one in 10¹¹ (0.95⁵⁰⁰).
    assert (np.ptp(starts, axis=0) > 0.9 * (high - low)).all()
