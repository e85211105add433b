"""packed: the optimizer's own updates, from one long array; and what cannot be packed is refused."""

from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_edu as jo
from jaxopt_edu.core.packing import SMALL, Packed
from jaxopt_edu.wrappers import PackedState
from jaxopt_edu.wrappers.elementwise import _check
from tests.registry import each_optimizer, named

PARAMS = {
    "w": jnp.linspace(-1.0, 2.0, 6).reshape(2, 3),
    "bias": {"b": jnp.ones(3), "none": None, "zero": jnp.ones((0, 3))},
    "half": [jnp.ones(3, jnp.bfloat16), jnp.linspace(0, 1, 4, dtype=jnp.bfloat16).reshape(2, 2)],
    "waves": [jnp.full(2, 1 + 2j, jnp.complex64), jnp.ones(3, jnp.complex64)],
    "large": jnp.linspace(-1, 1, SMALL // 4 + 1),
}
REAL = {name: leaf for name, leaf in PARAMS.items() if name != "waves"}


def gradients(params, seed):
    def one(leaf):
        noise = np.random.default_rng([seed, leaf.size]).normal(size=leaf.shape)
        return jnp.asarray(noise, np.float32).astype(leaf.dtype)

    return jax.tree.map(one, params)


def updates_of(opt, params=PARAMS, steps=3):
    """Each step compiled with its gradients as arguments, as a training loop does."""
    step = jax.jit(lambda opt, g, state: opt.update(g, state, params))
    state, made = opt.init(params), []
    for seed in range(steps):
        updates, state = step(opt, gradients(params, seed), state)
        made.append(updates)
    return made


@each_optimizer
def test_the_updates_are_the_optimizers_own_up_to_a_rounding(row):
    if not row.elementwise:
        with pytest.raises(ValueError, match="does not treat every number alike"):
            updates_of(jo.packed(row.build()))
        return
    mine, own = updates_of(jo.packed(row.build())), updates_of(row.build())
    chex.assert_trees_all_equal_dtypes(mine, own)
    # Where XLA contracts a product and a sum into one rounding is its choice, and another for other shapes.
    for packed, leaf in zip(jax.tree.leaves(mine), jax.tree.leaves(own), strict=True):
        if leaf.size:
            rounding = jnp.finfo(leaf.dtype).eps * np.max(np.abs(leaf))
            assert np.max(np.abs(np.subtract(packed, leaf))) <= 2 * rounding


@each_optimizer
def test_what_it_packs_is_less_than_there_was(row):
    whole: Any = jo.packed(row.build()).init(PARAMS)
    state = whole.inner
    for name in row.memory:
        memory = getattr(state, name)
        assert isinstance(memory, Packed)
        assert {key: array.shape for key, array in memory.together.items()} == {
            "bfloat16": (7,),
            "complex64": (5,),
            "float32": (9,),
        }
        assert [leaf.shape for leaf in memory.alone] == [PARAMS["large"].shape]


ELEMENTWISE = {
    "compensated": jo.compensated(jo.adam()),
    "chain": jo.chain(optax.clip(0.1), optax.add_decayed_weights(1e-2), jo.adam()),
    "lifted adamw": jo.lift(optax.adamw)(learning_rate=1e-3),
    "lifted lion": jo.lift(optax.lion)(learning_rate=1e-3),
    "plain optax": optax.rmsprop(1e-2),
    "optax schedule": jo.adam(optax.cosine_decay_schedule(0.1, 10)),
    "multi-step": jo.chain(optax.MultiSteps(optax.sgd(0.1), 2).gradient_transformation()),
}


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_any_rule_that_treats_every_number_alike_can_be_packed(name):
    opt = ELEMENTWISE[name]
    with jax.numpy_dtype_promotion("standard"):
        own = updates_of(jo.chain(opt), REAL)
    mine = updates_of(jo.packed(opt), REAL)
    for one, other in zip(jax.tree.leaves(mine), jax.tree.leaves(own), strict=True):
        np.testing.assert_allclose(
            np.asarray(one, np.float32), np.asarray(other, np.float32), rtol=1e-6, atol=1e-9
        )


def test_random_rounding_draws_other_bits_but_stays_right_in_the_mean():
    params = {str(i): jnp.zeros(500) for i in range(4)}
    opt = jo.packed(jo.half_state(jo.adam(0.01), jax.random.key(0)))
    own, mine = updates_of(jo.adam(0.01), params, 5)[-1], updates_of(opt, params, 5)[-1]
    for name in params:
        np.testing.assert_allclose(mine[name], own[name], rtol=0.05, atol=1e-4)
        assert abs(jnp.mean(mine[name] - own[name])) < 2e-5


NOT_ELEMENTWISE = {
    "global norm": (jo.chain(optax.clip_by_global_norm(1.0), jo.adam()), "makes a reduce_sum of a leaf"),
    "norm of a leaf": (jo.lift(optax.lamb)(learning_rate=1e-3), "makes a reduce_sum of a leaf"),
    "factored": (
        jo.lift(optax.adafactor)(
            learning_rate=1e-3, min_dim_size_to_factor=2, clipping_threshold=None, weight_decay_rate=0.1
        ),
        "does not treat every number alike",
    ),
    "by rank": (
        jo.lift(optax.adamw)(
            learning_rate=1e-3, mask=lambda params: jax.tree.map(lambda leaf: leaf.ndim > 1, params)
        ),
        r"leaf \['half'\]\[1\] has a rule of its own",
    ),
    "mask": (
        jo.chain(optax.masked(optax.sgd(0.1), {"w": True, "bias": False, "half": True, "large": True})),
        "structure|Mismatch|[Dd]ict",
    ),
    "finite": (optax.apply_if_finite(jo.adam(), 3), "makes a reduce_and of a leaf"),
}


@pytest.mark.parametrize("name", NOT_ELEMENTWISE)
def test_rules_that_look_at_whole_leaves_are_refused(name):
    """Packed they would still run, and be another method."""
    inner, reason = NOT_ELEMENTWISE[name]
    opt = jo.packed(inner)
    with (
        jax.numpy_dtype_promotion("standard"),
        jax.numpy_rank_promotion("allow"),
        pytest.raises((ValueError, TypeError), match=reason),
    ):
        opt.update(gradients(REAL, 0), opt.init(REAL), REAL)


@pytest.mark.parametrize(
    "inner", [jo.adamw(), jo.chain(optax.clip(1.0), jo.adamw())], ids=["alone", "in a chain"]
)
def test_parameters_that_are_missing_are_said_to_be_missing(inner):
    opt = jo.packed(inner)
    with pytest.raises(ValueError, match=r"^adamw\.update needs the parameters: call update\("):
        opt.update(REAL, opt.init(REAL))


def test_what_cannot_be_packed_is_not_taken_for_missing_parameters():
    inner, reason = NOT_ELEMENTWISE["mask"]
    opt = jo.packed(inner)
    with pytest.raises(ValueError, match=reason):
        opt.update(REAL, opt.init(REAL))


def test_leaves_that_are_split_over_devices_are_refused():
    mesh = jax.make_mesh((8,), ("model",))
    split = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("model"))
    params = {"w": jax.device_put(jnp.ones(16), split), "b": jnp.ones(2)}
    with pytest.raises(ValueError, match=r"parameter \['w'\] is split over 8 devices"):
        jo.packed(jo.adam()).init(params)


