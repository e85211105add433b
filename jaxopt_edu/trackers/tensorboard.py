"""A run in TensorBoard."""

import os
import time
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from jaxopt_edu.core.arguments import checked_path
from jaxopt_edu.files import make_folder
from jaxopt_edu.trackers.protocol import Outcome

if TYPE_CHECKING:
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

EVENTS = "events.out.tfevents.*"


class TensorBoard:
    """A run in TensorBoard: a scalar a name, and the hyperparameters in its HParams tab.

    Written by the package tensorboard itself, which needs neither TensorFlow nor PyTorch. A run that goes on
    has TensorBoard forget what was recorded of later steps.

    Args:
        folder: the run's own folder, of those below `tensorboard --logdir`. A new run wants one without
            events.

    >>> tracker = TensorBoard("runs/adam")
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = checked_path("TensorBoard", "folder", folder, "a folder")
        self._writer: EventFileWriter | None = None
        self._step = 0

    def __repr__(self) -> str:
        return f"TensorBoard({str(self.folder)!r})"

    def start(self, hyperparameters: Mapping[str, bool | int | float | str], step: int | None = None) -> None:
        """Begin a file of events in the folder.

        Raises:
            ImportError: tensorboard is not installed.
            FileExistsError: a new run would be mixed with the one in the folder.
            OSError: the folder cannot be written to; says why.
        """
        try:
            from tensorboard.plugins.hparams.summary_v2 import hparams_pb
            from tensorboard.summary.writer.event_file_writer import EventFileWriter
        except ImportError:
            raise ImportError(
                'the tracker TensorBoard needs tensorboard: pip install "jaxopt-edu[tensorboard]"'
            ) from None
        if step is None and any(self.folder.glob(EVENTS)):
            raise FileExistsError(
                f"TensorBoard: {self.folder} holds a run already: choose another folder, remove it, or go on "
                "with resume=True."
            )
        make_folder(self.folder)
        self._writer, self._step = EventFileWriter(str(self.folder)), step or 0
        if step is not None:
            log = _proto("compat.proto.event").SessionLog
            self._add(step + 1, session_log=log(status=log.START))  # what comes from there on is forgotten
        self._add(self._step, summary=hparams_pb(dict(hyperparameters)))

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Add a scalar for each number; they are in float32.

        Raises:
            OSError: the file cannot be written.
        """
        self._step = step
        value = _proto("compat.proto.summary").Summary.Value
        self._add_summary([value(tag=name, simple_value=number) for name, number in numbers.items()])

    def close(self, outcome: Outcome = "finished", reason: str = "") -> None:
        """Add the outcome for the HParams tab, and close the file.

        Raises:
            OSError: the file cannot be written.
        """
        from tensorboard.plugins.hparams import metadata

        statuses, data = _proto("plugins.hparams.api"), _proto("plugins.hparams.plugin_data")
        status = statuses.STATUS_SUCCESS if outcome == "finished" else statuses.STATUS_FAILURE
        end = data.SessionEndInfo(status=status, end_time_secs=time.time())
        value = _proto("compat.proto.summary").Summary.Value(
            tag=metadata.SESSION_END_INFO_TAG,
            metadata=metadata.create_summary_metadata(data.HParamsPluginData(session_end_info=end)),
            tensor=metadata.NULL_TENSOR,
        )
        self._add_summary([value])
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _add_summary(self, values: list[Any]) -> None:
        self._add(self._step, summary=_proto("compat.proto.summary").Summary(value=values))

    def _add(self, step: int, **content: Any) -> None:
        if self._writer is None:
            raise RuntimeError("TensorBoard: the run has not been started: call start first.")
        event = _proto("compat.proto.event").Event(wall_time=time.time(), step=step, **content)
        self._writer.add_event(event)
        self._writer.flush()


def _proto(name: str) -> Any:
    # The classes of protocol buffers are made on import, where no type checker sees them.
    return import_module(f"tensorboard.{name}_pb2")
