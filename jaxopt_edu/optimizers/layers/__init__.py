"""Layers: the length of a step is measured by the norm of the layer that it changes."""

from jaxopt_edu.optimizers.layers.lamb import LambState, lamb
from jaxopt_edu.optimizers.layers.lars import LarsState, lars

OPTIMIZERS = (
    lamb,
    lars,
)

__all__ = ["LambState", "LarsState", "lamb", "lars"]
