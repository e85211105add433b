"""What was found: every run, as numbers, tables, words and pictures."""

from jaxopt_edu.sweeps.results.result import SweepResult
from jaxopt_edu.sweeps.results.runs import Best, TopRun

__all__ = ["Best", "SweepResult", "TopRun"]
