"""Transforms around an optimizer that change how numbers are kept or laid out, not which way it goes."""

from jaxopt_edu.wrappers.compensated import CompensatedState, compensated
from jaxopt_edu.wrappers.half_state import HalfState, half_state
from jaxopt_edu.wrappers.packed import PackedState, packed

__all__ = ["CompensatedState", "HalfState", "PackedState", "compensated", "half_state", "packed"]
