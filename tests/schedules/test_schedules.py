"""Schedules against optax's of the same shape, as pytrees, and inside optimizers."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_edu as jo
from jaxopt_edu import schedules as s
from tests.registry import OPTIMIZERS, each_optimizer, gradient_stream, named, scan_updates

PAIRS = {
    "constant": (s.constant(0.3), optax.constant_schedule(0.3)),
    "linear": (s.linear(0.3, 0.01, steps=40), optax.linear_schedule(0.3, 0.01, 40)),
    "warmup": (s.warmup(peak=0.3, steps=40), optax.linear_schedule(0.0, 0.3, 40)),
    "warmup from above 0": (s.warmup(0.3, 40, initial=0.1), optax.linear_schedule(0.1, 0.3, 40)),
    "exponential": (s.exponential(0.3, rate=0.5, steps=10), optax.exponential_decay(0.3, 10, 0.5)),
    "exponential growth": (s.exponential(0.3, rate=1.1), optax.exponential_decay(0.3, 1, 1.1)),
    "cosine": (s.cosine(peak=0.3, steps=40), optax.cosine_decay_schedule(0.3, 40)),
    "cosine to above 0": (s.cosine(0.3, 40, final=0.03), optax.cosine_decay_schedule(0.3, 40, alpha=0.1)),
    "warmup_cosine": (
        s.warmup_cosine(peak=0.3, warmup_steps=10, steps=40, final=0.03),
        optax.warmup_cosine_decay_schedule(0.0, 0.3, 10, 40, end_value=0.03),
    ),
    "polynomial": (s.polynomial(0.3, 0.03, 40, power=2.5), optax.polynomial_schedule(0.3, 0.03, 2.5, 40)),
    "warmup_stable_decay": (
        s.warmup_stable_decay(peak=0.3, warmup_steps=10, decay_steps=15, steps=40, final=0.03),
        optax.join_schedules(
            [
                optax.linear_schedule(0.0, 0.3, 10),
                optax.constant_schedule(0.3),
                optax.linear_schedule(0.3, 0.03, 15),
            ],
            [10, 25],
        ),
    ),
    "inverse_square_root": (
        s.inverse_square_root(peak=0.3, warmup_steps=10),
        lambda step: 0.3 * np.minimum(step / 10, (max(step, 1) / 10) ** -0.5),
    ),
    "one_cycle": (
        s.one_cycle(0.3, 40, pct_start=0.25),
        optax.cosine_onecycle_schedule(40, 0.3, pct_start=0.25),
    ),
    "restarts": (
        s.restarts(0.3, period=10, factor=2, final=0.03),
        optax.join_schedules(
            [optax.cosine_decay_schedule(0.3, 10 * 2**n, alpha=0.1) for n in range(7)],
            [10 * (2**n - 1) for n in range(1, 7)],
        ),
    ),
    "joined": (
        s.joined([s.warmup(0.3, 10), s.cosine(0.3, 20), s.constant(0.1)], boundaries=[10, 25]),
        optax.join_schedules(
            [
                optax.linear_schedule(0.0, 0.3, 10),
                optax.cosine_decay_schedule(0.3, 20),
                optax.constant_schedule(0.1),
            ],
            [10, 25],
        ),
    ),
}
OURS = {name: ours for name, (ours, _) in PAIRS.items()}
each_schedule = pytest.mark.parametrize("name", PAIRS)


@each_schedule
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_it_is_optaxs_schedule_of_the_same_shape(name, dtype):
    ours, theirs = PAIRS[name]
    with jax.enable_x64(dtype is np.float64):
        steps = np.array([*range(60), 1000])
        with jax.numpy_dtype_promotion("standard"):
            expected = np.array([theirs(step) for step in steps], np.float64)
        values = jax.vmap(ours)(steps)
        assert values.dtype == dtype
        # Near its end a cosine is the difference of two numbers of the size of its peak.
        tolerance = 8 * np.finfo(dtype).eps
        np.testing.assert_allclose(values, expected, rtol=40 * tolerance, atol=0.3 * tolerance)


@each_schedule
def test_it_gives_the_same_for_python_numpy_and_traced_steps(name):
    schedule = OURS[name]
    for step in (0, 7, 40):
        value = schedule(step)
        assert value.shape == ()
        for other in (np.int64(step), jnp.int32(step), jnp.float32(step)):
            assert schedule(other) == value
        chex.assert_trees_all_close(jax.jit(lambda step: schedule(step))(step), value, rtol=1e-6)


def test_the_leaves_are_the_users_numbers():
    assert sorted(jax.tree.leaves(s.cosine(peak=0.5, steps=10))) == [0.0, 0.5, 10.0]
    assert jax.tree.leaves(OURS["joined"]) == [10, 25, 0, 0.3, 10, 0, 0.3, 20, 0.1]
    for schedule in OURS.values():
        assert {type(leaf) for leaf in jax.tree.leaves(schedule)} == {float}


def test_ends_are_exact():
    assert s.linear(0.3, 0.7, 3)(3) == np.float32(0.7)
    assert s.cosine(0.3, 7, final=0.25)(7) == np.float32(0.25)
    assert s.cosine(0.3, 7)(0) == np.float32(0.3)
    assert s.warmup_cosine(0.3, 5, 9)(5) == np.float32(0.3)
    assert s.warmup_cosine(0.3, 5, 9)(0) == 0
    assert s.polynomial(0.3, 0.7, 3, power=0.3)(3) == np.float32(0.7)
    wsd = s.warmup_stable_decay(0.3, 5, 7, 30)
    np.testing.assert_array_equal(
        [wsd(step) for step in (0, 5, 23, 30)], np.array([0, 0.3, 0.3, 0], np.float32)
    )
    assert s.inverse_square_root(0.3, 7)(7) == np.float32(0.3)
    assert s.one_cycle(0.3, 40, pct_start=0.25)(10) == np.float32(0.3)


def test_joined_counts_each_piece_from_its_own_beginning():
    def count(step):
        return step

    schedule = s.joined([count, count, count], boundaries=[2, 2.5])
    assert [float(schedule(step)) for step in range(5)] == [0, 1, 0, 0.5, 1.5]
    empty = s.joined([s.constant(1), s.constant(2), s.constant(3)], boundaries=[2, 2])
    assert [float(empty(step)) for step in range(4)] == [1, 1, 3, 3]
    assert float(s.joined([s.constant(1)], boundaries=[])(3)) == 1


def test_vmap_over_peaks_is_each_alone():
    peaks = [0.1, 0.2, 0.4]
    opts = [jo.sgd(s.warmup_cosine(peak, 3, 9)) for peak in peaks]
    gradients = gradient_stream(12)
    together = jax.jit(jax.vmap(scan_updates, (0, None)))(jo.stack(opts), gradients)
    alone = jnp.stack([scan_updates(opt, gradients) for opt in opts])
    chex.assert_trees_all_close(together, alone, rtol=1e-6, atol=1e-6 * float(np.abs(alone).max()))
    assert not np.allclose(alone[0], alone[1])


@each_schedule
def test_another_peak_is_no_new_compilation(name):
    chex.clear_trace_counter()
    run = jax.jit(chex.assert_max_traces(lambda schedule, step: schedule(step), n=1))
    for factor in (1, 2, 3):
        run(jax.tree.map(lambda leaf: factor * leaf, OURS[name]), 5)  # noqa: B023


FALLING = s.linear(0.5, 0.25, steps=3)
EVERY_HYPERPARAMETER = [
    pytest.param(row, name, id=f"{row.name}-{name}", marks=() if row.in_story else pytest.mark.slow)
    for row in OPTIMIZERS
    for name in row.hyperparameters
]


@pytest.mark.parametrize(("row", "name"), EVERY_HYPERPARAMETER)
def test_every_hyperparameter_may_be_a_schedule(row, name):
    """Step by step the optimizer with the schedule does what one with that step's number does."""
    opt = row.build(**{name: FALLING})
    g = jnp.array([1.0, -0.5])
    state = opt.init(g)
    for step in range(5):
        number = float(FALLING(step))
        expected = row.build(**{name: number}).update(g, state, g)
        actual = opt.update(g, state, g)
        chex.assert_trees_all_equal(actual, expected)
        assert jo.hyperparameters(opt, state)[name] == number
        state = actual[1]


