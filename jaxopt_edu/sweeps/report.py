"""What a sweep has to say, as files."""

from jaxopt_edu.sweeps.results.report import figures, write

__all__ = ["figures", "write"]
