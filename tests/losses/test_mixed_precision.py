"""mixed_precision and cast: what a loss sees, and what comes back."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_edu as jo
from tests.draws import normal

PARAMS = {"dense": normal(4, 2), "norm": normal(4), "places": jnp.arange(3), "phase": jnp.complex64(1j)}


def dtypes(tree):
    return jax.tree.map(lambda leaf: str(leaf.dtype), tree)


def test_the_loss_sees_half_precision_and_gradients_have_the_parameters_dtype():
    seen = {}

    def loss_fn(params, batch, key):
        seen.update(params=dtypes(params), batch=dtypes(batch), key=key.dtype)
        loss = jnp.mean((batch["x"] @ params["dense"]) ** 2)
        return loss, {"loss": loss, "rows": jnp.int32(3)}

    loss_fn = jo.mixed_precision(loss_fn, keep=["norm"])
    key = jax.random.key(0)
    step = jax.value_and_grad(loss_fn, has_aux=True, allow_int=True)
    (loss, metrics), gradients = step(PARAMS, {"x": normal(3, 4), "labels": jnp.arange(3)}, key=key)
    assert seen == {
        "params": {"dense": "bfloat16", "norm": "float32", "places": "int32", "phase": "complex64"},
        "batch": {"x": "bfloat16", "labels": "int32"},
        "key": key.dtype,
    }
    assert (loss.dtype, metrics["loss"].dtype, metrics["rows"].dtype) == (jnp.float32, jnp.float32, jnp.int32)
    assert gradients["dense"].dtype == jnp.float32


def test_it_is_the_loss_of_cast_arrays_to_the_bit():
    loss_fn = lambda w, x: jnp.mean(jnp.tanh(x @ w))  # noqa: E731
    w, x = normal(4, 2), normal(3, 4)
    found = jax.value_and_grad(jo.mixed_precision(loss_fn, jnp.float16))(w, x)
    loss, gradient = jax.value_and_grad(loss_fn)(w.astype(jnp.float16), x.astype(jnp.float16))
    np.testing.assert_array_equal(found[0], loss.astype(jnp.float32))
    np.testing.assert_array_equal(found[1], gradient.astype(jnp.float32))


def test_a_models_state_comes_back_in_the_dtypes_that_it_had():
    def loss_fn(w, state, x):
        return jnp.mean(x * w), {"mean": jnp.mean(x), "seen": state["seen"] + 1}, {"mean": jnp.mean(x)}

    state = {"mean": jnp.zeros(()), "seen": jnp.int32(0)}
    loss, new, metrics = jo.mixed_precision(loss_fn)(jnp.ones(()), state, normal(4))
    assert dtypes((loss, new, metrics)) == (
        "float32",
        {"mean": "float32", "seen": "int32"},
        {"mean": "float32"},
    )
    data = normal(8)
    found = jo.fit(
        jo.micro_batches(jo.mixed_precision(loss_fn), 2),
        jnp.ones(()),
        jo.sgd(0.1),
        data,
        steps=3,
        batch_size=4,
        key=jax.random.key(0),
        model_state=state,
    )
    assert int(found.model_state["seen"]) == 6
    assert found.params.dtype == jnp.float32


def test_a_sweep_trains_as_fit_does():
    data = {"x": normal(16, 4), "y": normal(16, 2)}
    loss_fn = jo.mixed_precision(lambda w, batch: jnp.mean((batch["x"] @ w - batch["y"]) ** 2))
    swept = jo.sweep(loss_fn, normal(4, 2), [jo.sgd(0.1)], data, steps=4, every=1)
    found = jo.fit(loss_fn, normal(4, 2), jo.sgd(0.1), data, steps=4, key=jax.random.key(0))
    np.testing.assert_allclose(swept.curves["training_loss"][0, 0, 1:], found.history.losses, rtol=1e-2)


def test_cast_leaves_alone_what_is_no_real_floating_array():
    tree = {**PARAMS, "key": jax.random.key(0), "none": None, "plain": 0.5, "word": "a"}
    found = jo.cast(tree, jnp.float16, keep=lambda name, leaf: name == "norm")
    assert (found["dense"].dtype, found["norm"].dtype) == (jnp.float16, jnp.float32)
    assert all(found[name] is tree[name] for name in tree.keys() - {"dense"})


@pytest.mark.parametrize("dtype", [jnp.int32, jnp.complex64, None, "fast", 3])
def test_a_dtype_that_is_no_real_floating_one_is_refused(dtype):
    with pytest.raises(TypeError, match=r"^mixed_precision: compute = .* is no real floating dtype"):
        jo.mixed_precision(lambda w, x: w, dtype)
    with pytest.raises(TypeError, match=r"^cast: dtype = .* is no real floating dtype"):
        jo.cast(PARAMS, dtype)


def test_a_pattern_that_means_no_leaf_is_told():
    with pytest.raises(ValueError, match=r"^mixed_precision: keep: the pattern '\*/bias' means no leaf"):
        jo.mixed_precision(lambda w, x: w["dense"].mean(), keep="*/bias")(PARAMS, normal(3))
