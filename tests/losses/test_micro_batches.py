"""micro_batches: value, gradient and metrics of the whole batch, in the memory of a part."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import jaxopt_edu as jo
from tests.draws import draw, normal

PARAMS = {"b": normal(3), "w": normal(5, 3)}
X, Y = normal(8, 5), normal(8, 3)
BATCH = {"x": X, "y": Y}


def loss_fn(params, batch):
    predicted = jnp.tanh(batch["x"] @ params["w"]) + params["b"][None]
    errors = predicted - batch["y"]
    return jnp.mean(errors**2), {"error": jnp.abs(errors).mean(), "low": (errors < 0).mean()}


def bare(params, batch):
    return loss_fn(params, batch)[0]


def with_state(params, averages, batch):
    loss, metrics = loss_fn(params, batch)
    mean = 0.5 * averages["mean"] + 0.5 * batch["x"].mean()
    return loss, {"mean": mean, "seen": averages["seen"] + 1}, metrics


def assert_close(found, expected, tolerance=1e-6):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("parts", [1, 4])
def test_value_gradient_and_metrics_are_those_of_the_whole_batch(parts, x64):
    params, batch = {"b": draw(3), "w": draw(5, 3)}, {"x": draw(8, 5), "y": draw(8, 3)}
    in_parts = jo.micro_batches(loss_fn, parts)
    found, expected = (
        jax.jit(jax.value_and_grad(each, has_aux=True))(params, batch) for each in (in_parts, loss_fn)
    )
    assert_close(found, expected, 1e-13)
    assert_close(in_parts(params, batch), expected[0], 1e-13)


def of_everything(loss):
    """What the transformations of JAX make of a loss."""

    def of_bias(b, x):
        return loss({"b": b, "w": PARAMS["w"]}, {"x": x, "y": Y})

    return {
        "forward": jax.jvp(lambda params: loss(params, BATCH), (PARAMS,), (PARAMS,)),
        "second": jax.hessian(of_bias)(PARAMS["b"], X),
        "side by side": jax.vmap(jax.grad(of_bias), (None, 0))(PARAMS["b"], jnp.stack([X, 2 * X])),
        "checkpoint": jax.grad(jax.checkpoint(of_bias))(PARAMS["b"], X),
    }


def test_forward_mode_second_derivatives_vmap_and_checkpoint_are_those_of_the_whole_batch():
    in_parts = jo.micro_batches(bare, 2)
    found, expected = (jax.jit(of_everything, static_argnums=0)(each) for each in (in_parts, bare))
    assert_close(found, expected, 1e-5)


@jax.jit
def distance(target, w, x):
    return jnp.mean(jnp.abs(x * w - target[None]) ** 2)


@jax.jit
def by_target_and_by_w(target, w, x):
    in_parts = lambda target: jo.micro_batches(Partial(distance, target), 4)  # noqa: E731
    return jax.grad(lambda target: in_parts(target)(w, x))(target), jax.grad(in_parts(target))(w, x)


def test_arrays_of_the_loss_have_gradients_and_a_complex_parameter_has_the_right_one():
    given = jnp.ones(5, jnp.complex64), jnp.complex64(1 + 2j), X.astype(jnp.complex64)
    assert_close(by_target_and_by_w(*given), jax.grad(distance, (0, 1))(*given), 1e-5)


def test_a_models_state_passes_from_part_to_part():
    in_parts = jo.micro_batches(with_state, 2)

    @jax.jit
    def step(params, state, batch):
        def loss_and_rest(params):
            loss, *rest = in_parts(params, state, batch)
            return loss, rest

        return jax.value_and_grad(loss_and_rest, has_aux=True)(params)

    (loss, (state, metrics)), gradients = step(PARAMS, {"mean": 1.0, "seen": jnp.int32(0)}, BATCH)
    first, second = X[0::2].mean(), X[1::2].mean()  # rows are taken in turns
    np.testing.assert_allclose(state["mean"], 0.25 + 0.25 * first + 0.5 * second, rtol=1e-6)
    assert int(state["seen"]) == 2
    whole = jax.jit(jax.value_and_grad(loss_fn, has_aux=True))(PARAMS, BATCH)
    assert_close(((loss, metrics), gradients), whole)


def test_each_part_has_a_key_of_its_own():
    noisy = lambda w, x, key: jnp.mean(x * w) + jax.random.normal(key)  # noqa: E731
    key = jax.random.key(3)
    found = jo.micro_batches(noisy, 2)(jnp.ones(()), X, key=key)
    drawn = [jax.random.normal(jax.random.fold_in(key, i)) for i in range(2)]
    np.testing.assert_allclose(found, X.mean() + sum(drawn) / 2, rtol=1e-6)


def test_a_models_state_may_hold_a_random_key():
    def noisy(w, key, x):
        key, own = jax.random.split(key)
        return jnp.mean(x * w) + jax.random.normal(own), key

    loss, key = jax.jit(jo.micro_batches(noisy, 2))(jnp.ones(()), jax.random.key(3), X)
    first, second = (
        jax.random.split(jax.random.key(3)),
        jax.random.split(jax.random.split(jax.random.key(3))[0]),
    )
    assert bool(key == second[0])
    noise = (jax.random.normal(first[1]) + jax.random.normal(second[1])) / 2
    np.testing.assert_allclose(loss, X.mean() + noise, rtol=1e-6)


def test_bfloat16_gradients_are_added_up_in_float32():
    """256 ones and 256 thirds: in bfloat16 the sum stops at 256."""
    x = jnp.stack([jnp.ones(256, jnp.bfloat16), jnp.full(256, 1 / 3, jnp.bfloat16)]).ravel()[:, None]
    gradient = jax.jit(jax.grad(jo.micro_batches(lambda w, x: jnp.mean(w * x), 512)))(jnp.bfloat16(1), x)
    assert gradient.dtype == jnp.bfloat16
    assert abs(float(gradient) - (1 + float(x[-1, 0])) / 2) < 2.0**-8


def test_the_scale_of_a_loss_reaches_float16_inside_of_the_parts():
    """The gradient, 2e-9, is 0 in float16 unless the loss is multiplied before it is differentiated."""
    half = jo.mixed_precision(lambda w, x: jnp.mean(w * x * 2**-14) * 2**-14, jnp.float16)
    plain, scaled = (
        jax.grad(lambda w, given=scale: 2.0**15 * jo.micro_batches(half, 2, given)(w, jnp.ones((4, 1))))(1.0)
        for scale in (None, jnp.float32(2.0**15))
    )
    assert float(plain) == 0
    assert float(scaled) == 2.0**-13


def test_the_memory_is_that_of_a_part():
    def loss(w, x):
        for _ in range(4):
            x = jnp.sin(x @ w)
        return jnp.mean(x)

    w, x = jnp.zeros((16, 16)), jax.ShapeDtypeStruct((4096, 16), jnp.float32)

    def bytes_of(each) -> int:
        analysis: Any = jax.jit(jax.value_and_grad(each)).lower(w, x).compile().memory_analysis()
        return analysis.temp_size_in_bytes

    assert bytes_of(jo.micro_batches(loss, 8)) < bytes_of(loss) / 4


def test_there_is_no_second_pass_forward():
    """A product forward and two back; a loop that computed the part again would have a fourth."""
    loss = lambda w, x: jnp.mean(jnp.sin(jnp.sin(x @ w[0]) @ w[1]))  # noqa: E731
    w = [jnp.ones((5, 5))] * 2
    counts = [
        str(jax.jit(jax.value_and_grad(each)).lower(w, X).as_text()).count("dot_general")
        for each in (loss, jo.micro_batches(loss, 2))
    ]
    assert counts[0] == counts[1] == 5


def test_fit_and_sweep_take_it_as_any_loss():
    given: Any = {"steps": 5, "batch_size": 8}
    data = {"x": normal(16, 5), "y": normal(16, 3)}
    in_parts = jo.micro_batches(loss_fn, 4)
    whole, parts = (
        jo.fit(each, PARAMS, jo.adam(0.1), data, key=jax.random.key(0), trainable="w", **given)
        for each in (loss_fn, in_parts)
    )
    np.testing.assert_allclose(parts.history.losses, whole.history.losses, rtol=1e-4)
    np.testing.assert_allclose(parts.history.metrics["low"], whole.history.metrics["low"], rtol=1e-6)
    swept = [
        jo.sweep(each, PARAMS, [jo.adam(0.1), jo.adam(0.01)], data, **given) for each in (loss_fn, in_parts)
    ]
    np.testing.assert_allclose(*(each.curves["training_loss"] for each in swept), rtol=1e-4)


@pytest.mark.parametrize(
    ("batch", "error", "line"),
    [
        (
            {"x": X, "y": Y[:6]},
            ValueError,
            "the leaf y of the batch has 6 rows, which parts = 4 does not divide",
        ),
        (X[:7], ValueError, "the batch has 7 rows, which parts = 4"),
        ({"x": X, "t": jnp.ones(())}, TypeError, "the leaf t of the batch is a single number, without rows"),
        (None, TypeError, "the batch has no arrays, so there is nothing to cut"),
    ],
)
def test_a_batch_that_cannot_be_cut_is_told_by_its_leaf(batch, error, line):
    with pytest.raises(error, match=f"^micro_batches: {line}"):
        jo.micro_batches(bare, 4)(PARAMS, batch)


def test_metrics_that_are_no_numbers_and_gradients_by_the_batch_are_refused():
    with pytest.raises(TypeError, match=r"^micro_batches: .* the metric 'rows' with shape \(2,\)"):
        jo.micro_batches(lambda w, x: (jnp.mean(x) * w, {"rows": x[:, 0]}), 4)(1.0, X)
    with pytest.raises(TypeError, match=r"^micro_batches: the loss is differentiated by its batch"):
        jax.grad(jo.micro_batches(lambda w, x: jnp.mean(x) * w, 4), argnums=1)(1.0, X)
    with pytest.raises(TypeError, match=r"^loss_fn returned a loss of shape \(5,\)"):
        jo.micro_batches(lambda w, x: w * x.mean(0), 4)(1.0, X)
