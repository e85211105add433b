"""The optimizers: one algorithm a page, in the order in which the story is told."""

from jaxopt_edu.optimizers.adadelta import AdadeltaState, adadelta
from jaxopt_edu.optimizers.adagrad import AdaGradState, adagrad
from jaxopt_edu.optimizers.adam import AdamState, adam
from jaxopt_edu.optimizers.momentum import MomentumState, momentum
from jaxopt_edu.optimizers.nesterov import NesterovState, nesterov
from jaxopt_edu.optimizers.rmsprop import RmsPropState, rmsprop
from jaxopt_edu.optimizers.sgd import SgdState, sgd

OPTIMIZERS = (sgd, momentum, nesterov, adagrad, adadelta, rmsprop, adam)

__all__ = [
    "OPTIMIZERS",
    "AdaGradState",
    "AdadeltaState",
    "AdamState",
    "MomentumState",
    "NesterovState",
    "RmsPropState",
    "SgdState",
    "adadelta",
    "adagrad",
    "adam",
    "momentum",
    "nesterov",
    "rmsprop",
    "sgd",
]
