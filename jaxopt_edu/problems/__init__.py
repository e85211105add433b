"""Things to minimise: surfaces over the plane, noisy and sparse problems, real data and a small network."""

from jaxopt_edu.problems import mlp
from jaxopt_edu.problems.datasets import Dataset, Examples, digits, mnist
from jaxopt_edu.problems.stochastic import (
    NoisyQuadratic,
    SparseRegression,
    noisy_quadratic,
    sparse_regression,
)
from jaxopt_edu.problems.surfaces import (
    SURFACES,
    Surface,
    ackley,
    beale,
    booth,
    bowl,
    goldstein_price,
    himmelblau,
    monkey_saddle,
    rastrigin,
    rosenbrock,
    saddle,
    six_hump_camel,
    styblinski_tang,
    three_hump_camel,
)

__all__ = [
    "SURFACES",
    "Dataset",
    "Examples",
    "NoisyQuadratic",
    "SparseRegression",
    "Surface",
    "ackley",
    "beale",
    "booth",
    "bowl",
    "digits",
    "goldstein_price",
    "himmelblau",
    "mlp",
    "mnist",
    "monkey_saddle",
    "noisy_quadratic",
    "rastrigin",
    "rosenbrock",
    "saddle",
    "six_hump_camel",
    "sparse_regression",
    "styblinski_tang",
    "three_hump_camel",
]
