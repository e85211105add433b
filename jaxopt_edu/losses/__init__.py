"""Functions around a loss: in which parts of a batch, and in which precision it is computed."""

from jaxopt_edu.losses.casting import cast
from jaxopt_edu.losses.micro_batches import micro_batches
from jaxopt_edu.losses.mixed_precision import mixed_precision

__all__ = ["cast", "micro_batches", "mixed_precision"]
