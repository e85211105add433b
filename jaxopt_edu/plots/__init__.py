"""Pictures of optimizers: arrays in, a matplotlib Figure out (or an `Animation`).

Nothing here touches `matplotlib.pyplot`, so figures work without a display and are freed with their last
reference. matplotlib is imported when a picture is asked for, not when this package is.
"""

from jaxopt_edu.plots.budget import budget
from jaxopt_edu.plots.curves import curves
from jaxopt_edu.plots.drawing.animation import Animation
from jaxopt_edu.plots.drawing.style import Style, save, styles
from jaxopt_edu.plots.film.animate import animate, frame_count
from jaxopt_edu.plots.heat_map import heat_map
from jaxopt_edu.plots.layers import layers
from jaxopt_edu.plots.parallel import parallel
from jaxopt_edu.plots.paths import paths
from jaxopt_edu.plots.rate_test import rate_test
from jaxopt_edu.plots.schedules import schedules
from jaxopt_edu.plots.sensitivity import sensitivity

__all__ = [
    "Animation",
    "Style",
    "animate",
    "budget",
    "curves",
    "frame_count",
    "heat_map",
    "layers",
    "parallel",
    "paths",
    "rate_test",
    "save",
    "schedules",
    "sensitivity",
    "styles",
]
