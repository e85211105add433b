"""compensated: small steps arrive in bfloat16 parameters, whatever the optimizer.

Guards against training that stands still: beside 1, bfloat16 rounds every step below 0.004 away, and no
framework's optimizer carries on what was lost.
"""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_edu as jo
from jaxopt_edu.wrappers import CompensatedState
from tests.registry import each_optimizer, named

STEPS = 100
ULP = 2.0**-7  # of bfloat16 numbers in [1, 2)
# Steps of about 1e-3, for a gradient of −1 (the parameter rises from 1 to about 1.1).
SMALL_STEPS = {
    "sgd": {"learning_rate": 1e-3},
    "momentum": {"learning_rate": 1e-4},
    "nesterov": {"learning_rate": 1e-4},
    "adagrad": {"learning_rate": 5e-3},
    "adadelta": {"learning_rate": 0.1},
    "rmsprop": {"learning_rate": 5e-4},
    "adam": {"learning_rate": 1e-3},
    "adamw": {"learning_rate": 1e-3, "weight_decay": 0.0},
    "amsgrad": {"learning_rate": 1e-3},
    "adamax": {"learning_rate": 1e-3},
    "nadam": {"learning_rate": 1e-3},
    "radam": {"learning_rate": 3e-3},
    "adabelief": {"learning_rate": 3e-4},
    "yogi": {"learning_rate": 1e-3},
    "adan": {"learning_rate": 1e-3, "weight_decay": 0.0},
    "adopt": {"learning_rate": 1e-3},
    "ademamix": {"learning_rate": 1e-3, "weight_decay": 0.0},
    "rprop": {"learning_rate": 1e-3, "eta_plus": 1.0},
    "signum": {"learning_rate": 1e-3},
    "lion": {"learning_rate": 1e-3},
    "lamb": {"learning_rate": 1e-3, "weight_decay": 0.0},
    "lars": {"learning_rate": 0.1, "weight_decay": 0.0},
    "adafactor": {"learning_rate": 1e-3},
    "prodigy": {"d0": 2e-4, "d_coef": 0.0},
    "dog": {"learning_rate": 0.01, "reps_rel": 0.1},
    "muon": {"learning_rate": 7e-3, "weight_decay": 0.0},
    "soap": {"learning_rate": 1e-3, "weight_decay": 0.0},
    "shampoo": {"learning_rate": 5e-3},
    "psgd_kron": {"learning_rate": 1e-3, "preconditioner_rate": 0.0},
}


def one_step(opt, w, state):
    updates, state = opt.update(jnp.full_like(w, -1), state, w)
    return optax.apply_updates(w, updates), state


compiled_step = jax.jit(one_step)


@jax.jit
def scanned(opt, w):
    step = lambda carry, _: (one_step(opt, *carry), None)  # noqa: E731
    return jax.lax.scan(step, (w, opt.init(w)), None, length=STEPS)[0]


def stepped(opt, w, step):
    carry = w, opt.init(w)
    for _ in range(STEPS):
        carry = step(opt, *carry)
    return carry


RUNS = {
    "eager": lambda opt, w: stepped(opt, w, one_step),
    "jitted": lambda opt, w: stepped(opt, w, compiled_step),
    "scan": scanned,
}


@each_optimizer
@pytest.mark.parametrize("run", RUNS)
def test_small_steps_arrive_in_bfloat16(row, run):
    """A hundred steps of about 1e-3, each less than half of what bfloat16 can tell from 1."""
    opt = row.make(**SMALL_STEPS[row.name])
    start = jnp.ones(1)
    exact, _ = scanned(opt, start)
    lost, _ = scanned(opt, start.astype(jnp.bfloat16))
    w, state = RUNS[run](jo.compensated(opt), start.astype(jnp.bfloat16))
    assert w.dtype == jnp.bfloat16
    assert abs(float(exact[0]) - float(lost[0])) > 3 * ULP, "without it they would have arrived, too"
    assert abs(float(w[0]) - float(exact[0])) <= ULP
    whole = float(w[0]) + float(state.residual[0])
    assert abs(whole - float(exact[0])) < ULP / 10, "parameter and residual together are float32's answer"


def test_eager_jitted_and_scanned_are_the_same_bits():
    opt = jo.compensated(jo.sgd(1e-3))
    w = jnp.ones(1, jnp.bfloat16)
    chex.assert_trees_all_equal(*(run(opt, w) for run in RUNS.values()))


