"""The rules for matrices in NumPy, written from the papers: for one matrix, and a step at a time."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxopt_edu as jo
from jaxopt_edu.optimizers.matrices.psgd_kron import normal_like

Array = np.ndarray


def muon(
    shape: tuple[int, int],
    *,
    learning_rate: float,
    momentum: float,
    weight_decay: float,
    eps: float = 1e-7,
    scale: float = 1.0,
    steps: int = 5,
) -> Callable[[Array, Array], Array]:
    """Muon with Jordan's coefficients: a function of (gradient, parameters) that remembers m."""
    m = np.zeros(shape)

    def step(g: Array, w: Array) -> Array:
        nonlocal m
        m = momentum * m + (1 - momentum) * g
        u = momentum * m + (1 - momentum) * g
        x = u / (np.linalg.norm(u) + eps)
        for _ in range(steps):
            a = x @ x.T
            x = 3.4445 * x - 4.7750 * a @ x + 2.0315 * a @ a @ x
        return -learning_rate * (scale * x + weight_decay * w)

    return step


def soap(
    shape: tuple[int, int],
    *,
    learning_rate: float,
    b1: float,
    b2: float,
    eps: float,
    weight_decay: float,
    frequency: int,
) -> Callable[[Array, Array], Array]:
    """SOAP: a function of (gradient, parameters) that remembers all else; its first step only looks."""
    rows, columns = shape
    m, v, left, right = np.zeros(shape), np.zeros(shape), np.zeros((rows, rows)), np.zeros((columns, columns))
    bases: list[Array] = []
    t = 0

    def eigenvectors(product: Array) -> Array:
        return np.linalg.eigh(product)[1][:, ::-1]

    def look(g: Array) -> None:
        nonlocal left, right
        left = b2 * left + (1 - b2) * g @ g.T
        right = b2 * right + (1 - b2) * g.T @ g

    def step(g: Array, w: Array) -> Array:
        nonlocal m, v, t, bases
        if not bases:
            look(g)
            bases = [eigenvectors(left), eigenvectors(right)]
            return np.zeros(shape)
        t += 1
        p, q = bases
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * (p.T @ g @ q) ** 2
        adam = (p.T @ m @ q) / (np.sqrt(v) + eps)
        u = np.sqrt(1 - b2**t) / (1 - b1**t) * (p @ adam @ q.T)
        look(g)
        if t % frequency == 0:
            rows_in_order = np.argsort(-np.diag(p.T @ left @ p), kind="stable")
            columns_in_order = np.argsort(-np.diag(q.T @ right @ q), kind="stable")
            bases = [
                np.linalg.qr(left @ p[:, rows_in_order])[0],
                np.linalg.qr(right @ q[:, columns_in_order])[0],
            ]
            v = v[rows_in_order][:, columns_in_order]
        return -learning_rate * (u + weight_decay * w)

    return step


def shampoo(
    shape: tuple[int, int],
    *,
    learning_rate: float,
    momentum: float,
    forgetting: float,
    eps: float,
    weight_decay: float,
    frequency: int,
) -> Callable[[Array, Array], Array]:
    """Shampoo: a function of (gradient, parameters) that remembers all else."""
    m, left, right = np.zeros(shape), np.zeros((shape[0],) * 2), np.zeros((shape[1],) * 2)
    roots: list[Array] = []
    t = 0

    def inverse_quarter_root(product: Array) -> Array:
        values, vectors = np.linalg.eigh(product + eps * np.eye(len(product)))
        return vectors @ np.diag(values**-0.25) @ vectors.T

    def step(g: Array, w: Array) -> Array:
        nonlocal m, left, right, t, roots
        m = momentum * m + (1 - momentum) * g
        left = (1 - forgetting) * left + g @ g.T
        right = (1 - forgetting) * right + g.T @ g
        if t % frequency == 0:
            roots = [inverse_quarter_root(left), inverse_quarter_root(right)]
        t += 1
        return -learning_rate * (roots[0] @ (m / (1 - momentum**t)) @ roots[1] + weight_decay * w)

    return step


