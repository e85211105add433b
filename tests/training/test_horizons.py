"""A schedule that ends before or after its run is told of in one warning, and no other schedule is."""

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_edu as jo
from jaxopt_edu import schedules
from jaxopt_edu.schedules.numbers import end_of
from jaxopt_edu.training.horizons import mismatches

STEPS = 20
ENDING = {
    "cosine": lambda steps: schedules.cosine(0.1, steps=steps),
    "linear": lambda steps: schedules.linear(0.1, 0.0, steps=steps),
    "polynomial": lambda steps: schedules.polynomial(0.1, 0.01, steps=steps, power=2),
    "one_cycle": lambda steps: schedules.one_cycle(0.1, steps=steps),
    "warmup_cosine": lambda steps: schedules.warmup_cosine(0.1, warmup_steps=2, steps=steps),
    "warmup_stable_decay": lambda steps: schedules.warmup_stable_decay(0.1, 1, 2, steps=steps),
    "joined": lambda steps: schedules.joined(
        [schedules.warmup(0.1, steps=2), schedules.cosine(0.1, steps=steps - 2)], boundaries=[2]
    ),
}
ENDLESS = {
    "constant": schedules.constant(0.1),
    "exponential": schedules.exponential(0.1, rate=0.5, steps=3),
    "inverse_square_root": schedules.inverse_square_root(0.1, warmup_steps=3),
    "restarts": schedules.restarts(0.1, period=3),
    "warmup": schedules.warmup(0.1, steps=3),
    "a rise": schedules.linear(0.0, 0.1, steps=3),
    "a plain function": lambda step: 0.1 / (1 + step),
    "optax's": optax.cosine_decay_schedule(0.1, decay_steps=3),
    "joined": schedules.joined([schedules.cosine(0.1, steps=3), schedules.constant(0.01)], boundaries=[3]),
}


def loss_fn(w, _):
    return w**2


def fit(optimizer, steps=STEPS, **options):
    return jo.fit(loss_fn, jnp.array(1.0), optimizer, steps=steps, **options)


def told(optimizer, steps=STEPS, **options):
    with pytest.warns(UserWarning, match="ends after") as caught:
        fit(optimizer, steps, **options)
    (warning,) = caught
    assert warning.filename == __file__
    assert "\n" not in str(warning.message)
    return str(warning.message)


def test_every_schedule_is_of_one_kind_or_the_other():
    assert set(schedules.__all__) <= ENDING.keys() | ENDLESS.keys()


@pytest.mark.parametrize("name", ENDING)
def test_a_schedule_says_where_it_ends(name):
    schedule = ENDING[name](10)
    assert end_of(schedule) == 10
    last = float(schedule(10))
    assert [float(schedule(step)) for step in (11, 1000)] == [last, last]
    assert float(schedule(8)) != last


@pytest.mark.parametrize("name", ENDLESS)
def test_others_have_no_end(name):
    assert end_of(ENDLESS[name]) is None


def test_a_schedule_that_does_not_end_with_the_run_is_told_with_both_numbers():
    for length in (10, 40):
        message = told(jo.sgd(schedules.cosine(0.1, steps=length)))
        assert message == (
            f"fit: learning_rate = cosine(peak=0.1, steps={length}, final=0) ends after {length} updates, "
            "and this run makes 20: give the schedule the run's length, or the run the schedule's."
        )
    assert "; 1 more of its schedules do not end with the run: give" in told(jo.adam(LONG, b1=LONG))


def found(optimizer, steps=STEPS, state=None):
    return [(each.name, each.updates) for each in mismatches(optimizer, steps, state)]


def test_a_step_more_or_less_is_no_matter():
    lengths = [18, 19, 20, 21, 22]
    told_of = [bool(found(jo.sgd(schedules.cosine(0.1, steps=length)))) for length in lengths]
    assert told_of == [True, False, False, False, True]


def test_no_other_schedule_is_told_of():
    for schedule in ENDLESS.values():
        assert found(jo.sgd(schedule)) == []
    fit(jo.adam(ENDLESS["constant"], b1=ENDLESS["a rise"], b2=ENDLESS["a plain function"]))


