"""loss_key: each step's loss has a key, the same in chunks, after a resume and for every optimizer."""

from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_edu as jo
from tests.draws import normal

DATA = {"x": normal(12, 4), "y": normal(12, 2)}
PARAMS = normal(4, 2)
KEY, LOSS_KEY = jax.random.key(0), jax.random.key(7)
GIVEN: Any = {"batch_size": 4, "key": KEY, "loss_key": LOSS_KEY}


def loss_fn(w, batch, key):
    """Dropout of a quarter of the inputs."""
    kept = jax.random.bernoulli(key, 0.75, batch["x"].shape)
    x = jnp.where(kept, batch["x"] / 0.75, 0)
    return jnp.mean((x @ w - batch["y"]) ** 2), {"kept": kept.mean()}


def same_bits(found, expected):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(one, other)


def fit(optimizer, steps=6, **options):
    return jo.fit(loss_fn, PARAMS, optimizer, DATA, steps=steps, **GIVEN | options)


def test_it_is_the_loop_that_folds_the_step_into_the_key():
    opt = jo.adam(0.1)
    data = jax.tree.map(jnp.asarray, DATA)

    @jax.jit
    def loop(opt, carry, key):
        def step(carry, i):
            w, state = carry
            evaluate = jax.value_and_grad(loss_fn, has_aux=True)
            (loss, metrics), gradient = evaluate(w, data, key=jax.random.fold_in(key, i))
            updates, state = opt.update(gradient, state, w)
            return (optax.apply_updates(w, updates), state), (loss, metrics["kept"])

        return jax.lax.scan(step, carry, jnp.arange(6))

    (w, state), (losses, kept) = loop(opt, (PARAMS, opt.init(PARAMS)), LOSS_KEY)
    found = fit(opt, batch_size=None)
    # The same steps in another program: XLA may fuse them otherwise.
    chex.assert_trees_all_close((found.params, found.state), (w, state), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(found.history.losses, losses, rtol=1e-6)
    same_bits(found.history.metrics["kept"], kept)
    assert len(set(np.asarray(kept).tolist())) > 1


@pytest.mark.slow
def test_chunks_a_resume_and_a_run_in_two_change_no_bit(tmp_path):
    whole = fit(jo.adam(0.1))
    in_chunks = fit(jo.adam(0.1), every=4)
    fit(jo.adam(0.1), steps=3, checkpoint=tmp_path)
    resumed = fit(jo.adam(0.1), checkpoint=tmp_path, resume=True)
    first = fit(jo.adam(0.1), steps=3)
    second = jo.fit(
        loss_fn, first.params, jo.adam(0.1), DATA, steps=3, state=first.state, first_batch=3, **GIVEN
    )
    for other in (in_chunks, resumed, second):
        same_bits((other.params, other.state), (whole.params, whole.state))


def test_over_several_devices_the_keys_are_the_same():
    mesh = jax.make_mesh((2,), ("data",), devices=jax.devices()[:2])
    found, expected = fit(jo.adam(0.1), mesh=mesh), fit(jo.adam(0.1))
    np.testing.assert_allclose(found.history.losses, expected.history.losses, rtol=1e-5)
    same_bits(found.history.metrics["kept"], expected.history.metrics["kept"])


def test_another_key_is_another_run_which_a_resume_tells(tmp_path):
    fit(jo.sgd(0.1), steps=2, checkpoint=tmp_path)
    with pytest.raises(ValueError, match=r"loss_key was .*\[0, 7\] and is .*\[0, 8\].*allow_changes=True"):
        fit(jo.sgd(0.1), checkpoint=tmp_path, resume=True, loss_key=jax.random.key(8))
    other = fit(jo.sgd(0.1), checkpoint=tmp_path, resume=True, loss_key=jax.random.key(8), allow_changes=True)
    assert np.any(other.history.losses != fit(jo.sgd(0.1)).history.losses)


def test_within_a_step_every_loss_and_gradient_has_the_same_key():
    """A transform that compares what it is given with what it finds by asking again."""

    def update(gradient, state, params, *, value, value_fn, grad_fn, **_):
        apart = jnp.abs(value_fn(params) - value), jnp.abs(grad_fn(params) - gradient).max()
        return -0.1 * gradient, state + jnp.stack(apart)

    made: Any = update
    asking = optax.GradientTransformationExtraArgs(lambda params: jnp.zeros(2), made)
    np.testing.assert_allclose(fit(asking).state, 0, atol=1e-6)
    assert np.isfinite(fit(jo.sam(jo.sgd(0.1))).history.losses).all()


@pytest.mark.slow
def test_seeds_of_a_sweep_have_keys_of_their_own_and_optimizers_the_same():
    opts = [jo.sgd(0.1), jo.sgd(0.1), jo.adam(0.1)]
    found = jo.sweep(
        loss_fn, PARAMS, opts, DATA, steps=4, every=1, seeds=[3, 5], batch_size=4, loss_key=LOSS_KEY
    )
    kept = found.curves["kept"]
    same_bits(kept[0], kept[1])
    same_bits(kept[0], kept[2])
    assert np.any(kept[0, 0] != kept[0, 1])
    for place, seed in enumerate((3, 5)):
        alone = jo.fit(
            loss_fn,
            PARAMS,
            jo.adam(0.1),
            DATA,
            steps=4,
            batch_size=4,
            key=jax.random.fold_in(jax.random.key(seed), 1),
            loss_key=jax.random.fold_in(LOSS_KEY, seed),
        )
        np.testing.assert_allclose(
            found.curves["training_loss"][2, place, 1:], alone.history.losses, rtol=1e-5
        )


@pytest.mark.slow
def test_a_stored_sweep_is_known_by_its_loss_key(tmp_path):
    given: Any = {"steps": 2, "every": 1, "path": tmp_path / "run"}
    first = jo.sweep(loss_fn, PARAMS, [jo.sgd(0.1)], DATA, loss_key=LOSS_KEY, **given)
    again = jo.sweep(loss_fn, PARAMS, [jo.sgd(0.1)], DATA, loss_key=LOSS_KEY, resume=True, **given)
    same_bits(again.curves, first.curves)
    with pytest.raises(ValueError, match="holds another sweep: loss_key: "):
        jo.sweep(loss_fn, PARAMS, [jo.sgd(0.1)], DATA, loss_key=KEY, resume=True, **given)


def test_it_works_with_a_models_state_a_part_trained_micro_batches_and_half_precision():
    def stateful(params, seen, batch, key):
        loss, metrics = loss_fn(params["w"] * params["scale"], batch, key)
        return loss, seen + 1, metrics

    loss = jo.micro_batches(jo.mixed_precision(stateful), 2)
    params = {"w": PARAMS, "scale": jnp.ones(())}
    found = jo.fit(
        loss, params, jo.adam(0.1), DATA, steps=3, trainable="w", model_state=jnp.int32(0), **GIVEN
    )
    assert int(found.model_state) == 6
    assert float(found.params["scale"]) == 1


def test_a_loss_without_key_and_a_key_that_is_none_are_told():
    without = lambda w, batch: jnp.mean(w)  # noqa: E731
    line = r"loss_fn is called as loss\(params, batch, key=key\), but its signature does not allow that"
    with pytest.raises(TypeError, match=f"^fit: {line}"):
        jo.fit(jo.micro_batches(without, 2), PARAMS, jo.sgd(0.1), DATA, steps=1, loss_key=KEY)
    with pytest.raises(TypeError, match=f"^sweep: {line}"):
        jo.sweep(without, PARAMS, [jo.sgd(0.1)], DATA, steps=1, loss_key=KEY)
    with pytest.raises(TypeError, match=r"^fit: loss_fn is called as loss\(params, batch\).*argument: 'key'"):
        jo.fit(loss_fn, PARAMS, jo.sgd(0.1), DATA, steps=1)
    number: Any = 3
    with pytest.raises(TypeError, match=r"^sweep: loss_key = 3 is not a single random key"):
        jo.sweep(loss_fn, PARAMS, [jo.sgd(0.1)], DATA, steps=1, loss_key=number)


def test_dropout_of_flax_takes_the_key():
    nn = pytest.importorskip("flax.linen")

    class Network(nn.Module):
        @nn.compact
        def __call__(self, x, *, train):
            return nn.Dense(2)(nn.Dropout(0.5, deterministic=not train)(x))

    network = Network()
    params = network.init(KEY, DATA["x"], train=False)

    def loss_fn(params, batch, key):
        with jax.numpy_rank_promotion("allow"):
            predicted = network.apply(params, batch["x"], train=True, rngs={"dropout": key})
        return jnp.mean((predicted - batch["y"]) ** 2)

    runs = [jo.fit(loss_fn, params, jo.sgd(0.0), DATA, steps=2, loss_key=LOSS_KEY) for _ in range(2)]
    assert runs[0].history.losses[0] != runs[0].history.losses[1]
    same_bits(runs[0].history.losses, runs[1].history.losses)
