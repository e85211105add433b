"""Every optimizer inside optax's wrappers, against optax's own optimizer inside the same wrapper."""

from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
import pytest

import jaxopt_edu as jo
from jaxopt_edu import optimizers
from tests.registry import OPTIMIZERS, each_optimizer, gradient_stream, named, scan_updates, updates_of

PARAMS = {"w": np.array([1.0, -2.0, 0.5], np.float32), "b": np.float32(3.0)}
LABELS = {"w": "trained", "b": "frozen"}


def clipped(transform, chain=optax.chain):
    return chain(optax.clip_by_global_norm(1.0), optax.add_decayed_weights(0.01), transform)


def clipped_here(transform):
    return clipped(transform, chain=jo.chain)


def masked(transform):
    return optax.masked(transform, {"w": True, "b": False})


def partitioned(transform):
    return optax.partition({"trained": transform, "frozen": optax.set_to_zero()}, LABELS)


def multi_transformed(transform):
    return optax.multi_transform({"trained": transform, "frozen": optax.sgd(0.5)}, LABELS)


def only_if_finite(transform):
    return optax.apply_if_finite(transform, max_consecutive_errors=3)


def accumulated(transform):
    return optax.MultiSteps(transform, every_k_schedule=2).gradient_transformation()


def schedule_free(transform):
    return optax.contrib.schedule_free(transform, learning_rate=0.1, b1=0.9)


WRAPPERS = (
    clipped,
    clipped_here,
    masked,
    partitioned,
    multi_transformed,
    only_if_finite,
    accumulated,
    schedule_free,
)


def descend(transform, params, steps=6, loss_params=lambda params: params):
    """Parameters along a jitted scan of descent on ½‖w‖² + 2b², under the promotion rules of optax."""

    def loss(params):
        return 0.5 * jnp.sum(jnp.square(params["w"])) + 2 * jnp.square(params["b"])

    def step(carry, _):
        params, state = carry
        gradients = jax.grad(loss)(loss_params(params))
        updates, state = transform.update(gradients, state, params)
        params = optax.apply_updates(params, updates)
        return (params, state), params

    @jax.jit
    def run(params):
        return jax.lax.scan(step, (params, transform.init(params)), None, length=steps)[1]

    with jax.numpy_dtype_promotion("standard"):
        return run(params)


@each_optimizer
@pytest.mark.parametrize("wrapper", WRAPPERS, ids=[wrapper.__name__ for wrapper in WRAPPERS])
def test_wrapped_it_walks_as_optax_does(row, wrapper):
    if row.optax is None:
        pytest.skip("optax has no such formula")
    ours = descend(wrapper(row.build()), PARAMS)
    theirs = descend(wrapper(row.optax(**row.hyperparameters)), PARAMS)
    # 1e-5 of a step is what optax.adam's bias correction is off in float32.
    chex.assert_trees_all_close(ours, theirs, rtol=2e-5, atol=2e-6)
    assert not np.allclose(ours["w"][-1], PARAMS["w"]), "nothing has moved"


@each_optimizer
def test_lookahead_walks_as_optax_does(row):
    if row.optax is None:
        pytest.skip("optax has no such formula")
    params = optax.LookaheadParams.init_synced(PARAMS)
    wrapped = [
        optax.lookahead(transform, sync_period=2, slow_step_size=0.5)
        for transform in (row.build(), row.optax(**row.hyperparameters))
    ]
    ours, theirs = (descend(each, params, loss_params=lambda params: params.fast) for each in wrapped)
    chex.assert_trees_all_close(ours, theirs, rtol=2e-5, atol=2e-6)
    assert not np.allclose(ours.slow["w"][-1], PARAMS["w"])


