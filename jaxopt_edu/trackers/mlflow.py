"""A run in MLflow."""

import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from jaxopt_edu.core.arguments import checked_text, optional
from jaxopt_edu.trackers.protocol import Outcome

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

# MLflow takes so many parameters at once, and these characters in the names of parameters and metrics.
BATCH = 100
OTHERS = re.compile(r"[^\w\-. /]")
STATUS = {"finished": "FINISHED", "interrupted": "KILLED", "failed": "FAILED"}


class MLflow:
    """A run in MLflow: its parameters, its metrics, its status, and the reason as the tag "reason".

    What MLflow does not take in a name becomes "_".

    Args:
        experiment: the experiment's name; it is made if it is missing.
        uri: where MLflow keeps its runs, such as "sqlite:///mlflow.db" or a server's address; None for what
            MLFLOW_TRACKING_URI says, else MLflow's default.
        name: what the run is called; None for a name that MLflow makes up. A run that is to go on after a
            resume needs one: it is the newest of this name. Numbers of steps that are there already stay as
            they are.

    >>> tracker = MLflow("digits", uri="sqlite:///mlflow.db", name="adam")
    """

    def __init__(self, experiment: str, *, uri: str | None = None, name: str | None = None) -> None:
        self.experiment = checked_text("MLflow", "experiment", experiment)
        self.uri = optional(checked_text)("MLflow", "uri", uri)
        self.name = optional(checked_text)("MLflow", "name", name)
        self._client: MlflowClient | None = None
        self._run = ""
        self._recorded = -1

    def __repr__(self) -> str:
        return f"MLflow({self.experiment!r}, name={self.name!r})"

    def start(self, hyperparameters: Mapping[str, bool | int | float | str], step: int | None = None) -> None:
        """Begin a run, or go on with the newest of this name.

        Raises:
            ImportError: MLflow is not installed.
            ValueError: a run is to go on, and has no name.
        """
        try:
            from mlflow.entities import Param
            from mlflow.tracking import MlflowClient
        except ImportError:
            raise ImportError('the tracker MLflow needs mlflow: pip install "jaxopt-edu[mlflow]"') from None
        if step is not None and self.name is None:
            raise ValueError(
                f"MLflow: name = None, but this run of {self.experiment!r} is to go on after a resume: give "
                "it a name=, the same each time."
            )
        client = MlflowClient(tracking_uri=self.uri)
        found = client.get_experiment_by_name(self.experiment)
        experiment = client.create_experiment(self.experiment) if found is None else found.experiment_id
        run = None if step is None else self._newest(client, experiment)
        if run is None:
            run, self._recorded = client.create_run(experiment, run_name=self.name), -1
        else:
            client.update_run(run.info.run_id, status="RUNNING")
            histories = [client.get_metric_history(run.info.run_id, name) for name in run.data.metrics]
            self._recorded = max((point.step for points in histories for point in points), default=-1)
        self._client, self._run = client, run.info.run_id
        # MLflow lets no parameter change.
        told = {_legal(name): str(value) for name, value in hyperparameters.items()}
        params = [Param(*pair) for pair in told.items() if pair[0] not in run.data.params]
        for first in range(0, len(params), BATCH):
            client.log_batch(self._run, params=params[first : first + BATCH])

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Add a point to each metric, unless the step is there already."""
        from mlflow.entities import Metric

        if step > self._recorded:
            now = int(1000 * time.time())
            metrics = [Metric(_legal(name), number, now, step) for name, number in numbers.items()]
            self._started().log_batch(self._run, metrics=metrics)

    def close(self, outcome: Outcome = "finished", reason: str = "") -> None:
        """Set the run's status and the reason for it."""
        self._started().set_tag(self._run, "reason", reason)
        self._started().set_terminated(self._run, STATUS[outcome])
        self._client = None

    def _newest(self, client: "MlflowClient", experiment: str) -> "Run | None":
        quote = '"' if "'" in str(self.name) else "'"
        named = f"attributes.run_name = {quote}{self.name}{quote}"
        runs = client.search_runs([experiment], named, max_results=1, order_by=["attributes.start_time DESC"])
        return runs[0] if runs else None

    def _started(self) -> "MlflowClient":
        if self._client is None:
            raise RuntimeError("MLflow: the run has not been started: call start first.")
        return self._client


def _legal(name: str) -> str:
    return OTHERS.sub("_", name)
