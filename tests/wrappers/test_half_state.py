"""half_state: half the memory, averages that are right in the mean, and bits that a key decides.

Guards against averages that stall: v grows by a thousandth a step, bfloat16 has steps of 1/256, and
rounded to the nearest it stops growing on the way.
"""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_edu as jo
from jaxopt_edu.wrappers import HalfState
from jaxopt_edu.wrappers.half_state import stochastic_round
from tests.registry import OPTIMIZERS, each_optimizer, gradient_stream, named

KEY = jax.random.key(0)
BFLOAT16 = jnp.finfo(jnp.bfloat16)
each_with_memory = pytest.mark.parametrize(
    "row",
    [
        pytest.param(row, id=row.name, marks=() if row.in_story else pytest.mark.slow)
        for row in OPTIMIZERS
        if row.memory
    ],
)

rounded = jax.jit(stochastic_round)
rounded_often = jax.jit(jax.vmap(stochastic_round, (None, 0)))


def bits(x):
    return np.asarray(jax.lax.bitcast_convert_type(x, jnp.uint16))


def test_numbers_that_bfloat16_holds_stay_what_they_are():
    """All of them: normal, both zeros, both infinities (subnormal float32 is 0 to XLA on a CPU)."""
    every = np.arange(2**16, dtype=np.uint16)
    numbers = jax.lax.bitcast_convert_type(jnp.asarray(every), jnp.bfloat16)
    as_float32 = (every.astype(np.uint32) << 16).view(np.float32)
    normal = np.isinf(as_float32) | (as_float32 == 0) | (np.abs(as_float32) >= float(BFLOAT16.tiny))
    normal &= ~np.isnan(as_float32)
    assert normal.sum() > 65_000
    for seed in range(3):
        found = bits(rounded(jnp.asarray(as_float32), jax.random.key(seed)))
        np.testing.assert_array_equal(found[normal], bits(numbers)[normal])


def test_nan_and_infinity_stay_what_they_are():
    # NaNs with only low bits set would carry into other numbers.
    nans = np.array([0x7F800001, 0x7FFFFFFF, 0xFF800001, 0xFFFFFFFF, 0x7FC00000], np.uint32).view(np.float32)
    for seed in range(20):
        assert jnp.isnan(rounded(jnp.asarray(nans), jax.random.key(seed))).all()
    infinities = jnp.array([jnp.inf, -jnp.inf])
    np.testing.assert_array_equal(rounded(infinities, KEY), infinities.astype(jnp.bfloat16))


def test_no_finite_number_becomes_infinite():
    largest = float(jnp.finfo(jnp.float32).max)
    x = jnp.array([largest, -largest, 3.4e38])
    found = rounded_often(x, jax.random.split(KEY, 200)).astype(jnp.float32)
    np.testing.assert_array_equal(found, np.broadcast_to(np.sign(x) * float(BFLOAT16.max), found.shape))


def test_it_is_one_of_the_two_neighbours_and_right_in_the_mean():
    rng = np.random.default_rng(1)
    x = jnp.asarray(rng.normal(size=200) * 10.0 ** rng.uniform(-30, 30, 200), jnp.float32)
    draws = 4000
    found = np.asarray(rounded_often(x, jax.random.split(KEY, draws)), np.float64)
    low = (np.asarray(x).view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32).astype(np.float64)
    gap = np.abs(low) * 2.0**-7  # at most: neighbours are 2⁻⁸ … 2⁻⁷ of the number apart
    x = np.asarray(x, np.float64)
    assert np.all(np.abs(found - low) <= gap)
    for column in found.T:
        assert len(np.unique(column)) <= 2
    deviation = found.std(0) / np.sqrt(draws)
    assert np.all(np.abs(found.mean(0) - x) < 5 * deviation + 1e-12 * np.abs(x))
    nearest = np.asarray(jnp.asarray(x, jnp.float32).astype(jnp.bfloat16), np.float64)
    assert np.mean(np.abs(nearest - x) > 5 * deviation) > 0.5, (
        "rounding to the nearest would have passed, too"
    )