@each_optimizer
def test_a_gradient_that_is_not_finite_is_passed_over(row):
    opt = optax.apply_if_finite(row.build(), max_consecutive_errors=3)
    state = opt.init(PARAMS)
    with jax.numpy_dtype_promotion("standard"):
        updates, after = opt.update({"w": np.full(3, np.nan, np.float32), "b": np.float32(1)}, state, PARAMS)
    chex.assert_trees_all_equal(updates, jax.tree.map(np.zeros_like, PARAMS))
    chex.assert_trees_all_equal(after.inner_state, state.inner_state)  # type: ignore[attr-defined]


def constant_of(opt):
    """The optimizer closed over by a compiled function instead of passed to it."""
    return jax.jit(lambda gradients: updates_of(opt, gradients))


@each_optimizer
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_passed_and_closed_over_give_the_same_bits(row, dtype):
    with jax.enable_x64(dtype is np.float64):
        gradients = gradient_stream(1000, dtype=dtype)
        passed = scan_updates(row.build(), gradients)
        chex.assert_trees_all_equal(passed, constant_of(row.build())(gradients))
        assert passed.dtype == dtype


@pytest.mark.parametrize(
    "build",
    [
        lambda: jo.adam(learning_rate=jo.schedules.cosine(peak=0.1, steps=700)),
        lambda: jo.momentum(learning_rate=jo.schedules.warmup(peak=0.1, steps=70)),
        lambda: jo.sgd(learning_rate=jo.schedules.exponential(initial=0.1, rate=0.9, steps=7)),
        lambda: jo.chain(jo.sgd(learning_rate=0.3), jo.sgd(learning_rate=0.113)),
    ],
    ids=["cosine", "warmup", "exponential", "chain"],
)
def test_passed_and_closed_over_give_the_same_bits_with_schedules_and_in_chains(build):
    """Left alone, XLA multiplies by 1/c instead of dividing by a constant c, and merges constants."""
    gradients = gradient_stream(1000)
    chex.assert_trees_all_equal(scan_updates(build(), gradients), constant_of(build())(gradients))


def test_a_lifted_number_passed_and_closed_over_agrees_to_a_rounding():
    """Closed over it is optax's own constant, which XLA merges with its neighbours."""
    gradients = gradient_stream(1000)

    def build():
        return jo.chain(optax.clip_by_global_norm(1.0), jo.rmsprop(), jo.lift(optax.scale)(0.3))

    passed, closed_over = scan_updates(build(), gradients), constant_of(build())(gradients)
    chex.assert_trees_all_close(passed, closed_over, rtol=0, atol=1e-6 * float(np.abs(passed).max()))


@each_optimizer
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_injected_hyperparameters_give_the_same_bits(row, dtype):
    with jax.enable_x64(dtype is np.float64):
        gradients = gradient_stream(200, dtype=dtype)
        injected = optax.inject_hyperparams(row.factory)(**row.hyperparameters)
        plain = scan_updates(row.build(), gradients)
        with jax.numpy_dtype_promotion("standard"):
            chex.assert_trees_all_equal(plain, constant_of(injected)(gradients))


@each_optimizer
def test_injected_hyperparameters_can_be_changed_between_steps(row):
    injected = optax.inject_hyperparams(row.factory)(**row.hyperparameters)
    w = jnp.ones(3)
    state = injected.init(w)
    state.hyperparams["learning_rate"] = jnp.asarray(0.25)  # type: ignore[attr-defined]
    updates, _ = injected.update(w, state, w)
    opt = row.build(learning_rate=0.25)
    chex.assert_trees_all_equal(updates, opt.update(w, opt.init(w), w)[0])


@each_optimizer
@pytest.mark.parametrize("jitted", [False, True], ids=["eager", "jitted"])
def test_hyperparameters_that_bfloat16_rounds_to_one_do_no_harm(row, jitted):
    """inject_hyperparams casts to the parameters' dtype, and bfloat16(0.999) is 1."""
    values = row.hyperparameters | dict.fromkeys(row.fractions(), 0.999)
    injected = optax.inject_hyperparams(row.factory)(**values)
    w = jnp.array([1.0, -2.0, 0.0], jnp.bfloat16)
    update = jax.jit(injected.update) if jitted else injected.update
    state = injected.init(w)
    for name in row.fractions():
        assert state.hyperparams[name] == 1  # type: ignore[attr-defined]
    for g in (w, -w, w):
        updates, state = update(g, state, w)
        assert updates.dtype == jnp.bfloat16  # type: ignore[attr-defined]
        chex.assert_tree_all_finite((updates, state))
        assert np.any(updates != 0)


