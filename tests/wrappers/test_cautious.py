"""cautious: the mask of the official code, and how the first release differs."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_edu as jo
from tests.wrappers.descent import (
    START,
    assert_close,
    by_formula,
    by_torch,
    descended,
    each,
    gradients,
    noise_at,
    stacked,
)

OPT = jo.cautious(jo.momentum(0.05))


def stepped(denominator):
    velocity = each(lambda w: 0 * w, START)

    def step(t, w, gradient):
        nonlocal velocity
        g = gradient(w)
        velocity = each(lambda v, g: 0.9 * v + g, velocity, g)
        w = each(lambda w, v, g: w - 0.05 * v * (v * g > 0) / denominator(v * g > 0), w, velocity, g)
        return w, w

    return by_formula(step)[0]


def test_it_is_the_official_formula(x64):
    _, held, _ = descended(OPT)
    assert_close(held, stepped(lambda mask: max(mask.mean(), 1e-3)))


def test_pytorch_optimizers_is_the_first_releases(x64):
    theirs = pytest.importorskip("pytorch_optimizer")
    make = lambda params: theirs.Lion(params, lr=0.01, betas=(0.9, 0.99), weight_decay=0.0, cautious=True)  # noqa: E731
    m = each(lambda w: 0 * w, START)

    def step(t, w, gradient):
        nonlocal m
        g = gradient(w)
        u = each(lambda m, g: np.sign(0.9 * m + 0.1 * g), m, g)
        m = each(lambda m, g: 0.99 * m + 0.01 * g, m, g)
        masks = each(lambda u, g: u * g > 0, u, g)
        w = each(lambda w, u, mask: w - 0.01 * u * mask * mask.size / (mask.sum() + 1), w, u, masks)
        return w, w

    expected = stacked(by_torch(make, 50))
    assert_close(by_formula(step, 50)[0], expected)
    _, ours, _ = descended(jo.cautious(jo.lion(0.01, 0.9, 0.99, 0.0)), steps=1)
    # A first step is downhill everywhere: ours is Lion's own, theirs shorter by n / (n + 1).
    whole = each(lambda g: -0.01 * np.sign(g), gradients(START, noise_at(0)))
    assert_close(each(lambda w, start: w[0] - start, ours, START), whole)
    shorter = each(lambda step: step * step.size / (step.size + 1), whole)
    assert_close(each(lambda w, start: w[0] - start, expected, START), shorter)


def test_where_all_go_uphill_nothing_moves_and_small_numbers_count():
    opt: Any = jo.cautious(jo.momentum(1.0))
    w: Any = jnp.zeros(2)
    _, state = opt.update(jnp.full(2, 1e-30), opt.init(w))
    updates, _ = opt.update(jnp.full(2, -1e-31), state)
    assert np.all(np.asarray(updates) == 0)
    updates, _ = opt.update(jnp.full(2, 1e-31), state)
    np.testing.assert_allclose(updates, -1e-30, rtol=1e-6)


def test_of_complex_numbers_the_angle_counts():
    opt: Any = jo.cautious(jo.sgd(1.0))
    w: Any = jnp.ones(1, jnp.complex64)
    updates, _ = opt.update(jnp.full(1, 1 + 1j, jnp.complex64), opt.init(w))
    assert updates.tolist() == [-1 - 1j]