def run(opt, gradients):
    """Updates and last state along gradients of shape (steps, n)."""
    w = jnp.zeros_like(gradients[0])

    def step(state, g):
        updates, state = opt.update(g, state, w)
        return state, updates

    state, updates = jax.lax.scan(step, opt.init(w), gradients)
    return updates, state


compiled_run = jax.jit(run)


@jax.jit
def nearest_run(opt, gradients):
    """The control: the same state, rounded to the nearest bfloat16 after every step."""
    half = lambda tree: jax.tree.map(lambda x: x.astype(jnp.bfloat16) if x.ndim else x, tree)  # noqa: E731
    whole = lambda tree: jax.tree.map(lambda x: x.astype(jnp.float32) if x.ndim else x, tree)  # noqa: E731
    w = jnp.zeros_like(gradients[0])

    def step(state, g):
        updates, state = opt.update(g, whole(state), w)
        return half(state), updates

    state, updates = jax.lax.scan(step, half(opt.init(w)), gradients)
    return updates, state


def test_adams_v_does_not_stall():
    """A constant gradient of 1 for a thousand steps: v is 1 − 0.999¹⁰⁰⁰ = 0.632."""
    gradients = jnp.ones((1000, 1000))
    opt = jo.adam(learning_rate=0.01)
    updates, state = compiled_run(jo.half_state(opt, KEY), gradients)
    _, nearest = nearest_run(opt, gradients)
    assert state.inner.v.dtype == jnp.bfloat16
    assert abs(float(state.inner.v.astype(jnp.float32).mean()) / (1 - 0.999**1000) - 1) < 0.003
    assert float(nearest.v.astype(jnp.float32).mean()) < 0.3
    np.testing.assert_allclose(np.asarray(updates).mean(1), -0.01, rtol=0.01)


@each_with_memory
def test_its_steps_are_those_of_float32_in_the_mean(row):
    gradients = jnp.ones((500, 300))
    opt = row.build()
    expected = compiled_run(opt, gradients)[0].mean()
    found = compiled_run(jo.half_state(opt, KEY), gradients)[0].mean()
    nearest = nearest_run(opt, gradients)[0].mean()
    assert abs(float(found / expected) - 1) < 0.002
    assert abs(float(nearest / expected) - 1) > 0.01, "rounding to the nearest would have done as well"


def test_the_key_decides_the_bits():
    gradients = jnp.asarray(gradient_stream(20))
    first, state = compiled_run(jo.half_state(jo.adam(), KEY), gradients)
    again, state_again = compiled_run(jo.half_state(jo.adam(), KEY), gradients)
    chex.assert_trees_all_equal((first, state.inner), (again, state_again.inner))
    other, _ = compiled_run(jo.half_state(jo.adam(), jax.random.key(1)), gradients)
    assert not np.array_equal(first, other)


def test_the_key_is_data():
    traced = []

    @jax.jit
    def step(opt, w):
        traced.append(1)
        return opt.update(w, opt.init(w), w)[1].inner.v

    found = [step(jo.half_state(jo.adam(), jax.random.key(seed)), jnp.ones(1000)) for seed in range(3)]
    assert len(traced) == 1
    assert not np.array_equal(found[0], found[1])


def test_leaves_and_steps_draw_bits_of_their_own():
    tree = {"a": jnp.full(1000, 0.3), "b": jnp.full(1000, 0.3)}
    opt = jo.half_state(jo.momentum(learning_rate=1.0, momentum=0.0), KEY)
    _, first = opt.update(tree, opt.init(tree), tree)
    _, second = opt.update(tree, first, tree)
    velocities = [optax.tree_utils.tree_get(state, "velocity") for state in (first, second)]
    draws = [velocities[0]["a"], velocities[0]["b"], velocities[1]["a"]]
    for i, one in enumerate(draws):
        assert len(np.unique(np.asarray(one, np.float32))) == 2
        for other in draws[i + 1 :]:
            assert 0.3 < np.mean(np.asarray(one == other)) < 0.7


def size_in_bytes(tree):
    return sum(leaf.nbytes for leaf in jax.tree.leaves(tree) if jnp.ndim(leaf) > 0)


