"""Gradient-descent optimizers that can be read, trusted and swept.

An optimizer is an optax transform that is also a pytree of its hyperparameters.

>>> import jax, jaxopt_edu as jo
>>> jax.tree.leaves(jo.momentum(learning_rate=0.1))
[0.1, 0.9]
"""

import importlib
from typing import TYPE_CHECKING, Any

from jaxopt_edu import core
from jaxopt_edu.core import (
    Optimizer,
    chain,
    choice,
    describe,
    evaluation_params,
    groups,
    hyperparameters,
    layerwise,
    lift,
    loguniform,
    normal,
    one_minus,
    partition,
    quniform,
    randint,
    replace,
    stack,
    uniform,
    unstack,
    where,
)
from jaxopt_edu.optimizers import (
    adabelief,
    adadelta,
    adafactor,
    adagrad,
    adam,
    adamax,
    adamw,
    adan,
    ademamix,
    adopt,
    amsgrad,
    dog,
    lamb,
    lars,
    lion,
    momentum,
    muon,
    nadam,
    nesterov,
    prodigy,
    psgd_kron,
    radam,
    rmsprop,
    rprop,
    sgd,
    shampoo,
    signum,
    soap,
    yogi,
)

__version__ = "0.2.0.dev0"

# A training job of one's own needs the optimizers and what reads them. The rest is imported when it is first
# asked for; type checkers read the imports here, and the table below says the same to Python.
if TYPE_CHECKING:
    from jaxopt_edu import plots, problems, schedules, sweeps, trackers, training
    from jaxopt_edu.diagnosis import Diagnosis, diagnose
    from jaxopt_edu.losses import cast, micro_batches, mixed_precision
    from jaxopt_edu.rates import RateTest, rate_ramp, rate_test
    from jaxopt_edu.storage import CarriedOver, carry_over, load, save
    from jaxopt_edu.sweeps import (
        SweepResult,
        grid,
        sample,
        sweep,
    )
    from jaxopt_edu.training import FitResult, fit, mean_over
    from jaxopt_edu.wrappers import (
        Readings,
        accumulated,
        averaged,
        cautious,
        compensated,
        half_state,
        lookahead,
        loss_scale,
        loss_scaling,
        mars,
        matrices_only,
        monitor,
        packed,
        readings,
        sam,
        schedule_free,
        weight_decay,
    )

_MODULES = {"plots", "problems", "schedules", "sweeps", "trackers", "training"}
_NAMES = {
    "diagnosis": "Diagnosis diagnose",
    "losses": "cast micro_batches mixed_precision",
    "rates": "RateTest rate_ramp rate_test",
    "storage": "CarriedOver carry_over load save",
    "sweeps": "SweepResult grid sample sweep",
    "training": "FitResult fit mean_over",
    "wrappers": (
        "Readings accumulated averaged cautious compensated half_state lookahead loss_scale loss_scaling "
        "mars matrices_only monitor packed readings sam schedule_free weight_decay"
    ),
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = [
    "CarriedOver",
    "Diagnosis",
    "FitResult",
    "Optimizer",
    "RateTest",
    "Readings",
    "SweepResult",
    "accumulated",
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
    "averaged",
    "carry_over",
    "cast",
    "cautious",
    "chain",
    "choice",
    "compensated",
    "core",
    "describe",
    "diagnose",
    "dog",
    "evaluation_params",
    "fit",
    "grid",
    "groups",
    "half_state",
    "hyperparameters",
    "lamb",
    "lars",
    "layerwise",
    "lift",
    "lion",
    "load",
    "loguniform",
    "lookahead",
    "loss_scale",
    "loss_scaling",
    "mars",
    "matrices_only",
    "mean_over",
    "micro_batches",
    "mixed_precision",
    "momentum",
    "monitor",
    "muon",
    "nadam",
    "nesterov",
    "normal",
    "one_minus",
    "packed",
    "partition",
    "plots",
    "problems",
    "prodigy",
    "psgd_kron",
    "quniform",
    "radam",
    "randint",
    "rate_ramp",
    "rate_test",
    "readings",
    "replace",
    "rmsprop",
    "rprop",
    "sam",
    "sample",
    "save",
    "schedule_free",
    "schedules",
    "sgd",
    "shampoo",
    "signum",
    "soap",
    "stack",
    "sweep",
    "sweeps",
    "trackers",
    "training",
    "uniform",
    "unstack",
    "weight_decay",
    "where",
    "yogi",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value  # from now on it is found without this function
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
