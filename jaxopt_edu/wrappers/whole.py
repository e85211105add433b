"""Whole numbers among a wrapper's leaves."""

from typing import Any

from jax.core import Tracer

from jaxopt_edu.core.checks import checked_whole


def check_whole(owner: str, name: str, value: Any, lowest: int = 1) -> None:
    """Refuse a number of steps that is not whole; a traced one passes.

    Args:
        owner: the wrapper's name, for the error.
        name: the number's name, for the error.
        value: a number; a schedule is none.
        lowest: the smallest number allowed.

    Raises:
        TypeError: value is not a number.
        ValueError: value is not whole, or too small.
    """
    if not isinstance(value, Tracer):
        checked_whole(owner, name, value, lowest)
