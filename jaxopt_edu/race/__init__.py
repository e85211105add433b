"""Optimizers side by side: over a surface, and on real data with equal budgets."""

from jaxopt_edu.race.animation import animated, animation_work
from jaxopt_edu.race.data_report import data_report
from jaxopt_edu.race.learning import LearningResult, race_on_data
from jaxopt_edu.race.problem import ProblemResult, race_on_problem
from jaxopt_edu.race.problem_report import problem_report
from jaxopt_edu.race.report import Report
from jaxopt_edu.race.settings import LEARNING_RATES, apply_settings, article_settings, default_settings
from jaxopt_edu.race.surface import SurfaceResult, race_on_surface
from jaxopt_edu.race.surface_report import surface_report

__all__ = [
    "LEARNING_RATES",
    "LearningResult",
    "ProblemResult",
    "Report",
    "SurfaceResult",
    "animated",
    "animation_work",
    "apply_settings",
    "article_settings",
    "data_report",
    "default_settings",
    "problem_report",
    "race_on_data",
    "race_on_problem",
    "race_on_surface",
    "surface_report",
]
