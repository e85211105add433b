"""What `fit` gives: to its caller at the end, and to a callback on the way."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from jaxopt_edu.training.history import History
from jaxopt_edu.training.npz_checkpoint import Best


class FitResult(NamedTuple):
    """What a run arrived at.

    Attributes:
        params: the trained parameters (the last good ones, if the loss stopped being finite), at the point
            that the optimizer recommends; see `evaluation_params`.
        state: the optimizer's state that belongs to them.
        history: losses, metrics, evaluations, and why the run ended.
        model_state: the model's own state; None for a model without.
        best: the best moment by what the run was judged by, `Best(params, step, value, model_state)`; None
            where there was nothing to judge by.
        held: the parameters to train on from, where they are others than params; else None.
    """

    params: Any
    state: Any
    history: History
    model_state: Any = None
    best: Best | None = None
    held: Any = None


class Moment(NamedTuple):
    """What a callback gets to see.

    Attributes:
        step: the number of steps made.
        params: the parameters then, as in the result; a copy that may be kept.
        state: the optimizer's state then.
        model_state: the model's own.
        losses: the losses of the steps since the last moment.
        evaluation: what `evaluate` gave, by name.
        metrics: what else the loss function gave in the steps since the last moment, by name; arrays with a
            leading axis as long as losses.
    """

    step: int
    params: Any
    state: Any
    model_state: Any
    losses: np.ndarray
    evaluation: dict[str, Any]
    metrics: Mapping[str, np.ndarray] = MappingProxyType({})
