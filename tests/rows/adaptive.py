"""Adaptive step lengths."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
import pytest

import jaxopt_edu as jo
from jaxopt_edu import optimizers
from tests.rows.row import Array, Row


def adagrad_formula(t: int, g: Array, h: Array, *, learning_rate: float, eps: float) -> tuple[Array, ...]:
    h = h + g**2
    return -learning_rate * g / (np.sqrt(h) + eps), h


def adadelta_formula(
    t: int, g: Array, h: Array, u: Array, *, learning_rate: float, rho: float, eps: float
) -> tuple[Array, ...]:
    h = rho * h + (1 - rho) * g**2
    delta = np.sqrt(u + eps) / np.sqrt(h + eps) * g
    return -learning_rate * delta, h, rho * u + (1 - rho) * delta**2


def rmsprop_formula(
    t: int, g: Array, h: Array, *, learning_rate: float, decay: float, eps: float
) -> tuple[Array, ...]:
    h = decay * h + (1 - decay) * g**2
    return -learning_rate * g / (np.sqrt(h) + eps), h


def adam_formula(
    t: int, g: Array, m: Array, v: Array, *, learning_rate: float, b1: float, b2: float, eps: float
) -> tuple[Array, ...]:
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * g**2
    return -learning_rate * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps), m, v


def larger(x: Array, y: Array) -> Array:
    """The larger of two, told by the real parts: complex steps take derivatives of these formulas."""
    return np.where(np.real(x) >= np.real(y), x, y)


def adamw_formula(
    t: int, g: Array, w: Array, m: Array, v: Array, *, weight_decay: float, **adam: float
) -> tuple[Array, ...]:
    update, m, v = adam_formula(t, g, m, v, **adam)
    return update - adam["learning_rate"] * weight_decay * w, m, v


def amsgrad_formula(
    t: int,
    g: Array,
    m: Array,
    v: Array,
    v_max: Array,
    *,
    learning_rate: float,
    b1: float,
    b2: float,
    eps: float,
) -> tuple[Array, ...]:
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * g**2
    v_max = larger(v_max, v / (1 - b2**t))
    return -learning_rate * (m / (1 - b1**t)) / (np.sqrt(v_max) + eps), m, v, v_max


def adamax_formula(
    t: int, g: Array, m: Array, u: Array, *, learning_rate: float, b1: float, b2: float, eps: float
) -> tuple[Array, ...]:
    m = b1 * m + (1 - b1) * g
    u = larger(b2 * u, g * np.sign(np.real(g)) + eps)
    return -learning_rate / (1 - b1**t) * m / u, m, u


def nadam_formula(
    t: int, g: Array, m: Array, v: Array, *, learning_rate: float, b1: float, b2: float, eps: float
) -> tuple[Array, ...]:
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * g**2
    m_bar = b1 * m / (1 - b1 ** (t + 1)) + (1 - b1) * g / (1 - b1**t)
    return -learning_rate * m_bar / (np.sqrt(v / (1 - b2**t)) + eps), m, v


def radam_formula(
    t: int, g: Array, m: Array, v: Array, *, learning_rate: float, b1: float, b2: float, eps: float
) -> tuple[Array, ...]:
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * g**2
    m_hat, v_hat = m / (1 - b1**t), v / (1 - b2**t)
    rho_inf = 2 / (1 - b2) - 1
    # Twice the weights' mean age, less 1: the paper's definition, in which nothing cancels.
    ages, weights = np.arange(1, t + 1), b2 ** np.arange(t)
    rho = 2 * (ages * weights).sum() / weights.sum() - 1
    if np.real(rho) <= 5:
        return -learning_rate * m_hat, m, v
    r = np.sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho))
    return -learning_rate * r * m_hat / (np.sqrt(v_hat) + eps), m, v


def adabelief_formula(
    t: int, g: Array, m: Array, s: Array, *, learning_rate: float, b1: float, b2: float, eps: float
) -> tuple[Array, ...]:
    m = b1 * m + (1 - b1) * g
    # The paper adds ε to s at every step; optax's and the authors' code, which do, see to it that the sum of
    # its traces is right here.
    s = b2 * s + (1 - b2) * (g - m) ** 2
    s_hat = s / (1 - b2**t) + eps / (1 - b2)
    return -learning_rate * (m / (1 - b1**t)) / (np.sqrt(s_hat) + eps), m, s


def yogi_formula(
    t: int,
    g: Array,
    m: Array,
    v: Array,
    *,
    learning_rate: float,
    b1: float,
    b2: float,
    eps: float,
    side: Array | None = None,
) -> tuple[Array, ...]:
    """With a side, on that side of g² is v, and not where it is by these numbers."""
    m = b1 * m + (1 - b1) * g
    v = v - (1 - b2) * (np.sign(np.real(v - g**2)) if side is None else side) * g**2
    return -learning_rate * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps), m, v


def adan_formula(
    t: int,
    g: Array,
    w: Array,
    m: Array,
    v: Array,
    n: Array,
    last: Array,
    *,
    learning_rate: float,
    b1: float,
    b2: float,
    b3: float,
    eps: float,
    weight_decay: float,
) -> tuple[Array, ...]:
    d = g - last if t > 1 else 0 * g
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * d
    n = b3 * n + (1 - b3) * (g + b2 * d) ** 2
    step = (m / (1 - b1**t) + b2 * v / (1 - b2**t)) / (np.sqrt(n / (1 - b3**t)) + eps)
    # (w − η step) / (1 + ηλ) − w, without the difference of two numbers near w.
    return -learning_rate * (step + weight_decay * w) / (1 + learning_rate * weight_decay), m, v, n, g


def adopt_formula(
    t: int, g: Array, m: Array, v: Array, *, learning_rate: float, b1: float, b2: float, eps: float
) -> tuple[Array, ...]:
    if t == 1:
        return 0 * g, m, g**2
    u = g / larger(np.sqrt(v), np.asarray(eps))
    c = (t - 1) ** 0.25
    m = b1 * m + (1 - b1) * np.where(np.abs(np.real(u)) > c, c * np.sign(np.real(u)), u)
    return -learning_rate * m, m, b2 * v + (1 - b2) * g**2


def ademamix_formula(
    t: int,
    g: Array,
    w: Array,
    m1: Array,
    m2: Array,
    v: Array,
    *,
    learning_rate: float,
    b1: float,
    b2: float,
    b3: float,
    alpha: float,
    eps: float,
    weight_decay: float,
) -> tuple[Array, ...]:
    m1 = b1 * m1 + (1 - b1) * g
    m2 = b3 * m2 + (1 - b3) * g
    v = b2 * v + (1 - b2) * g**2
    step = (m1 / (1 - b1**t) + alpha * m2) / (np.sqrt(v / (1 - b2**t)) + eps)
    return -learning_rate * (step + weight_decay * w), m1, m2, v


def rprop_formula(
    t: int,
    g: Array,
    delta: Array,
    last: Array,
    *,
    learning_rate: float,
    eta_minus: float,
    eta_plus: float,
    min_step_size: float,
    max_step_size: float,
) -> tuple[Array, ...]:
    if t == 1:
        delta = 0 * g + learning_rate
    s = np.sign(np.real(last)) * np.sign(np.real(g))
    longer = -larger(-eta_plus * delta, np.asarray(-max_step_size))
    shorter = larger(eta_minus * delta, np.asarray(min_step_size))
    delta = np.where(s > 0, longer, np.where(s < 0, shorter, delta))
    g = np.where(s < 0, 0, g)
    return -delta * np.sign(np.real(g)), delta, g


def torch_adagrad(params: list, *, learning_rate: float, eps: float) -> Any:
    return pytest.importorskip("torch").optim.Adagrad(params, lr=learning_rate, eps=eps)


def torch_adadelta(params: list, *, learning_rate: float, rho: float, eps: float) -> Any:
    return pytest.importorskip("torch").optim.Adadelta(params, lr=learning_rate, rho=rho, eps=eps)


def torch_rmsprop(params: list, *, learning_rate: float, decay: float, eps: float) -> Any:
    return pytest.importorskip("torch").optim.RMSprop(params, lr=learning_rate, alpha=decay, eps=eps)


def torch_of_betas(name: str, **more: float) -> Any:
    """torch's optimizer of a name, for those that take two β as a pair."""

    def make(params: list, *, learning_rate: float, b1: float, b2: float, **values: float) -> Any:
        factory = getattr(pytest.importorskip("torch").optim, name)
        return factory(params, lr=learning_rate, betas=(b1, b2), **values, **more)

    return make


