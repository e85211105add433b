"""The lab's runs are those that each method makes by itself."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_edu.core.editing import hyperparameters
from jaxopt_edu.textbook.lab import (
    ANGLES,
    METHODS,
    NOISES,
    RATES,
    STARTS,
    STEPS,
    SURFACES,
    middle_of,
    rotated,
    run_lab,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def lab():
    return run_lab()


def alone(surface, optimizer, begin, noise):
    """One run step by step, without vmap, scan or switch: rows x, y, f and the state."""
    value_and_slope = jax.jit(jax.value_and_grad(surface.function))
    draws = np.asarray(jax.random.normal(jax.random.key(0), (STEPS, 2)))
    point = jnp.asarray(begin, jnp.float32)
    scale = noise * np.linalg.norm(value_and_slope(point)[1]) / math.sqrt(2)
    state, update, rows = optimizer.init(point), jax.jit(optimizer.update), []
    for step in range(STEPS + 1):
        value, slope = value_and_slope(point)
        rows.append(np.concatenate([point, value[None], *state[1:]]))
        if step < STEPS:
            change, state = update(slope + jnp.float32(scale) * draws[step], state, point)
            point = point + change
    return np.stack(rows, axis=1)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_a_run_is_the_methods_own(lab, method):
    which = 3  # himmelblau, whose middle is 0: no rounding by the rotation of 0°
    setting = len(method.settings()) // 2 - 1
    for start, noise in itertools.product((0, 1), (0, 1)):
        found = lab.runs[method.name][which, start, 0, noise, setting]
        begin = STARTS["himmelblau"][start]
        expected = alone(SURFACES[which], method.settings()[setting], begin, NOISES[noise])
        if np.isfinite(expected).all() and np.abs(expected[:2]).max() < 100:
            np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-3)
            # Before rounding errors have grown.
            np.testing.assert_allclose(found[:, :6], expected[:, :6], rtol=2e-5, atol=2e-5)


def test_everything_that_can_be_chosen_has_run(lab):
    for method in METHODS:
        runs = lab.runs[method.name]
        channels = 3 + 2 * len(method.remembers())
        assert runs.shape == (
            len(SURFACES),
            2,
            len(ANGLES),
            len(NOISES),
            len(method.settings()),
            channels,
            STEPS + 1,
        )
        assert runs.dtype == np.float32
        # Every start is in the window, turned or not.
        for surface, of_surface in zip(SURFACES, runs, strict=True):
            low, high = np.array(surface.domain).T[:, :, None]
            begun = of_surface[..., :2, 0].reshape(-1, 2).T
            assert ((begun > low) & (begun < high)).all()
        # Another learning rate is another run.
        firsts = runs[0, 0, 0, 0].reshape(len(RATES), -1, channels, STEPS + 1)[:, 0, :2, 1]
        assert len({tuple(row) for row in firsts.tolist()}) == len(RATES)
    assert METHODS[-1].remembers() == ("m", "v")
    assert METHODS[4].remembers() == ("h", "u")


def test_one_place_of_the_controls_has_every_methods_defaults():
    assert {method.name: method.decays() for method in METHODS if method.decay} == {
        "Adadelta": (0.9, 0.95, 0.99, 0.999),
        "RMSProp": (0.9, 0.99, 0.999),
        "Adam": (0.9, 0.99, 0.999),
    }
    for method in METHODS:
        default = hyperparameters(method.factory())
        settings = [hyperparameters(setting) for setting in method.settings()]
        assert {**default, **method.fixed} in settings
        # Learning rate slowest, then momentum, then decay: the page finds a setting by its place.
        order = [name for name in ("learning_rate", method.momentum, method.decay) if name]
        assert settings == sorted(settings, key=lambda each: [each[name] for name in order])


def test_methods_without_axes_take_the_turned_path_on_the_turned_surface(lab):
    turn = np.array([[1, -1], [1, 1]]) / math.sqrt(2)
    middle = np.array(middle_of(SURFACES[0]))[:, None]
    for name, same in (("SGD", True), ("Momentum", True), ("AdaGrad", False)):
        setting = {"SGD": 4, "Momentum": 13, "AdaGrad": 6}[name]
        straight, turned = lab.runs[name][0, 0, :, 1, setting, :2]
        back = turn @ (straight - middle) + middle
        assert (np.abs(back - turned).max() < 1e-3) == same


def test_a_turned_surface_has_its_minimum_where_it_says():
    for surface in SURFACES[:4]:
        turned = rotated(surface, 45)
        for minimum in turned.minima:
            point = jnp.array(minimum)
            assert float(turned.function(point)) < 1e-3
            assert float(jnp.abs(turned.gradient(point)).max()) < 0.05
        value = float(turned.function(jnp.array(turned.start)))
        assert value == pytest.approx(float(surface.function(jnp.array(surface.start))), rel=1e-4)
