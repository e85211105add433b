"""Every optimizer against its formula in float64, against optax and against torch."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_edu as jo
from tests.registry import (
    HELD,
    OPTIMIZERS,
    Row,
    each_optimizer,
    every_optimizer,
    formula_updates,
    gradient_stream,
    named,
    scan_updates,
    updates_of,
)

STEPS = 300
GRADIENTS = gradient_stream(STEPS)

# Largest difference of an update in float32, in units of the coordinate's largest update. A handful of
# roundings of 6e-8 each; that of ρ = 0.99 itself counts most, 1 − ρ holds 5e-7 of it.
FLOAT32 = 1e-6
# Where 1 − b2 stands alone, and not once above and once below a fraction, the rounding of b2 itself counts:
# 3e-5 of 1 − 0.999.
FLOAT32_FORMULA = {"radam": 1e-5, "yogi": 1e-5, "prodigy": 1e-5}
# Newton–Schulz steeply raises small singular values, and roundings with them.
FLOAT32_FORMULA |= {"muon": 1e-5}
# PSGD-Kron solves with a factor that the gradients themselves have made, and roundings come back in it.
FLOAT32_FORMULA |= {"psgd_kron": 1e-5}
# optax computes 1 − b2ᵗ as written and loses the digits that b2ᵗ ≈ 1 takes up: 6e-8 / (1 − 0.999) / 2.
FLOAT32_OPTAX = dict.fromkeys(("adam", "adamw", "amsgrad", "nadam", "adabelief", "yogi", "ademamix"), 3e-5)
# RAdam's ρ is the difference of two numbers near 2,000, and counts once more.
FLOAT32_OPTAX |= {"radam": 2e-3}
# torch's weights 0.999 and 0.001 are rounded one by one and do not add up to 1.
FLOAT32_TORCH = {"adam": 2e-5, "adamw": 2e-5, "radam": 3e-5, "rmsprop": 2e-6, "ademamix": 2e-5}
# Put back to w after each step, its updates are roundings of w.
FLOAT32_TORCH |= {"adafactor": 1e-5}
FLOAT64 = 1e-12
# torch's Nadam keeps a product of its β₁ in float32, and its RAdam adds ε before the bias correction.
FLOAT64_TORCH = {"nadam": 1e-6, "radam": 3e-5}


def relative_error(updates: np.ndarray, expected: np.ndarray) -> float:
    return float(np.max(np.abs(np.asarray(updates, np.float64) - expected) / np.abs(expected).max(axis=0)))


def optax_updates(row: Row, gradients: np.ndarray) -> np.ndarray:
    # optax's own arithmetic mixes dtypes here and there, and the optimizer is a constant: it is no pytree.
    if row.optax is None:
        pytest.skip("optax has no such formula")
    transform = row.optax(**row.hyperparameters)
    with jax.numpy_dtype_promotion("standard"):
        return np.asarray(jax.jit(lambda stream: updates_of(transform, stream))(gradients))


def torch_updates(row: Row, gradients: np.ndarray) -> np.ndarray:
    if row.torch is None:
        pytest.skip("torch has no such formula")
    torch = pytest.importorskip("torch")
    start = HELD if row.reads_params else 0.0  # from 0 the parameter after the step is the update, unrounded
    w = torch.nn.Parameter(torch.zeros(gradients.shape[1:], dtype=getattr(torch, gradients.dtype.name)))
    optimizer = row.torch([w], **row.hyperparameters)
    updates = []
    for g in gradients:
        w.grad = torch.from_numpy(g)
        w.data.fill_(start)
        optimizer.step()
        updates.append(w.detach().numpy() - start)
    return np.stack(updates)


@every_optimizer
def test_the_formula_in_float64(row, x64):
    updates = np.asarray(scan_updates(row.build(), GRADIENTS.astype(np.float64)))
    np.testing.assert_allclose(updates, formula_updates(row, GRADIENTS), rtol=FLOAT64, atol=0)


@each_optimizer
def test_the_formula_in_float32(row):
    updates = scan_updates(row.build(), GRADIENTS)
    assert updates.dtype == jnp.float32
    tolerance = FLOAT32_FORMULA.get(row.name, FLOAT32)
    assert relative_error(updates, formula_updates(row, GRADIENTS)) < tolerance


@every_optimizer
def test_optax_in_float64(row, x64):
    gradients = GRADIENTS.astype(np.float64)
    updates = np.asarray(scan_updates(row.build(), gradients))
    assert relative_error(updates, optax_updates(row, gradients)) < FLOAT64


@each_optimizer
def test_optax_in_float32(row):
    updates = scan_updates(row.build(), GRADIENTS)
    assert relative_error(updates, optax_updates(row, GRADIENTS)) < FLOAT32_OPTAX.get(row.name, FLOAT32)


@every_optimizer
def test_torch_in_float64(row, x64):
    gradients = GRADIENTS.astype(np.float64)
    updates = np.asarray(scan_updates(row.build(), gradients))
    assert relative_error(updates, torch_updates(row, gradients)) < FLOAT64_TORCH.get(row.name, FLOAT64)


@each_optimizer
def test_torch_in_float32(row):
    updates = scan_updates(row.build(), GRADIENTS)
    assert relative_error(updates, torch_updates(row, GRADIENTS)) < FLOAT32_TORCH.get(row.name, FLOAT32)


@each_optimizer
def test_the_path_over_the_articles_surface(row, x64):
    """The gradient comes from where the optimizer has walked to: f(x, y) = x²/20 + y² from (−7, 2)."""
    opt, params = row.build(), jnp.array([-7.0, 2.0])
    curvature = np.array([0.1, 2.0])

    @jax.jit
    def walk(opt, params):
        def step(carry, _):
            params, state = carry
            updates, state = opt.update(params * curvature, state, params)
            params = optax.apply_updates(params, updates)
            return (params, state), params

        return jax.lax.scan(step, (params, opt.init(params)), None, length=100)[1]

    w, memory = np.asarray(params), row.first_memory((2,))
    path = []
    for t in range(1, 101):
        update, *memory = row.step(t, w * curvature, w, memory, **row.hyperparameters)
        w = w + update
        path.append(w)
    np.testing.assert_allclose(walk(opt, params), path, rtol=FLOAT64, atol=1e-14)


@every_optimizer
def test_the_state_is_what_the_formula_remembers(row, x64):
    opt, params = row.build(), jnp.full(GRADIENTS.shape[1], HELD)
    state, memory = opt.init(params), row.first_memory(params.shape)
    assert type(state) is row.state_type
    assert state._fields == ("count", *row.memory, *row.further)
    for t, g in enumerate(GRADIENTS[:5].astype(np.float64), start=1):
        _, state = opt.update(g, state, params)
        _, *memory = row.step(t, g, np.asarray(params), memory, **row.hyperparameters)
        assert state.count == t
        # What is hidden besides are numbers of the whole tree, or states that are the rule's own.
        names = (*row.memory, *row.further) if row.whole else row.memory
        for name, expected in zip(names, memory, strict=row.whole or not row.hidden):
            np.testing.assert_allclose(getattr(state, name), expected, rtol=FLOAT64, atol=0, err_msg=name)


def test_the_defaults_are_the_articles():
    defaults = {row.name: jo.hyperparameters(row.factory()) for row in OPTIMIZERS if row.in_story}
    assert defaults == {
        "sgd": {"learning_rate": 0.01},
        "momentum": {"learning_rate": 0.01, "momentum": 0.9},
        "nesterov": {"learning_rate": 0.01, "momentum": 0.9},
        "adagrad": {"learning_rate": 0.01, "eps": 1e-7},
        "adadelta": {"learning_rate": 1.0, "rho": 0.95, "eps": 1e-6},
        "rmsprop": {"learning_rate": 0.01, "decay": 0.99, "eps": 1e-7},
        "adam": {"learning_rate": 0.001, "b1": 0.9, "b2": 0.999, "eps": 1e-8},
    }


@pytest.mark.parametrize("eps", [0.0, 1e-3, 10.0])
@pytest.mark.parametrize("name", ["adagrad", "rmsprop", "adam"])
def test_eps_is_added_to_the_root(name, eps, x64):
    """A large ε tells the two places apart; torch has it outside the root too."""
    row = named(name)
    row = row._replace(hyperparameters=row.hyperparameters | {"eps": eps})
    gradients = GRADIENTS[:20, [0, 3, 4]].astype(np.float64)
    updates = np.asarray(scan_updates(row.build(), gradients))
    assert relative_error(updates, formula_updates(row, gradients)) < FLOAT64
    assert relative_error(updates, torch_updates(row, gradients)) < FLOAT64


@pytest.mark.parametrize("name", ["momentum", "nesterov"])
def test_the_learning_rate_is_inside_the_velocity(name, x64):
    """A learning rate that falls to 0 leaves the ball rolling here and stops it in optax."""
    row = named(name)
    gradients = np.ones((4, 1))
    row = row._replace(hyperparameters=row.hyperparameters | {"learning_rate": falling})
    velocity, expected = np.zeros(1), []
    for step, g in enumerate(gradients):
        rate = 0.1 if step < 2 else 0.0
        update, velocity = row.formula(step + 1, g, velocity, learning_rate=rate, momentum=0.9)
        expected.append(update)
    updates = np.asarray(scan_updates(row.build(), gradients))
    np.testing.assert_allclose(updates, expected, rtol=FLOAT64)
    assert np.all(updates[2:] != 0)
    assert np.all(optax_updates(row, gradients)[2:] == 0)


def falling(step: jax.Array) -> jax.Array:
    return jnp.where(step < 2, 0.1, 0.0)


@pytest.mark.parametrize("learning_rate", [0.01, 0.001])
def test_adam_stays_close_to_exact_arithmetic_for_ten_thousand_steps(learning_rate):
    """Error of the update in units of η, which optax misses by 1e-5 and torch by 7.5e-6."""
    row = named("adam")
    gradients = np.random.default_rng(0).normal(size=(10_000, 64)).astype(np.float32)
    updates = scan_updates(row.build(learning_rate=learning_rate), gradients)
    given = {**row.hyperparameters, "learning_rate": learning_rate}
    rounded = {name: float(np.float32(value)) for name, value in given.items()}
    expected = formula_updates(row, gradients, **rounded)
    error = np.abs(np.asarray(updates, np.float64) - expected) / learning_rate
    assert error.max() < 1.5e-6
    assert error[:100].max() < 3e-7
