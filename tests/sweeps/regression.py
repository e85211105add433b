"""A problem that compiles in no time: a line through 40 points, with noise that no line fits."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxopt_edu as jo

STEPS, EVERY, BATCH = 12, 4, 8
RATES = (0.01, 0.03, 0.1, 0.3)

_random = np.random.default_rng(0)
_x = _random.normal(size=(40, 3)).astype(np.float32)
# NumPy's, so that to import this starts no JAX and a process can still be split off.
DATA = {
    "x": _x,
    "y": _x @ np.array([1, -2, 3], np.float32) + _random.normal(size=40).astype(np.float32),
}
ADAMS = [jo.adam(rate) for rate in RATES]
SGDS = [jo.sgd(rate) for rate in RATES]


def loss_fn(w, batch):
    return jnp.mean((batch["x"] @ w["slope"] + w["offset"] - batch["y"]) ** 2)


def init(key):
    return {"slope": jax.random.normal(key, (3,)), "offset": jnp.zeros(())}


def evaluate(w):
    residual = jnp.abs(DATA["x"] @ w["slope"] + w["offset"] - DATA["y"])
    return {"loss": jnp.mean(residual**2), "near": jnp.mean(residual < 1, dtype=jnp.float32)}


def run(optimizers: Any = None, **changes: Any) -> jo.SweepResult:
    """The sweep of the tests, with some arguments changed."""
    given = {"steps": STEPS, "seeds": 2, "batch_size": BATCH, "evaluate": evaluate, "every": EVERY}
    return jo.sweep(
        loss_fn, init, ADAMS + SGDS if optimizers is None else optimizers, DATA, **given | changes
    )


def assert_same(found: jo.SweepResult, expected: jo.SweepResult) -> None:
    """To the bit, NaN included."""
    assert found.curves.keys() == expected.curves.keys()
    for name, values in expected.curves.items():
        np.testing.assert_array_equal(found.curves[name], values)
    np.testing.assert_array_equal(found.states, expected.states)
    np.testing.assert_array_equal(found.made, expected.made)
    assert [jo.describe(opt) for opt in found.final_optimizers] == [
        jo.describe(opt) for opt in expected.final_optimizers
    ]
    assert [run[:1] + run[2:4] for run in found.top] == [run[:1] + run[2:4] for run in expected.top]
    for one, other in zip(found.top, expected.top, strict=True):
        pairs = zip(jax.tree.leaves(one[4:]), jax.tree.leaves(other[4:]), strict=True)
        for leaf, same in pairs:
            np.testing.assert_array_equal(leaf, same)