@each_optimizer
def test_optaxs_schedules_are_accepted_as_they_are(row):
    """They mix dtypes, which strict promotion (on in these tests) refuses unless it is lifted around them."""
    gradients = gradient_stream(12)
    ours = scan_updates(row.build(learning_rate=s.cosine(0.1, 8)), gradients)
    theirs = scan_updates(row.build(learning_rate=optax.cosine_decay_schedule(0.1, 8)), gradients)
    scale = float(np.abs(ours).max())
    chex.assert_trees_all_close(ours, theirs, rtol=1e-5, atol=1e-7 * scale)


@pytest.mark.parametrize(
    "schedule",
    [
        optax.warmup_cosine_decay_schedule(0.0, 0.1, 3, 9),
        optax.warmup_exponential_decay_schedule(0.0, 0.1, 3, 5, 0.5),
        optax.join_schedules([optax.constant_schedule(0.1), optax.linear_schedule(0.1, 0.0, 4)], [3]),
        optax.piecewise_constant_schedule(0.1, {3: 0.5, 6: 0.1}),
        optax.sgdr_schedule(
            [{"init_value": 0.0, "peak_value": 0.1, "warmup_steps": 2, "decay_steps": 6}] * 2
        ),
        lambda step: 0.1 / (1 + step),
        lambda step: 0.5,
        lambda step: 1,
    ],
    ids=["warmup_cosine", "warmup_exponential", "joined", "piecewise", "sgdr", "lambda", "float", "int"],
)
def test_any_function_of_the_step_is_a_schedule(schedule):
    g = jnp.ones(2)
    state = jo.sgd().init(g)
    opt = jo.sgd(schedule)
    update = jax.jit(opt.update)
    for step in range(5):
        with jax.numpy_dtype_promotion("standard"):
            rate = float(schedule(jnp.int32(step)))
        updates, state = update(g, state, g)
        np.testing.assert_allclose(updates, [-rate, -rate], rtol=1e-6)


