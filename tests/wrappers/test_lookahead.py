"""lookahead: the slow parameters of the paper, of optax and of pytorch_optimizer."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
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

OPT = jo.lookahead(jo.momentum(0.05), sync_period=5, slow_step_size=0.4)


def test_it_is_the_papers_formula(x64):
    slow, velocity = START, each(lambda w: 0 * w, START)

    def step(t, w, gradient):
        nonlocal slow, velocity
        velocity = each(lambda v, g: 0.9 * v + g, velocity, gradient(w))
        w = each(lambda w, v: w - 0.05 * v, w, velocity)
        if t % 5 == 0:
            w = slow = each(lambda slow, w: slow + 0.4 * (w - slow), slow, w)
        return w, slow

    held, evaluated = by_formula(step)
    found = descended(OPT)
    assert_close(found[1], held)
    assert_close(found[2], evaluated)


def test_it_is_optaxs(x64):
    theirs: Any = optax.lookahead(optax.sgd(0.05, momentum=0.9), sync_period=5, slow_step_size=0.4)
    params: Any = optax.LookaheadParams.init_synced(jax.tree.map(jnp.asarray, START))
    state, fast, slow = theirs.init(params), [], []
    with jax.numpy_dtype_promotion("standard"):
        for t in range(12):
            updates, state = theirs.update(gradients(params.fast, noise_at(t)), state, params)
            params = optax.apply_updates(params, updates)
            fast.append(params.fast)
            slow.append(params.slow)
    _, held, evaluated = descended(OPT, steps=12)
    assert_close(held, stacked(fast))
    assert_close(evaluated, stacked(slow))


def test_it_is_pytorch_optimizers(x64):
    torch, theirs = pytest.importorskip("torch"), pytest.importorskip("pytorch_optimizer")

    def make(params):
        return theirs.Lookahead(torch.optim.SGD(params, lr=0.05, momentum=0.9), k=5, alpha=0.4)

    _, held, _ = descended(OPT, steps=100)
    assert_close(held, stacked(by_torch(make, 100)))


def test_a_period_is_a_leaf_and_whole():
    assert jo.hyperparameters(jo.replace(OPT, sync_period=2))["sync_period"] == 2
    with pytest.raises(ValueError, match=r"lookahead: sync_period = 2\.5 must be a whole number"):
        jo.replace(OPT, sync_period=2.5)
