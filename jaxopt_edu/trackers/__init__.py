"""Trackers: where the numbers of a run go while it runs, for `fit(…, tracker=)` and `SweepResult.track`.

Whatever has the three methods of `Tracker` is one. The libraries behind those here are imported when a run
starts.
"""

from jaxopt_edu.trackers.csv import CSV
from jaxopt_edu.trackers.json_lines import JSONLines
from jaxopt_edu.trackers.mlflow import MLflow
from jaxopt_edu.trackers.protocol import Tracker
from jaxopt_edu.trackers.tensorboard import TensorBoard
from jaxopt_edu.trackers.wandb import WandB

__all__ = ["CSV", "JSONLines", "MLflow", "TensorBoard", "Tracker", "WandB"]
