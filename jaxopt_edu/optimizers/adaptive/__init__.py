"""Adaptive step lengths: each coordinate's step is measured by the gradients that it has seen."""

from jaxopt_edu.optimizers.adaptive.adabelief import AdaBeliefState, adabelief
from jaxopt_edu.optimizers.adaptive.adadelta import AdadeltaState, adadelta
from jaxopt_edu.optimizers.adaptive.adagrad import AdaGradState, adagrad
from jaxopt_edu.optimizers.adaptive.adam import AdamState, adam
from jaxopt_edu.optimizers.adaptive.adamax import AdamaxState, adamax
from jaxopt_edu.optimizers.adaptive.adamw import AdamWState, adamw
from jaxopt_edu.optimizers.adaptive.adan import AdanState, adan
from jaxopt_edu.optimizers.adaptive.ademamix import AdemamixState, ademamix
from jaxopt_edu.optimizers.adaptive.adopt import AdoptState, adopt
from jaxopt_edu.optimizers.adaptive.amsgrad import AmsGradState, amsgrad
from jaxopt_edu.optimizers.adaptive.nadam import NadamState, nadam
from jaxopt_edu.optimizers.adaptive.radam import RAdamState, radam
from jaxopt_edu.optimizers.adaptive.rmsprop import RmsPropState, rmsprop
from jaxopt_edu.optimizers.adaptive.rprop import RpropState, rprop
from jaxopt_edu.optimizers.adaptive.yogi import YogiState, yogi

OPTIMIZERS = (
    adagrad,
    adadelta,
    rmsprop,
    adam,
    adamw,
    amsgrad,
    adamax,
    nadam,
    radam,
    adabelief,
    yogi,
    adan,
    adopt,
    ademamix,
    rprop,
)

__all__ = [
    "OPTIMIZERS",
    "AdaBeliefState",
    "AdaGradState",
    "AdadeltaState",
    "AdamState",
    "AdamWState",
    "AdamaxState",
    "AdanState",
    "AdemamixState",
    "AdoptState",
    "AmsGradState",
    "NadamState",
    "RAdamState",
    "RmsPropState",
    "RpropState",
    "YogiState",
    "adabelief",
    "adadelta",
    "adagrad",
    "adam",
    "adamax",
    "adamw",
    "adan",
    "ademamix",
    "adopt",
    "amsgrad",
    "nadam",
    "radam",
    "rmsprop",
    "rprop",
    "yogi",
]