def test_schedules_of_optax_may_be_joined_with_ours():
    schedule = s.joined([s.warmup(0.1, 4), optax.cosine_decay_schedule(0.1, 6)], boundaries=[4])
    expected = s.warmup_cosine(0.1, 4, 10)
    np.testing.assert_allclose(
        [schedule(step) for step in range(12)], [expected(step) for step in range(12)], atol=1e-8
    )


def test_the_hypergradient_of_the_peak(x64):
    """Against central differences of the NumPy path; the rate enters in the order of the schedule."""
    curvature, start, steps = np.array([1.0, 0.3]), np.array([1.0, -2.0]), 6

    @jax.jit
    @jax.grad
    def hypergradient(opt):
        w, state = jnp.asarray(start), opt.init(jnp.asarray(start))
        for _ in range(steps):
            updates, state = opt.update(curvature * w, state, w)
            w = optax.apply_updates(w, updates)
        return jnp.sum(curvature * jnp.square(w)) / 2  # type: ignore[arg-type]

    def loss(peak, warmup_steps, total):
        row, w, v = named("momentum"), start, np.zeros(2)
        for t in range(steps):
            progress = min((t - warmup_steps) / (total - warmup_steps), 1)
            rate = peak * (t / warmup_steps if t < warmup_steps else (1 + np.cos(np.pi * progress)) / 2)
            update, v = row.formula(t + 1, curvature * w, v, learning_rate=rate, momentum=0.9)
            w = w + update
        return np.sum(curvature * w**2) / 2

    at = np.array([0.2, 2.5, 7.5])  # no step is a kink
    gradient = hypergradient(jo.momentum(s.warmup_cosine(*at), momentum=0.9))
    found = jo.hyperparameters(gradient)["learning_rate"].keywords
    for position, name in enumerate(("peak", "warmup_steps", "steps")):
        h = np.eye(3)[position] * 1e-6
        difference = (loss(*(at + h)) - loss(*(at - h))) / 2e-6
        np.testing.assert_allclose(found[name], difference, rtol=1e-6, err_msg=name)


@each_schedule
def test_derivatives_are_finite_at_every_step(name):
    gradients = jax.jit(jax.vmap(jax.grad(lambda schedule, step: schedule(step)), (None, 0)))(
        OURS[name], jnp.array([0, 1, 10, 25, 40, 5000])
    )
    if name == "exponential growth":  # 1.1⁵⁰⁰⁰ is ∞ indeed
        gradients = jax.tree.map(lambda each: each[:-1], gradients)
    chex.assert_tree_all_finite(gradients)