@each_optimizer
def test_it_can_be_described_edited_stacked_and_saved(row, tmp_path):
    opt = jo.packed(row.build())
    assert jo.describe(opt) == f"packed({jo.describe(row.build())})"
    assert jo.hyperparameters(opt) == row.hyperparameters
    assert jo.hyperparameters(jo.replace(opt, learning_rate=0.75))["learning_rate"] == 0.75
    state = opt.init(PARAMS)
    assert jo.hyperparameters(opt, state)["learning_rate"] == row.hyperparameters["learning_rate"]
    jo.save(tmp_path / "state.npz", (opt, state))
    chex.assert_trees_all_equal(jo.load(tmp_path / "state.npz", like=(opt, state)), (opt, state))


def test_a_stack_under_vmap_is_each_alone():
    rates = [0.1, 0.2]
    run = lambda opt: opt.update(gradients(PARAMS, 0), opt.init(PARAMS), PARAMS)[0]  # noqa: E731
    together = jax.jit(jax.vmap(run))(jo.stack([jo.packed(jo.momentum(rate)) for rate in rates]))
    alone = [jax.jit(run)(jo.packed(jo.momentum(rate))) for rate in rates]
    chex.assert_trees_all_equal(together, jax.tree.map(lambda *leaves: jnp.stack(leaves), *alone))


