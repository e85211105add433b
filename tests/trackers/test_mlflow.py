"""What MLflow's own client reads, from its database."""

import math

import pytest

from jaxopt_edu.trackers import MLflow
from tests.trackers.course import ADAM, LOSSES, killed, resumed

pytest.importorskip("mlflow")
from mlflow.tracking import MlflowClient

pytestmark = [
    pytest.mark.slow,  # MLflow makes its tables in two seconds
    # The database's library has something against MLflow's use of it.
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy"),
]


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"


def runs(uri, experiment):
    client = MlflowClient(tracking_uri=uri)
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    return client, client.search_runs([found.experiment_id], order_by=["attributes.start_time ASC"])


def test_a_resumed_run_goes_on_in_the_newest_of_its_name(uri):
    killed(MLflow("resumed", uri=uri, name="adam's"))
    killed(MLflow("resumed", uri=uri, name="other"))
    resumed(MLflow("resumed", uri=uri, name="adam's"))
    client, (adam, other) = runs(uri, "resumed")
    assert (adam.info.run_name, adam.info.status) == ("adam's", "FINISHED")
    assert (other.info.run_name, other.info.status) == ("other", "RUNNING")
    assert adam.data.params == {name: str(value) for name, value in ADAM.items()}
    assert adam.data.tags["reason"] == "completed"
    history = client.get_metric_history(adam.info.run_id, "training_loss")
    assert [point.step for point in history] == list(LOSSES)
    first, second, third, last = (point.value for point in history)
    assert (first, third) == (0.1, 0.3)
    assert math.isnan(second)
    assert last > 1e308  # as far as its database goes
    assert [point.step for point in client.get_metric_history(adam.info.run_id, "accuracy")] == [40]


@pytest.mark.parametrize(("outcome", "status"), [("interrupted", "KILLED"), ("failed", "FAILED")])
def test_the_outcome_is_its_status(outcome, status, uri):
    tracker = MLflow(outcome, uri=uri)
    tracker.start({f"rate {number}": 0.5 for number in range(250)})
    tracker.log(1, {"loss @ λ=1": 0.5})
    tracker.close(outcome, "because")
    _, (run,) = runs(uri, outcome)
    assert (run.info.status, run.data.tags["reason"]) == (status, "because")
    assert len(run.data.params) == 250
    assert run.data.metrics == {"loss _ λ_1": 0.5}


def test_a_run_without_a_name_cannot_be_found_again():
    with pytest.raises(ValueError, match=r"^MLflow: name = None, but this run of 'x' is to go on"):
        MLflow("x").start(ADAM, step=20)
