"""Gradients that are not finite: what happens by default, and the two remedies.

By default nothing is hidden: a NaN or ∞ goes into the state's averages and stays, in its own coordinate
only. The remedies are optax's: apply_if_finite around an optimizer passes the whole step over, zero_nans in
front of it takes NaN for 0.
"""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_edu as jo
from tests.registry import each_optimizer

GOOD = jnp.array([1.0, -2.0, 3.0])
NAN = jnp.array([1.0, jnp.nan, 3.0])
INFINITE = jnp.array([1.0, jnp.inf, 3.0])
W = jnp.zeros(3)
SIGNS = ("signum", "lion")

AROUND = {
    "alone": lambda opt: opt,
    "chain": lambda opt: jo.chain(optax.identity(), opt),
    "wrappers": lambda opt: jo.half_state(jo.compensated(opt), jax.random.key(0)),
}


def walk(opt, gradients):
    state, updates = opt.init(W), []
    for g in gradients:
        update, state = opt.update(g, state, W)
        updates.append(np.asarray(update))
    return np.stack(updates), state


@each_optimizer
@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("bad", [NAN, INFINITE], ids=["nan", "infinity"])
def test_by_default_it_stays_in_the_state_and_in_its_coordinate(row, around, bad):
    """A step that is lost in silence would be worse: the loss shows what has happened."""
    opt = AROUND[around](row.build())
    updates, _ = walk(opt, [GOOD, bad, GOOD, GOOD])
    clean, _ = walk(opt, [GOOD] * 4)
    assert np.isfinite(updates[0]).all()
    stuck = updates[1:, 1]
    if row.name in SIGNS and np.isposinf(bad[1]):
        # The sign of ∞ is 1: it never gets out of the average, and the coordinate walks on and on.
        np.testing.assert_allclose(stuck, -row.hyperparameters["learning_rate"], rtol=1e-6)
    elif around == "wrappers" or row.memory:
        # ∞ in a sum of squares alone makes every later step 0; in anything else there is no finite step left.
        assert not np.isfinite(stuck).any() or (np.isposinf(bad[1]) and not np.any(stuck[1:]))
    else:
        assert not np.isfinite(stuck[0])
        assert np.isfinite(stuck[1:]).all()
    if around != "wrappers":
        np.testing.assert_array_equal(updates[:, [0, 2]], clean[:, [0, 2]])
    assert np.isfinite(updates[:, [0, 2]]).all()


@each_optimizer
@pytest.mark.parametrize(
    "wrapper", [optax.apply_if_finite, jo.lift(optax.apply_if_finite)], ids=["optax", "lifted"]
)
def test_apply_if_finite_passes_the_step_over(row, wrapper):
    opt = wrapper(row.build(), max_consecutive_errors=5)
    compiled = opt._replace(update=jax.jit(opt.update))
    expected, expected_state = walk(row.build(), [GOOD, GOOD])
    for bad in (NAN, INFINITE):
        updates, state = walk(compiled, [GOOD, bad, bad, GOOD])
        np.testing.assert_array_equal(updates[1:3], 0)
        chex.assert_trees_all_close(updates[[0, 3]], expected, rtol=1e-6)
        chex.assert_trees_all_close(state.inner_state, expected_state, rtol=1e-6)  # type: ignore[attr-defined]
        assert state.total_notfinite == 2  # type: ignore[attr-defined]


@each_optimizer
@pytest.mark.parametrize("chain", [jo.chain, optax.chain], ids=["ours", "optax"])
def test_zero_nans_takes_nan_for_zero(row, chain):
    updates, _ = walk(chain(optax.zero_nans(), row.build()), [GOOD, NAN, GOOD])
    expected, _ = walk(row.build(), [GOOD, jnp.array([1.0, 0.0, 3.0]), GOOD])
    np.testing.assert_array_equal(updates, expected)


@each_optimizer
def test_zero_nans_works_inside_the_wrappers_and_out(row):
    inside = jo.compensated(jo.chain(optax.zero_nans(), row.build()))
    outside = jo.chain(optax.zero_nans(), jo.compensated(row.build()))
    for opt in (inside, outside):
        updates, state = walk(opt, [GOOD, NAN, GOOD])
        chex.assert_tree_all_finite((updates, state))
