"""Transforms around an optimizer that change how numbers are kept, not which way it goes."""

from jaxopt_edu.wrappers.compensated import CompensatedState, compensated
from jaxopt_edu.wrappers.half_state import HalfState, half_state

__all__ = ["CompensatedState", "HalfState", "compensated", "half_state"]
