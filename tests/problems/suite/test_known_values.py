"""What is known of the suite's problems exactly: least values, and what needs no training."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from jaxopt_edu import problems
from jaxopt_edu.problems.suite.quadratic import rotation
from jaxopt_edu.problems.suite.regressions import head


def value(problem, params):
    return float(problem.evaluate(params)[problem.metric])


def test_the_quadratic_is_turned_and_least_at_zero():
    problem = problems.quadratic_deep()
    turned = rotation(np.random.default_rng(1), 20)
    np.testing.assert_allclose(turned @ turned.T, np.eye(20), atol=1e-12)
    assert value(problem, jnp.zeros(100)) == problem.optimum == 0
    w = jax.random.normal(jax.random.key(0), (100,))
    keys = jax.random.split(jax.random.key(1), 200)
    losses, floor = (jax.vmap(lambda key, w=w: problem.loss(w, problem.batch(key)))(keys) for w in (w, 0 * w))
    gap, error = np.mean(losses - floor), np.std(losses - floor) / 200**0.5
    assert abs(gap - value(problem, w)) < 5 * error


def test_the_linear_autoencoders_best_is_the_principal_components():
    problem = problems.linear_ae(code=5)
    inputs = np.asarray(problems.problem("digits_ae").data, np.float64)
    _, _, directions = np.linalg.svd(inputs, full_matrices=False)
    first = jnp.asarray(directions[:5], jnp.float32)
    best = {"down": first.T, "up": first}
    assert value(problem, best) == pytest.approx(problem.optimum, abs=1e-6)
    zero = jax.tree.map(jnp.zeros_like, best)
    assert value(problem, zero) == pytest.approx(problem.trivial, rel=1e-6)


def test_the_regressions_least_value_is_where_newtons_method_ends():
    problem, decay = problems.cancer_raw(), 1e-3
    features, labels = (np.asarray(each, np.float64) for each in problem.data)
    rows = np.column_stack([features, np.ones(len(labels))])
    penalty = decay * np.append(np.ones(30), 0.0)
    v = np.zeros(31)
    for _ in range(30):
        chance = scipy.special.expit(rows @ v)
        slope = rows.T @ (chance - labels) / len(labels) + penalty * v
        curvature = (rows * (chance * (1 - chance))[:, None]).T @ rows / len(labels) + np.diag(penalty)
        v -= np.linalg.solve(curvature, slope)
    least = np.logaddexp(0, -(2 * labels - 1) * (rows @ v)).mean() + np.sum(penalty * v**2) / 2
    assert np.abs(slope).max() < 1e-9
    assert np.log(2) - problem.trivial == pytest.approx(least, abs=1e-7)
    params = {"weight": jnp.asarray(v[:-1], jnp.float32), "bias": jnp.asarray(v[-1], jnp.float32)}
    assert value(problem, params) == pytest.approx(problem.optimum, abs=1e-5)


@pytest.mark.parametrize("name", ["digits_mlp", "digits_deep", "digits_residual"])
def test_all_digits_alike_is_a_network_of_zeros(name):
    problem = problems.problem(name)
    zeros = jax.tree.map(jnp.zeros_like, problem.init(jax.random.key(0)))
    assert value(problem, zeros) == pytest.approx(problem.trivial, abs=1e-4)


def test_what_needs_no_training_is_worth_what_is_said():
    words, cancer = problems.words(), problems.cancer_raw()
    assert value(words, words.init(jax.random.key(0))) == pytest.approx(words.trivial, rel=1e-6)
    assert value(cancer, cancer.init(jax.random.key(0))) == pytest.approx(cancer.trivial, rel=1e-6)
    for name in ("digits_vae", "digits_ae", "diabetes_noisy", "completion"):
        problem = problems.problem(name)
        zeros = jax.tree.map(jnp.zeros_like, problem.init(jax.random.key(0)))
        # Zeros say the mean of what was trained on, in all of these.
        assert value(problem, zeros) == pytest.approx(problem.trivial, rel=1e-5), name


def test_the_guess_of_frequencies_is_a_bias():
    problem = problems.zipf()
    frequencies = np.bincount(np.asarray(problem.data.labels), minlength=128) + 1.0
    guess = {"weight": jnp.zeros((64, 128)), "bias": jnp.asarray(np.log(frequencies), jnp.float32)}
    assert value(problem, guess) == pytest.approx(problem.trivial, rel=1e-5)
    found = problem.evaluate(guess)
    assert float(found["rare"]) > float(found["test"])


def test_a_picture_of_its_own_rank_is_completed():
    problem = problems.completion(rank=256)
    picture = head()
    known = np.random.default_rng(0).uniform(size=picture.shape) < 0.3
    rows, values, columns = np.linalg.svd((picture - picture[known].mean()) / picture[known].std())
    params = {"rows": jnp.asarray(rows * values, jnp.float32), "columns": jnp.asarray(columns.T, jnp.float32)}
    assert value(problem, params) < 1e-8
