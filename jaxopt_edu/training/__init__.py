"""Training loops: the compiled step, the order of the data, and what drives them."""

from jaxopt_edu.training.checkpoints import CheckpointFolder
from jaxopt_edu.training.fit import fit
from jaxopt_edu.training.history import History
from jaxopt_edu.training.loop import Carry, descend, make_step, start
from jaxopt_edu.training.mean_over import mean_over
from jaxopt_edu.training.npz_checkpoint import Best
from jaxopt_edu.training.orbax_folder import OrbaxFolder
from jaxopt_edu.training.order import shuffled_indices
from jaxopt_edu.training.result import FitResult, Moment

__all__ = [
    "Best",
    "Carry",
    "CheckpointFolder",
    "FitResult",
    "History",
    "Moment",
    "OrbaxFolder",
    "descend",
    "fit",
    "make_step",
    "mean_over",
    "shuffled_indices",
    "start",
]
