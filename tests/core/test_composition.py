"""chain against optax.chain: the same updates and states to the last bit, and leaves besides."""

import chex
import jax
import jax.numpy as jnp
import optax
import pytest

import jaxopt_edu as jo
from tests.registry import each_optimizer, gradient_stream, scan_updates, updates_of

GRADIENTS = gradient_stream(20)


@each_optimizer
def test_updates_and_state_are_those_of_optax_to_the_last_bit(row):
    transforms = (
        optax.clip_by_global_norm(1.0),
        optax.add_decayed_weights(0.1),
        row.build(),
        optax.scale(0.5),
    )
    ours, theirs = jo.chain(*transforms), optax.chain(*transforms)
    w = jnp.ones(GRADIENTS.shape[1])
    state, their_state = ours.init(w), theirs.init(w)
    chex.assert_trees_all_equal(state, their_state)
    for g in GRADIENTS[:3]:
        updates, state = ours.update(g, state, w)
        with jax.numpy_dtype_promotion("standard"):
            their_updates, their_state = theirs.update(g, their_state, w)
        chex.assert_trees_all_equal((updates, state), (their_updates, their_state))
    assert jax.tree.structure(state) == jax.tree.structure(their_state)


@each_optimizer
def test_closed_over_it_compiles_to_the_bits_of_optax(row):
    transforms = (optax.clip_by_global_norm(1.0), row.build(), optax.scale(0.5))
    ours = jax.jit(lambda gradients: updates_of(jo.chain(*transforms), gradients))(GRADIENTS)
    with jax.numpy_dtype_promotion("standard"):
        theirs = jax.jit(lambda gradients: updates_of(optax.chain(*transforms), gradients))(GRADIENTS)
    chex.assert_trees_all_equal(ours, theirs)


@each_optimizer
def test_a_chain_of_one_is_the_optimizer(row):
    chex.assert_trees_all_equal(
        scan_updates(jo.chain(row.build()), GRADIENTS), scan_updates(row.build(), GRADIENTS)
    )


def test_the_leaves_are_those_of_the_transforms_in_order():
    opt = jo.chain(jo.sgd(0.1), optax.clip(1.0), jo.chain(jo.momentum(0.2, momentum=0.3), jo.sgd(0.4)))
    assert jax.tree.leaves(opt) == [0.1, 0.2, 0.3, 0.4]


def test_a_new_number_is_no_new_compilation():
    clip = optax.clip(1.0)
    chex.clear_trace_counter()
    run = jax.jit(chex.assert_max_traces(updates_of, n=1))
    for rate in (0.1, 0.2, 0.3):
        run(jo.chain(clip, jo.lift(optax.scale)(rate), jo.adam(rate)), GRADIENTS)


def test_extra_arguments_go_to_those_who_take_them():
    opt = jo.chain(optax.scale(2.0), jo.lift(optax.polyak_sgd)(), jo.sgd(0.5))
    theirs = optax.chain(optax.scale(2.0), optax.polyak_sgd(), jo.sgd(0.5))
    w = jnp.ones(2)
    updates, _ = opt.update(w, opt.init(w), w, value=jnp.float32(0.25))
    with jax.numpy_dtype_promotion("standard"):
        expected, _ = theirs.update(w, theirs.init(w), w, value=jnp.float32(0.25))
    chex.assert_trees_all_equal(updates, expected)


def test_a_chain_may_stand_in_optax_chain():
    opt = optax.chain(jo.chain(optax.scale(2.0), jo.sgd(0.5)), optax.scale(0.5))
    w = jnp.ones(2)
    chex.assert_trees_all_equal(opt.update(w, opt.init(w), w)[0], jnp.full(2, -0.5))


def test_what_is_no_transform_is_refused_with_its_position():
    for wrong in (jo.sgd, 0.1, None, (jo.sgd(), jo.sgd())):
        with pytest.raises(TypeError, match=r"chain: argument 1 is .* not an optax transform"):
            jo.chain(jo.sgd(), wrong)  # type: ignore[arg-type]


def test_the_state_of_something_else_is_refused():
    opt, w = jo.chain(jo.sgd(), jo.momentum()), jnp.ones(2)
    for state in (jo.sgd().init(w), (jo.sgd().init(w),), list(opt.init(w)), None, optax.EmptyState()):  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="tuple of 2 states"):
            opt.update(w, state, w)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"momentum.update was given a SgdState"):
        opt.update(w, (jo.sgd().init(w), jo.sgd().init(w)), w)
