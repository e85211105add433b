"""Where implementations of one name differ: by how much, and which one a page follows."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_edu as jo
from tests.registry import named, scan_updates, updates_of

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
