"""Training loops: the compiled step, the order of the data, and what drives them."""

from jaxopt_edu.training.loop import Carry, descend, start
from jaxopt_edu.training.order import shuffled_indices

__all__ = ["Carry", "descend", "shuffled_indices", "start"]
