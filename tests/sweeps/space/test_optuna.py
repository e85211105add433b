"""A real study drives sweeps: what it asks for, what it is told, and what a database remembers."""

import dataclasses
import math

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

import jaxopt_edu as jo
from jaxopt_edu.core import settings
from jaxopt_edu.core.distributions import loguniform, normal, quniform, randint, uniform
from jaxopt_edu.sweeps.space.optuna import optimize
from tests.sweeps.quadratic import STEPS, sweep

optuna.logging.set_verbosity(optuna.logging.WARNING)


def new_study(**more):
    return optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0), **more)


def states(study):
    return [trial.state for trial in study.trials]


def test_the_study_finds_the_optimum_and_was_told_what_the_sweeps_found():
    study = new_study()
    results = optimize(study, jo.sgd, sweep, trials=50, batch=10, learning_rate=loguniform(1e-3, 100))
    assert [len(result.optimizers) for result in results] == [10] * 5
    for number, trial in enumerate(study.trials):
        result, i = results[number // 10], number % 10
        opt = result.optimizers[i]
        assert trial.params == settings(opt)
        assert trial.user_attrs["optimizer"] == jo.describe(opt)
        if "DIVERGED" in result.states[i]:
            assert (trial.state, trial.value, trial.intermediate_values) == (TrialState.PRUNED, None, {})
            assert trial.user_attrs["diverged_at"] == result.made[i].min()
        else:
            assert (trial.state, trial.value) == (TrialState.COMPLETE, result.values()[i].mean())
            curve = result.curves["loss"][i].astype(float).mean(axis=0)
            assert trial.intermediate_values == dict(zip(range(0, STEPS + 1, 5), curve, strict=True))
    # w ← (1 − η) w: at η = 1 one step is enough, above 2 it diverges.
    assert abs(study.best_params["learning_rate"] - 1) < 0.2
    rates = [trial.params["learning_rate"] for trial in study.trials]
    lost = np.array([state == TrialState.PRUNED for state in states(study)])
    assert lost[:10].sum() > 2
    assert lost[-20:].mean() < lost[:10].mean()
    assert np.median(np.abs(np.log(rates[-20:]))) < np.median(np.abs(np.log(rates[:10])))


def test_every_kind_of_axis_reaches_the_optimizer():
    study = new_study()
    schedules = [jo.schedules.cosine(peak=peak, steps=STEPS) for peak in (0.1, 0.2)]
    axes = {
        "learning_rate": [0.25, *schedules],
        "b1": uniform(0.1, 0.2),
        "b2": quniform(0.5, 0.99, 0.2),
        "eps": randint(1, 3),
    }
    results = optimize(study, jo.adam, sweep, trials=12, batch=12, **axes)
    drawn = [settings(opt) for opt in results[0].optimizers]
    texts = [str(trial.params["learning_rate"]).partition("(")[0] for trial in study.trials]
    assert set(texts) == {"0: 0.25", "1: cosine", "2: cosine"}
    for each, text in zip(drawn, texts, strict=True):
        place = {"learning_rate": "0: 0.25"}.get(next(iter(each)))
        assert text == place or each["learning_rate.peak"] == (0.1 if text[0] == "1" else 0.2)
        assert 0.1 <= each["b1"] <= 0.2
        assert each["b2"] in (0.5, 0.7, 0.9)
        assert each["eps"] in (1.0, 2.0)


def test_a_bell_curve_is_drawn_through_its_quantiles():
    study = new_study()
    opt = jo.momentum(jo.schedules.cosine(peak=0.1, steps=STEPS))
    axes = {"learning_rate.peak": normal(0.5, 0.01), "momentum": [0.0, 0.5], "learning_rate.final": 0.125}
    results = optimize(study, opt, sweep, trials=20, batch=20, **axes)
    drawn = [settings(opt) for opt in results[0].optimizers]
    peaks = [each["learning_rate.peak"] for each in drawn]
    assert 0.45 < min(peaks) < 0.495 < 0.505 < max(peaks) < 0.55
    for trial, each in zip(study.trials, drawn, strict=True):
        u = trial.params["learning_rate.peak.quantile"]
        assert u == pytest.approx((1 + math.erf((each["learning_rate.peak"] - 0.5) / 0.01 / 2**0.5)) / 2)
        assert trial.params["momentum"] == each["momentum"]
        assert each["learning_rate.final"] == 0.125


def test_a_study_in_a_database_goes_on_where_it_stopped(tmp_path):
    where = f"sqlite:///{tmp_path}/study.db"
    axes = {"learning_rate": loguniform(1e-3, 1), "momentum": [0.0, 0.5]}
    first = new_study(storage=where, study_name="momentum")
    optimize(first, jo.momentum, sweep, trials=3, batch=2, **axes)
    again = optuna.load_study(study_name="momentum", storage=where)
    assert states(again) == [TrialState.COMPLETE] * 3
    results = optimize(again, jo.momentum, sweep, trials=2, batch=2, **axes)
    stored = optuna.load_study(study_name="momentum", storage=where).trials
    assert len(stored) == 5
    assert [trial.value for trial in stored[3:]] == results[0].values().mean(axis=1).tolist()
    assert [trial.params for trial in stored[3:]] == [settings(opt) for opt in results[0].optimizers]


def test_pruned_settings_are_told_as_pruned_with_what_they_had():
    def pruned(optimizers):
        result = sweep(optimizers)
        states, made = result.states.astype("<U8"), result.made.copy()
        states[1, 2], made[1, 2] = "PRUNED", 10
        loss = np.where(result.evaluated_at <= made[:, :, np.newaxis], result.curves["loss"], np.nan)
        return dataclasses.replace(result, states=states, made=made, curves={"loss": loss})

    study = new_study()
    results = optimize(study, jo.sgd, pruned, trials=3, batch=3, learning_rate=[0.1, 0.2, 0.3])
    assert states(study) == [TrialState.COMPLETE, TrialState.PRUNED, TrialState.COMPLETE]
    told = study.trials[1]
    assert list(told.intermediate_values) == [0, 5, 10]
    assert told.value == told.intermediate_values[10]
    assert told.value == results[0].curves["loss"][1, :, 2].astype(float).mean()


def test_a_failing_run_leaves_no_trial_running():
    def fails(optimizers):
        raise KeyboardInterrupt

    study = new_study()
    with pytest.raises(KeyboardInterrupt):
        optimize(study, jo.sgd, fails, trials=3, batch=2, learning_rate=uniform(0, 1))
    assert states(study) == [TrialState.FAIL] * 2
    with pytest.raises(ValueError, match=r"optimize: setting 0 .* is out of range"):
        optimize(study, jo.sgd, sweep, trials=1, batch=1, learning_rate=uniform(-2, -1))
    with pytest.raises(ValueError, match="optimize: sgd has no argument 'lr'"):
        optimize(study, jo.sgd, sweep, trials=1, batch=1, lr=uniform(0, 1))
    with pytest.raises(ValueError, match="a sweep of 1 settings for 2 optimizers"):
        optimize(study, jo.sgd, lambda opts: sweep(opts[:1]), trials=2, batch=2, learning_rate=0.5)
    assert TrialState.RUNNING not in states(study)


def test_what_makes_no_sense_is_refused_before_a_trial_is_asked_for():
    study = new_study(directions=["minimize", "minimize"])
    with pytest.raises(ValueError, match="the study has 2 objectives"):
        optimize(study, jo.sgd, sweep, trials=1, batch=1)
    for wrong in ({"trials": 0, "batch": 1}, {"trials": 1, "batch": 0}):
        with pytest.raises(
            ValueError, match=r"optimize: (trials|batch) = 0 must be a whole number of at least 1"
        ):
            optimize(new_study(), jo.sgd, sweep, **wrong)
    assert study.trials == []


def test_a_study_that_goes_the_other_way_is_refused():
    study = new_study(direction="maximize")
    with pytest.raises(ValueError, match=r"is to maximize .* by the min of loss; .* direction='minimize'"):
        optimize(study, jo.sgd, sweep, trials=1, batch=1, learning_rate=uniform(0, 1))
    assert states(study) == [TrialState.FAIL]


@pytest.mark.parametrize("batch", [1, 2, 4])
@pytest.mark.parametrize(
    "sampler",
    [
        lambda: optuna.samplers.GridSampler({"learning_rate": [0.1, 0.2, 0.3]}),
        optuna.samplers.BruteForceSampler,
    ],
    ids=["grid", "brute force"],
)
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_sampler_that_has_tried_all_there_is_ends_the_study(sampler, batch):
    study = optuna.create_study(sampler=sampler())
    results = optimize(study, jo.sgd, sweep, trials=8, batch=batch, learning_rate=[0.1, 0.2, 0.3])
    assert {trial.params["learning_rate"] for trial in study.trials} == {0.1, 0.2, 0.3}
    assert sum(len(result.optimizers) for result in results) == len(study.trials) <= 4
    assert set(states(study)) == {TrialState.COMPLETE}
    assert "stop" not in vars(study), "the study's own method is back"


def test_a_stop_within_a_batch_ends_the_study_after_it():
    study = new_study()

    def run(optimizers):
        study.stop()
        return sweep(optimizers)

    results = optimize(study, jo.sgd, run, trials=4, batch=2, learning_rate=uniform(0.1, 0.2))
    assert (len(results), states(study)) == (1, [TrialState.COMPLETE] * 2)
