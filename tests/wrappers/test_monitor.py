"""monitor: the inner optimizer's bits, and measures that are what the formulas say."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_edu as jo
from jaxopt_edu.wrappers.measuring import ROOTS
from tests.draws import draw, normal

PARAMS = {"b": normal(3, seed=1), "w": normal(4, 3, seed=2)}
GRADIENTS = {"b": normal(24, 3, seed=3), "w": normal(24, 4, 3, seed=4)}
INNER = {
    "adam": jo.adam(0.1),
    "momentum": jo.momentum(0.1),
    "clipped": jo.chain(optax.clip_by_global_norm(2.0), jo.adamw(0.1)),
    "partition": jo.partition({"a": jo.adam(0.1), "b": jo.lion(0.01)}, {"w": "a", "*": "b"}),
    "compensated": jo.compensated(jo.sgd(0.1)),
    "half_state": jo.half_state(jo.adam(0.1), jax.random.key(0)),
    "packed": jo.packed(jo.adam(0.1)),
    "schedule_free": jo.schedule_free(jo.sgd(0.1)),
    "muon": jo.muon(0.1),
}


@jax.jit
def trained(opt: Any, params: Any, gradients: Any) -> Any:
    """The parameters and states after each step, given gradients."""

    def step(carry: Any, g: Any) -> Any:
        params, state = carry
        updates, state = opt.update(g, state, params)
        params = optax.apply_updates(params, updates)
        return (params, state), (params, updates, state)

    return jax.lax.scan(step, (params, opt.init(params)), gradients)[1]


def at(tree: Any, step: int) -> Any:
    return jax.tree.map(lambda leaf: leaf[step - 1], tree)


def read(opt: Any, states: Any, step: int) -> dict[str, np.ndarray]:
    """The readings after a step; each of shape (layers,)."""
    return {name: each[0] for name, each in jo.readings(opt, at(states, step), PARAMS).values.items()}


def keys_as_numbers(tree: Any) -> list[Any]:
    is_key = lambda leaf: jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)  # noqa: E731
    return [jax.random.key_data(leaf) if is_key(leaf) else leaf for leaf in jax.tree.leaves(tree)]


SLOW = ("half_state", "packed", "compensated")  # seconds of compiling each


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in INNER]
)
def test_updates_and_states_are_the_inner_optimizers_to_the_bit(name):
    opts: list[Any] = [jo.monitor(INNER[name], every=2), INNER[name]]
    states = [opt.init(PARAMS) for opt in opts]
    for step in (1, 2):
        made = [
            opt.update(at(GRADIENTS, step), state, PARAMS) for opt, state in zip(opts, states, strict=True)
        ]
        states = [state for _, state in made]
        mine, theirs = (made[0][0], states[0].inner), made[1]
        assert jax.tree.structure(mine) == jax.tree.structure(theirs)
        for one, other in zip(keys_as_numbers(mine), keys_as_numbers(theirs), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", ["adam", "clipped"])
def test_compiled_in_a_loop_they_are_the_same_up_to_a_rounding(name):
    """XLA may make one operation of a product and a sum where it need not keep the product."""
    alone = trained(INNER[name], PARAMS, GRADIENTS)
    params, _, _ = trained(jo.monitor(INNER[name]), PARAMS, GRADIENTS)
    for mine, theirs in zip(jax.tree.leaves(params), jax.tree.leaves(alone[0]), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-6)


def test_each_step_is_measured_as_the_formulas_say():
    opt = jo.monitor(jo.momentum(0.1), every=1, window=1)
    params, updates, states = trained(opt, PARAMS, GRADIENTS)
    found = read(opt, states, 5)
    for place, name in enumerate(("b", "w")):
        g, u, w = (
            np.asarray(tree[name], np.float64).ravel()
            for tree in (at(GRADIENTS, 5), at(updates, 5), at(params, 4))
        )
        expected = {
            "gradient": np.linalg.norm(g),
            "update": np.linalg.norm(u),
            "parameter": np.linalg.norm(w),
            "cosine": -(u @ g) / np.linalg.norm(u) / np.linalg.norm(g),
        }
        expected["update_ratio"] = expected["update"] / expected["parameter"]
        expected["effective_rate"] = expected["update"] / expected["gradient"]
        for key, value in expected.items():
            np.testing.assert_allclose(found[key][place], value, rtol=1e-5, err_msg=key)
    assert np.isnan(found["clipped"]).all()
    assert np.isnan(found["below_eps"]).all()


def test_means_are_of_every_third_step_since_the_last_multiple_of_the_window():
    each = trained(jo.monitor(jo.adam(0.1), every=1, window=1), PARAMS, GRADIENTS)[2].means.gradient
    means = trained(jo.monitor(jo.adam(0.1), every=3, window=8), PARAMS, GRADIENTS)[2].means.gradient
    measured = {1: [1], 3: [1], 4: [1, 4], 8: [1, 4, 7], 9: [9], 16: [9, 12, 15], 24: [17, 20, 23]}
    for step, steps in measured.items():
        np.testing.assert_allclose(means[step - 1], each[np.array(steps) - 1].mean(0), rtol=1e-6)


def test_a_step_that_is_not_finite_is_gone_with_its_window():
    gradients = jax.tree.map(lambda g: g.at[1].set(jnp.inf), GRADIENTS)
    means = trained(jo.monitor(jo.momentum(0.1), every=1, window=4), PARAMS, gradients)[2].means.gradient
    assert np.isinf(means[1:4]).all()
    assert np.isfinite(means[4:]).all()


def test_groups_of_leaves_are_measured_as_one_array():
    opt = jo.monitor(jo.sgd(0.1), layers=["*"], every=1, window=1)
    found = read(opt, trained(opt, PARAMS, GRADIENTS)[2], 3)
    np.testing.assert_allclose(found["gradient"], [optax.tree.norm(at(GRADIENTS, 3))], rtol=1e-6)
    np.testing.assert_allclose(found["cosine"], [1.0], rtol=1e-6)


CLIPS = {
    "optax's": optax.clip_by_global_norm(3.0),
    "lifted": jo.lift(optax.clip_by_global_norm)(3.0),
}


@pytest.mark.parametrize("name", CLIPS)
def test_clipped_steps_are_those_whose_gradient_is_longer(name):
    opt = jo.monitor(jo.chain(CLIPS[name], jo.adam(0.1)), every=1, window=24)
    found = read(opt, trained(opt, PARAMS, GRADIENTS)[2], 24)
    norms = np.sqrt(
        sum(np.sum(np.square(leaf), axis=tuple(range(1, leaf.ndim))) for leaf in GRADIENTS.values())
    )
    share = np.mean(norms > 3.0)
    assert 0 < share < 1
    np.testing.assert_allclose(found["clipped"], share, rtol=1e-6)


def test_a_chain_of_scalings_or_with_a_state_in_front_tells_nothing_of_clips():
    for chain in (
        jo.chain(optax.clip(1.0), optax.scale(-0.1)),
        jo.chain(optax.scale_by_adam(), optax.scale(-0.1)),
    ):
        opt = jo.monitor(chain)
        assert np.isnan(read(opt, trained(opt, PARAMS, GRADIENTS)[2], 3)["clipped"]).all()


def test_below_eps_is_the_share_of_small_roots_among_coordinates_that_have_seen_a_gradient():
    gradients = jax.tree.map(jnp.copy, GRADIENTS)
    gradients["w"] = gradients["w"].at[:, 0].set(0.0).at[:, 1].multiply(1e-6)
    inner = jo.adam(0.1, b2=0.9, eps=1e-3)
    opt = jo.monitor(inner, every=1, window=1)
    found = read(opt, trained(opt, PARAMS, gradients)[2], 7)
    # Of four rows one has seen nothing, and one stays below.
    np.testing.assert_allclose(found["below_eps"], [0.0, 1 / 3], rtol=1e-6)


WITH_EPS = {
    "in a chain": lambda opt: jo.chain(optax.clip(10.0), opt),
    "with decay": lambda opt: jo.weight_decay(opt, 0.01),
    "among others": lambda opt: jo.partition({"a": opt, "b": jo.sgd(0.1)}, {"w": "a", "*": "b"}),
    "with a half state": lambda opt: jo.half_state(opt, jax.random.key(0)),
}


@pytest.mark.parametrize("name", WITH_EPS)
def test_eps_is_found_inside_of_others(name):
    opt = jo.monitor(WITH_EPS[name](jo.adam(0.1, eps=10.0)), every=1)
    found = read(opt, trained(opt, PARAMS, GRADIENTS)[2], 3)["below_eps"]
    np.testing.assert_array_equal(found, [np.nan if name == "among others" else 1.0, 1.0])


def test_a_companion_and_an_eps_for_each_leaf_are_seen():
    opt = jo.monitor(jo.muon(others=jo.adamw(eps=10.0)), every=1)
    found = read(opt, trained(opt, PARAMS, GRADIENTS)[2], 3)["below_eps"]
    np.testing.assert_array_equal(found, [1.0, np.nan])
    opt = jo.monitor(jo.adam(eps=jo.where("b", 10.0, 0.0)), every=1)
    np.testing.assert_array_equal(read(opt, trained(opt, PARAMS, GRADIENTS)[2], 3)["below_eps"], [1.0, 0.0])


@pytest.mark.parametrize(
    "factory",
    [pytest.param(each, marks=() if each is jo.adamw else pytest.mark.slow) for each in ROOTS],
)
def test_the_roots_of_every_page_are_its_own(factory):
    """In the first steps every root is about |g|: all are above a tiny ε and below a huge one."""
    for eps, expected in ((1e-9, 0.0), (1e3, 1.0)):
        opt = jo.monitor(factory(eps=eps), every=1, window=1)
        found = read(opt, trained(opt, PARAMS, GRADIENTS)[2], 3)["below_eps"]
        np.testing.assert_array_equal(found, expected)


def test_side_by_side_each_is_measured_as_alone():
    opts = [jo.monitor(jo.sgd(rate)) for rate in (0.1, 0.2)]
    several = jax.vmap(trained, in_axes=(0, None, None))(jo.stack(opts), PARAMS, GRADIENTS)[2]
    alone = trained(opts[1], PARAMS, GRADIENTS)[2]
    for mine, theirs in zip(*map(jax.tree.leaves, (several.means, alone.means)), strict=True):
        np.testing.assert_allclose(mine[1], theirs, rtol=1e-6)


def test_bfloat16_and_complex_leaves_are_measured_in_float32():
    params = {"b": jnp.full(512, 3.0, jnp.bfloat16), "c": jnp.full(2, 3 + 4j, jnp.complex64)}
    opt: Any = jo.monitor(jo.sgd(0.5))
    _, state = opt.update(params, opt.init(params), params)
    assert {leaf.dtype for leaf in jax.tree.leaves(state.means)} == {jnp.dtype("float32")}
    np.testing.assert_allclose(state.means.parameter, [3 * 512**0.5, 50**0.5], rtol=1e-6)
    np.testing.assert_allclose(state.means.cosine, 1.0, rtol=1e-6)


def test_numbers_of_steps_are_whole_and_may_be_changed():
    halves: list[dict[str, Any]] = [{"every": 1.5}, {"window": 1.5}]
    for given in halves:
        with pytest.raises(ValueError, match=r"monitor: (every|window) = 1\.5 must be a whole number"):
            jo.monitor(jo.sgd(), **given)
    opt = jo.replace(jo.monitor(jo.sgd()), window=20)
    assert jo.hyperparameters(opt) == {"every": 10, "window": 20, "learning_rate": 0.01}


@pytest.mark.slow
def test_norms_are_right_for_long_arrays():
    """A float32 sum of a million squares against float64's."""
    leaf = draw(1000, 1000, seed=9)
    opt: Any = jo.monitor(jo.sgd(1.0))
    params = {"w": jnp.asarray(leaf, jnp.float32)}
    _, state = jax.jit(opt.update)(params, opt.init(params), params)
    np.testing.assert_allclose(state.means.parameter, [np.linalg.norm(leaf)], rtol=1e-5)


def test_among_noise_alone_the_cosine_of_momentum_is_the_root_that_the_page_tells():
    """After 90 steps, the mean of 30 in 4000 dimensions; it differs by about 1 / √(30 · 4000)."""
    noise = {"w": normal(120, 4000, seed=5)}
    params = {"w": jnp.zeros(4000)}
    for momentum in (0.9, 0.99):
        opt = jo.monitor(jo.momentum(0.1, momentum), every=1, window=30)
        state = trained(opt, params, noise)[2]
        # An average that began t steps ago is that of noise times 1 − β²ᵗ.
        expected = np.mean([((1 - momentum**2) / (1 - momentum ** (2 * t))) ** 0.5 for t in range(91, 121)])
        np.testing.assert_allclose(state.means.cosine[-1], expected, atol=0.01)
