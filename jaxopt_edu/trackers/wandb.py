"""A run in Weights & Biases."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from jaxopt_edu.core.arguments import checked_option, checked_text, optional
from jaxopt_edu.trackers.protocol import Outcome

if TYPE_CHECKING:
    import wandb

Mode = Literal["online", "offline", "disabled", "shared"]
MODES: tuple[Mode, ...] = ("online", "offline", "disabled", "shared")
# As wandb itself leaves a run that is ended by Ctrl-C.
INTERRUPTED = 255


class WandB:
    """A run in Weights & Biases: its config, its history, and the outcome in its summary.

    Args:
        project: the project's name.
        name: what the run is called there; None for a name that wandb makes up.
        id: what the run is known by in the project. A run that is to go on after a resume needs one, the same
            each time. Numbers of steps that the service has already stay as they are.
        mode: "online", "offline" (`wandb sync` uploads it later), "disabled" or "shared"; None for what
            WANDB_MODE says, else online.
        **options: everything else that `wandb.init` takes, such as entity, group, tags and dir.

    >>> tracker = WandB("digits", name="adam", mode="offline", group="optimizers")
    """

    def __init__(
        self,
        project: str,
        *,
        name: str | None = None,
        id: str | None = None,
        mode: Mode | None = None,
        **options: Any,
    ) -> None:
        self.project = checked_text("WandB", "project", project)
        self.name = optional(checked_text)("WandB", "name", name)
        self.id = optional(checked_text)("WandB", "id", id)
        self.mode = optional(checked_option)("WandB", "mode", mode, MODES)
        self.options = options
        self._run: wandb.Run | None = None

    def __repr__(self) -> str:
        return f"WandB({self.project!r}, name={self.name!r})"

    def start(self, hyperparameters: Mapping[str, bool | int | float | str], step: int | None = None) -> None:
        """Begin the run, or go on with the one of this id.

        Raises:
            ImportError: wandb is not installed.
            ValueError: a run is to go on, and has no id.
        """
        try:
            import wandb
        except ImportError:
            raise ImportError('the tracker WandB needs wandb: pip install "jaxopt-edu[wandb]"') from None
        if step is not None and self.id is None:
            raise ValueError(
                f"WandB: id = None, but this run of {self.project!r} is to go on after a resume: give it an "
                "id=, the same each time."
            )
        self._run = wandb.init(
            project=self.project,
            name=self.name,
            id=self.id,
            mode=self.mode,
            config=dict(hyperparameters),
            resume="never" if step is None else "allow",
            reinit="create_new",  # a run of the user's own goes on beside it
            **self.options,
        )

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Add a step to the history, unless it is there already."""
        run = self._started()
        if step >= run.starting_step:
            run.log(dict(numbers), step=step)

    def close(self, outcome: Outcome = "finished", reason: str = "") -> None:
        """End the run, and wait until all of it is uploaded."""
        run = self._started()
        run.summary.update({"outcome": outcome, "reason": reason})
        run.finish({"finished": 0, "interrupted": INTERRUPTED, "failed": 1}[outcome])
        self._run = None

    def _started(self) -> "wandb.Run":
        if self._run is None:
            raise RuntimeError("WandB: the run has not been started: call start first.")
        return self._run
