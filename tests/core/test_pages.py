"""What a page may ask for beyond the gradient: the parameters, numbers of the whole tree, constants."""

import pickle
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_edu as jo
from jaxopt_edu.core import (
    NON_NEGATIVE,
    build,
    first_count,
    map_rule,
    next_count,
    norm,
    tree_norm,
    zeros_like,
)

LIMITS = {"learning_rate": NON_NEGATIVE, "rate": NON_NEGATIVE}
PARAMS = {"w": jnp.array([2.0, -4.0]), "b": jnp.array([8.0])}
GRADIENTS = {"w": jnp.array([1.0, 1.0]), "b": jnp.array([0.0])}


class CountState(NamedTuple):
    count: jax.Array


class MomentumState(NamedTuple):
    count: jax.Array
    m: Any


def decayed(learning_rate=0.5, rate=0.25) -> Any:
    return build(decayed, CountState, init, decayed_update, LIMITS, learning_rate=learning_rate, rate=rate)


def init(params):
    return CountState(first_count(params))


def decayed_update(gradients, state, params, **values):
    updates = map_rule(decayed_rule, gradients, params=params, **values)
    return updates, CountState(next_count(state.count))


def decayed_rule(g, w, *, learning_rate, rate):
    assert w.dtype == learning_rate.dtype
    return -learning_rate * (g + rate * w)


def remembering(learning_rate=0.5) -> Any:
    return build(
        remembering, MomentumState, remembering_init, remembering_update, LIMITS, learning_rate=learning_rate
    )


def remembering_init(params):
    return MomentumState(first_count(params), zeros_like(params))


def remembering_update(gradients, state, params, **values):
    updates, m = map_rule(remembering_rule, gradients, state.m, params=params, **values)
    return updates, MomentumState(next_count(state.count), m)


def remembering_rule(g, w, m, *, learning_rate):
    m = m + g
    return -learning_rate * norm(w) * m, m


def normalized(learning_rate=1.0) -> Any:
    return build(normalized, CountState, init, normalized_update, LIMITS, learning_rate=learning_rate)


def normalized_update(gradients, state, **values):
    updates = map_rule(normalized_rule, gradients, length=tree_norm(gradients), **values)
    return updates, CountState(next_count(state.count))


def normalized_rule(g, *, learning_rate, length):
    return -learning_rate * g / length


def powered(learning_rate=0.5, powers=(1, 2), scale=abs) -> Any:
    static = {"powers": powers, "scale": scale}
    return build(
        powered,
        MomentumState,
        powered_init,
        powered_update,
        LIMITS,
        static=static,
        learning_rate=learning_rate,
    )


def powered_init(params, powers):
    return MomentumState(first_count(params), [zeros_like(params) for _ in powers])


def powered_update(gradients, state, *, powers, scale, **values):
    updates = map_rule(
        lambda g, *, learning_rate: -learning_rate * scale(g) ** len(powers), gradients, **values
    )
    return updates, MomentumState(next_count(state.count), state.m)


def test_a_rule_that_reads_the_parameters_is_given_them_after_the_gradient():
    opt = decayed()
    updates, _ = opt.update(GRADIENTS, opt.init(PARAMS), PARAMS)
    assert jax.tree.map(lambda u: u.tolist(), updates) == {"w": [-0.75, 0.0], "b": [-1.0]}


def test_and_before_what_it_remembers():
    opt = remembering()
    updates, state = opt.update(GRADIENTS, opt.init(PARAMS), PARAMS)
    np.testing.assert_allclose(updates["w"], -0.5 * np.sqrt(20) * np.ones(2), rtol=1e-6)
    updates, _ = opt.update(GRADIENTS, state, PARAMS)
    np.testing.assert_allclose(updates["w"], -0.5 * np.sqrt(20) * 2 * np.ones(2), rtol=1e-6)


@pytest.mark.parametrize(
    ("around", "owner"),
    [
        (lambda opt: opt, "decayed"),
        (lambda opt: jo.chain(optax.clip(1.0), opt), "decayed"),
        (lambda opt: jo.half_state(opt, jax.random.key(0)), "decayed"),
        (jo.packed, "decayed"),
        (jo.compensated, "compensated"),
        (lambda opt: jo.lift(optax.apply_if_finite)(opt, max_consecutive_errors=3), "decayed"),
    ],
    ids=["alone", "chain", "half_state", "packed", "compensated", "lifted"],
)
def test_an_update_without_them_names_the_call(around, owner):
    opt = around(decayed())
    message = rf"{owner}\.update needs the parameters: call update\(gradients, state, params\)\."
    with pytest.raises(ValueError, match=message):
        opt.update(GRADIENTS, opt.init(PARAMS))


