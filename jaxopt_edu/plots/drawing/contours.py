"""A surface as contours whose levels are spaced geometrically above its minimum, or around a saddle."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Contour lines above a minimum. Around a saddle half as many lie below it and half above, rounded up.
COUNT = 11
# Of the grid along each axis: odd, so that it has the centre of the window, where saddles often lie.
POINTS = 241
CONTOUR = "#B0B6BC"


class Surface(NamedTuple):
    """A function on a grid, as heights above the value that the contours are spaced from."""

    x: np.ndarray  # (POINTS,)
    y: np.ndarray  # (POINTS,)
    heights: np.ma.MaskedArray  # (POINTS, POINTS), y first: f − reference, masked where f is not finite
    levels: np.ndarray  # (COUNT,) or (COUNT + 1,), increasing, of the heights
    reference: float
    ratio: float  # of a level to the one before it
    lowest: bool  # whether the reference is the minimum; otherwise the levels are symmetric around it


def evaluate(function: Callable, points: np.ndarray) -> np.ndarray:
    """Return function(points[i]) for points (n, 2) as float64 (n,), in one compiled call."""
    import jax
    import jax.numpy as jnp

    values = jax.jit(jax.vmap(function))(jnp.asarray(points, dtype=jnp.result_type(float)))
    if values.shape != (len(points),):
        raise ValueError(
            f"function has to map an array (2,) to a scalar, but it returned shape {values.shape[1:]}"
        )
    return np.asarray(values, dtype=np.float64)


def grid(domain: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return x (POINTS,), y (POINTS,) and all their pairs (POINTS², 2) over domain ((x₀, x₁), (y₀, y₁))."""
    x, y = (np.linspace(low, high, POINTS) for low, high in domain)
    return x, y, np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def surface(x: np.ndarray, y: np.ndarray, values: np.ndarray, at_minima: np.ndarray) -> Surface:
    """Choose the contour levels for a function sampled on a grid.

    With a minimum f*, known from `at_minima` or found inside the grid, the levels are f* + a rᵏ. When the
    lowest value lies on the edge of the grid there is none in the window, as for x² − y²: the levels are then
    f₀ ± a rᵏ, with f₀ the value where the surface is flattest. a and r come from quantiles of |f − f₀|, so
    that lines spread over the window whatever the scale; no value of f is changed.

    Args:
        x: (POINTS,).
        y: (POINTS,).
        values: f on the grid, (POINTS²,), y first.
        at_minima: f at the known minima, (m,), may be empty.

    Raises:
        ValueError: f is finite nowhere on the grid, or the same everywhere.
    """
    field = values.reshape(len(y), len(x))
    finite = np.isfinite(field)
    if not finite.any() or np.ptp(field[finite]) == 0:
        said = f"is {field[finite][0]:g} everywhere" if finite.any() else "is finite nowhere"
        raise ValueError(f"function {said} in the domain, so it has no contours: choose another domain")
    row, column = np.unravel_index(np.argmin(np.where(finite, field, np.inf)), field.shape)
    inside = 0 < int(row) < len(y) - 1 and 0 < int(column) < len(x) - 1
    lowest = inside or at_minima.size > 0
    if lowest:
        reference = float(min([field[row, column], *at_minima]))
    else:
        with np.errstate(invalid="ignore"):
            slopes = np.hypot(*np.gradient(field, y, x))
        reference = float(
            field[np.unravel_index(np.nanargmin(np.where(finite, slopes, np.nan)), field.shape)]
        )
    heights = np.ma.masked_invalid(field - reference)
    sizes = np.abs(heights.compressed())
    sizes = sizes[sizes > 0]
    low, most = np.quantile(sizes, [0.01 if lowest else 0.06, 0.995])
    high = min(float(sizes.max()), 4 * most)
    # Where nearly all heights are equal the quantiles meet; where most are rounding errors they lie apart.
    low = float(np.clip(low, 1e-8 * high, 0.1 * high))
    # The highest level would be a point in a corner.
    above = np.geomspace(low, high, (COUNT if lowest else (COUNT + 1) // 2) + 1)[:-1]
    levels = above if lowest else np.concatenate([-above[::-1], above])
    return Surface(x, y, heights, levels, reference, float(above[1] / above[0]), lowest)


def draw(axes: Axes, ground: Surface) -> None:
    """Draw the contours: white in the valley, light grey on the heights, thin lines between."""
    shades = np.linspace(1.0, 0.89, len(ground.levels) + 1)
    axes.contourf(
        ground.x,
        ground.y,
        ground.heights,
        levels=ground.levels,
        colors=[(shade - 0.012, shade - 0.004, shade) for shade in shades],
        extend="both",
        zorder=0,
    )
    axes.contour(
        ground.x,
        ground.y,
        ground.heights,
        levels=ground.levels,
        colors=CONTOUR,
        linewidths=0.8,
        linestyles="solid",
        zorder=1,
    )
