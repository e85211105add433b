"""Gradient descent: along the gradient, or along what is left of earlier ones; one step length for all."""

from jaxopt_edu.optimizers.descent.momentum import MomentumState, momentum
from jaxopt_edu.optimizers.descent.nesterov import NesterovState, nesterov
from jaxopt_edu.optimizers.descent.sgd import SgdState, sgd

OPTIMIZERS = (sgd, momentum, nesterov)

__all__ = [
    "OPTIMIZERS",
    "MomentumState",
    "NesterovState",
    "SgdState",
    "momentum",
    "nesterov",
    "sgd",
]