def pytorch_adan(
    params: list, *, b1: float, b2: float, b3: float, learning_rate: float, **values: float
) -> Any:
    theirs = pytest.importorskip("pytorch_optimizer").Adan
    return theirs(params, lr=learning_rate, betas=(b1, b2, b3), **values)


def pytorch_adopt(params: list, *, b1: float, b2: float, learning_rate: float, eps: float) -> Any:
    """It clips at t^¼; told to count from 0, as the paper does, it is the paper's."""
    theirs = pytest.importorskip("pytorch_optimizer").ADOPT
    return theirs(params, learning_rate, (b1, b2), lambda step: (step - 1) ** 0.25, eps=eps)


def pytorch_ademamix(
    params: list, *, b1: float, b2: float, b3: float, learning_rate: float, **values: float
) -> Any:
    theirs = pytest.importorskip("pytorch_optimizer").AdEMAMix
    return theirs(params, lr=learning_rate, betas=(b1, b2, b3), weight_decouple=True, **values)


def torch_rprop(
    params: list,
    *,
    learning_rate: float,
    eta_minus: float,
    eta_plus: float,
    min_step_size: float,
    max_step_size: float,
) -> Any:
    theirs = pytest.importorskip("torch").optim.Rprop
    etas, step_sizes = (eta_minus, eta_plus), (min_step_size, max_step_size)
    return theirs(params, lr=learning_rate, etas=etas, step_sizes=step_sizes)


