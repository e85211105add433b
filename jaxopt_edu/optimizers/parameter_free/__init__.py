"""No learning rate: how far the parameters have come from where they started says how long a step is."""

from jaxopt_edu.optimizers.parameter_free.dog import DogState, dog
from jaxopt_edu.optimizers.parameter_free.prodigy import ProdigyState, prodigy

OPTIMIZERS = (
    prodigy,
    dog,
)

__all__ = ["DogState", "ProdigyState", "dog", "prodigy"]
