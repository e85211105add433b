"""Compiled programs of runs whose state has arrays without any number, on several devices."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_edu as jo


def loss_fn(params, batch):
    del batch
    return jnp.mean((params["kernel"] - 1) ** 2) + jnp.mean(params["bias"] ** 2)


@pytest.mark.skipif(jax.device_count() < 2, reason="XLA_FLAGS was set to fewer devices")
@pytest.mark.parametrize(
    "make",
    [
        lambda rate: jo.adafactor(rate),
        pytest.param(lambda rate: jo.shampoo(rate, largest=2), marks=pytest.mark.slow),
    ],
    ids=["adafactor", "shampoo"],
)
def test_states_with_empty_arrays_go_on_where_they_are(make):
    """XLA gives such arrays back undivided; the second stretch of steps took them for divided ones."""
    params = {"kernel": jnp.ones((3, 2)) / 2, "bias": jnp.ones(2)}
    settings = [make(rate) for rate in (0.1, 0.01)]
    arguments: Any = {"steps": 4, "every": 2, "seeds": 1}
    divided = jo.sweep(loss_fn, params, settings, jnp.zeros((4, 1)), devices=jax.devices()[:2], **arguments)
    alone = jo.sweep(loss_fn, params, settings, jnp.zeros((4, 1)), devices=jax.devices()[:1], **arguments)
    for name, curve in alone.curves.items():
        np.testing.assert_allclose(divided.curves[name], curve, rtol=1e-6)
