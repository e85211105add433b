"""Schedules over the steps of a run, several in one picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_edu.core.arguments import checked_text, kind_of, optional
from jaxopt_edu.core.checks import checked_whole, short
from jaxopt_edu.core.transform import as_schedule
from jaxopt_edu.plots.curves import curves

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def schedules(
    schedules: Mapping[str, Callable[[jax.Array], Any]],
    steps: int,
    *,
    ylabel: str = "learning rate",
    title: str | None = None,
) -> Figure:
    """Draw what schedules give at every step of a run.

    Args:
        schedules: from each name to a schedule: one of `jaxopt_edu.schedules`, of optax, or any function of
            the step that can be traced.
        steps: how many updates the run makes; the last value drawn is that at step `steps`, which a run of
            that length does not use any more.
        ylabel: what the values are.
        title: written above the plot.

    Returns:
        A matplotlib Figure with one pair of axes.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: there is no schedule under a name, or it gives something else than one number a step.
        ValueError: nothing to draw, or no steps.

    Example:
        >>> import jaxopt_edu as jo
        >>> figure = jo.plots.schedules(
        ...     {
        ...         "cosine": jo.schedules.warmup_cosine(peak=1e-3, warmup_steps=10, steps=100),
        ...         "trapezoid": jo.schedules.warmup_stable_decay(1e-3, 10, 20, steps=100),
        ...     },
        ...     steps=100,
        ... )
        >>> [line.get_label() for line in figure.axes[0].get_lines()][:2]
        ['cosine', 'trapezoid']
    """
    if not isinstance(schedules, Mapping):
        raise TypeError(
            f"schedules: schedules = {short(schedules)} is {kind_of(schedules)}; it must be a dict of "
            "schedules by name."
        )
    if not schedules:
        raise ValueError("schedules: schedules = {} has nothing to draw; give at least one, by name.")
    steps = checked_whole("schedules", "steps", steps)
    checked_text("schedules", "ylabel", ylabel)
    optional(checked_text)("schedules", "title", title)
    values = {
        checked_text("schedules", "a name in schedules", name): _values(name, schedule, steps)
        for name, schedule in schedules.items()
    }
    return curves(values, ylabel=ylabel, log=False, band="none", title=title)


def _values(name: str, schedule: Any, steps: int) -> np.ndarray:
    label = f"schedules: schedules[{name!r}]"
    if not callable(schedule) or isinstance(schedule, type):
        raise TypeError(
            f"{label} = {short(schedule)} is {kind_of(schedule)}, not a schedule; for a fixed value write "
            "constant(value)."
        )
    values = np.asarray(jax.vmap(as_schedule(schedule))(jnp.arange(steps + 1)))
    if values.shape != (steps + 1,) or values.dtype.kind not in "iuf":
        raise TypeError(
            f"{label} gives {values.dtype}{list(values.shape[1:])} at a step; it must be one real number."
        )
    return values
