"""What is known in closed form about descent on a quadratic, to be drawn beside what is measured.

On ½ Σᵢ λᵢ wᵢ² every coordinate goes its own way, and a step multiplies (wₜ, wₜ₋₁) by a matrix of two rows.
Its largest eigenvalue in magnitude is the factor by which the distance shrinks at a step in the long run.
L is the largest curvature, μ the smallest, κ = L/μ.

References:
    L. Lessard, B. Recht and A. Packard, "Analysis and design of optimization algorithms via integral
    quadratic constraints", 2016, arXiv:1408.3595, proposition 1.
"""

import numpy as np

Numbers = float | np.ndarray


def sgd_contraction(learning_rate: Numbers, curvatures: np.ndarray) -> np.ndarray:
    """Gradient descent's factor a step, maxᵢ |1 − η λᵢ|.

    Args:
        learning_rate: η, shape (…).
        curvatures: λ, shape (n,).

    Returns:
        The factor, shape (…); above 1 it diverges.

    >>> float(sgd_contraction(0.5, np.array([1.0, 3.0])))
    0.5
    """
    return np.abs(1 - _outer(learning_rate) * curvatures).max(axis=-1)


def momentum_contraction(learning_rate: Numbers, momentum: Numbers, curvatures: np.ndarray) -> np.ndarray:
    """Momentum's factor a step: the largest |z| with z² − (1 + α − η λᵢ) z + α = 0.

    Args:
        learning_rate: η, shape (…).
        momentum: α, of a shape that broadcasts against η.
        curvatures: λ, shape (n,).

    Returns:
        The factor, shape (…); above 1 it diverges.

    >>> round(float(momentum_contraction(0.1, 0.25, np.array([10.0]))), 9)
    0.5
    """
    step, kept = _outer(learning_rate) * curvatures, _outer(momentum)
    return _largest_root(1 + kept - step, kept + 0 * step).max(axis=-1)


def nesterov_contraction(learning_rate: Numbers, momentum: Numbers, curvatures: np.ndarray) -> np.ndarray:
    """Nesterov momentum's factor a step: the largest |z| with z² − (1 + α)(1 − η λᵢ) z + α (1 − η λᵢ) = 0.

    Args:
        learning_rate: η, shape (…).
        momentum: α, of a shape that broadcasts against η.
        curvatures: λ, shape (n,).

    Returns:
        The factor, shape (…); above 1 it diverges.

    >>> float(nesterov_contraction(0.1, 0.9, np.array([10.0])))
    0.0
    """
    step, kept = _outer(learning_rate) * curvatures, _outer(momentum)
    return _largest_root((1 + kept) * (1 - step), kept * (1 - step)).max(axis=-1)


def best_momentum(curvatures: np.ndarray) -> tuple[float, float]:
    """Momentum's best hyperparameters, with α = ((√L − √μ)/(√L + √μ))² and η = (2/(√L + √μ))².

    Args:
        curvatures: λ, shape (n,); all above 0.

    Returns:
        The learning rate and the momentum. The factor is √α = (√κ − 1)/(√κ + 1).

    >>> best_momentum(np.array([1.0, 9.0]))
    (0.25, 0.25)
    """
    low, high = np.sqrt(np.min(curvatures)), np.sqrt(np.max(curvatures))
    return float((2 / (high + low)) ** 2), float(((high - low) / (high + low)) ** 2)


def best_nesterov(curvatures: np.ndarray) -> tuple[float, float]:
    """Nesterov momentum's best hyperparameters, with η = 4/(3 L + μ), α = (√(3κ+1) − 2)/(√(3κ+1) + 2).

    Args:
        curvatures: λ, shape (n,); all above 0.

    Returns:
        The learning rate and the momentum. The factor is 1 − 2/√(3κ + 1).

    >>> best_nesterov(np.array([1.0, 5.0]))
    (0.25, 0.3333333333333333)
    """
    low, high = float(np.min(curvatures)), float(np.max(curvatures))
    root = np.sqrt(3 * high / low + 1)
    return 4 / (3 * high + low), float((root - 2) / (root + 2))


def steps_to_shrink(contraction: Numbers, reduction: float) -> np.ndarray:
    """How many steps of a given factor divide a distance by `reduction`: ln(reduction)/−ln(contraction).

    Args:
        contraction: the factor a step, in (0, 1).
        reduction: above 1.

    Returns:
        The number of steps, not rounded.

    >>> float(steps_to_shrink(0.5, 8.0))
    3.0
    """
    return np.log(reduction) / -np.log(contraction)


def _outer(numbers: Numbers) -> np.ndarray:
    return np.asarray(numbers, np.float64)[..., None]


def _largest_root(b: np.ndarray, c: np.ndarray) -> np.ndarray:
    root = np.sqrt((b**2 - 4 * c).astype(complex))
    return np.maximum(np.abs(b + root), np.abs(b - root)) / 2
