"""What a sweep found: its runs, and all that they can be turned into."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jaxopt_edu.sweeps.results import study, summary, tables, tracking
from jaxopt_edu.sweeps.results.runs import Runs
from jaxopt_edu.trackers import Tracker

if TYPE_CHECKING:
    import optuna
    import pandas
    import xarray


# Compared by identity, as arrays have no single answer to ==.
@dataclass(frozen=True, eq=False)
class SweepResult(Runs):
    """What a sweep found. Run number i · s + j is setting i with seed j, of n settings and s seeds.

    Attributes:
        optimizers: the n settings, as they were given.
        seeds: the s seeds.
        steps: the budget of a run.
        evaluated_at: the steps at which runs were evaluated, from 0 to `steps`; int, shape (k,).
        curves: from each metric's name to its values, float32, shape (n, s, k), NaN after a run has ended.
            "training_loss" is the mean over the steps since the evaluation before (at 0, of the first
            batch), as are the loss function's own metrics; the others are what `evaluate` gave.
        made: steps made by each run; int, shape (n, s).
        states: "COMPLETE", "PRUNED" or "DIVERGED"; str, shape (n, s).
        metric: the metric that runs are ranked by.
        mode: whether it is better "min" or "max".
        top: the best runs with what they trained, best first.
        final_optimizers: the n settings at the end; other ones only after population-based training.
    """

    def summary(self) -> str:
        """The sweep as text: a line for each kind of optimizer, best first.

        Each line has the best setting with its mean ± standard error over the seeds, and how easy the
        optimizer is to tune: the share of its settings that make at least 90 % of the best one's improvement
        over the start (wherever zero is, and whether low or high values are better). A best setting on the
        edge of what was tried is pointed out.

        Returns:
            Text of several lines.
        """
        return summary.text(self)

    def table(self) -> list[dict[str, Any]]:
        """One row a run, for any library of tables.

        Returns:
            Dicts with number, state, value (None if it diverged), optimizer, each hyperparameter (None where
            the optimizer has none of that name), seed, steps, and the last values of the other metrics.
        """
        return tables.rows(self)

    def to_pandas(self) -> "pandas.DataFrame":
        """The table as a pandas DataFrame; null where there is no value.

        Returns:
            One row a run; the columns are those of `table`.

        Raises:
            ImportError: pandas is not installed.
        """
        return tables.to_pandas(self)

    def to_xarray(self) -> "xarray.Dataset":
        """The curves as an xarray Dataset.

        Returns:
            A variable for each metric, over the dimensions setting, seed and step, with state and made; the
            optimizers' kinds and hyperparameters are coordinates of the settings.

        Raises:
            ImportError: xarray is not installed.
        """
        return tables.to_xarray(self)

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the table as CSV, whole. A missing value is an empty cell; numbers keep all their digits.

        Args:
            path: the file to write.

        Raises:
            OSError: the folder is missing or cannot be written to.
        """
        tables.to_csv(self, path)

    def to_parquet(self, path: str | os.PathLike[str]) -> None:
        """Write the table as parquet, whole.

        Args:
            path: the file to write.

        Raises:
            ImportError: pyarrow is not installed.
            OSError: the folder is missing or cannot be written to.
        """
        tables.to_parquet(self, path)

    def track(self, tracker: Callable[[str], Tracker]) -> None:
        """Hand each run to a tracker of its own: its hyperparameters and seed, its curves, and how it ended.

        A complete run has "finished", a pruned one was "interrupted", a diverged one has "failed".

        Args:
            tracker: called with each run's name, such as "07-adam-seed-1", which may be a file's; returns its
                tracker, as `lambda name: jo.trackers.TensorBoard(f"runs/{name}")` does.

        Raises:
            TypeError: it is no function, or returns something else.
        """
        tracking.track(self, tracker)

    def to_optuna(
        self, storage: "str | optuna.storages.BaseStorage | None" = None, study_name: str | None = None
    ) -> "optuna.Study":
        """Write the sweep as a study of Optuna's, for its dashboard, importances and pictures.

        A setting is a trial. Its parameters are the kind of optimizer and the numbers, as far as they vary;
        their distributions span what was tried, on a logarithmic scale where that was spread so. The value is
        the mean over the seeds, the intermediate values are the curve at ten steps at most. A pruned setting
        is a pruned trial, a diverged one a failed trial. User attributes have the optimizer in words and each
        seed's value.

        Args:
            storage: where to, such as "sqlite:///sweep.db"; None for memory.
            study_name: what the study is called there; None for a name that Optuna makes up.

        Returns:
            The study.

        Raises:
            ImportError: optuna is not installed.
            optuna.exceptions.DuplicatedStudyError: there is a study of that name.
        """
        return study.to_optuna(self, storage, study_name)
