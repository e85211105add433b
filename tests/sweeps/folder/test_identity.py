"""By what a stored sweep knows its optimizers again."""

import jax.numpy as jnp
import optax

import jaxopt_edu as jo
from jaxopt_edu.sweeps.folder.identity import optimizer_keys

W = {"w": jnp.ones(2)}


def test_numbers_in_the_closures_of_lifted_optimizers_tell_them_apart():
    """An optax schedule, and an optax transform as an argument, show no number but in their program."""
    for build in (
        lambda rate: jo.lift(optax.sgd)(optax.linear_schedule(rate, 0.0, 9)),
        lambda rate: jo.lift(optax.apply_if_finite)(optax.sgd(rate), 3),
        lambda rate: jo.lift(optax.masked)(jo.sgd(0.5), lambda params: {"w": rate > 0.2}),
    ):
        (first,), (second,), (again,) = (optimizer_keys([build(rate)], W) for rate in (0.1, 0.3, 0.1))
        assert first == again
        assert first != second
