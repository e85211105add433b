"""The optimizers: one algorithm a page, in families by what they make of a gradient."""

import sys
from collections.abc import Callable
from typing import Any

from jaxopt_edu.core.checks import short
from jaxopt_edu.core.transform import Optimizer
from jaxopt_edu.optimizers import adaptive, descent, layers, matrices, memory, parameter_free, signs
from jaxopt_edu.optimizers.adaptive import (
    AdaBeliefState,
    AdadeltaState,
    AdaGradState,
    AdamaxState,
    AdamState,
    AdamWState,
    AdanState,
    AdemamixState,
    AdoptState,
    AmsGradState,
    NadamState,
    RAdamState,
    RmsPropState,
    RpropState,
    YogiState,
    adabelief,
    adadelta,
    adagrad,
    adam,
    adamax,
    adamw,
    adan,
    ademamix,
    adopt,
    amsgrad,
    nadam,
    radam,
    rmsprop,
    rprop,
    yogi,
)
from jaxopt_edu.optimizers.descent import MomentumState, NesterovState, SgdState, momentum, nesterov, sgd
from jaxopt_edu.optimizers.layers import LambState, LarsState, lamb, lars
from jaxopt_edu.optimizers.matrices import (
    MuonState,
    PsgdKronState,
    ShampooState,
    SoapState,
    muon,
    psgd_kron,
    shampoo,
    soap,
)
from jaxopt_edu.optimizers.memory import AdafactorState, adafactor
from jaxopt_edu.optimizers.parameter_free import DogState, ProdigyState, dog, prodigy
from jaxopt_edu.optimizers.signs import LionState, SignumState, lion, signum

# In the order of the README's table.
FAMILIES = (descent, signs, adaptive, layers, memory, matrices, parameter_free)
# Whose rules treat every number alike, whatever leaf it lies in.
ELEMENTWISE = (*descent.OPTIMIZERS, *signs.OPTIMIZERS, *adaptive.OPTIMIZERS)
OPTIMIZERS = tuple(factory for family in FAMILIES for factory in family.OPTIMIZERS)
# The seven that the textbook tells of, in its order.
STORY = (sgd, momentum, nesterov, adagrad, adadelta, rmsprop, adam)


def space(factory: Callable[..., Optimizer]) -> dict[str, Any]:
    """The distributions that a fair tuning draws an optimizer's hyperparameters from.

    Args:
        factory: an optimizer of this library, such as `adam`.

    Returns:
        Name to distribution, for `sample(factory, n, key=key, **space(factory))`; those that are missing keep
        their defaults.

    Raises:
        ValueError: the factory is none of this library's optimizers.

    >>> space(momentum)
    {'learning_rate': loguniform(0.0001, 1), 'momentum': one_minus(loguniform(0.01, 1))}
    """
    if factory not in OPTIMIZERS:
        raise ValueError(
            f"space: factory = {short(factory)} is no optimizer of this library; give its "
            "distributions yourself."
        )
    return dict(sys.modules[factory.__module__].SPACE)


__all__ = [
    "ELEMENTWISE",
    "FAMILIES",
    "OPTIMIZERS",
    "STORY",
    "AdaBeliefState",
    "AdaGradState",
    "AdadeltaState",
    "AdafactorState",
    "AdamState",
    "AdamWState",
    "AdamaxState",
    "AdanState",
    "AdemamixState",
    "AdoptState",
    "AmsGradState",
    "DogState",
    "LambState",
    "LarsState",
    "LionState",
    "MomentumState",
    "MuonState",
    "NadamState",
    "NesterovState",
    "ProdigyState",
    "PsgdKronState",
    "RAdamState",
    "RmsPropState",
    "RpropState",
    "SgdState",
    "ShampooState",
    "SignumState",
    "SoapState",
    "YogiState",
    "adabelief",
    "adadelta",
    "adafactor",
    "adagrad",
    "adam",
    "adamax",
    "adamw",
    "adan",
    "ademamix",
    "adopt",
    "amsgrad",
    "dog",
    "lamb",
    "lars",
    "lion",
    "momentum",
    "muon",
    "nadam",
    "nesterov",
    "prodigy",
    "psgd_kron",
    "radam",
    "rmsprop",
    "rprop",
    "sgd",
    "shampoo",
    "signum",
    "soap",
    "space",
    "yogi",
]