LONG = schedules.cosine(0.1, steps=100)
INSIDE = {
    "a chain": (jo.chain(optax.clip(1.0), jo.sgd(0.1), jo.adam(LONG)), "2.learning_rate"),
    "a partition": (jo.partition({"a": jo.sgd(LONG), "b": jo.sgd(0.1)}, {"*": "a"}), "a.learning_rate"),
    "a wrapper": (jo.averaged(jo.sgd(LONG)), "learning_rate"),
    "a wrapper's own": (jo.weight_decay(jo.sgd(0.1), rate=LONG), "rate"),
    "some leaves": (jo.sgd(jo.where("*", 0.1, LONG)), "learning_rate.otherwise"),
    "another's argument": (jo.muon(0.1, others=jo.adamw(LONG)), "others.learning_rate"),
    "a lifted one": (jo.lift(optax.sgd)(LONG), "learning_rate"),
    "inside a lifted one": (jo.lift(optax.lookahead)(jo.sgd(LONG), 5, 0.5), "fast_optimizer.learning_rate"),
}


@pytest.mark.parametrize("place", INSIDE)
def test_wherever_a_schedule_stands(place):
    optimizer, name = INSIDE[place]
    assert found(optimizer) == [(name, STEPS)]


@pytest.mark.parametrize(
    "accumulating", [jo.accumulated, lambda opt, k: jo.lift(optax.MultiSteps)(opt, every_k_schedule=k)]
)
def test_updates_are_counted_as_the_optimizer_makes_them(accumulating):
    assert found(accumulating(jo.sgd(schedules.cosine(0.1, steps=5)), 4)) == []
    assert [made for _, made in found(accumulating(jo.sgd(LONG), 4))] == [5]
    twice = jo.accumulated(jo.chain(optax.clip(1.0), accumulating(jo.sgd(LONG), 2)), 2)
    assert [made for _, made in found(twice)] == [5]


def test_where_it_cannot_be_known_nothing_is_said():
    assert found(jo.accumulated(jo.sgd(LONG), schedules.constant(4.0))) == []
    assert found(jo.lift(optax.MultiSteps)(jo.sgd(LONG), every_k_schedule=lambda count: 4)) == []
    stacked = jo.stack([jo.sgd(schedules.cosine(0.1, steps=steps)) for steps in (10, 20)])
    assert found(stacked) == []
    jax.jit(lambda steps: found(jo.sgd(schedules.cosine(0.1, steps=steps))) == [])(30.0)


def test_the_steps_of_all_parts_of_a_run_count(tmp_path):
    optimizer = jo.sgd(schedules.cosine(0.1, steps=STEPS))
    fit(optimizer, checkpoint=tmp_path, every=5, callback=lambda moment: moment.step == 10)
    whole = fit(optimizer, checkpoint=tmp_path, every=5, resume=True)
    with pytest.warns(UserWarning, match="makes 10"):
        half = fit(optimizer, 10)
    assert len(whole.history.losses) == STEPS
    rest = jo.fit(loss_fn, half.params, optimizer, steps=10, state=half.state, first_batch=10)
    np.testing.assert_allclose(rest.params, whole.params, rtol=1e-6)
    assert "makes 25" in told(optimizer, 15, state=half.state)
    accumulating = jo.accumulated(jo.sgd(LONG), 4)
    state: Any = accumulating.init(jnp.array(1.0))
    later = state._replace(inner=state.inner._replace(count=jnp.array(7, jnp.int32)))
    assert found(accumulating, 12, later) == [("learning_rate", 10)]


def test_a_sweep_warns_once_and_counts():
    lengths = [10, STEPS, 30, 40]
    opts = [jo.sgd(schedules.cosine(0.1, steps=length)) for length in lengths]
    with pytest.warns(UserWarning, match="ends after") as caught:
        jo.sweep(loss_fn, jnp.array(1.0), [jo.adam(), *opts], steps=STEPS)
    (warning,) = caught
    assert warning.filename == __file__
    assert "makes 20; so it is in 3 of the settings: give the schedule" in str(warning.message)
    jo.sweep(loss_fn, jnp.array(1.0), [jo.adam(), opts[1]], steps=STEPS)


def test_a_rate_is_tested_in_shorter_runs_than_its_schedules_are_for():
    jo.rate_test(loss_fn, jnp.array(1.0), jo.momentum(momentum=LONG), num=3, steps=3)


def test_python_s_own_filter_silences_it():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "fit: .* ends after ")
        fit(jo.sgd(LONG))