@each_optimizer
def test_a_new_learning_rate_is_no_new_compilation(row):
    chex.clear_trace_counter()
    run = jax.jit(chex.assert_max_traces(updates_of, n=1))
    gradients = gradient_stream(3)
    first, second, third = (run(row.build(learning_rate=rate), gradients) for rate in (0.1, 0.2, 1))
    assert not np.allclose(first, second)
    assert not np.allclose(second, third)


@each_optimizer
def test_vmap_over_a_stack_gives_what_each_gives_alone(row):
    gradients = gradient_stream(100)
    opts = [row.build(learning_rate=rate) for rate in (0.1, 0.01, 0.001)]
    together = jax.jit(jax.vmap(scan_updates, (0, None)))(jo.stack(opts), gradients)
    alone = jnp.stack([scan_updates(opt, gradients) for opt in opts])
    # Vector and scalar code may contract differently, by a rounding or two of the largest update.
    chex.assert_trees_all_close(together, alone, rtol=1e-6, atol=1e-6 * float(np.abs(alone).max()))


@jax.jit
@jax.grad
def without_gradients(opt):
    w, state = jnp.zeros(2), opt.init(jnp.zeros(2))
    for _ in range(2):
        updates, state = opt.update(w, state, w)
        w = optax.apply_updates(w, updates)
    return jnp.sum(w)  # type: ignore[arg-type]


@each_optimizer
def test_hypergradients_are_finite_where_every_gradient_is_zero(row):
    for eps in (1e-8, 0.0) if "eps" in row.hyperparameters else (None,):
        opt = row.build() if eps is None else row.build(eps=eps)
        chex.assert_tree_all_finite(without_gradients(opt))


def test_each_row_is_a_transform_and_a_pytree_of_its_hyperparameters():
    assert [row.factory for row in OPTIMIZERS] == list(optimizers.OPTIMIZERS)
    for row in OPTIMIZERS:
        opt = row.build()
        assert isinstance(opt, optax.GradientTransformation)
        assert sorted(jax.tree.leaves(opt)) == sorted(row.hyperparameters.values())
        assert all(type(leaf) is float for leaf in jax.tree.leaves(opt))


def test_extra_arguments_are_let_through():
    opt = named("sgd").build()
    w = jnp.ones(2)
    plain = opt.update(w, opt.init(w), w)
    chex.assert_trees_all_equal(plain, opt.update(w, opt.init(w), w, value=1.0, grad=w))


def test_a_number_that_optax_injects_may_be_one_of_a_where():
    def decayed(rate):
        return jo.adamw(0.01, weight_decay=jo.where("*bias", rate, otherwise=0.0))

    params = {"bias": jnp.array([2.0]), "kernel": jnp.array([3.0])}
    injected = optax.inject_hyperparams(decayed)(rate=0.5)
    first: Any = injected.init(params)
    updates, _ = injected.update(params, first, params)
    plain = decayed(0.5)
    chex.assert_trees_all_close(updates, plain.update(params, plain.init(params), params)[0], rtol=1e-6)
    changed = first._replace(hyperparams={"rate": jnp.zeros(())})
    without, _ = injected.update(params, changed, params)
    difference = jax.tree.map(jnp.subtract, updates, without)
    # 0.01 · 0.5 of the bias, and nothing of the kernel.
    chex.assert_trees_all_close(difference, {"bias": jnp.array([-0.01]), "kernel": jnp.zeros(1)}, atol=1e-8)
