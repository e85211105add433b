"""The rules for matrices in NumPy, written from the papers: for one matrix, and a step at a time."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

import jaxopt_edu as jo

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


class Page(NamedTuple):
    """One page, settings of it, and its formula for a matrix of some shape."""

    name: str
    factory: Callable[..., jo.Optimizer]
    settings: dict[str, Any]
    formula: Callable[[tuple[int, int]], Callable[[Array, Array], Array]]
    # Shapes in which float64 follows the formula to the last digits.
    shapes: tuple[tuple[int, int], ...]
    float32: float  # largest distance from the formula after a hundred steps in float32, in learning rates

    def build(self, **changes: Any) -> jo.Optimizer:
        """The optimizer with these settings, or with some of them changed."""
        return self.factory(**self.settings | changes)


MUON: dict[str, Any] = {"learning_rate": 0.02, "momentum": 0.95, "weight_decay": 0.1}
PAGES = (
    Page(
        "muon",
        jo.muon,
        MUON,
        lambda shape: muon(shape, **MUON, scale=0.2 * max(shape) ** 0.5),
        ((5, 4), (4, 5), (4, 4)),
        float32=1e-3,
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
