"""accumulated: parts of a batch make the step of the whole, and the sum keeps its digits."""

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
    descended,
    each,
    gradients,
    noise_at,
    stacked,
)


def test_it_is_the_formula(x64):
    total = each(lambda w: 0 * w, START)

    def step(t, w, gradient):
        nonlocal total
        total = each(lambda total, g: total + g, total, gradient(w))
        if t % 4 == 0:
            w = each(lambda w, total: w - 0.1 * (total / 4), w, total)
            total = each(lambda w: 0 * w, w)
        return w, w

    _, held, _ = descended(jo.accumulated(jo.sgd(0.1), 4))
    assert_close(held, by_formula(step)[0])


def test_it_is_optaxs_multi_steps(x64):
    theirs: Any = optax.MultiSteps(optax.sgd(0.1, momentum=0.9), every_k_schedule=3)
    params: Any = jax.tree.map(jnp.asarray, START)
    rows = []
    state = theirs.init(params)
    with jax.numpy_dtype_promotion("standard"):
        for t in range(7):
            updates, state = theirs.update(gradients(params, noise_at(t)), state, params)
            params = optax.apply_updates(params, updates)
            rows.append(params)
    _, held, _ = descended(jo.accumulated(jo.momentum(0.1), 3), steps=7)
    assert_close(held, stacked(rows), 1e-8)  # its running mean weighs in float32


def test_a_bfloat16_mean_keeps_its_digits():
    """256 ones and 256 thirds: in bfloat16 the sum stops at 256."""
    opt: Any = jo.accumulated(jo.sgd(1.0), 512)
    w: Any = jnp.zeros(1, jnp.bfloat16)
    step = jax.jit(lambda g, state: opt.update(g, state, w))
    updates, state = w, opt.init(w)
    third = jnp.full(1, 1 / 3, jnp.bfloat16)
    for i in range(512):
        updates, state = step(jnp.ones_like(w) if i < 256 else third, state)
    exact = -(1 + float(third[0])) / 2
    assert abs(float(updates[0]) - exact) < 2.0**-8
    assert int(state.count) == 1


def test_schedules_count_the_optimizers_steps_and_steps_may_be_one():
    schedule = jo.schedules.linear(initial=1.0, final=3.0, steps=2)
    opt: Any = jo.accumulated(jo.sgd(1.0), schedule)
    w, seen = jnp.zeros(1), []
    state = opt.init(w)
    for _ in range(6):
        updates, state = opt.update(jnp.ones(1), state, w)
        seen.append(float(updates[0]))
    assert seen == [-1, 0, -1, 0, 0, -1]


def test_the_runs_of_a_sweep_may_have_several():
    opts = jo.stack([jo.accumulated(jo.sgd(1.0), k) for k in (1, 2)])

    def two(opt):
        w = jnp.zeros(())
        state = opt.init(w)
        first, state = opt.update(jnp.asarray(1.0), state, w)
        return jnp.stack([first, opt.update(jnp.asarray(3.0), state, w)[0]])

    assert jax.vmap(two)(opts).tolist() == [[-1, -3], [0, -2]]


@pytest.mark.parametrize("steps", [0, 2.5, -1])
def test_steps_are_whole(steps):
    with pytest.raises(ValueError, match=r"accumulated: steps = .* must be a whole number of at least 1"):
        jo.accumulated(jo.sgd(0.1), steps)


def test_what_needs_the_value_of_a_batch_says_so():
    opt: Any = jo.accumulated(jo.chain(jo.sgd(0.1), optax.contrib.reduce_on_plateau()), 2)
    w = jnp.zeros(1)
    with pytest.raises(TypeError, match="value"):
        opt.update(w, opt.init(w), w, value=jnp.zeros(()))
