"""What is tried: settings from distributions, and those that a study or a population moves to."""

from jaxopt_edu.sweeps.space.settings import grid, sample

__all__ = ["grid", "sample"]