def exact_sum(dtype, compiled):
    """A random walk with steps of all sizes; what is lost of it, in units of the dtype's own precision."""
    rng = np.random.default_rng(0)
    size, steps = 500, 20
    start = jnp.asarray(rng.normal(size=size) * 10.0 ** rng.uniform(-3, 1, size), dtype)
    walk = rng.normal(size=(steps, size)) * 10.0 ** rng.uniform(-5, 1, (steps, size))
    walk[3] = -np.asarray(start, np.float64) * rng.uniform(0.99, 1.01, size)  # nearly all of it cancels
    opt = jo.compensated(jo.sgd(1.0))

    def step(carry, g):
        w, state = carry
        updates, state = opt.update(-g, state, w)
        return (optax.apply_updates(w, updates), state), (w, state.residual)  # type: ignore[attr-defined]

    carry = start, opt.init(start)
    if compiled:
        (w, state), (path, _) = jax.jit(lambda carry, walk: jax.lax.scan(step, carry, walk))(
            carry, jnp.asarray(walk, jnp.float32)
        )
    else:
        path = [start]
        for g in jnp.asarray(walk, jnp.float32):
            carry, _ = step(carry, g)
            path.append(carry[0])  # type: ignore[arg-type]
        w, state = carry
        path = jnp.stack(path)
    expected = np.asarray(start, np.float64) + np.asarray(walk, np.float32).astype(np.float64).sum(0)
    found = np.asarray(w, np.float64) + np.asarray(state.residual, np.float64)  # type: ignore[attr-defined]
    largest = np.abs(np.asarray(path, np.float64)).max(0)
    return np.max(np.abs(found - expected) / (largest * float(jnp.finfo(dtype).eps)))


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "scan"])
def test_nothing_is_lost_on_a_walk_with_steps_of_every_size(dtype, compiled):
    """Where a parameter all but cancels, the step is no bfloat16 number: what it lacks is kept, too."""
    assert exact_sum(dtype, compiled) < 0.05


def test_a_parameter_that_cancels_keeps_what_is_left():
    opt = jo.compensated(jo.sgd(1.0))
    w = jnp.asarray(1.0, jnp.bfloat16)
    updates, state = opt.update(jnp.float32(0.999), opt.init(w), w)
    w = optax.apply_updates(w, updates)
    np.testing.assert_allclose(float(w) + float(state.residual), 0.001, rtol=2**-8)  # type: ignore[attr-defined]


def test_subnormal_float16_parameters_move():
    """6e-5 and below are subnormal in float16; XLA's own rounding makes 0 of them."""
    w, _ = scanned(jo.compensated(jo.sgd(2.0**-23)), jnp.full(1, 1e-5, jnp.float16))
    np.testing.assert_allclose(w, 1e-5 + STEPS * 2.0**-23, rtol=0.01)


def size_in_bytes(tree):
    return sum(leaf.nbytes for leaf in jax.tree.leaves(tree))


@each_optimizer
@pytest.mark.parametrize(
    "dtype", [jnp.bfloat16, jnp.float16, jnp.float32], ids=["bfloat16", "float16", "float32"]
)
def test_it_costs_one_copy_of_the_parameters(row, dtype):
    params = {"w": jnp.ones((30, 10), dtype), "b": jnp.ones(10, dtype)}
    opt = row.build()
    extra = size_in_bytes(jo.compensated(opt).init(params)) - size_in_bytes(opt.init(params))
    assert extra == size_in_bytes(params) == 310 * jnp.dtype(dtype).itemsize


def inner_dtypes(state):
    return {leaf.dtype for leaf in jax.tree.leaves(state.inner) if jnp.issubdtype(leaf.dtype, jnp.floating)}


@pytest.mark.parametrize(
    "inner",
    [
        jo.adam(1e-3),
        optax.adam(1e-3),
        jo.lift(optax.adam)(1e-3),
        jo.chain(optax.clip_by_global_norm(1.0), jo.adam(1e-3)),
        optax.chain(optax.clip(1.0), optax.adam(1e-3)),
        optax.adamw(1e-3, weight_decay=0.0),
    ],
    ids=["ours", "optax", "lifted", "chain", "optax-chain", "adamw"],
)
def test_any_inner_transform_sees_float32(inner):
    """optax.adam's own state would be bfloat16, and stall."""
    w = jnp.ones(1, jnp.bfloat16)
    opt = jo.compensated(inner)
    assert inner_dtypes(opt.init(w)) == {jnp.dtype(jnp.float32)}
    w, state = stepped(opt, w, jax.jit(lambda _, w, state: one_step(opt, w, state)))
    assert inner_dtypes(state) == {jnp.dtype(jnp.float32)}
    assert abs(float(w[0]) - 1.1) <= ULP


def test_float32_and_complex_parameters_gain_digits_too():
    """A hundred steps of 1e-8 beside 1, of which float32 takes none."""
    opt = jo.sgd(1e-8)
    for start in (jnp.ones(1), jnp.full(1, 1 + 1j, jnp.complex64)):
        assert scanned(opt, start)[0] == start
        w, state = scanned(jo.compensated(opt), start)
        assert w.dtype == state.residual.dtype == start.dtype
        whole = np.asarray(w, np.complex128) + np.asarray(state.residual)
        np.testing.assert_allclose(whole - np.asarray(start), 1e-6, rtol=1e-3)


