"""Adaptive step lengths: each coordinate's step is measured by the gradients that it has seen."""

from jaxopt_edu.optimizers.adaptive.adadelta import AdadeltaState, adadelta
from jaxopt_edu.optimizers.adaptive.adagrad import AdaGradState, adagrad
from jaxopt_edu.optimizers.adaptive.adam import AdamState, adam
from jaxopt_edu.optimizers.adaptive.rmsprop import RmsPropState, rmsprop

OPTIMIZERS = (adagrad, adadelta, rmsprop, adam)

__all__ = [
    "OPTIMIZERS",
    "AdaGradState",
    "AdadeltaState",
    "AdamState",
    "RmsPropState",
    "adadelta",
    "adagrad",
    "adam",
    "rmsprop",
]
