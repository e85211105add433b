"""`fit` trains as a plain loop does, compiles once, and leaves the caller's arrays alone."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.tree_util import Partial

import jaxopt_edu as jo

STEPS = 12
KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3)).astype(np.float32)
DATA = {"x": X, "y": np.sin(X[:, 0])}
PARAMS = {"w": jnp.array([0.5, -1.0, 2.0]), "b": jnp.array(0.25)}
traced = []
compiled = []


def count_compilations(event, duration_secs, **kwargs):
    if event == "/jax/core/compile/backend_compile_duration":
        compiled.append(kwargs.get("fun_name"))


jax.monitoring.register_event_duration_secs_listener(count_compilations)


def loss_fn(params, batch):
    traced.append(None)
    residual = batch["x"] @ params["w"] + params["b"] - batch["y"]
    return jnp.mean(residual**2)


def assert_same_bits(found, expected):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def python_loop(optimizer, steps, params=PARAMS, with_value=False):
    """One jitted step of optax after another, nothing else."""

    @jax.jit
    def step(params, state):
        loss, gradients = jax.value_and_grad(loss_fn)(params, DATA)
        extra = {"value": loss} if with_value else {}
        updates, state = optimizer.update(gradients, state, params, **extra)
        return optax.apply_updates(params, updates), state, loss

    state, losses = optimizer.init(params), []
    with jax.numpy_dtype_promotion("standard"):
        for _ in range(steps):
            params, state, loss = step(params, state)
            losses.append(float(loss))
    return params, losses


@pytest.mark.parametrize(
    ("optimizer", "with_value"),
    [
        (jo.adam(learning_rate=0.1), False),
        pytest.param(optax.adamw(0.1), False, marks=pytest.mark.slow),
        (optax.MultiSteps(jo.sgd(learning_rate=0.1), 3), False),
        pytest.param(
            optax.MultiSteps(optax.adam(0.1), 2).gradient_transformation(), False, marks=pytest.mark.slow
        ),
        (jo.chain(optax.clip_by_global_norm(0.5), jo.momentum(learning_rate=0.05)), False),
        pytest.param(optax.polyak_sgd(max_learning_rate=0.3), True, marks=pytest.mark.slow),
        (optax.chain(optax.sgd(0.5), optax.contrib.reduce_on_plateau(patience=1)), True),
    ],
    ids=[
        "adam",
        "adamw",
        "MultiSteps",
        "MultiSteps as a transform",
        "clipped",
        "polyak_sgd",
        "reduce_on_plateau",
    ],
)
def test_agrees_with_a_python_loop(optimizer, with_value):
    result = jo.fit(loss_fn, PARAMS, optimizer, DATA, steps=STEPS, every=STEPS)
    params, losses = python_loop(optimizer, STEPS, with_value=with_value)
    assert result.history.stopped == "completed"
    np.testing.assert_allclose(result.history.losses, losses, rtol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4), result.params, params)
    assert result.history.losses[-1] < result.history.losses[0]


def test_another_learning_rate_or_params_compile_nothing():
    def train(learning_rate, scale):
        params = jax.tree.map(lambda leaf: scale * leaf, PARAMS)
        optimizer = jo.adam(learning_rate=learning_rate)
        return jo.fit(loss_fn, params, optimizer, DATA, steps=24, every=8, batch_size=8, key=KEY)

    first = train(0.1, 1.0)
    compiled.clear()
    traced.clear()
    second = train(0.01, 0.5)
    assert (compiled, traced) == ([], [])
    assert not np.array_equal(first.history.losses, second.history.losses)


def test_more_stretches_of_the_same_length_compile_nothing():
    def train(steps):
        return jo.fit(loss_fn, PARAMS, jo.sgd(learning_rate=0.1), DATA, steps=steps, every=8)

    train(8)
    compiled.clear()
    traced.clear()
    assert len(train(48).history.losses) == 48
    assert (compiled, traced) == ([], [])


def test_a_loss_that_is_a_pytree_keeps_its_arrays_as_arguments():
    def distance(target, w, _):
        traced.append(None)
        return jnp.sum((w - target) ** 2)

    def train(target):
        loss = Partial(distance, target)
        return jo.fit(loss, jnp.zeros(3), jo.sgd(learning_rate=0.5), steps=2).params

    # One step of 1/2 along the gradient lands on the target.
    np.testing.assert_array_equal(train(np.array([1.0, 2.0, 3.0], np.float32)), [1, 2, 3])
    traced.clear()
    np.testing.assert_array_equal(train(np.array([4.0, 5.0, 6.0], np.float32)), [4, 5, 6])
    assert traced == []


def test_the_callers_arrays_stay_valid():
    weak = jnp.asarray(2.0)
    assert weak.weak_type
    params = {"weak": weak, "strong": jnp.ones(3)}
    average = jnp.zeros(3)
    data = jnp.ones((8, 3))

    def loss(params, average, batch):
        loss = params["weak"] ** 2 + jnp.mean((batch @ params["strong"]) ** 2)
        return loss, 0.5 * average + 0.5 * params["strong"]

    arguments = (loss, params, jo.adam(learning_rate=0.1), data)
    options = {"steps": 6, "every": 2, "key": KEY, "batch_size": 4, "model_state": average}
    first = jo.fit(*arguments, **options)
    assert float(weak) == 2.0
    for array in (params["strong"], average, data):
        assert not array.is_deleted()
    np.testing.assert_array_equal(params["strong"], np.ones(3))
    np.testing.assert_array_equal(average, np.zeros(3))
    assert_same_bits(jo.fit(*arguments, **options)[:2], first[:2])


def test_params_of_one_buffer_used_twice():
    shared = jnp.ones(3)
    result = jo.fit(
        lambda p, _: jnp.sum(p["a"] ** 2) + jnp.sum(p["b"] ** 2),
        {"a": shared, "b": shared},
        jo.sgd(learning_rate=0.25),
        steps=1,
    )
    np.testing.assert_array_equal(result.params["a"], np.full(3, 0.5))
    np.testing.assert_array_equal(result.params["b"], np.full(3, 0.5))


def test_no_steps_give_back_the_beginning():
    result = jo.fit(loss_fn, PARAMS, jo.adam(), DATA, steps=0)
    assert_same_bits(result.params, PARAMS)
    assert result.history.losses.shape == (0,)
    assert result.history.stopped == "completed"


def test_model_state_is_carried():
    def loss(params, state, batch):
        mean = jnp.mean(batch["x"], axis=0)
        state = {"mean": 0.9 * state["mean"] + 0.1 * mean, "batches": state["batches"] + jnp.int32(1)}
        return jnp.sum(params**2), state, {"mean": mean}

    state = {"mean": jnp.zeros(3), "batches": jnp.zeros((), jnp.int32)}
    seen = []
    result = jo.fit(
        loss,
        jnp.ones(2),
        jo.sgd(),
        DATA,
        steps=STEPS,
        every=4,
        batch_size=8,
        key=KEY,
        model_state=state,
        evaluate=lambda params, state: seen.append(int(state["batches"])) or state["mean"],
    )
    running = np.zeros(3)
    for mean in result.history.metrics["mean"]:
        running = 0.9 * running + 0.1 * mean
    np.testing.assert_allclose(result.model_state["mean"], running, rtol=1e-5)
    assert seen == [4, 8, 12]
    np.testing.assert_array_equal(result.history.evaluations["value"][-1], result.model_state["mean"])


def test_extra_arguments_reach_a_transform():
    def init(params):
        return {"value": jnp.zeros(()), "grad": params, "value_fn": jnp.zeros(())}

    def update(updates, state, params=None, **extra):
        return updates, {
            "value": extra["value"],
            "grad": extra["grad"],
            "value_fn": extra["value_fn"](params),
        }

    spy = optax.GradientTransformationExtraArgs(init, update)
    result = jo.fit(loss_fn, PARAMS, jo.chain(jo.sgd(learning_rate=0.1), spy), DATA, steps=3, every=2)
    seen = result.state[1]
    before, _ = python_loop(jo.sgd(learning_rate=0.1), 2)
    loss, gradient = jax.value_and_grad(loss_fn)(before, DATA)
    np.testing.assert_allclose(seen["value"], result.history.losses[-1])
    np.testing.assert_allclose(seen["value"], loss, rtol=1e-5)
    np.testing.assert_allclose(seen["value_fn"], loss, rtol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), seen["grad"], gradient)


def test_lbfgs_finds_the_least_squares():
    A = np.column_stack([X, np.ones(len(X))])
    residual = np.linalg.lstsq(A, DATA["y"], rcond=None)[1].item()
    result = jo.fit(loss_fn, PARAMS, optax.lbfgs(), DATA, steps=STEPS, every=6)
    np.testing.assert_allclose(result.history.losses[-1], residual / len(X), rtol=1e-5)


@pytest.mark.parametrize("optimizer", [jo.sgd(learning_rate=0.25), jo.half_state(jo.adam(0.2), KEY)])
def test_complex_parameters_descend(optimizer):
    target = 3.0 - 2.0j
    result = jo.fit(
        lambda z, _: jnp.sum(jnp.abs(z - target) ** 2), jnp.zeros(2, jnp.complex64), optimizer, steps=200
    )
    assert result.params.dtype == jnp.complex64
    np.testing.assert_allclose(result.params, np.full(2, target), atol=2e-2)


def test_compensated_bfloat16_gets_further_than_rounding():
    def loss(w, _):
        return jnp.sum((w - 3) ** 2).astype(jnp.float32)

    start = jnp.ones(4, jnp.bfloat16)
    plain, exact = (
        jo.fit(loss, start, optimizer, steps=300).params
        for optimizer in (jo.sgd(learning_rate=1e-3), jo.compensated(jo.sgd(learning_rate=1e-3)))
    )
    expected = 3 - 2 * (1 - 2e-3) ** 300
    assert exact.dtype == jnp.bfloat16
    assert abs(float(exact[0]) - expected) < 2e-2
    assert abs(float(plain[0]) - expected) > 0.1


def test_half_state_copies_its_key():
    optimizer = jo.half_state(jo.adam(learning_rate=0.1), KEY)
    moments = []
    result = jo.fit(loss_fn, PARAMS, optimizer, DATA, steps=STEPS, every=4, callback=moments.append)
    assert result.state.inner.v["w"].dtype == jnp.bfloat16
    # The key is the optimizer's and the caller's; neither was given away.
    assert not KEY.is_deleted()
    np.testing.assert_array_equal(jax.random.key_data(result.state.key), jax.random.key_data(KEY))
    assert [int(moment.state.count) for moment in moments] == [4, 8, 12]
    again = jo.fit(loss_fn, PARAMS, optimizer, DATA, steps=STEPS, every=STEPS)
    assert_same_bits(again.params, result.params)


def test_double_precision(x64):
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), PARAMS)
    data = jax.tree.map(lambda leaf: leaf.astype(np.float64), DATA)
    result = jo.fit(loss_fn, params, jo.sgd(), data, steps=4)
    assert result.params["w"].dtype == result.history.losses.dtype == np.float64


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": -1}, "steps = -1"),
        ({"steps": 2.5}, "steps = 2.5"),
        ({"steps": None}, "steps = None"),
        ({"steps": float("nan")}, "steps = nan"),
        ({"steps": True}, "steps = True"),
        ({"every": 0}, "every = 0"),
        ({"every": float("inf")}, "every = inf"),
        ({"patience": 0}, "patience = 0"),
        ({"patience": "3"}, "patience = '3'"),
        ({"batch_size": 0, "key": KEY}, "batch_size = 0"),
        ({"batch_size": 2.5, "key": KEY}, "batch_size = 2.5"),
        ({"batch_size": 8}, r"needs a key: pass key=jax\.random\.key"),
        ({"resume": True}, "resume = True needs checkpoint"),
    ],
)
def test_numbers_out_of_range_are_refused(options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        jo.fit(loss_fn, PARAMS, jo.adam(), DATA, **({"steps": 3} | options))


def test_an_optimizer_that_is_none_is_refused():
    optimizer: object = jo.adam
    with pytest.raises(TypeError, match="call its factory first"):
        jo.fit(loss_fn, PARAMS, optimizer, DATA, steps=1)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("dtype", [jnp.int32, jnp.bool_])
def test_integer_parameters_are_refused(dtype):
    with pytest.raises(TypeError, match=r"w.*(int32|bool)"):
        jo.fit(lambda p, _: jnp.sum(p["w"]) * 1.0, {"w": jnp.ones(3, dtype)}, jo.adam(), steps=1)
