"""A sweep driven by an optuna study."""

from jaxopt_edu.sweeps.space.optuna import optimize

__all__ = ["optimize"]
