"""The optimizers: one algorithm a page, in families by what they make of a gradient."""

from jaxopt_edu.optimizers import adaptive, descent
from jaxopt_edu.optimizers.adaptive import (
    AdadeltaState,
    AdaGradState,
    AdamState,
    RmsPropState,
    adadelta,
    adagrad,
    adam,
    rmsprop,
)
from jaxopt_edu.optimizers.descent import MomentumState, NesterovState, SgdState, momentum, nesterov, sgd

# In the order of the README's table.
FAMILIES = (descent, adaptive)
# Whose rules treat every number alike, whatever leaf it lies in.
ELEMENTWISE = (*descent.OPTIMIZERS, *adaptive.OPTIMIZERS)
OPTIMIZERS = tuple(factory for family in FAMILIES for factory in family.OPTIMIZERS)
# The seven that the textbook tells of, in its order.
STORY = (sgd, momentum, nesterov, adagrad, adadelta, rmsprop, adam)

__all__ = [
    "ELEMENTWISE",
    "FAMILIES",
    "OPTIMIZERS",
    "STORY",
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
