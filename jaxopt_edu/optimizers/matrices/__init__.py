"""Matrices: a step looks at a layer's weights as a matrix, and turns it before it measures it."""

from jaxopt_edu.optimizers.matrices.muon import MuonState, muon

OPTIMIZERS = (muon,)

__all__ = ["OPTIMIZERS", "MuonState", "muon"]
