"""Rate tests of problems whose losses at every rate are known."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_edu as jo

STEPS = 10


def parabola(w, _):
    """Each step of gradient descent multiplies w by 1 − learning_rate."""
    return jnp.sum(w**2) / 2


def start(key):
    """Another point for each seed."""
    return 1 + jax.random.uniform(key, (2,))


@cache
def side_by_side() -> jo.RateTest:
    """Twelve rates from 10⁻³, diverging above 2 in that the loss rises."""
    return jo.rate_test(parabola, start, jo.sgd(), low=1e-3, high=100.0, num=21, steps=STEPS, seeds=3)


@cache
def ramp() -> jo.RateTest:
    """Forty steps from 10⁻³ to 1."""
    return jo.rate_ramp(parabola, start, jo.sgd(), low=1e-3, high=1.0, steps=40, seeds=3)


def test_side_by_side_each_loss_is_of_its_own_rate():
    found = side_by_side()
    np.testing.assert_allclose(found.rates, np.geomspace(1e-3, 100, 21))
    assert found.losses.shape == found.smoothed.shape == (3, 21)
    factors = (1 - found.rates[:, np.newaxis]) ** (2 * np.arange(STEPS - 2, STEPS))  # the last fifth
    np.testing.assert_allclose(found.losses, found.start[:, np.newaxis] * factors.mean(axis=1), rtol=2e-4)


def test_side_by_side_the_suggestion_is_where_the_loss_is_lowest():
    found = side_by_side()
    assert 0.6 < found.suggestion < 1.5  # the parabola's own is 1, in one step
    low, high = found.interval
    assert low < found.suggestion < high
    assert high / low >= found.rates[1] / found.rates[0] * (1 - 1e-9)
    assert not found.at_edge


def test_the_seeds_draw_their_own_points_as_a_sweep_does():
    keys = [jax.random.fold_in(jax.random.key(seed), 0) for seed in range(3)]
    np.testing.assert_allclose(side_by_side().start, [parabola(start(key), None) for key in keys], rtol=1e-6)
    np.testing.assert_allclose(ramp().start, side_by_side().start, rtol=1e-6)


def test_a_ramps_loss_stands_on_all_rates_before_it():
    found = ramp()
    np.testing.assert_allclose(found.rates, np.geomspace(1e-3, 1, 40))
    left = np.cumprod((1 - found.rates) ** 2)
    np.testing.assert_allclose(found.losses[:, :-1], found.start[:, np.newaxis] * left[:-1], rtol=1e-3)
    assert (found.losses[:, -1] < 1e-6).all()


def test_a_ramps_suggestion_is_where_the_loss_falls_fastest():
    found = ramp()
    left = np.cumprod((1 - found.rates) ** 2)
    expected = found.rates[np.argmin(np.gradient(left))]
    assert expected / 1.3 < found.suggestion < expected * 1.3


def test_what_diverges_is_told_and_suggests_nothing():
    found = jo.rate_test(
        lambda w, _: jnp.sum(jnp.cosh(w)),
        jnp.full(2, 3.0),
        jo.sgd(),
        low=1.0,
        high=1e6,
        num=5,
        steps=9,
        seeds=2,
    )
    assert np.isnan(found.losses[:, -1]).all()
    assert np.isnan(found.suggestion)
    assert np.isnan(found.interval).all()
    assert "No suggestion: with half of the seeds or more no value brings the loss below" in str(found)
    assert "Runs diverged from" in str(found)
    with pytest.raises(ValueError, match="suggested: there is no suggestion"):
        _ = found.suggested


def test_it_speaks():
    lines = str(side_by_side()).split("\n")
    tried = "21 values from 0.001 to 100 side by side, 10 steps, 3 seeds."
    assert lines[0] == f"learning_rate of sgd(learning_rate=0.01): {tried}"
    assert lines[1].startswith(f"Suggestion: {side_by_side().suggestion:.2g} (95 % interval ")
    assert "where the loss is lowest; it came down from" in lines[1]
    assert "from 0.001 to 1 within 40 steps, 3 seeds." in str(ramp())
    assert "where the loss falls fastest" in str(ramp())


def test_the_lowest_at_an_end_is_pointed_out():
    found = jo.rate_test(parabola, start, jo.sgd(), low=1e-3, high=1e-1, num=5, steps=STEPS, seeds=1)
    assert found.at_edge
    assert "The loss is lowest at an end of the range: try a wider one." in str(found)
    assert "one seed, no interval" in str(found)


def test_the_suggested_optimizer_has_the_suggestion():
    found = side_by_side()
    assert jo.hyperparameters(found.suggested) == {"learning_rate": found.suggestion}


GROUPED = jo.partition({"first": jo.sgd(0.1), "second": jo.sgd(0.2)}, {"a": "first", "b": "second"})
TREE = {"a": jnp.ones(2), "b": jnp.ones(2)}


def of_tree(w, _):
    """Two parabolas that know nothing of each other."""
    return parabola(w["a"], None) + parabola(w["b"], None)


def test_a_group_is_tested_alone():
    found = jo.rate_test(
        of_tree, TREE, GROUPED, name="second.learning_rate", low=1e-2, high=1.0, num=3, steps=5, seeds=1
    )
    first, second = 0.9 ** (2 * 4), (1 - found.rates) ** (2 * 4)
    np.testing.assert_allclose(found.losses[0], first + second, rtol=1e-5)
    assert found.name == "second.learning_rate"
    assert jo.hyperparameters(found.suggested)["first.learning_rate"] == 0.1


def test_a_group_ramps_alone():
    found = jo.rate_ramp(
        of_tree, TREE, GROUPED, name="first.learning_rate", low=1e-2, high=1.0, steps=4, seeds=1
    )
    first, second = np.cumprod((1 - found.rates) ** 2), 0.8 ** (2 * np.arange(1, 5))
    np.testing.assert_allclose(found.losses[0], first + second, rtol=1e-5)


def test_a_number_inside_a_schedule_is_varied_side_by_side():
    opt = jo.sgd(jo.schedules.linear(1.0, 0.0, steps=4))
    name = "learning_rate.initial"
    found = jo.rate_test(parabola, jnp.ones(2), opt, name=name, low=0.1, high=1.0, num=3, steps=5, seeds=1)
    shares = np.array([1, 0.75, 0.5, 0.25])
    factors = [np.prod((1 - rate * shares) ** 2) for rate in found.rates]
    np.testing.assert_allclose(found.losses[0], factors, rtol=1e-5, atol=1e-12)


def test_a_number_that_changes_nothing_is_told():
    """Muon has no matrix here, and its learning rate is of matrices only."""
    found = jo.rate_test(parabola, jnp.ones(2), jo.muon(), num=3, steps=3, seeds=1)
    assert np.isnan(found.suggestion)
    assert str(found).split("\n")[1] == "No suggestion: the loss is 0.996 whatever the value."


def test_batches_are_the_same_for_all_rates():
    """At rates that move nothing, the losses of a seed are the same numbers."""
    x = jnp.arange(12.0)
    found = jo.rate_test(
        lambda w, batch: jnp.mean((w - batch) ** 2), jnp.zeros(()), jo.sgd(), x,
        low=1e-30, high=1e-28, num=3, steps=5, seeds=2, batch_size=2,
    )  # fmt: skip
    assert (found.losses == found.losses[:, :1]).all()
    assert found.losses[0, 0] != found.losses[1, 0]
    np.testing.assert_array_equal(found.losses, found.untrained)
    assert np.isnan(found.suggestion)


def test_a_ramps_baseline_has_its_batches():
    x = jax.random.normal(jax.random.key(0), (50,))
    arguments = {"low": 1e-30, "high": 1e-28, "steps": 20, "seeds": 2, "batch_size": 2}
    found = jo.rate_ramp(lambda w, batch: jnp.mean((w - batch) ** 2), jnp.zeros(()), jo.sgd(), x, **arguments)
    np.testing.assert_array_equal(found.losses, found.untrained)
    assert np.unique(found.losses).size > 20
    assert np.isnan(found.suggestion)
    assert "No suggestion" in str(found)


@pytest.mark.parametrize("optimizer", [jo.accumulated(jo.sgd(), 2), jo.lift(optax.MultiSteps)(jo.sgd(), 2)])
def test_a_ramp_that_counts_otherwise_is_refused(optimizer):
    with pytest.raises(ValueError, match=r"^rate_ramp: name = .* came to .* do not count every"):
        jo.rate_ramp(
            parabola, jnp.ones(2), optimizer, name=rate_name(optimizer), low=1e-3, high=1e-1, steps=9
        )
    found = jo.rate_test(parabola, jnp.ones(2), optimizer, name=rate_name(optimizer), num=3, steps=5, seeds=1)
    assert np.isfinite(found.losses[0, 0])


def rate_name(optimizer):
    """What the learning rate is called there."""
    (name,) = [each for each in jo.hyperparameters(optimizer) if each.endswith("learning_rate")]
    return name


def test_a_models_state_comes_along():
    def loss(w, seen, _):
        return parabola(w, None) + 0 * seen, seen + 1

    found = jo.rate_test(loss, jnp.ones(2), jo.sgd(), model_state=jnp.zeros(()), num=3, steps=5, seeds=1)
    assert found.losses.shape == (1, 3)


SCHEDULED = jo.sgd(jo.schedules.constant(1.0))


@pytest.mark.parametrize("test", [jo.rate_test, jo.rate_ramp])
@pytest.mark.parametrize(
    ("optimizer", "arguments", "error", "message"),
    [
        (jo.sgd(), {"low": 1.0, "high": 0.1}, ValueError, "low = 1.0 is not below high = 0.1"),
        (jo.sgd(), {"low": 0.0}, ValueError, "low = 0.0 is out of range"),
        (jo.sgd(), {"steps": 2}, ValueError, "steps = 2 must be a whole number of at least 3"),
        (jo.sgd(), {"smooth": 0}, ValueError, "smooth = 0 is out of range"),
        (jo.sgd(), {"seeds": [1, 1]}, ValueError, r"seeds = \[1, 1\]"),
        (jo.sgd(), {"data": np.ones(3), "batch_size": 5}, ValueError, "batch_size = 5"),
        (jo.sgd(), {"name": "lr"}, ValueError, "name = 'lr' .* call 'lr' is learning_rate here"),
        (jo.adam(), {"name": "b1"}, ValueError, "b1 cannot be .*: adam: b1 = .* is out of range"),
        (GROUPED, {}, ValueError, "has 2 learning rates .* first.learning_rate, second.learning_rate"),
        (optax.sgd(0.1), {}, ValueError, "has no learning rates .* until they are lifted"),
        (SCHEDULED, {"name": "learning_rate"}, ValueError, "is a schedule, with learning_rate.value"),
        (SCHEDULED, {}, ValueError, "has no learning rates that are numbers"),
        (jo.chain(optax.clip(1.0)), {}, ValueError, "has no learning rates"),
        (3, {}, TypeError, "optimizer = 3"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(test, optimizer, arguments, error, message):
    params = TREE if optimizer is GROUPED else jnp.ones(2)
    loss = of_tree if optimizer is GROUPED else parabola
    with pytest.raises(error, match=rf"^{test.__name__}: .*{message}") as caught:
        test(loss, params, optimizer, **arguments)
    assert "\n" not in str(caught.value)


def test_a_ramp_is_of_no_number_inside_a_schedule():
    with pytest.raises(
        ValueError, match=r"rate_ramp: name = 'learning_rate\.peak' is a number of a schedule"
    ):
        jo.rate_ramp(parabola, jnp.ones(2), jo.sgd(jo.schedules.cosine(1.0, 9)), name="learning_rate.peak")


def test_a_lifted_optimizer_is_tested_both_ways():
    opt = jo.lift(optax.sgd)(learning_rate=0.1)
    short = {"low": 0.01, "high": 1.0, "steps": 3, "seeds": 1}
    side = jo.rate_test(parabola, jnp.ones(2), opt, num=3, **short)
    np.testing.assert_allclose(side.losses[0], (1 - side.rates) ** 4, rtol=1e-5, atol=1e-12)
    growing = jo.rate_ramp(parabola, jnp.ones(2), opt, **short)
    np.testing.assert_allclose(growing.losses[0], np.cumprod((1 - growing.rates) ** 2), rtol=1e-5, atol=1e-12)


def test_it_draws_itself():
    pytest.importorskip("matplotlib")
    figure = side_by_side().plot()
    axes = figure.axes[0]
    assert axes.get_xlabel() == "learning_rate"
    said = [text.get_text() for text in axes.texts]
    assert any(f"suggestion {side_by_side().suggestion:.2g} (95 % interval" in words for words in said)
    assert "learning_rate of sgd, a run for each value" in said


@pytest.mark.slow
@pytest.mark.parametrize("factory", [jo.sgd, jo.momentum, jo.adam, jo.rmsprop, jo.adagrad])
def test_on_the_digits_it_is_near_the_best_of_a_longer_run(factory):
    """A hundred steps suggest within a factor of 2 what 500 steps find best; the ramp within one of 6."""
    data = jo.problems.digits()

    def init(key):
        return jo.problems.mlp.init(key, (64, 32, 32, 10))

    shared = {"batch_size": 64, "seeds": 3, "progress": False}
    arguments = (jo.problems.mlp.loss, init, factory(), data.train)
    longer = jo.rate_test(*arguments, steps=500, **shared).suggestion
    side = jo.rate_test(*arguments, steps=100, **shared)
    assert longer / 2 < side.suggestion < longer * 2
    growing = jo.rate_ramp(*arguments, steps=200, **shared)
    assert longer / 6 < growing.suggestion < longer * 6
