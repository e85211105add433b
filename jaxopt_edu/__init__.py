"""Gradient-descent optimizers that can be read, trusted and swept.

An optimizer is an optax transform that is also a pytree of its hyperparameters.

>>> import jax, jaxopt_edu as jo
>>> jax.tree.leaves(jo.momentum(learning_rate=0.1))
[0.1, 0.9]
"""

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

from jaxopt_edu import core, problems, schedules, sweeps, training
from jaxopt_edu.core import (
    Optimizer,
    chain,
    describe,
    evaluation_params,
    hyperparameters,
    lift,
    replace,
    stack,
    unstack,
)
from jaxopt_edu.optimizers import adadelta, adagrad, adam, momentum, nesterov, rmsprop, sgd
from jaxopt_edu.storage import load, save
from jaxopt_edu.sweeps import (
    SweepResult,
    choice,
    grid,
    loguniform,
    normal,
    quniform,
    randint,
    sample,
    sweep,
    uniform,
)
from jaxopt_edu.training import FitResult, fit
from jaxopt_edu.wrappers import compensated, half_state, packed

if TYPE_CHECKING:
    from jaxopt_edu import plots

__all__ = [
    "FitResult",
    "Optimizer",
    "SweepResult",
    "adadelta",
    "adagrad",
    "adam",
    "chain",
    "choice",
    "compensated",
    "core",
    "describe",
    "evaluation_params",
    "fit",
    "grid",
    "half_state",
    "hyperparameters",
    "lift",
    "load",
    "loguniform",
    "momentum",
    "nesterov",
    "normal",
    "packed",
    "plots",
    "problems",
    "quniform",
    "randint",
    "replace",
    "rmsprop",
    "sample",
    "save",
    "schedules",
    "sgd",
    "stack",
    "sweep",
    "sweeps",
    "training",
    "uniform",
    "unstack",
]


def __getattr__(name: str) -> ModuleType:
    # Pictures are for people; a training job need not wait for the modules that draw them.
    if name == "plots":
        return importlib.import_module("jaxopt_edu.plots")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
