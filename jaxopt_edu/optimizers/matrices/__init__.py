"""Matrices: a step looks at a layer's weights as a matrix, and turns it before it measures it."""

from jaxopt_edu.optimizers.matrices.muon import MuonState, muon
from jaxopt_edu.optimizers.matrices.psgd_kron import PsgdKronState, psgd_kron
from jaxopt_edu.optimizers.matrices.shampoo import ShampooState, shampoo
from jaxopt_edu.optimizers.matrices.soap import SoapState, soap

OPTIMIZERS = (muon, soap, shampoo, psgd_kron)

__all__ = [
    "OPTIMIZERS",
    "MuonState",
    "PsgdKronState",
    "ShampooState",
    "SoapState",
    "muon",
    "psgd_kron",
    "shampoo",
    "soap",
]