def psgd_kron(
    shape: tuple[int, int],
    *,
    learning_rate: float,
    momentum: float,
    preconditioner_rate: float,
    probability: float,
    weight_decay: float,
) -> Callable[[Array, Array], Array]:
    """PSGD-Kron with the page's own noise: a function of (gradient, parameters) that remembers all else."""
    m, q, r = np.zeros(shape), np.eye(shape[0]), np.eye(shape[1])
    t = since = 0

    def bound(s: Array) -> float:
        column = s[:, np.argmax((s**2).sum(axis=0))]
        return float(np.linalg.norm(s @ column) / np.linalg.norm(column))

    def step(g: Array, w: Array) -> Array:
        nonlocal m, q, r, t, since
        noise: Any = normal_like(jax.random.fold_in(jax.random.key(0), t), jnp.asarray(g))
        t, since = t + 1, since + 1
        m = momentum * m + (1 - momentum) * g
        m_hat = m / (1 - momentum**t)
        if since * probability >= 1:
            since, v = 0, np.asarray(noise)
            damped = m_hat + 2.0**-11 * np.abs(m_hat).mean() * v
            a, b = q @ damped @ r.T, np.linalg.inv(q).T @ v @ np.linalg.inv(r)
            rows, columns = (a @ a.T, b @ b.T), (a.T @ a, b.T @ b)
            q = q - preconditioner_rate * np.triu(rows[0] - rows[1]) @ q / bound(rows[0] + rows[1])
            r = r - preconditioner_rate * np.triu(columns[0] - columns[1]) @ r / bound(
                columns[0] + columns[1]
            )
            balance = np.sqrt(np.abs(q).max() / np.abs(r).max())
            q, r = q / balance, r * balance
        u = q.T @ q @ m_hat @ r.T @ r
        u = u / max(1, np.sqrt(np.mean(u**2)) / 1.1)
        return -learning_rate * (u + weight_decay * w)

    return step


class Page(NamedTuple):
    """One page, settings of it, and its formula for a matrix of some shape."""

    name: str
    factory: Callable[..., jo.Optimizer]
    settings: dict[str, Any]
    formula: Callable[[tuple[int, int]], Callable[[Array, Array], Array]]
    # Shapes in which float64 follows the formula to the last digits.
    shapes: tuple[tuple[int, int], ...]
    float32: float  # largest distance from the formula after a hundred steps in float32, in learning rates
    alike: dict[str, Any] = {}  # with which equal matrices at different places move alike  # noqa: RUF012

    def build(self, **changes: Any) -> jo.Optimizer:
        """The optimizer with these settings, or with some of them changed."""
        return self.factory(**self.settings | changes)


MUON: dict[str, Any] = {"learning_rate": 0.02, "momentum": 0.95, "weight_decay": 0.1}
SOAP: dict[str, Any] = {
    "learning_rate": 0.01,
    "b1": 0.9,
    "b2": 0.95,
    "eps": 1e-8,
    "weight_decay": 0.1,
    "frequency": 3,
}
SHAMPOO: dict[str, Any] = {
    "learning_rate": 0.1,
    "momentum": 0.9,
    "forgetting": 0.05,
    "eps": 1e-3,
    "weight_decay": 0.1,
    "frequency": 3,
}
PSGD_KRON: dict[str, Any] = {
    "learning_rate": 0.01,
    "momentum": 0.9,
    "preconditioner_rate": 0.1,
    "probability": 0.5,
    "weight_decay": 0.1,
}
PAGES = (
    Page(
        "muon",
        jo.muon,
        MUON,
        lambda shape: muon(shape, **MUON, scale=0.2 * max(shape) ** 0.5),
        ((5, 4), (4, 5), (4, 4)),
        float32=1e-3,
    ),
    # Of a matrix that is not square some eigenvalues of the first GGᵀ are all 0, and their eigenvectors any.
    Page("soap", jo.soap, SOAP, lambda shape: soap(shape, **SOAP), ((4, 4),), float32=1e-2),
    Page(
        "shampoo",
        jo.shampoo,
        SHAMPOO,
        lambda shape: shampoo(shape, **SHAMPOO),
        ((5, 4), (4, 5), (4, 4)),
        float32=1e-2,
    ),
    Page(
        "psgd_kron",
        jo.psgd_kron,
        PSGD_KRON,
        lambda shape: psgd_kron(shape, **PSGD_KRON),
        ((5, 4), (4, 5), (4, 4)),
        float32=1e-2,
        alike={"probability": 0.0},  # without noise, which is another one at every place
    ),
)


def stream(steps: int, shape: tuple[int, ...], seed: int = 0) -> Array:
    """Gradients of a few strong and some weak directions; float64, of shape (steps, *shape)."""
    rng = np.random.default_rng(seed)
    strength = 10.0 ** -np.arange(shape[-1])
    return rng.normal(size=(steps, *shape)) * strength


def walk(step: Callable[[Array, Array], Array], gradients: Array, w: Array) -> Iterator[Array]:
    """The parameters after every step."""
    for g in gradients:
        w = w + step(g, w)
        yield w
