"""Warm-ups against what their papers write."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_edu import schedules as s


def test_inverse_square_root_is_the_transformers():
    """lrate = d_model^−0.5 · min(step_num^−0.5, step_num · warmup_steps^−1.5), with step_num from 1."""
    d_model, warmup_steps = 512, 4000
    number = np.array([1, 2, 3999, 4000, 4001, 50_000], np.float64)
    paper = d_model**-0.5 * np.minimum(number**-0.5, number * warmup_steps**-1.5)
    ours = s.inverse_square_root(peak=(d_model * warmup_steps) ** -0.5, warmup_steps=warmup_steps)
    np.testing.assert_allclose(jax.vmap(ours)(number), paper, rtol=1e-6)


def test_until_the_decay_nothing_depends_on_the_length_of_the_run():
    short, long = (s.warmup_stable_decay(0.3, 10, 20, steps) for steps in (100, 1000))
    steps = jnp.arange(80)
    np.testing.assert_array_equal(jax.vmap(short)(steps), jax.vmap(long)(steps))
    assert float(short(90)) < float(long(90))


def test_a_decay_may_follow_the_warm_up_at_once():
    schedule = s.warmup_stable_decay(1.0, 4, 4, 8)
    assert [float(schedule(step)) for step in range(9)] == [0, 0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25, 0]