def test_a_piece_that_overflows_outside_its_own_steps_does_no_harm():
    shrinking = s.joined([s.constant(0.1), s.exponential(0.1, rate=0.1)], boundaries=[1000])
    growing = s.joined([s.exponential(0.1, rate=1.1), s.constant(0.1)], boundaries=[10])
    for schedule, step in [(shrinking, 0), (growing, 5000)]:
        value, gradient = jax.value_and_grad(lambda schedule: schedule(step))(schedule)  # noqa: B023
        assert value == np.float32(0.1)
        chex.assert_tree_all_finite(gradient)
        assert sum(map(float, jax.tree.leaves(gradient))) == 1  # of the constant


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: s.constant(float("nan")), ValueError, "constant: value = nan is out of range"),
        (lambda: s.constant("0.1"), TypeError, "constant: value = '0.1' is str"),  # type: ignore[arg-type]
        (lambda: s.constant([0.1, 0.2]), TypeError, r"constant: value = \[0.1, 0.2\] has shape \(2,\)"),  # type: ignore[arg-type]
        (lambda: s.linear(0.1, float("inf"), 3), ValueError, "linear: final = inf"),
        (lambda: s.linear(0.1, 0.2, 0), ValueError, "linear: steps = 0 .* above 0"),
        (lambda: s.warmup(0.1, -1), ValueError, "warmup: steps = -1"),
        (lambda: s.warmup(None, 1), TypeError, "warmup: peak = None"),  # type: ignore[arg-type]
        (lambda: s.exponential(0.1, 0.0), ValueError, "exponential: rate = 0.0 .* above 0"),
        (lambda: s.exponential(0.1, 0.5, steps=0), ValueError, "exponential: steps = 0"),
        (lambda: s.cosine(0.1, 0), ValueError, "cosine: steps = 0"),
        (lambda: s.cosine(0.1, True), TypeError, "cosine: steps = True is bool"),
        (lambda: s.warmup_cosine(0.1, 5, 5), ValueError, "steps = 5 .* above warmup_steps = 5"),
        (lambda: s.warmup_cosine(0.1, 0, 5), ValueError, "warmup_cosine: warmup_steps = 0"),
        (lambda: s.warmup_cosine(0.1, "a", 5), TypeError, "warmup_cosine: warmup_steps = 'a'"),  # type: ignore[arg-type]
        (lambda: s.warmup_cosine(0.1, 2, None), TypeError, "warmup_cosine: steps = None"),  # type: ignore[arg-type]
        (lambda: s.polynomial(0.1, 0, 5, power=0), ValueError, "polynomial: power = 0 .* above 0"),
        (
            lambda: s.warmup_stable_decay(0.1, 5, 6, 10),
            ValueError,
            "steps = 10 .* at least warmup_steps .* = 5 [+] 6",
        ),
        (lambda: s.inverse_square_root(0.1, 0), ValueError, "inverse_square_root: warmup_steps = 0"),
        (lambda: s.one_cycle(0.1, 5, pct_start=1.0), ValueError, "one_cycle: pct_start = 1.0 .* below 1"),
        (lambda: s.one_cycle(0.1, 5, div_factor=0), ValueError, "one_cycle: div_factor = 0"),
        (lambda: s.restarts(0.1, 5, factor=0.5), ValueError, "restarts: factor = 0.5 .* at least 1"),
        (lambda: s.restarts(0.1, 5, T_mult=2), TypeError, "'T_mult'.* is factor here"),  # type: ignore[call-arg]
        (lambda: s.joined([], []), ValueError, "list of schedules is empty"),
        (lambda: s.joined([s.constant(1)], [3]), ValueError, "1 schedules need 0 boundaries .* 1 were given"),
        (lambda: s.joined([s.constant(1)] * 3, [3]), ValueError, "3 schedules need 2 boundaries"),
        (lambda: s.joined([s.constant(1)] * 3, [4, 3]), ValueError, r"boundaries = \[4, 3\] decrease"),
        (lambda: s.joined([s.constant(1)] * 2, [-1]), ValueError, r"boundaries\[0\] = -1 is out of range"),
        (lambda: s.joined([s.constant(1)] * 2, ["3"]), TypeError, r"boundaries\[0\] = '3' is str"),  # type: ignore[arg-type]
        (
            lambda: s.joined([s.constant(1), 0.5], [3]),  # type: ignore[arg-type]
            TypeError,
            r"schedules\[1\] = 0.5 .* constant\(value\)",
        ),
    ],
)
def test_bad_numbers_are_refused_by_name(build, error, message):
    with pytest.raises(error, match=message):
        build()


def test_traced_numbers_pass():
    @jax.jit
    def value(peak, warmup_steps, steps, boundary):
        schedules = [
            s.warmup_cosine(peak, warmup_steps, steps),
            s.exponential(peak, 0.5),
            s.cosine(peak, steps),
        ]
        further = s.warmup_stable_decay(peak, warmup_steps, boundary, steps)(3), s.restarts(peak, steps)(3)
        return s.joined(schedules, [boundary, 2 * boundary])(3), *further

    expected = s.warmup_cosine(0.1, 2, 9)(3), s.warmup_stable_decay(0.1, 2, 4, 9)(3), s.restarts(0.1, 9)(3)
    chex.assert_trees_all_close(value(0.1, 2, 9, 4), expected, rtol=1e-6)