@each_optimizer
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32])
def test_it_halves_the_state(row, dtype):
    params = {"w": jnp.ones((30, 10), dtype), "b": jnp.ones(10, dtype)}
    opt = row.build()
    assert size_in_bytes(opt.init(params)) == 4 * 310 * len(row.memory)
    assert size_in_bytes(jo.half_state(opt, KEY).init(params)) == 2 * 310 * len(row.memory)


def test_what_is_not_halved(x64):
    tree = {
        "double": jnp.ones(2, jnp.float64),
        "complex": jnp.ones(2, jnp.complex64),
        "scalar": jnp.float32(1),
        "single": jnp.ones(2, jnp.float32),
    }
    opt = jo.half_state(jo.adam(), KEY)
    state = opt.init(tree)
    kept = {"double": jnp.float64, "complex": jnp.complex64, "scalar": jnp.float32, "single": jnp.bfloat16}
    assert {name: leaf.dtype for name, leaf in state.inner.m.items()} == kept  # type: ignore[attr-defined]
    assert state.inner.count.dtype == jnp.int32  # type: ignore[attr-defined]
    _, after = opt.update(tree, state, tree)
    chex.assert_trees_all_equal_shapes_and_dtypes(state, after)
    exact = jo.adam().update(tree, jo.adam().init(tree), tree)[1]
    for name in ("double", "complex", "scalar"):
        chex.assert_trees_all_equal(after.inner.m[name], exact.m[name])  # type: ignore[attr-defined]


@each_optimizer
def test_the_first_state_and_every_later_one_are_of_the_same_types(row):
    gradients = jnp.ones((2, 3), jnp.bfloat16)
    opt = jo.half_state(jo.chain(optax.clip(1.0), row.build()), KEY)
    updates, state = jax.eval_shape(run, opt, gradients)
    chex.assert_trees_all_equal_shapes_and_dtypes(state, jax.eval_shape(opt.init, gradients[0]))
    assert updates.dtype == jnp.bfloat16


@pytest.mark.parametrize(
    "inner",
    [
        optax.adam(0.1),
        optax.adam(0.1, mu_dtype=jnp.bfloat16),
        jo.lift(optax.adam)(0.1, mu_dtype=jnp.bfloat16),
        optax.sgd(0.1, momentum=0.9, accumulator_dtype=jnp.bfloat16),
        optax.adafactor(0.1),
        jo.compensated(jo.adam(0.1)),
        optax.apply_if_finite(jo.adam(0.1), 3),
    ],
    ids=["adam", "mu_dtype", "lifted", "sgd", "adafactor", "compensated", "apply_if_finite"],
)
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32])
def test_any_inner_transform(inner, dtype):
    """Some keep bfloat16 of their own, which is not to be rounded again."""
    w = jnp.ones(3, dtype)
    opt = jo.half_state(inner, KEY)
    state = opt.init(w)
    with jax.numpy_dtype_promotion("standard"):
        updates, after = opt.update(w, state, w)
    chex.assert_trees_all_equal_shapes_and_dtypes(state, after)
    assert np.all(np.asarray(updates, np.float32) < 0)


@each_optimizer
def test_none_empty_and_zero_size_leaves_pass_through(row):
    opt = jo.half_state(row.build(), KEY)
    for tree in (
        {"none": None, "zero": jnp.ones((0, 3)), "w": jnp.ones(2)},
        {},
        *(() if row.reads_params else (None,)),
    ):
        updates, state = opt.update(tree, opt.init(tree), tree)  # type: ignore[arg-type]
        chex.assert_trees_all_equal_shapes_and_dtypes(updates, tree)
        assert state.count == 1  # type: ignore[attr-defined]


def test_donating_the_state_leaves_the_optimizer_its_key():
    """jit(donate_argnums) frees the state's buffers; the key must not be one that the optimizer holds."""
    opt = jo.half_state(jo.adam(), jax.random.key(3))
    w = jnp.ones(3)
    step = jax.jit(lambda state, g: opt.update(g, state, g)[1], donate_argnums=0)
    first = step(opt.init(w), w)
    again = step(opt.init(w), w)
    chex.assert_trees_all_equal(first.inner, again.inner)


