"""Signs: every coordinate moves equally far, and the gradients only say to which side."""

from jaxopt_edu.optimizers.signs.lion import LionState, lion
from jaxopt_edu.optimizers.signs.signum import SignumState, signum

OPTIMIZERS = (signum, lion)

__all__ = ["OPTIMIZERS", "LionState", "SignumState", "lion", "signum"]
