"""Sweeps: many optimizers and seeds, side by side in one compiled program for each kind of optimizer."""

from jaxopt_edu.core.distributions import choice, loguniform, normal, quniform, randint, uniform
from jaxopt_edu.sweeps.folder.archive import load, rewrite
from jaxopt_edu.sweeps.pruning import Halving, Hyperband, MedianStopping, PopulationBased
from jaxopt_edu.sweeps.results import Best, SweepResult, TopRun
from jaxopt_edu.sweeps.space import grid, sample
from jaxopt_edu.sweeps.sweep import sweep

__all__ = [
    "Best",
    "Halving",
    "Hyperband",
    "MedianStopping",
    "PopulationBased",
    "SweepResult",
    "TopRun",
    "choice",
    "grid",
    "load",
    "loguniform",
    "normal",
    "quniform",
    "randint",
    "rewrite",
    "sample",
    "sweep",
    "uniform",
]