def test_parameters_are_read_in_at_least_float32_and_updates_keep_the_gradients_dtype():
    params = {"h": jnp.full(2, 3.0, jnp.bfloat16), "none": None}
    for gradient_dtype in (jnp.bfloat16, jnp.float32):
        gradients = {"h": jnp.ones(2, gradient_dtype), "none": None}
        updates, _ = decayed().update(gradients, decayed().init(params), params)
        assert updates["h"].dtype == gradient_dtype
        assert updates["h"].tolist() == [-0.875, -0.875]


def test_of_wide_parameters_and_narrow_gradients_the_wide_ones_say_in_what_is_worked(x64):
    w, g = jnp.full(1, 1 / 3), jnp.zeros(1, jnp.float32)
    assert decayed().update(g, decayed().init(w), w)[0].dtype == jnp.float32
    assert float(remembering().update(g + 1, remembering().init(w), w)[1].m[0]) == 1


def test_it_is_still_data_and_still_packs():
    run = jax.jit(lambda opt, params: opt.update(GRADIENTS, opt.init(params), params)[0])
    expected = run(decayed(), PARAMS)
    arounds: Any = (jo.packed, jo.compensated, lambda opt: jo.half_state(opt, jax.random.key(0)))
    for around in arounds:
        found = run(around(decayed()), PARAMS)
        assert jax.tree.map(lambda u: u.tolist(), found) == jax.tree.map(lambda u: u.tolist(), expected)
    hypergradient = jax.grad(lambda opt: run(opt, PARAMS)["b"][0])(decayed())
    assert jo.hyperparameters(hypergradient) == {"learning_rate": -2.0, "rate": -4.0}


def test_a_number_of_the_whole_tree_is_one_more_scalar():
    gradients = {"w": jnp.array([3.0, 0.0]), "h": jnp.array([4.0], jnp.bfloat16), "none": None}
    updates, _ = normalized().update(gradients, normalized().init(gradients), gradients)
    np.testing.assert_allclose(updates["w"], [-0.6, 0.0], rtol=1e-6)
    assert updates["h"].dtype == jnp.bfloat16
    np.testing.assert_allclose(np.float32(updates["h"]), [-0.8], rtol=1e-2)


def test_it_is_cast_to_each_leafs_dtype(x64):
    gradients = {"w": jnp.array([3.0]), "f": jnp.array([4.0], jnp.float32)}
    updates, _ = normalized().update(gradients, normalized().init(gradients), gradients)
    assert (updates["w"].dtype, updates["f"].dtype) == (jnp.float64, jnp.float32)


def test_a_rule_that_mixes_leaves_or_places_is_no_rule_to_pack():
    params = {"w": jnp.ones(2), "b": jnp.ones(3)}
    for opt, reason in ((normalized(), "reduce_sum"), (remembering(), "reduce_sum")):
        packed: Any = jo.packed(opt)
        with pytest.raises(
            ValueError, match=f"does not treat every number alike: its update makes a {reason}"
        ):
            packed.update(params, packed.init(params), params)


def test_constants_are_no_leaves_and_reach_init_and_update():
    opt = powered(powers=(1, 2, 3))
    assert jax.tree.leaves(opt) == [0.5]
    state = opt.init(jnp.ones(2))
    assert len(state.m) == 3
    assert opt.update(jnp.full(2, -2.0), state)[0].tolist() == [-4.0, -4.0]
    assert jo.hyperparameters(opt) == {"learning_rate": 0.5}
    assert jo.describe(opt) == "powered(learning_rate=0.5, powers=[1, 2, 3])"


def test_constants_are_part_of_the_structure_and_survive_replace_and_pickle():
    opt = powered(powers=(1, 2, 3))
    other = jo.replace(opt, learning_rate=0.25)
    assert jax.tree.structure(other) == jax.tree.structure(opt)
    assert jax.tree.structure(other) != jax.tree.structure(powered())
    assert jax.tree.structure(jo.replace(powered(), powers=(1, 2, 3))) == jax.tree.structure(opt)
    assert jax.tree.structure(pickle.loads(pickle.dumps(opt))) == jax.tree.structure(opt)
    with pytest.raises(ValueError, match="stack: optimizer 0 is powered"):
        jo.stack([opt, powered()])


def test_the_text_of_a_stored_optimizer_is_no_other_for_the_folder_its_page_lies_in():
    adam: Any = jo.adam()
    text = repr(adam.update.func)
    assert "state_type=<class 'jaxopt_edu.optimizers.adam.AdamState'>, update=<function update at" in text
    assert text.startswith("Page(factory=<function adam at")
    assert "static" not in text
    assert "static=(('powers', (1, 2)), " in repr(powered().update.func)