def test_hypergradients_pass_through_it():
    params = {"a": jnp.array([1.0, -2.0]), "b": jnp.ones(3)}

    def loss(opt):
        def step(carry, _):
            params, state = carry
            updates, state = opt.update(params, state, params)
            return (optax.apply_updates(params, updates), state), None

        (end, _), _ = jax.lax.scan(step, (params, opt.init(params)), length=3)
        return sum(jnp.vdot(leaf, leaf) for leaf in jax.tree.leaves(end))

    chex.assert_trees_all_close(
        jo.hyperparameters(jax.jit(jax.grad(loss))(jo.packed(jo.adam(0.1)))),
        jo.hyperparameters(jax.jit(jax.grad(loss))(jo.adam(0.1))),
        rtol=5e-3,  # 1 − b2 is a thousandth of b2
    )


def test_shapes_alone_are_enough_for_init():
    shapes = jax.eval_shape(lambda: PARAMS)
    opt = jo.packed(jo.adam())
    chex.assert_trees_all_equal(opt.init(shapes), opt.init(PARAMS))


def test_what_does_not_fit_is_refused_by_name():
    opt = jo.packed(jo.adam())
    params = {"w": jnp.ones(3), "b": jnp.ones(2)}
    state = opt.init(params)
    with pytest.raises(ValueError, match=r"gradient \['w'\] has shape \(3, 1\), but the parameter has shape"):
        opt.update({"w": jnp.ones((3, 1)), "b": jnp.ones(2)}, state, params)
    with pytest.raises(TypeError, match=r"parameter \['n'\] has dtype int32"):
        opt.init({"n": jnp.arange(3)})
    with pytest.raises(TypeError, match=r"packed.update was given a AdamState .* needs the PackedState"):
        opt.update(params, jo.adam().init(params), params)
    other = PackedState(jnp.int32(0), named("sgd").build().init(params))
    with pytest.raises(TypeError, match=r"adam.update was given a SgdState"):
        opt.update(params, other, params)
    with pytest.raises(TypeError, match=r"packed: optimizer = .* it must be an optimizer"):
        jo.packed(jo.adam)  # type: ignore[arg-type]


@jax.custom_jvp
def with_rule(g):
    return -g


with_rule.defjvp(lambda primals, tangents: (with_rule(*primals), -tangents[0]))


@jax.custom_vjp
def with_backward_rule(g):
    return -g


with_backward_rule.defvjp(lambda g: (-g, None), lambda _, g: (-g,))
CALLED = {
    "jit": jax.jit(jnp.negative),
    "nested": jax.jit(lambda g: jax.jit(jnp.negative)(g)),
    "checkpoint": jax.checkpoint(jnp.negative),
    "custom_jvp": with_rule,
    "custom_vjp": with_backward_rule,
    "named_call": jax.named_call(jnp.negative, name="inner"),
}


@pytest.mark.parametrize("name", CALLED)
def test_what_an_update_calls_is_looked_into(name):
    """If a release of JAX calls by another name, the table of names in elementwise.py lacks it."""
    opt = jo.packed(optax.stateless(lambda updates, _: jax.tree.map(CALLED[name], updates)))
    params = {"a": jnp.ones(2), "b": jnp.ones((2, 2))}
    updates, _ = opt.update(params, opt.init(params), params)
    chex.assert_trees_all_equal(updates, jax.tree.map(jnp.negative, params))


def test_what_cannot_be_looked_into_is_refused_by_name():
    halve = lambda g: jax.lax.while_loop(lambda g: jnp.all(g > 1), lambda g: g / 2, g)  # noqa: E731
    opt = jo.packed(optax.stateless(lambda updates, _: jax.tree.map(halve, updates)))
    params = {"a": jnp.ones(2), "b": jnp.ones(3)}
    with pytest.raises(ValueError, match="hands a leaf to a while, into which packed cannot look"):
        opt.update(params, opt.init(params), params)


def test_the_same_optimizer_is_checked_once():
    opt = jo.packed(jo.chain(optax.clip(1.0), jo.sgd()))
    state = opt.init(REAL)
    _check.cache_clear()
    for seed in range(3):
        _, state = opt.update(gradients(REAL, seed), state, REAL)
    assert _check.cache_info().misses == 1