@each_optimizer
def test_large_steps_on_float32_are_those_of_the_optimizer(row):
    opt = row.build()
    w = jnp.array([1.0, -2.0, 0.0])
    for g in (w, -w):
        plain, _ = opt.update(g, opt.init(w), w)
        updates, _ = jo.compensated(opt).update(g, jo.compensated(opt).init(w), w)
        np.testing.assert_allclose(optax.apply_updates(w, updates), optax.apply_updates(w, plain), rtol=1e-6)  # type: ignore[arg-type]


@each_optimizer
def test_none_empty_and_zero_size_leaves_pass_through(row):
    opt = jo.compensated(row.build())
    tree = {"none": None, "empty": {}, "zero": jnp.ones((0, 3), jnp.bfloat16), "w": jnp.ones(2, jnp.bfloat16)}
    updates, state = opt.update(tree, opt.init(tree), tree)
    chex.assert_trees_all_equal_shapes_and_dtypes(updates, tree)
    chex.assert_trees_all_equal_shapes_and_dtypes(state.residual, tree)  # type: ignore[attr-defined]


@each_optimizer
def test_shapes_alone_are_enough_for_init(row):
    opt = jo.compensated(row.build())
    shapes = {"w": jax.ShapeDtypeStruct((2, 3), jnp.bfloat16)}
    real = opt.init({"w": jnp.ones((2, 3), jnp.bfloat16)})
    chex.assert_trees_all_equal(opt.init(shapes), real)  # type: ignore[arg-type]
    chex.assert_trees_all_equal_shapes_and_dtypes(jax.eval_shape(opt.init, shapes), real)


def test_arguments_that_the_optimizer_wants_reach_it():
    opt = jo.compensated(jo.lift(optax.polyak_sgd)())
    w = jnp.ones(2, jnp.bfloat16)
    updates, _ = opt.update(w, opt.init(w), w, value=jnp.float32(0.5))
    np.testing.assert_allclose(np.asarray(updates, np.float32), -0.25)


def test_a_stack_under_vmap_is_each_alone():
    rates = [1e-3, 2e-3]
    w = jnp.ones(1, jnp.bfloat16)
    stacked = jo.stack([jo.compensated(jo.adam(rate)) for rate in rates])
    together, _ = jax.vmap(scanned, (0, None))(stacked, w)
    alone = [scanned(jo.compensated(jo.adam(rate)), w)[0] for rate in rates]
    chex.assert_trees_all_equal(together, jnp.stack(alone))


@each_optimizer
def test_hyperparameters_are_seen_through_it(row):
    opt = jo.compensated(row.build())
    assert jo.hyperparameters(opt) == row.hyperparameters
    assert jo.describe(opt) == f"compensated({jo.describe(row.build())})"
    changed = jo.replace(opt, learning_rate=0.75)
    assert jo.hyperparameters(changed) == row.hyperparameters | {"learning_rate": 0.75}
    assert jax.tree.structure(changed) == jax.tree.structure(opt)


def test_schedules_are_asked_at_the_inner_count():
    opt = jo.compensated(jo.sgd(jo.schedules.linear(1.0, 0.0, steps=4)))
    w = jnp.ones(1)
    _, state = opt.update(w, opt.init(w), w)
    assert float(jo.hyperparameters(opt, state)["learning_rate"]) == 0.75


def test_parameters_are_needed():
    opt = jo.compensated(jo.sgd())
    w = jnp.ones(1)
    with pytest.raises(ValueError, match=r"needs the parameters: call update\(gradients, state, params\)"):
        opt.update(w, opt.init(w))


@each_optimizer
def test_the_state_of_something_else_is_refused(row):
    w = jnp.ones(2)
    opt = jo.compensated(row.build())
    foreign = [row.build().init(w), (opt.init(w),), None]
    for state in foreign:
        with pytest.raises(TypeError, match=r"compensated.update was given a .* needs the CompensatedState"):
            opt.update(w, state, w)
    other = named("sgd" if row.name != "sgd" else "adam")
    with pytest.raises(TypeError, match=f"{row.name}.update was given a {other.state_type.__name__}"):
        opt.update(w, CompensatedState(other.build().init(w), w), w)


def test_what_does_not_fit_is_refused_by_path():
    opt = jo.compensated(jo.adam())
    params = {"w": jnp.ones(3)}
    state = opt.init(params)
    with pytest.raises(ValueError, match=r"gradient \['w'\] has shape \(3, 1\), but the parameter has shape"):
        opt.update({"w": jnp.ones((3, 1))}, state, params)
    with pytest.raises(TypeError, match=r"parameter \['n'\] has dtype int32"):
        opt.init({"n": jnp.arange(3)})
    with pytest.raises(TypeError, match=r"compensated: optimizer = .* it must be an optimizer"):
        jo.compensated(jo.sgd)  # type: ignore[arg-type]
