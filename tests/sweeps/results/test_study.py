"""A sweep as Optuna reads it: its trials, its importances, its pictures, and a study that goes on from it."""

import dataclasses

import jax
import numpy as np
import optax
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState

import jaxopt_edu as jo
from jaxopt_edu.sweeps.optuna_study import optimize
from jaxopt_edu.sweeps.space.settings import grid
from tests.sweeps.quadratic import STEPS, sweep

optuna.logging.set_verbosity(optuna.logging.WARNING)

RATES = [0.01, 0.1, 0.9, 3.0]
B2 = [0.9, 0.99, 0.999]


@pytest.fixture(scope="module")
def result():
    """Four SGDs, of which the last diverges, and six Adams, of which the first is pruned."""
    found = sweep(grid(jo.sgd, learning_rate=RATES) + grid(jo.adam, learning_rate=[0.1, 0.3], b2=B2))
    states, made = found.states.astype("<U8"), found.made.copy()
    states[4], made[4] = "PRUNED", 10
    cut = found.evaluated_at > made[:, :, np.newaxis]
    curves = {name: np.where(cut, np.nan, curve) for name, curve in found.curves.items()}
    return dataclasses.replace(found, states=states, made=made, curves=curves)


def test_a_setting_is_a_trial_of_a_database(result, tmp_path):
    storage = f"sqlite:///{tmp_path}/sweep.db"
    result.to_optuna(storage, study_name="quadratic")
    study = optuna.load_study(storage=storage, study_name="quadratic")
    assert study.direction.name == "MINIMIZE"
    assert study.user_attrs == {"metric": "loss", "steps": STEPS}
    fail, pruned, complete = TrialState.FAIL, TrialState.PRUNED, TrialState.COMPLETE
    assert [trial.state for trial in study.trials] == [*[complete] * 3, fail, pruned, *[complete] * 5]
    values = result.values().mean(axis=1)
    assert [trial.value for trial in study.trials if trial.state == complete] == pytest.approx(
        [*values[:3], *values[5:]], rel=1e-12
    )
    assert study.best_trial.number == result.best().index
    for setting, trial in enumerate(study.trials):
        curve = result.curve_of()[setting].astype(float).mean(axis=0)
        expected = {int(at): value for at, value in zip(result.evaluated_at, curve, strict=True)}
        known = {at: value for at, value in expected.items() if np.isfinite(value)}
        assert trial.intermediate_values == pytest.approx(known)
        assert trial.user_attrs["optimizer"] == jo.describe(result.optimizers[setting])
        assert trial.user_attrs["seeds"] == 3
    assert study.trials[3].user_attrs["values"] == [None, None, None]
    with pytest.raises(optuna.exceptions.DuplicatedStudyError):
        result.to_optuna(storage, study_name="quadratic")


def test_parameters_have_what_they_could_have_been_drawn_from(result):
    study = result.to_optuna()
    sgd, adam = study.trials[1], study.trials[6]
    kind, rate = CategoricalDistribution(["sgd", "adam"]), FloatDistribution(0.01, 3.0, log=True)
    assert sgd.params == {"optimizer": "sgd", "learning_rate": 0.1}
    assert sgd.distributions == {"optimizer": kind, "learning_rate": rate}
    assert adam.params == pytest.approx({"optimizer": "adam", "learning_rate": 0.1, "1 - b2": 0.001})
    assert {type(value) for value in adam.params.values()} == {str, float}
    distance = adam.distributions["1 - b2"]
    assert isinstance(distance, FloatDistribution)
    assert (distance.low, distance.high, distance.log) == (1 - 0.999, 1 - 0.9, True)


def test_what_optuna_cannot_hold_is_said_in_words():
    clipped = [jo.chain(jo.sgd(0.2), jo.lift(clip)(limit)) for limit in (1.0, np.inf)]
    study = sweep([jo.sgd(0.1), *clipped]).to_optuna()
    assert study.trials[2].params == {"optimizer": "chain(sgd, clip)", "learning_rate": 0.2}
    assert "inf" in study.trials[2].user_attrs["optimizer"]


def clip(limit):
    return optax.clip(limit)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.* is experimental")
def test_importances_and_pictures(result):
    study = result.to_optuna()
    importances = optuna.importance.get_param_importances(study)
    assert importances.keys() >= {"optimizer", "learning_rate"}  # what all trials have
    adams = sweep(grid(jo.adam, learning_rate=[0.01, 0.1, 0.3, 1.0], b1=[0.89, 0.9, 0.91])).to_optuna()
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    found = optuna.importance.get_param_importances(adams, evaluator=evaluator)
    assert found["learning_rate"] > 0.8
    pictures = pytest.importorskip("optuna.visualization.matplotlib")
    for draw in (pictures.plot_slice, pictures.plot_intermediate_values, pictures.plot_contour):
        assert draw(adams) is not None


def test_a_study_goes_on_from_a_sweep():
    rates = jo.loguniform(1e-3, 1)
    study = sweep(jo.sample(jo.sgd, 12, key=jax.random.key(0), learning_rate=rates)).to_optuna()
    study.sampler = optuna.samplers.TPESampler(seed=0, n_startup_trials=5)
    optimize(study, jo.sgd, sweep, trials=10, batch=5, learning_rate=rates)
    assert len(study.trials) == 22
    assert abs(study.best_params["learning_rate"] - 1) < 0.2
