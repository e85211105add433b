"""A race on data: paired runs, whatever is stacked beside them, and honest summaries."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_edu as jo
from jaxopt_edu.problems import Dataset, Examples, mlp
from jaxopt_edu.race import LearningResult, race_on_data
from jaxopt_edu.race.learning import HIDDEN
from jaxopt_edu.training import shuffled_indices

STEPS = 25
SEEDS = 3
EXAMPLES = 150


@pytest.fixture(scope="module")
def data():
    """Three clouds in the plane, more of them than one batch holds."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, size=EXAMPLES + 30)
    centres = np.array([[2.0, 0.0], [-1.0, 1.7], [-1.0, -1.7]])
    inputs = centres[labels] + random.normal(size=(len(labels), 2))
    rows = Examples(jnp.asarray(inputs, jnp.float32), jnp.asarray(labels, jnp.int32))
    train, test = (jax.tree.map(lambda leaf, cut=cut: leaf[cut], rows) for cut in (np.s_[30:], np.s_[:30]))
    return Dataset(train, test, classes=3)


RATES = (0.03, 0.3, 1e6)


@pytest.fixture(scope="module")
def sgd(data):
    made = []
    settings = [jo.sgd(learning_rate=rate) for rate in RATES]
    result = race_on_data(data, "sgd", settings, steps=STEPS, seeds=SEEDS, advance=made.append)
    return result, made


@pytest.fixture(scope="module")
def adam(data):
    return race_on_data(data, "adam", [jo.adam(learning_rate=0.01)], steps=STEPS, seeds=SEEDS)


def test_shapes_and_steps(sgd):
    result, made = sgd
    assert result.method == "sgd"
    assert result.steps.tolist() == [0, 10, 20, 25]
    assert result.losses.shape == result.accuracies.shape == (len(RATES), SEEDS, 4)
    assert made == [10, 10, 5]
    assert result.seconds > 0


def test_settings_and_methods_start_alike_within_a_seed(sgd, adam):
    losses = sgd[0].losses[:, :, 0]
    np.testing.assert_array_equal(losses, np.broadcast_to(losses[0], losses.shape))
    np.testing.assert_array_equal(adam.losses[0, :, 0], losses[0])
    assert len(set(losses[0].tolist())) == SEEDS


def test_the_first_seed_is_the_callers(data, adam):
    one = race_on_data(data, "adam", [jo.adam(learning_rate=0.01)], steps=10, seeds=1, first_seed=2)
    # Batches of another size are summed in another order.
    np.testing.assert_allclose(one.losses[:, 0], adam.losses[:, 2, :2], rtol=2e-5)


def test_losses_fall_and_accuracy_rises(sgd, adam):
    for result, setting in ((sgd[0], 1), (adam, 0)):
        losses, accuracies = result.losses[setting], result.accuracies[setting]
        assert (losses[:, -1] < 0.7 * losses[:, 0]).all()
        assert (accuracies[:, -1] > 0.7).all()
        assert ((accuracies >= 0) & (accuracies <= 1)).all()


def test_one_run_by_hand(data, sgd):
    """Seed 1 with learning rate 0.3, step by step: the batches of its own order, and w ← w − η g."""
    key = jax.random.key(1)
    params = mlp.init(jax.random.fold_in(key, 0), (2, *HIDDEN, 3))
    rows = shuffled_indices(jax.random.fold_in(key, 1), 0, 0, steps=STEPS, examples=EXAMPLES, batch_size=128)
    gradient = jax.jit(jax.grad(mlp.loss))
    for row in rows:
        g = gradient(params, Examples(data.train.inputs[row], data.train.labels[row]))
        params = jax.tree.map(lambda w, g: w - jnp.float32(0.3) * g, params, g)
    # Batched products are summed in another order: float32 noise, grown over 25 steps.
    np.testing.assert_allclose(sgd[0].losses[1, 1, -1], mlp.loss(params, data.train), rtol=1e-4)
    assert sgd[0].accuracies[1, 1, -1] == pytest.approx(float(mlp.accuracy(params, data.test)), abs=0.04)


def test_a_run_does_not_depend_on_its_neighbours(data, sgd):
    result = sgd[0]
    # One compiled program for one run, another for nine: their products are summed in another order, which is
    # float32 noise (1e-7 a step) grown over 20 steps.
    alone = race_on_data(data, "sgd", [jo.sgd(learning_rate=RATES[1])], steps=20, seeds=1)
    np.testing.assert_allclose(alone.losses[0, 0], result.losses[1, 0, :3], rtol=2e-5)


def test_the_same_race_twice_is_the_same(data, adam):
    again = race_on_data(data, "adam", [jo.adam(learning_rate=0.01)], steps=STEPS, seeds=SEEDS)
    np.testing.assert_array_equal(again.losses, adam.losses)
    np.testing.assert_array_equal(again.accuracies, adam.accuracies)


def test_best_ignores_what_diverged(sgd):
    result = sgd[0]
    assert not np.isfinite(result.losses[2, :, -1]).all()
    assert result.best == 1


def test_fewer_examples_than_a_batch(data):
    few = data._replace(train=jax.tree.map(lambda leaf: leaf[:40], data.train))
    result = race_on_data(few, "sgd", [jo.sgd(learning_rate=0.1)], steps=10, seeds=2)
    # One batch is all the data, so that this is gradient descent, and descends at a small rate.
    assert (result.losses[0, :, -1] < result.losses[0, :, 0]).all()


def made_up(losses, steps):
    losses = np.asarray(losses, np.float32)
    optimizers = tuple(jo.sgd(learning_rate=rate) for rate in np.arange(1, len(losses) + 1) / 10)
    return LearningResult("sgd", optimizers, np.array(steps), losses, np.zeros_like(losses), 1.0)


@pytest.mark.parametrize("last", [(0.1, np.nan), (0.1, np.inf), (3e38, 3e38)])
def test_one_diverged_seed_is_enough_to_lose(last):
    result = made_up([[[1, last[0]], [1, last[1]]], [[1, 0.5], [1, 0.7]], [[1, 0.5], [1, 0.8]]], [0, 10])
    assert result.best == 1


def test_all_diverged_names_the_first():
    assert made_up(np.full((3, 2, 2), np.nan), [0, 10]).best == 0


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([[9, 4, 1, 0], [9, 1, 1, 0], [9, 9, 9, 0]], 20),  # first reached at 20, 10, 30
        ([[9, 1, 5, 0], [9, 1, 5, 0]], 10),  # the first time counts
        ([[9, 1, 0, 0], [9, 9, 1, 0]], 15),  # between two seeds
        ([[1, 1, 1, 1]], 0),
        ([[9, 9, 9, 9]], None),
        ([[9, 9, 9, 1], [9, 9, 9, 9]], None),  # half of the seeds are not enough
        ([[9, 9, 9, 1], [9, 9, 9, 1], [9, 9, 9, 9]], 30),
    ],
)
def test_steps_to(losses, expected):
    assert made_up([losses], [0, 10, 20, 30]).steps_to(1.0) == expected