def test_old_style_keys_will_do():
    new, old = (jo.half_state(jo.adam(), key) for key in (jax.random.key(5), jax.random.PRNGKey(5)))
    gradients = jnp.asarray(gradient_stream(5))
    chex.assert_trees_all_equal(compiled_run(new, gradients)[0], compiled_run(old, gradients)[0])


def test_a_stack_under_vmap_is_each_alone():
    gradients = jnp.asarray(gradient_stream(10))
    opts = [jo.half_state(jo.momentum(rate), jax.random.key(seed)) for seed, rate in enumerate((0.5, 0.25))]
    together, _ = jax.jit(jax.vmap(run, (0, None)))(jo.stack(opts), gradients)
    alone = jnp.stack([compiled_run(opt, gradients)[0] for opt in opts])
    # A last bit of the average may decide which neighbour it is rounded to: 2⁻⁸ of it.
    np.testing.assert_allclose(together, alone, rtol=0.01, atol=1e-3)
    assert jo.hyperparameters(jo.stack(opts))["learning_rate"].tolist() == [0.5, 0.25]
    assert [jo.describe(opt) for opt in jo.unstack(jo.stack(opts))] == [jo.describe(opt) for opt in opts]


@each_optimizer
@pytest.mark.parametrize("both", [False, True], ids=["one wrapper", "both wrappers"])
def test_hyperparameters_are_seen_through_it(row, both):
    inner = jo.compensated(row.build()) if both else row.build()
    opt = jo.half_state(inner, jax.random.key(7))
    assert jo.hyperparameters(opt) == row.hyperparameters
    assert jo.describe(opt) == f"half_state({jo.describe(inner)})"
    changed = jo.replace(opt, learning_rate=0.75)
    assert jo.hyperparameters(changed) == row.hyperparameters | {"learning_rate": 0.75}
    assert jax.tree.structure(changed) == jax.tree.structure(opt)
    w = jnp.ones(3)
    key, new_key = (jax.random.key_data(each.init(w).key) for each in (opt, changed))  # type: ignore[attr-defined]
    np.testing.assert_array_equal(key, new_key, "replace has lost the key")
    assert jo.hyperparameters(opt, opt.init(w)) == row.hyperparameters


def test_in_a_chain_names_are_found_at_any_depth():
    opt = jo.half_state(jo.chain(optax.clip(1.0), jo.compensated(jo.adam(0.1))), KEY)
    assert jo.describe(opt).startswith("half_state(chain(clip(…), compensated(adam(learning_rate=0.1")
    assert jo.hyperparameters(jo.replace(opt, learning_rate=0.5))["learning_rate"] == 0.5


def test_both_wrappers_train_bfloat16():
    opt = jo.half_state(jo.compensated(jo.adam(1e-3)), KEY)
    w = jnp.ones(4, jnp.bfloat16)

    def step(carry, _):
        w, state = carry
        updates, state = opt.update(-jnp.ones_like(w), state, w)
        return (optax.apply_updates(w, updates), state), None

    w, _ = jax.lax.scan(step, (w, opt.init(w)), None, length=100)[0]
    np.testing.assert_allclose(np.asarray(w, np.float32), 1.1, atol=2**-7)


@each_optimizer
def test_the_state_of_something_else_is_refused(row):
    w = jnp.ones(2)
    opt = jo.half_state(row.build(), KEY)
    for state in (row.build().init(w), (opt.init(w),), None):
        with pytest.raises(TypeError, match=r"half_state.update was given a .* needs the HalfState"):
            opt.update(w, state, w)  # type: ignore[arg-type]
    other = named("sgd" if row.name != "sgd" else "adam")
    with pytest.raises(TypeError, match=f"{row.name}.update was given a {other.state_type.__name__}"):
        opt.update(w, HalfState(jnp.int32(0), KEY, other.build().init(w)), w)


def test_a_factory_is_refused():
    with pytest.raises(TypeError, match=r"half_state: optimizer = .* it must be an optimizer"):
        jo.half_state(jo.sgd, KEY)  # type: ignore[arg-type]
