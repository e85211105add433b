"""The point to evaluate, through everything that stands around an optimizer that has one of its own."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_edu as jo
from jaxopt_edu.core.composition import compose
from tests.averaging import averaging
from tests.registry import each_optimizer

PARAMS = {"w": jnp.array([2.0, -4.0]), "none": None, "b": jnp.array([8.0])}


def trained(opt: Any, params: Any = PARAMS, steps: int = 2) -> Any:
    state = opt.init(params)
    for _ in range(steps):
        updates, state = opt.update(params, state, params)
        params = optax.apply_updates(params, updates)
    return state, params


# Two steps of w ← w/2 end at w/4, after w/2: half of the way back is 3/8.
EXPECTED = {"w": [0.75, -1.5], "b": [3.0]}


def lists(params):
    return {name: np.asarray(leaf, np.float32).tolist() for name, leaf in params.items() if leaf is not None}


AROUND = {
    "alone": lambda opt: opt,
    "chain": lambda opt: jo.chain(optax.clip_by_global_norm(1e3), opt),
    "chain of chains": lambda opt: jo.chain(jo.chain(optax.identity()), jo.chain(opt)),
    "compensated": jo.compensated,
    "half_state": lambda opt: jo.half_state(opt, jax.random.key(0)),
    "packed": jo.packed,
    "lifted": lambda opt: jo.lift(optax.apply_if_finite)(opt, max_consecutive_errors=3),
    "lifted, in a wrapper": lambda opt: jo.compensated(
        jo.lift(optax.apply_if_finite)(jo.chain(opt), max_consecutive_errors=3)
    ),
    "accumulated": lambda opt: jo.lift(every_step)(opt, 1),
    "all at once": lambda opt: jo.half_state(
        jo.compensated(jo.chain(optax.identity(), opt)), jax.random.key(0)
    ),
}


def every_step(opt, k: int):
    return optax.MultiSteps(opt, k).gradient_transformation()


@pytest.mark.parametrize("around", AROUND)
def test_it_is_found_through_whatever_stands_around(around):
    opt = AROUND[around](averaging())
    with jax.numpy_dtype_promotion("standard"):  # MultiSteps mixes dtypes
        state, params = trained(opt)
    assert lists(params) == {"w": [0.5, -1.0], "b": [2.0]}
    assert lists(jo.evaluation_params(opt, state, params)) == EXPECTED
    compiled = jax.jit(jo.evaluation_params)(opt, state, params)
    assert lists(compiled) == EXPECTED
    assert jax.tree.structure(compiled) == jax.tree.structure(params)
    other = AROUND[around](averaging(b=0.0))
    assert lists(jo.evaluation_params(other, state, params)) == lists(params)


@pytest.mark.parametrize("around", ["alone", "chain", "compensated", "half_state"])
def test_it_has_the_parameters_dtypes(around):
    opt = AROUND[around](averaging())
    half = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), PARAMS)
    state, params = trained(opt, half)
    found = jo.evaluation_params(opt, state, params)
    assert {leaf.dtype for leaf in jax.tree.leaves(found)} == {jnp.dtype(jnp.bfloat16)}
    assert lists(found) == EXPECTED


def test_what_rounding_has_taken_is_looked_from_too():
    """A bfloat16 1 that has moved by 0.001 without showing it, and a point in the middle of 1 and 1.001."""
    opt: Any = jo.compensated(averaging(learning_rate=0.001, b=0.0))
    params: Any = jnp.ones(1, jnp.bfloat16)
    state = opt.init(params)
    for _ in range(2):
        updates, state = opt.update(-jnp.ones(1, jnp.bfloat16), state, params)
        params = optax.apply_updates(params, updates)
    seen = opt.update.func.step.evaluated_at(
        [lambda state, held: held.astype(jnp.bfloat16) * 0 + 1], state, params
    )
    assert params.tolist() == [1.0]
    assert seen.tolist() == [1.0]
    held = []
    opt.update.func.step.evaluated_at([lambda state, at: held.append(at) or at], state, params)
    np.testing.assert_allclose(held[0], [1.002], rtol=1e-5)


@each_optimizer
@pytest.mark.parametrize("around", AROUND)
def test_for_all_that_hold_the_point_itself_it_is_the_identity(row, around):
    if row.evaluated_elsewhere:
        return
    opt = AROUND[around](row.build())
    # Nothing of the state is looked at.
    assert jo.evaluation_params(opt, None, PARAMS) is PARAMS


def test_a_schedule_is_asked_at_the_count():
    opt = averaging(b=lambda step: jnp.where(step == 2, 0.5, 0.0))
    state, params = trained(opt)
    assert lists(jo.evaluation_params(opt, state, params)) == EXPECTED


def test_the_state_of_another_optimizer_is_refused():
    with pytest.raises(TypeError, match=r"averaging\.update was given a AdamState .* needs the AverageState"):
        jo.evaluation_params(averaging(), jo.adam().init(PARAMS), PARAMS)


@pytest.mark.parametrize(
    "opt",
    [
        jo.lift(optax.masked)(averaging(), mask={"w": True, "none": None, "b": False}),
        jo.lift(optax.partition)(
            {"one": averaging(), "other": jo.sgd()}, {"w": "one", "none": None, "b": "other"}
        ),
    ],
    ids=["masked", "among others"],
)
def test_a_lifted_transform_that_hides_the_state_says_so(opt):
    with pytest.raises(ValueError, match=r"0 parts of the state given, an? \w+, are .*its own part of the"):
        jo.evaluation_params(opt, opt.init(PARAMS), PARAMS)


@dataclass(frozen=True)
class MeanStep:
    """The mean of the parameters seen, for the tests: a wrapper with a point of its own."""

    evaluates_elsewhere = True

    def inner_states(self, state, size):
        return state[0]

    def __call__(self, update_functions, updates, state, params, **extra):
        updates, inner = update_functions[0](updates, state[0][0], params, **extra)
        return updates, ((inner,), jax.tree.map(jnp.add, state[1], params), state[2] + 1)

    def evaluated_at(self, asks, state, params):
        return jax.tree.map(lambda total: total / state[2], state[1])


def mean(opt) -> Any:
    return compose(mean, mean_init, MeanStep(), [opt])


def mean_init(inits, params):
    return ((inits[0](params),), jax.tree.map(jnp.zeros_like, params), jnp.zeros(()))


@pytest.mark.parametrize("around", ["alone", "chain", "compensated", "lifted"])
def test_a_wrapper_may_have_a_point_of_its_own(around):
    opt = AROUND[around](mean(jo.sgd(0.5)))
    state, params = trained(opt)
    assert lists(jo.evaluation_params(opt, state, params)) == {"w": [1.5, -3.0], "b": [6.0]}


def test_runs_of_a_sweep_have_their_own():
    opts = jo.stack([averaging(b=0.0), averaging(b=0.5)])
    state, params = jax.vmap(trained, in_axes=(0, None))(opts, PARAMS)
    found = jax.vmap(jo.evaluation_params)(opts, state, params)
    np.testing.assert_allclose(found["w"], [[0.5, -1.0], [0.75, -1.5]])
