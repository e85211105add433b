"""weight_decay: the share that is taken away, where the mask says so, whatever the optimizer."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_edu as jo
from tests.wrappers.descent import assert_close, by_formula, descended, each

FIRST: Any = jo.weight_decay(jo.sgd(0.1), 0.1).init({})
PARAMS = {"dense": {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}, "norm": {"scale": jnp.ones(2)}}


def test_it_is_the_papers_formula(x64):
    _, held, _ = descended(jo.weight_decay(jo.sgd(0.1), 0.02))

    def step(t, w, gradient):
        w = each(lambda w, g: w - 0.1 * g - 0.02 * w, w, gradient(w))
        return w, w

    assert_close(held, by_formula(step)[0])


def test_adam_with_it_is_adamw(x64):
    _, held, _ = descended(jo.weight_decay(jo.adam(0.01), rate=0.01 * 0.1))
    _, expected, _ = descended(jo.adamw(0.01, weight_decay=0.1))
    assert_close(held, expected)


def test_with_matrices_only_it_is_optaxs_masked_decay(x64):
    mask = {"w": True, "b": False}
    _, held, _ = descended(jo.weight_decay(jo.adam(0.01), 0.01 * 0.1, mask=jo.matrices_only))
    _, expected, _ = descended(jo.lift(optax.adamw)(0.01, weight_decay=0.1, mask=mask))
    assert_close(held, expected)


KERNELS = {
    "matrices_only": jo.matrices_only,
    "patterns": {"*/bias": False, "norm": False, "*": True},
    "a tree": {"dense": {"kernel": True, "bias": False}, "norm": {"scale": False}},
    "a prefix": {"dense": {"kernel": True, "bias": False}, "norm": False},
    "a function of the name": lambda name, leaf: name.endswith("kernel"),
}


@pytest.mark.parametrize("mask", KERNELS.values(), ids=list(KERNELS))
def test_a_mask_in_any_form(mask):
    opt: Any = jo.weight_decay(jo.sgd(0.0), 0.5, mask)
    updates, _ = opt.update(PARAMS, opt.init(PARAMS), PARAMS)
    assert jax.tree.map(lambda u: float(u.ravel()[0]), updates) == {
        "dense": {"kernel": -0.5, "bias": 0.0},
        "norm": {"scale": 0.0},
    }


def test_a_schedule_of_the_rate_counts_the_steps():
    opt: Any = jo.weight_decay(jo.sgd(0.0), jo.schedules.linear(initial=0.5, final=0.0, steps=2))
    w = jnp.ones(1)
    first, state = opt.update(w, opt.init(w), w)
    second, _ = opt.update(w, state, w)
    assert (first.tolist(), second.tolist()) == ([-0.5], [-0.25])


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        ({"*/bias": 0.5}, r"has 0\.5 for \*/bias; it needs True or False"),
        ({"*/bias": False}, r"says nothing of the leaf dense/kernel; a pattern"),
        ({"*/gain": False, "*": True}, r"the mask's pattern '\*/gain' means no leaf; there are \["),
    ],
)
def test_a_mask_that_fits_not(mask, message):
    with pytest.raises((TypeError, ValueError), match=message):
        jo.weight_decay(jo.sgd(0.1), 0.1, mask).update(PARAMS, FIRST, PARAMS)


def test_none_leaves_and_low_precision_pass():
    params = {"none": None, "h": jnp.ones((2, 2), jnp.bfloat16), "b": jnp.ones(2)}
    opt: Any = jo.weight_decay(jo.sgd(0.5), 0.25, jo.matrices_only)
    updates, _ = opt.update(params, opt.init(params), params)
    assert updates["h"].dtype == jnp.bfloat16
    np.testing.assert_array_equal(np.float32(updates["h"]), -0.75)
    np.testing.assert_array_equal(updates["b"], -0.5)
