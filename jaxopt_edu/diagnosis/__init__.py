"""Readings put into words: which layers train badly, how that is seen, and what to try."""

from jaxopt_edu.diagnosis.diagnose import diagnose
from jaxopt_edu.diagnosis.report import Diagnosis, Finding

__all__ = ["Diagnosis", "Finding", "diagnose"]
