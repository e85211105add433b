"""Where implementations of one name differ: by how much, and which one a page follows."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_edu as jo
from tests.registry import HELD, named, scan_updates, updates_of

ONES = np.ones((3, 1))


def optax_updates(transform, gradients):
    with jax.numpy_dtype_promotion("standard"):
        return np.asarray(jax.jit(lambda stream: updates_of(transform, stream))(gradients))


def torch_updates(name, gradients, **values):
    torch = pytest.importorskip("torch")
    w = torch.nn.Parameter(torch.zeros(gradients.shape[1:], dtype=torch.float64))
    optimizer = getattr(torch.optim, name)([w], **values)
    updates = []
    for g in gradients:
        w.grad = torch.from_numpy(g)
        w.data.zero_()
        optimizer.step()
        updates.append(w.detach().numpy().copy())
    return np.stack(updates)


def test_torchs_amsgrad_takes_longer_steps_again(x64):
    """One gradient of 1, and then a thousand of 0: with β₁ = 0.99999 the numerator stays what it is."""
    gradients = np.zeros((1000, 1))
    gradients[0] = 1.0
    b1, b2 = 0.99999, 0.999
    ours = np.abs(scan_updates(jo.amsgrad(1.0, b1=b1, b2=b2), gradients))[:, 0]
    theirs = np.abs(torch_updates("Adam", gradients, lr=1.0, betas=(b1, b2), amsgrad=True))[:, 0]
    # m / (1 − β₁ᵗ) is 1/t of the one gradient.
    weights = 1 / np.arange(1, 1001)
    np.testing.assert_allclose(ours / weights, 1.0, rtol=0.02)
    np.testing.assert_allclose(theirs[0], ours[0], rtol=1e-6)
    assert theirs[-1] / weights[-1] == pytest.approx(25, rel=0.03)


def test_optaxs_yogi_starts_with_a_gradient_that_nobody_saw(x64):
    gradients = np.full((3, 1), 1e-3)
    ours = np.asarray(scan_updates(jo.yogi(1.0), gradients))
    theirs = optax_updates(optax.yogi(1.0), gradients)
    difference = np.abs(theirs - ours)[:, 0]
    assert 1e-4 < difference[0] < 1e-2
    assert difference[2] < difference[0]


def test_torchs_nadam_has_a_schedule_of_its_own(x64):
    ours = np.asarray(scan_updates(jo.nadam(1.0), ONES))
    theirs = torch_updates("NAdam", ONES, lr=1.0)
    assert np.abs(theirs - ours)[0, 0] == pytest.approx(0.42, abs=0.01)


def test_radam_walks_as_momentum_until_the_sixth_step(x64):
    gradients = np.full((8, 1), 100.0)
    updates = np.asarray(scan_updates(named("radam").build(learning_rate=1.0), gradients))[:, 0]
    np.testing.assert_allclose(updates[:5], -100.0, rtol=1e-9)
    assert np.all(np.abs(updates[5:]) < 0.05)


def test_rho_keeps_its_digits_in_float32():
    """As written, 2/(1 − β₂) − 1 less 2tβ₂ᵗ/(1 − β₂ᵗ) loses three of seven digits while t is small."""
    from jaxopt_edu.optimizers.adaptive.radam import worth_of_average

    for b in (0.9, 0.99, 0.999, 0.9999):
        b = np.float32(b)
        for t in (1, 2, 6, 50, 500, 1999, 2001, 5_000, 100_000):
            weights = np.float64(b) ** np.arange(t)
            exact = 2 * (np.arange(1, t + 1) * weights).sum() / weights.sum() - 1
            found = worth_of_average(jnp.float32(b), jnp.float32(t))
            assert float(found) == pytest.approx(exact, rel=2e-6), (b, t)
    assert float(worth_of_average(jnp.float32(0), jnp.float32(3))) == 1.0
    slope = jax.grad(worth_of_average)(jnp.float32(0.0), jnp.float32(3))
    assert np.isfinite(slope)


def test_a_weight_decay_of_adamw_is_not_divided():
    """Of L2 in Adam a parameter with large gradients sees nothing; AdamW takes its share of every one."""
    w, g = jnp.array([1.0, 1.0]), jnp.array([1e-3, 1e3])
    decay = 0.5
    opt = jo.adamw(0.1, weight_decay=decay)
    plain = jo.adam(0.1)
    decayed = opt.update(g, opt.init(w), w)[0] - plain.update(g, plain.init(w), w)[0]  # type: ignore[operator]
    np.testing.assert_allclose(decayed, [-0.05, -0.05], rtol=1e-5)


def pytorch_optimizer_updates(name, gradients, start=0.0, **values):
    """Updates of a parameter that is put back to `start` after each of them."""
    torch = pytest.importorskip("torch")
    w = torch.nn.Parameter(torch.full(gradients.shape[1:], start, dtype=torch.float64))
    optimizer = getattr(pytest.importorskip("pytorch_optimizer"), name)([w], **values)
    updates = []
    for g in gradients:
        w.grad = torch.from_numpy(g.copy())
        optimizer.step()
        updates.append(w.detach().numpy() - start)
        w.data.fill_(start)
    return np.stack(updates)


def normal_gradients(*shape):
    return np.random.default_rng(0).normal(size=shape)


def test_optaxs_adan_has_one_minus_b2_where_the_paper_has_b2(x64):
    """With its own 1 − β₂ = 0.08 in both places it is NumPy's formula, too; that is not the paper's."""
    gradients = normal_gradients(40, 6)
    ours = np.asarray(scan_updates(jo.adan(1.0, weight_decay=0.0), gradients))
    theirs = optax_updates(optax.adan(1.0, eps_root=0.0), gradients)
    difference = np.abs(theirs - ours).max(axis=1)
    assert difference[0] < 1e-12
    assert difference[1] == pytest.approx(0.58, abs=0.01)


def test_pytorch_optimizers_adopt_clips_a_step_late(x64):
    gradients = normal_gradients(40, 6)
    gradients[0] *= 0.1  # so that the first quotients are large
    ours = np.asarray(scan_updates(jo.adopt(1.0), gradients))
    theirs = pytorch_optimizer_updates("ADOPT", gradients, lr=1.0)
    difference = np.abs(theirs - ours).max(axis=1)
    assert difference[0] == 0
    assert difference[1] == pytest.approx(0.019, abs=0.001)
    assert difference.max() == pytest.approx(0.044, abs=0.001)


def test_adopt_converges_where_adam_goes_the_wrong_way(x64):
    """Reddi's problem, f = 10 x every third step and else −x on [−1, 1], with a short memory of squares."""

    def end(opt):
        def step(carry, t):
            x, state = carry
            g = jnp.where(t % 3 == 0, 10.0, -1.0)
            updates, state = opt.update(g, state, x)
            return (jnp.clip(x + updates, -1.0, 1.0), state), None

        start = jnp.zeros(())
        return float(jax.lax.scan(step, (start, opt.init(start)), jnp.arange(3000))[0][0])

    decaying = jo.schedules.exponential(initial=0.05, rate=0.5, steps=700)
    b2 = 1 / 101
    assert end(jo.adam(decaying, b1=0.0, b2=b2)) == 1.0
    assert end(jo.adopt(decaying, b1=0.0, b2=b2)) < -0.9


