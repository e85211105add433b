"""compose with members that have names, constants, and numbers of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_edu as jo
from jaxopt_edu.core import NON_NEGATIVE, kind, settings
from jaxopt_edu.core.composition import compose
from jaxopt_edu.core.naming import limits

COSINE = jo.schedules.cosine(peak=0.5, steps=4)
W = {"w": jnp.ones(2)}


class SumState(NamedTuple):
    """The members' states."""

    count: jax.Array
    inner: Any


def init(inits: Mapping, params: Any) -> SumState:
    return SumState(jnp.zeros((), jnp.int32), {name: inner(params) for name, inner in inits.items()})


@dataclass(frozen=True)
class SumStep:
    """Updates are the sum of the members', times a number."""

    def inner_states(self, state, size):
        return tuple(state.inner.values())

    def __call__(self, update_functions, updates, state, params, *, scale, **extra):
        total, states = jax.tree.map(jnp.zeros_like, updates), {}
        for name, update in update_functions.items():
            part, states[name] = update(updates, state.inner[name], params, **extra)
            total = jax.tree.map(lambda a, b: a + scale.astype(b.dtype) * b, total, part)
        return total, SumState(state.count + 1, states)


def summed(transforms, labels=None, *, scale: Any = 1.0):
    """A composition for these tests."""
    return compose(
        summed,
        init,
        SumStep(),
        transforms,
        constants={"labels": labels},
        limits={"scale": NON_NEGATIVE},
        scale=scale,
    )


MEMBERS = {"slow": jo.sgd(0.25), "fast.x": jo.chain(jo.momentum(0.5), jo.sgd(COSINE))}


def test_numbers_are_called_by_their_members_names_in_the_order_given():
    opt = summed(MEMBERS, scale=2.0)
    names = [
        "scale", "slow.learning_rate", "fast.x.0.learning_rate", "fast.x.momentum",
        "fast.x.1.learning_rate.peak", "fast.x.1.learning_rate.steps", "fast.x.1.learning_rate.final",
    ]  # fmt: skip
    # Also after compiled code, which sorts the keys of a plain dict.
    for each in (opt, jax.jit(lambda opt: opt)(opt)):
        assert list(settings(each)) == names
    assert limits(opt).keys() == jo.hyperparameters(opt).keys()
    for name in names:
        changed = jo.replace(opt, **{name: 0.75})
        assert settings(changed) == settings(opt) | {name: 0.75}
        assert jax.tree.structure(changed) == jax.tree.structure(opt)
    assert jo.describe(jo.replace(opt, scale=COSINE)).endswith("scale=cosine(peak=0.5, steps=4, final=0))")


def test_it_is_shown_as_it_was_called():
    opt = summed(MEMBERS, {"w": "slow", "b": None})
    assert jo.describe(opt) == (
        "summed({slow: sgd(learning_rate=0.25), fast.x: chain(momentum(learning_rate=0.5, momentum=0.9), "
        "sgd(learning_rate=cosine(peak=0.5, steps=4, final=0)))}, scale=1, labels={b: None, w: 'slow'})"
    )
    assert kind(summed(MEMBERS)) == "summed({slow: sgd, fast.x: chain(momentum, sgd(learning_rate=cosine))})"


def test_a_step_is_given_the_functions_by_name_and_the_number_in_force():
    opt = summed({"a": jo.sgd(0.5), "b": jo.sgd(0.25)}, scale=COSINE)
    state, rates = opt.init(W), []
    for _ in range(3):
        rates.append(float(jo.hyperparameters(opt, state)["scale"]))
        updates, state = jax.jit(lambda opt, state: opt.update(W, state, W))(opt, state)
        np.testing.assert_allclose(updates["w"], -0.75 * rates[-1], rtol=1e-6)
    np.testing.assert_allclose(rates, [0.5, 0.5 * (1 + np.sqrt(0.5)) / 2, 0.25], rtol=1e-6)
    stacked = jo.stack([opt, jo.replace(opt, **{"a.learning_rate": 0.125})])
    assert jo.hyperparameters(jo.unstack(stacked)[1])["a.learning_rate"] == 0.125


def test_what_is_refused():
    with pytest.raises(TypeError, match=r"summed: 'a' is 3, not an optax transform. Call the factory first"):
        summed({"a": 3})
    with pytest.raises(ValueError, match=r"summed: scale = -1 is out of range"):
        summed(MEMBERS, scale=-1)
    opt = summed(MEMBERS)
    with pytest.raises(
        ValueError, match=r"no hyperparameter 'learning_rate'; it has scale, slow\.learning_rate"
    ):
        jo.replace(opt, learning_rate=0.1)
    with pytest.raises(TypeError, match=r"summed: the state is a tuple without a count to ask"):
        jo.hyperparameters(jo.replace(opt, scale=COSINE), ())


def test_multi_steps_are_members_too():
    opt = jo.chain(optax.MultiSteps(jo.sgd(0.5), 2))
    state = opt.init(W)
    for expected in (0.0, -0.5):
        updates, state = opt.update(W, state, W)
        chex.assert_trees_all_close(updates, {"w": jnp.full(2, expected)})
