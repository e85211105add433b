"""What TensorBoard itself reads."""

import numpy as np
import pytest

from jaxopt_edu.trackers import TensorBoard
from tests.trackers.course import ADAM, LOSSES, killed, resumed

pytest.importorskip("tensorboard")
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata


def read(folder):
    accumulator = EventAccumulator(str(folder))
    accumulator.Reload()
    return accumulator


def test_scalars_of_a_resumed_run_without_doubles(tmp_path):
    killed(TensorBoard(tmp_path / "adam"))
    resumed(TensorBoard(tmp_path / "adam"))
    found = read(tmp_path / "adam")
    assert sorted(found.Tags()["scalars"]) == ["accuracy", "training_loss"]
    losses = found.Scalars("training_loss")
    assert [event.step for event in losses] == list(LOSSES)
    np.testing.assert_array_equal(
        [event.value for event in losses], np.array(list(LOSSES.values()), np.float32)
    )
    assert [event.step for event in found.Scalars("accuracy")] == [30, 40]


@pytest.mark.parametrize(("outcome", "status"), [("finished", 1), ("failed", 2)])
def test_hyperparameters_and_outcome_are_in_its_tab(outcome, status, tmp_path):
    tracker = TensorBoard(tmp_path)
    tracker.start(ADAM | {"nesterov": True})
    tracker.close(outcome)
    found = read(tmp_path)
    first, last = (
        found.SummaryMetadata(tag).plugin_data.content
        for tag in (metadata.SESSION_START_INFO_TAG, metadata.SESSION_END_INFO_TAG)
    )
    told = metadata.parse_session_start_info_plugin_data(first).hparams
    kinds = {bool: "bool_value", float: "number_value", str: "string_value"}
    assert {
        name: getattr(told[name], kinds[type(value)]) for name, value in (ADAM | {"nesterov": True}).items()
    } == ADAM | {"nesterov": True}
    # STATUS_SUCCESS and STATUS_FAILURE of TensorBoard's protocol
    assert metadata.parse_session_end_info_plugin_data(last).status == status


def test_a_new_run_is_not_mixed_with_another(tmp_path):
    killed(TensorBoard(tmp_path))
    with pytest.raises(FileExistsError, match=r"^TensorBoard: .* holds a run already: choose another folder"):
        TensorBoard(tmp_path).start(ADAM)


def test_what_has_not_begun_cannot_be_told_anything(tmp_path):
    with pytest.raises(RuntimeError, match=r"^TensorBoard: the run has not been started"):
        TensorBoard(tmp_path).log(1, {"loss": 0.5})
