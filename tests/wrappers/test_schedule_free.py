"""schedule_free: the official code's numbers, its warm-up included, and a mean that goes on in bfloat16."""

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_edu as jo
from tests.wrappers.descent import START, assert_close, by_formula, by_torch, descended, each, stacked

ADAM = jo.adam(0.02, b1=0.0, b2=0.99)


def formula(rate, b1, warmup):
    z, x, total = START, START, 0.0

    def step(t, y, gradient):
        nonlocal z, x, total
        s = min(1.0, t / warmup) if warmup else 1.0
        total += s**2
        c = s**2 / total
        z = each(lambda z, g: z - rate * s * g, z, gradient(y))
        x = each(lambda x, z: (1 - c) * x + c * z, x, z)
        return each(lambda x, z: (1 - b1) * z + b1 * x, x, z), x

    return step


@pytest.mark.parametrize(("b1", "warmup"), [(0.9, 0), (0.5, 10), (0.9, 1)])
def test_it_is_the_papers_formula(b1, warmup, x64):
    _, held, evaluated = descended(jo.schedule_free(jo.sgd(0.2), b1, warmup))
    y, x = by_formula(formula(0.2, b1, warmup))
    assert_close(held, y)
    assert_close(evaluated, x)


@pytest.mark.parametrize("warmup", [pytest.param(0, marks=pytest.mark.slow), 25])
def test_it_is_the_official_reference_of_adamw(warmup, x64):
    official = pytest.importorskip("schedulefree")

    def make(params):
        made = official.AdamWScheduleFreeReference(
            params, lr=0.02, betas=(0.9, 0.99), weight_decay=0.1, warmup_steps=warmup
        )
        made.train()
        return made

    means = lambda params, made: {name: made.state[p]["x"].numpy().copy() for name, p in params.items()}  # noqa: E731
    opt: Any = jo.schedule_free(jo.weight_decay(ADAM, 0.02 * 0.1), warmup_steps=warmup)
    _, held, evaluated = descended(opt)
    assert_close(held, stacked(by_torch(make)), 1e-11)
    assert_close(evaluated, stacked(by_torch(make, after=means)), 1e-11)


def test_it_is_the_official_sgd(x64):
    official = pytest.importorskip("schedulefree")

    def make(params):
        made = official.SGDScheduleFree(params, lr=0.2, momentum=0.8, warmup_steps=7, foreach=False)
        made.train()
        return made

    _, held, _ = descended(jo.schedule_free(jo.sgd(0.2), b1=0.8, warmup_steps=7))
    assert_close(held, stacked(by_torch(make)), 1e-11)


def test_without_warm_up_it_is_optaxs(x64):
    theirs: Any = optax.contrib.schedule_free(optax.adam(0.02, b1=0.0, b2=0.99), learning_rate=0.02)
    _, held, _ = descended(jo.schedule_free(ADAM))
    with jax.numpy_dtype_promotion("standard"):
        _, expected, _ = descended(jo.chain(theirs))
    assert_close(held, expected, 1e-11)


def test_in_bfloat16_optaxs_sum_of_weights_stops_and_ours_is_computed():
    """After 2,000 steps the newest point has a share of 1/2,000 in the mean; optax's sum says 1/256."""
    theirs: Any = optax.contrib.schedule_free(optax.sgd(1.0), learning_rate=1.0)
    w: Any = jnp.zeros(1, jnp.bfloat16)

    def step(state, _):
        return theirs.update(w, state, w)[1], None

    with jax.numpy_dtype_promotion("standard"):
        last = jax.jit(lambda: jax.lax.scan(step, theirs.init(w), length=2000)[0])()
    assert float(last.weight_sum) < 500
    opt: Any = jo.schedule_free(jo.sgd(1.0), b1=0.5)
    state = opt.init(w)._replace(count=jnp.asarray(1999))
    _, after = opt.update(jnp.full(1, -1, jnp.bfloat16), state, w)  # z moves by 1
    assert after.z.dtype == jnp.float32
    updates, _ = opt.update(jnp.full(1, -1.0), state, w)
    # y moves by what z does, (1 − b1), and by what that adds to the mean, b1 / 2000.
    np.testing.assert_allclose(updates, [0.5 + 0.5 / 2000], rtol=1e-6)


def test_with_warm_up_optax_is_a_step_behind():
    w: Any = jnp.ones(1)
    theirs: Any = optax.contrib.schedule_free_sgd(0.5, warmup_steps=10)
    opt: Any = jo.schedule_free(jo.sgd(0.5), warmup_steps=10)
    assert theirs.update(w, theirs.init(w), w)[0].tolist() == [0]
    np.testing.assert_allclose(opt.update(w, opt.init(w), w)[0], [-0.05], rtol=1e-6)


def test_a_schedule_of_the_learning_rate_is_refused():
    cosine = jo.schedules.cosine(peak=0.1, steps=100)
    for opt in (
        jo.sgd(cosine),
        jo.chain(optax.clip(1.0), jo.sgd(cosine)),
        jo.weight_decay(jo.sgd(cosine), 0.1),
    ):
        with pytest.raises(
            ValueError, match=r"schedule_free: learning_rate of optimizer is a schedule, of .*warmup"
        ):
            jo.schedule_free(opt)


@pytest.mark.parametrize("b1", [0.0, 1.0])
def test_b1_is_between(b1):
    with pytest.raises(ValueError, match=r"schedule_free: b1 = .* must be a number above 0 and below 1"):
        jo.schedule_free(jo.sgd(0.1), b1)


def test_state_and_parameters_can_both_be_donated():
    opt: Any = jo.schedule_free(jo.sgd(0.1))
    w: Any = jnp.ones(4)
    step = jax.jit(lambda w, state: opt.update(w, state, w), donate_argnums=(0, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a CPU may not use what is donated
        updates, _ = step(w, opt.init(w))
    assert np.isfinite(updates).all()