def optax_adagrad(learning_rate: float, eps: float) -> optax.GradientTransformation:
    """optax puts ε inside the root; both are the same method only where ε does not count."""
    del eps
    return optax.adagrad(learning_rate, initial_accumulator_value=0.0, eps=0.0)


def optax_yogi(**values: float) -> optax.GradientTransformation:
    """optax starts m at 1e-6 as well."""
    theirs = optax.yogi(**values)

    def init(params: Any) -> Any:
        state = theirs.init(params)
        return optax.tree.set(state, mu=jax.tree.map(jnp.zeros_like, optax.tree.get(state, "mu")))

    return optax.GradientTransformation(init, theirs.update)


# Close to the usual 0.9999, and a number that float32 holds: there is no correction by which the rounding of
# such a fraction, 3e-4 of what it lacks to 1, would be divided away.
LONG = 1 - 2.0**-13

ROWS = (
    Row(
        name="adagrad",
        factory=jo.adagrad,
        state_type=optimizers.AdaGradState,
        memory=("h",),
        real=("h",),
        # ε this small does not count beside any √h of the tests, so optax's place for it does not either.
        hyperparameters={"learning_rate": 0.5, "eps": 1e-20},
        formula=adagrad_formula,
        optax=optax_adagrad,
        torch=torch_adagrad,
    ),
    Row(
        name="adadelta",
        factory=jo.adadelta,
        state_type=optimizers.AdadeltaState,
        memory=("h", "u"),
        real=("h", "u"),
        hyperparameters={"learning_rate": 1.0, "rho": 0.95, "eps": 1e-6},
        formula=adadelta_formula,
        optax=optax.adadelta,
        torch=torch_adadelta,
    ),
    Row(
        name="rmsprop",
        factory=jo.rmsprop,
        state_type=optimizers.RmsPropState,
        memory=("h",),
        real=("h",),
        hyperparameters={"learning_rate": 0.01, "decay": 0.99, "eps": 1e-7},
        formula=rmsprop_formula,
        optax=lambda **values: optax.rmsprop(**values, eps_in_sqrt=False),
        torch=torch_rmsprop,
    ),
    Row(
        name="adam",
        factory=jo.adam,
        state_type=optimizers.AdamState,
        memory=("m", "v"),
        real=("v",),
        hyperparameters={"learning_rate": 0.01, "b1": 0.9, "b2": 0.999, "eps": 1e-8},
        formula=adam_formula,
        optax=optax.adam,
        torch=torch_of_betas("Adam"),
    ),
    Row(
        name="adamw",
        factory=jo.adamw,
        state_type=optimizers.AdamWState,
        memory=("m", "v"),
        real=("v",),
        hyperparameters={"learning_rate": 0.01, "b1": 0.9, "b2": 0.999, "eps": 1e-8, "weight_decay": 0.1},
        formula=adamw_formula,
        optax=optax.adamw,
        torch=torch_of_betas("AdamW"),
        reads_params=True,
    ),
    Row(
        name="amsgrad",
        factory=jo.amsgrad,
        state_type=optimizers.AmsGradState,
        memory=("m", "v", "v_max"),
        real=("v", "v_max"),
        hyperparameters={"learning_rate": 0.01, "b1": 0.9, "b2": 0.999, "eps": 1e-8},
        formula=amsgrad_formula,
        optax=optax.amsgrad,
        torch=None,
        refused={
            "test_its_steps_are_those_of_float32_in_the_mean": "the largest of v is the largest as rounded"
        },
    ),
    Row(
        name="adamax",
        factory=jo.adamax,
        state_type=optimizers.AdamaxState,
        memory=("m", "u"),
        real=("u",),
        hyperparameters={"learning_rate": 0.01, "b1": 0.9, "b2": 0.999, "eps": 1e-8},
        formula=adamax_formula,
        optax=optax.adamax,
        torch=torch_of_betas("Adamax"),
    ),
    Row(
        name="nadam",
        factory=jo.nadam,
        state_type=optimizers.NadamState,
        memory=("m", "v"),
        real=("v",),
        hyperparameters={"learning_rate": 0.01, "b1": 0.9, "b2": 0.999, "eps": 1e-8},
        formula=nadam_formula,
        optax=optax.nadam,
        torch=torch_of_betas("NAdam", momentum_decay=1e9),
    ),
    Row(
        name="radam",
        factory=jo.radam,
        state_type=optimizers.RAdamState,
        memory=("m", "v"),
        real=("v",),
        hyperparameters={"learning_rate": 0.01, "b1": 0.9, "b2": 0.999, "eps": 1e-8},
        formula=radam_formula,
        optax=optax.radam,
        torch=torch_of_betas("RAdam"),
    ),
    Row(
        name="adabelief",
        factory=jo.adabelief,
        state_type=optimizers.AdaBeliefState,
        memory=("m", "s"),
        real=("s",),
        hyperparameters={"learning_rate": 0.01, "b1": 0.9, "b2": 0.999, "eps": 1e-16},
        formula=adabelief_formula,
        optax=lambda **values: optax.adabelief(**values, eps_root=values["eps"]),
        torch=None,
    ),
    Row(
        name="yogi",
        factory=jo.yogi,
        state_type=optimizers.YogiState,
        memory=("m", "v"),
        real=("v",),
        hyperparameters={"learning_rate": 0.01, "b1": 0.9, "b2": 0.999, "eps": 1e-3},
        formula=yogi_formula,
        optax=optax_yogi,
        torch=None,
        start={"v": 1e-6},
    ),
    Row(
        name="adan",
        factory=jo.adan,
        state_type=optimizers.AdanState,
        memory=("m", "v", "n", "last"),
        hyperparameters={
            "learning_rate": 0.01,
            "b1": 0.98,
            "b2": 0.92,
            "b3": 0.99,
            "eps": 1e-8,
            "weight_decay": 0.1,
        },
        formula=adan_formula,
        optax=None,
        torch=pytorch_adan,
        reads_params=True,
        real=("n",),
    ),
    Row(
        name="adopt",
        factory=jo.adopt,
        state_type=optimizers.AdoptState,
        memory=("m", "v"),
        hyperparameters={"learning_rate": 0.01, "b1": 0.9, "b2": LONG, "eps": 1e-6},
        formula=adopt_formula,
        optax=optax.contrib.adopt,
        torch=pytorch_adopt,
        flat=("eps",),
        waits=1,
        refused={
            "test_by_default_it_stays_in_the_state_and_in_its_coordinate": "an ∞ is clipped, and m fades",
            "test_hyperparameters_that_bfloat16_rounds_to_one_do_no_harm": "m is not corrected and stays 0",
        },
        real=("v",),
    ),
    Row(
        name="ademamix",
        factory=jo.ademamix,
        state_type=optimizers.AdemamixState,
        memory=("m1", "m2", "v"),
        hyperparameters={
            "learning_rate": 0.01,
            "b1": 0.9,
            "b2": 0.999,
            "b3": LONG,
            "alpha": 5.0,
            "eps": 1e-8,
            "weight_decay": 0.1,
        },
        formula=ademamix_formula,
        optax=optax.contrib.ademamix,
        torch=pytorch_ademamix,
        reads_params=True,
        refused={
            "test_its_steps_are_those_of_float32_in_the_mean": "rounded to the nearest it is off by 0.6 %",
        },
        real=("v",),
    ),
    Row(
        name="rprop",
        factory=jo.rprop,
        state_type=optimizers.RpropState,
        memory=("delta", "last"),
        hyperparameters={
            "learning_rate": 0.01,
            "eta_minus": 0.5,
            "eta_plus": 1.2,
            "min_step_size": 1e-6,
            "max_step_size": 50.0,
        },
        formula=rprop_formula,
        optax=None,
        torch=torch_rprop,
        flat=("eta_minus", "min_step_size", "max_step_size"),
        refused={
            "test_by_default_it_stays_in_the_state_and_in_its_coordinate": "it remembers the last sign alone",
            "test_hyperparameters_that_bfloat16_rounds_to_one_do_no_harm": "no step where a sign changes",
            "test_its_steps_are_those_of_float32_in_the_mean": "products do not stall by rounding",
        },
        real=("delta",),
    ),
)
