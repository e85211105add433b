"""Optimizers side by side: over a surface, and on real data with equal budgets."""

from jaxopt_edu.race.animation import animated, animation_work
from jaxopt_edu.race.learning import LearningResult, race_on_data
from jaxopt_edu.race.report import Report, data_report, surface_report
from jaxopt_edu.race.settings import LEARNING_RATES, apply_settings, article_settings, default_settings
from jaxopt_edu.race.surface import SurfaceResult, race_on_surface

__all__ = [
    "LEARNING_RATES",
    "LearningResult",
    "Report",
    "SurfaceResult",
    "animated",
    "animation_work",
    "apply_settings",
    "article_settings",
    "data_report",
    "default_settings",
    "race_on_data",
    "race_on_surface",
    "surface_report",
]
