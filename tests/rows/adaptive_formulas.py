"""Adaptive step lengths: the formulas in NumPy."""

import numpy as np

from tests.rows.row import Array


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
