"""loss_scaling: torch's rules step by step, no change where nothing overflows, and float16 that trains."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_edu as jo
from jaxopt_edu.wrappers import LossScalingState
from tests.draws import normal

DATA = {"x": normal(12, 4), "y": normal(12, 2)}
PARAMS = {"w": normal(4, 2)}
RUN: Any = {"steps": 6, "batch_size": 4, "key": jax.random.key(0)}


def loss_fn(params, batch):
    return jnp.mean((batch["x"] @ params["w"] - batch["y"]) ** 2)


def fit(optimizer, loss=loss_fn, **options):
    return jo.fit(loss, PARAMS, optimizer, DATA, **RUN | options)


def assert_same_run(found, expected, rtol=1e-5):
    np.testing.assert_allclose(found.params["w"], expected.params["w"], rtol=rtol)
    np.testing.assert_allclose(found.history.losses, expected.history.losses, rtol=rtol)


@pytest.mark.slow
def test_the_scale_and_the_steps_are_those_of_torch():
    """w, s and k after each step of gradients with NaN and ∞ among them, and with growth up to infinity."""
    torch = pytest.importorskip("torch")
    numbers = {"growth_interval": 2, "growth": 2.0**50, "backoff": 0.25}
    opt: Any = jo.loss_scaling(jo.momentum(0.5, momentum=0.5), scale=8.0, **numbers)
    scaler = torch.amp.GradScaler(
        "cpu", init_scale=8.0, growth_interval=2, growth_factor=2.0**50, backoff_factor=0.25
    )
    theirs = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    sgd = torch.optim.SGD([theirs], lr=0.5, momentum=0.5)
    w = jnp.array([1.0, -2.0])
    state = opt.init(w)
    update = jax.jit(opt.update)
    factors = [1.0, np.nan, 1.0, 1.0, np.inf, 2.0, 1.0, 1.0, 1.0, -np.inf, 1.0, 1.0]
    for factor in factors:
        loss = (theirs * torch.tensor([1.0, factor])).sum() * 1e-3
        sgd.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(sgd)
        scaler.update()
        scaled = jo.loss_scale(opt, state) * jnp.array([1.0, factor]) * 1e-3
        updates, state = update(scaled, state, w)
        w = w + updates
        np.testing.assert_allclose(w, theirs.detach().numpy(), rtol=1e-6)
        assert float(state.scale) == scaler.get_scale()
        assert int(state.good_steps) == scaler.state_dict()["_growth_tracker"]
    assert float(state.scale) < np.inf


def test_a_step_that_is_left_out_leaves_parameters_and_state_to_the_bit():
    opt: Any = jo.loss_scaling(jo.adam(0.1))
    _, state = opt.update({"w": PARAMS["w"]}, opt.init(PARAMS), PARAMS)
    broken = {"w": PARAMS["w"].at[0, 0].set(jnp.nan)}
    updates, after = jax.jit(opt.update)(broken, state, PARAMS)
    assert not np.any(updates["w"])
    jax.tree.map(np.testing.assert_array_equal, after.inner, state.inner)
    assert (float(after.scale), int(after.good_steps)) == (2.0**14, 0)


@pytest.mark.parametrize(
    "around",
    [
        lambda wrap: wrap(jo.adam(0.1)),
        lambda wrap: wrap(jo.chain(jo.lift(optax.clip_by_global_norm)(0.5), jo.sgd(0.1))),
        lambda wrap: jo.sam(wrap(jo.sgd(0.1)), rho=0.1),
        lambda wrap: jo.accumulated(wrap(jo.momentum(0.1)), 2),
        lambda wrap: wrap(jo.averaged(jo.sgd(0.1), 0.5)),
        pytest.param(
            lambda wrap: wrap(optax.chain(optax.sgd(1.0), optax.scale_by_backtracking_linesearch(5))),
            marks=pytest.mark.slow,
        ),
    ],
    ids=["adam", "clipped", "sam", "accumulated", "averaged", "line search"],
)
def test_where_nothing_overflows_fit_trains_as_without(around):
    with jax.numpy_dtype_promotion("standard"):
        found = fit(around(jo.loss_scaling))
        expected = fit(around(lambda opt: opt))
    assert_same_run(found, expected)
    scaling = next(
        node
        for node in jax.tree.leaves(found.state, is_leaf=lambda node: isinstance(node, LossScalingState))
        if isinstance(node, LossScalingState)
    )
    assert float(scaling.scale) == 2.0**15
    assert int(scaling.good_steps) > 0


@pytest.mark.parametrize("parts", [1, 2])
def test_float16_trains_only_with_it_and_micro_batches_hand_it_on(parts):
    """Examples of size 1e-4, with gradients of 1e-9: float16 knows 0 and 6e-8."""
    small = 2.0**-13
    data = jax.tree.map(lambda leaf: small * leaf, DATA)
    half = jo.micro_batches(jo.mixed_precision(loss_fn, jnp.float16), parts)
    rate = 0.1 / small**2
    lost, trained = (
        jo.fit(half, PARAMS, opt, data, **RUN) for opt in (jo.sgd(rate), jo.loss_scaling(jo.sgd(rate)))
    )
    expected = fit(jo.sgd(0.1)).params["w"]
    assert np.abs(lost.params["w"] - expected).max() > 0.1
    np.testing.assert_allclose(trained.params["w"], expected, rtol=0.02, atol=5e-3)


def test_what_training_comes_to_does_not_depend_on_the_scale():
    """A hypergradient, through parts of a batch too: 0 for the scale, and that of the rate as without."""
    in_parts = jo.micro_batches(loss_fn, 2)

    @jax.jit
    def slope(opt):
        def trained(opt):
            step = jo.training.make_step(in_parts, opt)
            carry = jo.training.start(opt, PARAMS)
            return loss_fn(step(step(carry, DATA)[0], DATA)[0].params, DATA)

        return jax.grad(trained)(opt)

    scaled, plain = slope(jo.loss_scaling(jo.sgd(0.1))), slope(jo.sgd(0.1))
    found, expected = jo.hyperparameters(scaled), jo.hyperparameters(plain)
    np.testing.assert_allclose(found["learning_rate"], expected["learning_rate"], rtol=1e-5)
    assert abs(float(found["scale"])) < 1e-9


def test_the_settings_of_a_sweep_have_scales_of_their_own_and_overflows_are_left_out():
    half = jo.mixed_precision(loss_fn, jnp.float16)
    opts = jo.grid(lambda scale: jo.loss_scaling(jo.sgd(0.1), scale), scale=[2.0**10, 2.0**30])
    found = jo.sweep(half, PARAMS, opts, DATA, steps=6, every=6, keep=2)
    assert found.states.tolist() == [["COMPLETE"], ["COMPLETE"]]
    scales = {float(jo.hyperparameters(run.optimizer)["scale"]): run.state for run in found.top}
    assert (float(scales[2.0**10].scale), int(scales[2.0**10].good_steps)) == (2.0**10, 6)
    assert (float(scales[2.0**30].scale), int(scales[2.0**30].good_steps)) == (2.0**24, 0)


def test_the_loss_is_reported_as_it_was_and_a_step_that_overflows_does_not_end_the_run():
    half = jo.mixed_precision(loss_fn, jnp.float16)
    found = fit(jo.loss_scaling(jo.sgd(0.1), 2.0**18), half)
    assert found.history.stopped == "completed"
    np.testing.assert_allclose(found.history.losses[0], fit(jo.sgd(0.1)).history.losses[0], rtol=1e-2)


def test_loss_scale_looks_through_everything_and_is_1_without():
    scaled = jo.loss_scaling(jo.adam(), 4.0)
    optimizers: list[Any] = [
        scaled,
        jo.sam(scaled),
        jo.accumulated(scaled, 2),
        jo.half_state(scaled, jax.random.key(0)),
        optax.chain(scaled),
        optax.MultiSteps(scaled, 2),
        jo.lift(optax.apply_if_finite)(scaled, max_consecutive_errors=3),
    ]
    for opt in optimizers:
        assert float(jo.loss_scale(opt, opt.init(PARAMS))) == 4
    for opt in (jo.adam(), jo.chain(jo.sgd(), jo.sgd())):
        assert float(jo.loss_scale(opt, opt.init(PARAMS))) == 1
    with pytest.raises(ValueError, match=r"^loss_scale: 0 scales are in the state given, a AdamState"):
        jo.loss_scale(scaled, jo.adam().init(PARAMS))


def test_gradients_of_float16_parameters_are_divided_in_float32():
    """5e-8 / 4 is 0 in float16; the optimizer sees it, and its step of half precision is not 0."""
    opt: Any = jo.loss_scaling(jo.sgd(learning_rate=1e6), scale=4.0)
    w = jnp.ones(2, jnp.float16)
    updates, _ = opt.update(jnp.full(2, 6e-8, jnp.float16), opt.init(w), w)
    assert updates.dtype == jnp.float16
    np.testing.assert_allclose(updates, -1e6 * float(jnp.float16(6e-8)) / 4, rtol=1e-3)


@pytest.mark.parametrize(
    ("numbers", "line"),
    [
        ({"scale": 0}, "scale = .* must be a finite number above 0"),
        ({"growth_interval": 2.5}, "growth_interval = 2.5 must be a whole number"),
        ({"growth": 0.5}, "growth = .* is out of range"),
        ({"backoff": 1.5}, "backoff = .* is out of range"),
        ({"growth": jo.schedules.constant(2.0)}, "growth = "),
    ],
)
def test_numbers_out_of_range_are_refused_by_name(numbers, line):
    with pytest.raises((TypeError, ValueError), match=f"^loss_scaling: {line}") as caught:
        jo.loss_scaling(jo.adam(), **numbers)
    assert "\n" not in str(caught.value)
