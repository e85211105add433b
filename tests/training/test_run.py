"""What happens between the compiled stretches: evaluation, patience and the user's callback."""

import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_edu as jo

# w goes 8, 4, 2, 1, ...
OPT = jo.sgd(learning_rate=0.25)


def loss_fn(w, _):
    return w**2


def fit(**options):
    return jo.fit(loss_fn, jnp.array(8.0), OPT, **options)


def giving(values):
    return iter(values).__next__


def test_the_host_is_touched_only_between_stretches():
    moments = []
    result = fit(steps=10, every=4, evaluate=lambda w: {"w": w}, callback=moments.append)
    assert [moment.step for moment in moments] == [4, 8, 10]
    np.testing.assert_array_equal(result.history.evaluated_at, [4, 8, 10])
    np.testing.assert_array_equal(result.history.evaluations["w"], 8 * 0.5 ** np.array([4, 8, 10]))
    # A moment's parameters may be kept: later steps do not take their buffers away.
    assert [float(moment.params) for moment in moments] == [0.5, 8 / 256, 8 / 1024]
    assert [int(moment.state.count) for moment in moments] == [4, 8, 10]
    np.testing.assert_array_equal(
        np.concatenate([moment.losses for moment in moments]), result.history.losses
    )
    np.testing.assert_array_equal(result.history.losses, 64 * 0.25 ** np.arange(10))
    assert float(moments[-1].evaluation["w"]) == 8 / 1024


def test_a_moment_has_the_metrics_of_the_steps_since_the_last_one():
    moments = []

    def with_metrics(w, _):
        return w**2, {"w": w, "pair": jnp.stack([w, -w])}

    train = {"steps": 10, "every": 4, "callback": moments.append}
    result = jo.fit(with_metrics, jnp.array(8.0), OPT, **train)
    assert [len(moment.metrics["w"]) for moment in moments] == [4, 4, 2]
    assert moments[1].metrics["pair"].shape == (4, 2)
    np.testing.assert_array_equal(moments[1].metrics["w"] ** 2, moments[1].losses)
    for name, values in result.history.metrics.items():
        np.testing.assert_array_equal(np.concatenate([moment.metrics[name] for moment in moments]), values)
    fit(steps=1, callback=moments.append)
    assert moments[-1].metrics == {}


def test_the_buffers_of_a_stretch_are_given_to_the_next():
    seen = []
    result = fit(steps=12, every=4, evaluate=lambda w: seen.append(w) or 0.0)
    assert [w.is_deleted() for w in seen] == [True, True, False]
    assert float(result.params) == 8 / 4096


def test_every_defaults_to_a_hundred():
    steps = []
    fit(steps=250, callback=lambda moment: steps.append(moment.step))
    assert steps == [100, 200, 250]


def test_a_callback_ends_the_run():
    result = fit(steps=100, every=4, callback=lambda moment: moment.step == 8)
    assert result.history.stopped == "stopped by the callback at step 8"
    assert float(result.params) == 8 / 256
    assert len(result.history.losses) == 8


def test_an_evaluation_that_keeps_the_parameters_is_not_overwritten():
    result = fit(steps=12, every=4, evaluate=lambda w: w)
    np.testing.assert_array_equal(result.history.evaluations["value"], [0.5, 8 / 256, 8 / 4096])


@pytest.mark.parametrize(
    ("values", "patience", "evaluations"),
    [
        ([5.0, 4.0, 4.0, 3.0, 3.0, 3.0, 2.0], 2, 6),
        ([1.0, 2.0, 0.0], 1, 2),
        ([3.0, 2.0, 1.0], 1, 3),
        ([np.nan, 5.0, 4.0, 3.0], 2, 4),
        ([5.0, np.nan, np.nan, 1.0], 2, 3),
        ([np.inf, 5.0, 4.0], 2, 3),
        ([np.nan, np.nan, np.nan, 1.0], 2, 3),
    ],
)
def test_patience(values, patience, evaluations):
    following = giving(values)
    result = fit(steps=4 * len(values), every=4, patience=patience, evaluate=lambda w: following())
    assert len(result.history.losses) == 4 * evaluations
    if evaluations < len(values):
        assert result.history.stopped == (
            f"no improvement in {patience} evaluations, at step {4 * evaluations}"
        )
    else:
        assert result.history.stopped == "completed"


def test_patience_watches_the_number_named_loss():
    following = giving([1.0, 2.0, 3.0, 0.0])
    result = fit(
        steps=16, every=4, patience=2, evaluate=lambda w: {"accuracy": -float(w), "loss": following()}
    )
    assert len(result.history.losses) == 12


def test_patience_without_evaluation_watches_the_training_loss():
    rising = jo.sgd(learning_rate=1.5)
    result = jo.fit(loss_fn, jnp.array(1e-6), rising, steps=40, every=4, patience=3)
    assert len(result.history.losses) == 16
    assert fit(steps=40, every=4, patience=1).history.stopped == "completed"


def test_patience_is_kept_across_a_resume(tmp_path):
    values = [1.0, 2.0, 3.0, 4.0]
    first, second = giving(values), giving(values[2:])
    fit(steps=8, every=4, patience=3, evaluate=lambda w: first(), checkpoint=tmp_path)
    result = fit(steps=40, every=4, patience=3, evaluate=lambda w: second(), checkpoint=tmp_path, resume=True)
    assert result.history.stopped == "no improvement in 3 evaluations, at step 16"
    np.testing.assert_array_equal(result.history.evaluations["value"], values)


def test_patience_with_several_numbers_is_refused():
    with pytest.raises(ValueError, match=r"one number to watch: evaluate gives \['a', 'b'\]"):
        fit(steps=8, every=4, patience=1, evaluate=lambda w: {"a": 1.0, "b": 2.0})


@pytest.mark.parametrize("value", [None, "low", object()])
def test_an_evaluation_that_is_no_number_is_refused(value):
    with pytest.raises(TypeError, match=r"evaluate gave .* for 'value'; it has to return a number"):
        fit(steps=4, evaluate=lambda w: value)


def test_other_names_than_before_are_refused():
    following = giving([{"a": 1.0}, {"b": 1.0}])
    with pytest.raises(ValueError, match=r"evaluate gave \['b'\] after 8 steps, but \['a'\] before"):
        fit(steps=8, every=4, evaluate=lambda w: following())


@pytest.mark.parametrize("kind", [int, float, np.float64, jnp.float32, jnp.bfloat16, bool])
def test_numbers_of_any_kind_may_be_evaluated(kind):
    values = fit(steps=4, every=2, evaluate=lambda w: kind(1)).history.evaluations["value"]
    assert values.tolist() == [1, 1]


def test_numpy_integers_and_whole_floats_are_whole_numbers():
    result = fit(steps=np.int64(6), every=4.0, evaluate=float)
    np.testing.assert_array_equal(result.history.evaluated_at, [4, 6])
    assert result.history.losses.shape == (6,)


def test_errors_of_the_user_pass_through():
    def broken(w):
        raise RuntimeError(f"bug at {float(w)}")

    with pytest.raises(RuntimeError, match=r"bug at 0\.5"):
        fit(steps=8, every=4, evaluate=broken)
    with pytest.raises(RuntimeError, match=r"bug at 0\.5"):
        fit(steps=8, every=4, callback=lambda moment: broken(moment.params))
