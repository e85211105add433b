"""By what a run is judged: the best moment so far, and when to lose patience."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from jaxopt_edu.training.history import History

TRAINING_LOSS = "training_loss"


class Judge:
    """What is watched, and what it was at each evaluation.

    Args:
        metric: a name that evaluate gives, or "training_loss", the mean loss since the evaluation before;
            None for the only one, or "loss" among several, or the training loss where nothing is evaluated.
        mode: whether the lowest ("min") or the highest ("max") value is the best.
        patience: evaluations in a row without a new best value that end the run; None for no end.

    >>> judge = Judge(None, "max", patience=2)
    >>> [judge.add({"value": accuracy}, np.zeros(1)) for accuracy in (0.5, 0.7, 0.6, 0.7)]
    [True, True, False, False]
    >>> judge.out_of_patience
    True
    """

    def __init__(self, metric: str | None, mode: Literal["min", "max"], patience: int | None) -> None:
        self.metric, self.mode, self.patience = metric, mode, patience
        self.best = np.inf  # of the finite ones; the lower the better, whatever the mode
        self.seen = 0
        self.lowest, self.lowest_at = np.inf, 0

    @property
    def asked(self) -> bool:
        """Whether the caller said that there is something to judge by."""
        return self.metric is not None or self.patience is not None

    @property
    def out_of_patience(self) -> bool:
        """Whether there was no new best value for too long."""
        return self.patience is not None and self.seen - 1 - self.lowest_at >= self.patience

    def add(self, evaluation: Mapping[str, Any], losses: np.ndarray) -> bool:
        """Take note of one evaluation.

        Args:
            evaluation: what evaluate gave, by name.
            losses: of the steps since the evaluation before.

        Returns:
            Whether it is the best so far.

        Raises:
            ValueError: evaluate gives no such number, or several of which none is "loss".
        """
        name = self.check(evaluation)
        if name is None:
            return False
        value = np.mean(losses, dtype=np.float64) if name == TRAINING_LOSS else evaluation[name]
        return self._add(float(value) * self._sign)

    def check(self, evaluation: Mapping[str, Any]) -> str | None:
        """Find what a run is judged by.

        Args:
            evaluation: what evaluate gives by name, or the shapes of that.

        Returns:
            The name of one real number; None where there is none, and none was asked for.

        Raises:
            ValueError: evaluate gives no such number, or several of which none is "loss".
        """
        name = self._name(evaluation)
        if name is None or name == TRAINING_LOSS:
            return name
        value = evaluation[name]
        value = value if hasattr(value, "dtype") else np.asarray(value)
        if value.shape == () and not np.issubdtype(value.dtype, np.complexfloating):
            return name
        if not self.asked:
            return None
        raise ValueError(
            f"fit: evaluate gives {name!r} as {value.dtype}{list(value.shape)}, and a run is judged by one "
            "real number: say metric= which, or let evaluate return one."
        )

    def value(self) -> float:
        """The best value so far, as evaluate gave it."""
        return self.best * self._sign

    def restore(self, history: History) -> None:
        """Take note of an earlier part of the run."""
        begin = 0
        for place, step in enumerate(history.evaluated_at):
            evaluation = {name: values[place] for name, values in history.evaluations.items()}
            self.add(evaluation, history.losses[begin:step])
            begin = step

    @property
    def _sign(self) -> float:
        return 1.0 if self.mode == "min" else -1.0

    def _add(self, value: float) -> bool:
        # NaN is no improvement, and anything is one over it.
        if value < self.lowest:
            self.lowest, self.lowest_at = value, self.seen
        self.seen += 1
        if np.isfinite(value) and value < self.best:
            self.best = value
            return True
        return False

    def _name(self, evaluation: Mapping[str, Any]) -> str | None:
        if self.metric is not None:
            if self.metric not in (*evaluation, TRAINING_LOSS):
                known = ", ".join((*evaluation, TRAINING_LOSS))
                raise ValueError(f"fit: metric = {self.metric!r}; a run can be judged by {known}.")
            return self.metric
        if not evaluation:
            return TRAINING_LOSS if self.asked else None
        if len(evaluation) == 1:
            return next(iter(evaluation))
        if "loss" in evaluation or not self.asked:
            return "loss" if "loss" in evaluation else None
        raise ValueError(
            f"fit: patience needs one number to watch: evaluate gives {list(evaluation)}, none of them named "
            '"loss"; say metric= which.'
        )
