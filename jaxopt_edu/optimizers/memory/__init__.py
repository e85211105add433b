"""Little memory: what is remembered of a layer's gradients is far smaller than the layer."""

from jaxopt_edu.optimizers.memory.adafactor import AdafactorState, adafactor

OPTIMIZERS = (adafactor,)

__all__ = ["AdafactorState", "adafactor"]