def test_lars_is_optaxs_without_decay_and_pytorch_optimizers_with_it(x64):
    gradients = normal_gradients(50, 4, 3)
    decay = 0.5
    values = {"momentum": 0.9, "weight_decay": 0.0}
    plain = np.asarray(scan_updates(jo.lars(1.0, **values), gradients))
    np.testing.assert_allclose(plain, optax_updates(optax.lars(1.0, 0.0), gradients), rtol=1e-11)
    values["weight_decay"] = decay
    ours = np.asarray(scan_updates(jo.lars(1.0, **values), gradients))
    theirs = pytorch_optimizer_updates("LARS", gradients, HELD, lr=1.0, **values)
    np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-15)


def test_optaxs_lars_takes_the_length_of_a_sum(x64):
    """The paper adds the lengths of g and λw: where they point against each other optax goes farther."""
    decay, gradients = 0.5, np.full((1, 4), -2 * 0.5 * HELD)
    ours = np.asarray(scan_updates(jo.lars(1.0, weight_decay=decay), gradients))
    np.testing.assert_allclose(optax_updates(optax.lars(1.0, decay), gradients), 3 * ours, rtol=1e-12)


def test_pytorch_optimizers_lamb_is_longer_than_its_layer(x64):
    """It divides by 1 − β₁ᵗ what has its length already: the first step is ten times η‖w‖, less its decay."""
    gradients = np.ones((1, 4))
    ours = np.asarray(scan_updates(jo.lamb(1.0, weight_decay=0.1), gradients))
    theirs = pytorch_optimizer_updates("Lamb", gradients, HELD, lr=1.0, weight_decay=0.1, max_grad_norm=0.0)
    np.testing.assert_allclose(np.linalg.norm(ours), np.linalg.norm(np.full(4, HELD)), rtol=1e-12)
    np.testing.assert_allclose(theirs, 9.1 * ours, rtol=1e-4)


def test_optaxs_rprop_is_a_step_late(x64):
    """Its first call returns 0, and its second the first step, which torch and this library make at once."""
    ours = np.asarray(scan_updates(jo.rprop(0.1), ONES))[:, 0]
    np.testing.assert_allclose(ours, [-0.1, -0.12, -0.144], rtol=1e-12)
    np.testing.assert_allclose(torch_updates("Rprop", ONES, lr=0.1)[:, 0], ours, rtol=1e-12)
    theirs = optax_updates(optax.rprop(0.1), ONES)[:, 0]
    assert theirs[0] == 0
    np.testing.assert_allclose(theirs[1:], ours[:-1], rtol=1e-12)
