"""Noisy and sparse problems: the mean and variance they promise, and a pytree all through."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics

from jaxopt_edu import problems

CURVATURES = [1.0, 10.0, 0.25]


@pytest.fixture(scope="module")
def keys():
    return jax.random.split(jax.random.key(0), 20_000)


@pytest.fixture(scope="module")
def sparse():
    return problems.sparse_regression(jax.random.key(0), examples=4000, features=20)


class TestNoisyQuadratic:
    def test_gradient_is_the_quadratics_with_noise_of_the_scale_asked_for(self, keys):
        problem = problems.noisy_quadratic(CURVATURES, noise_scale=0.5)
        params = jnp.array([2.0, -1.0, 4.0])
        gradients = jax.jit(jax.vmap(jax.grad(problem.loss), (None, 0)))(params, keys)
        noise = (np.asarray(gradients, np.float64) - [2.0, -10.0, 1.0]) / 0.5
        # Five standard errors of the mean, the covariance and the fourth moment of N(0, 1).
        error = 5 / np.sqrt(len(keys))
        np.testing.assert_allclose(noise.mean(axis=0), 0, atol=error)
        np.testing.assert_allclose(np.cov(noise.T), np.eye(3), atol=error * np.sqrt(2))
        np.testing.assert_allclose((noise**4).mean(axis=0), 3, atol=error * np.sqrt(96))

    def test_noise_of_one_key_does_not_depend_on_the_parameters(self, keys):
        problem = problems.noisy_quadratic(CURVATURES, noise_scale=0.5)
        gradient = jax.jit(jax.grad(problem.loss))
        at_start = gradient(problem.start, keys[0]) - jnp.array(CURVATURES)
        np.testing.assert_allclose(gradient(jnp.zeros(3), keys[0]), at_start, atol=1e-6)

    def test_expected_loss_is_the_quadratic(self):
        problem = problems.noisy_quadratic(CURVATURES, noise_scale=0.5)
        assert float(problem.expected_loss(problem.start)) == pytest.approx(sum(CURVATURES) / 2)
        np.testing.assert_allclose(jax.grad(problem.expected_loss)(problem.start), CURVATURES)

    def test_without_noise_every_key_gives_the_expected_loss(self, keys):
        problem = problems.noisy_quadratic(CURVATURES, noise_scale=0)
        params = jnp.array([2.0, -1.0, 4.0])
        assert float(problem.loss(params, keys[0])) == float(problem.expected_loss(params)) == 9.0

    def test_scale_can_be_swept(self, keys):
        @jax.jit
        @jax.vmap
        def gradients(noise_scale):
            problem = problems.noisy_quadratic(CURVATURES, noise_scale=noise_scale)
            return jax.grad(problem.loss)(problem.start, keys[0])

        quiet, one, two = gradients(jnp.array([0.0, 1.0, 2.0]))
        np.testing.assert_allclose(quiet, CURVATURES)
        np.testing.assert_allclose(two - quiet, 2 * (one - quiet), rtol=1e-5)

    def test_problem_passes_through_jit_with_its_numbers_as_leaves(self, keys):
        problem = problems.noisy_quadratic(CURVATURES, noise_scale=0.5)
        traces = []

        @jax.jit
        def loss_at_start(problem, key):
            traces.append(1)
            return problem.loss(problem.start, key)

        loss_at_start(problem, keys[0])
        loss_at_start(problems.noisy_quadratic([3.0, 2.0, 1.0], noise_scale=0.1), keys[0])
        assert len(traces) == 1

    @pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32, jnp.float64])
    def test_dtype_follows_the_parameters(self, x64, keys, dtype):
        problem = problems.noisy_quadratic([1, 10], noise_scale=1)
        loss = jax.eval_shape(problem.loss, jax.ShapeDtypeStruct((2,), dtype), keys[0])
        assert (loss.shape, loss.dtype) == ((), dtype)

    @pytest.mark.parametrize("curvatures", [[], 3.0, [[1.0, 2.0]]])
    def test_bad_curvatures_are_named(self, curvatures):
        with pytest.raises(ValueError, match=r"curvatures has shape .*one row of numbers"):
            problems.noisy_quadratic(curvatures, noise_scale=1.0)

    @pytest.mark.parametrize("noise_scale", [-0.1, float("nan"), float("inf")])
    def test_bad_noise_scale_is_named(self, noise_scale):
        with pytest.raises(ValueError, match=f"noisy_quadratic: noise_scale = {noise_scale} is out of range"):
            problems.noisy_quadratic([1.0], noise_scale=noise_scale)

    @pytest.mark.parametrize("shape", [(1,), (), (3, 1)])
    def test_parameters_are_never_broadcast(self, keys, shape):
        problem = problems.noisy_quadratic(CURVATURES, noise_scale=0.5)
        with pytest.raises(ValueError, match=r"curvatures of shape \(3,\)"):
            jax.eval_shape(problem.loss, jax.ShapeDtypeStruct(shape, jnp.float32), keys[0])


class TestSparseRegression:
    def test_shapes_and_dtypes(self, x64):
        problem = jax.eval_shape(lambda key: problems.sparse_regression(key), jax.random.key(0))
        assert (problem.examples.inputs.shape, problem.examples.inputs.dtype) == ((1000, 100), jnp.float32)
        assert (problem.examples.labels.shape, problem.examples.labels.dtype) == ((1000,), jnp.int32)
        for array in (problem.frequencies, problem.weights, problem.start):
            assert (array.shape, array.dtype) == ((100,), jnp.float32)

    def test_features_occur_as_often_as_the_power_law_says(self, sparse):
        inputs = np.asarray(sparse.examples.inputs)
        assert set(np.unique(inputs)) == {0.0, 1.0}
        expected = 0.5 / np.arange(1, 21)
        np.testing.assert_allclose(sparse.frequencies, expected, rtol=1e-6)
        error = 5 * np.sqrt(expected * (1 - expected) / len(inputs))
        assert (np.abs(inputs.mean(axis=0) - expected) < error).all()

    def test_labels_follow_the_weights(self, sparse):
        logits = np.asarray(sparse.examples.inputs, np.float64) @ np.asarray(sparse.weights, np.float64)
        chance = 1 / (1 + np.exp(-logits))
        labels = np.asarray(sparse.examples.labels)
        # The score of the likelihood at the true weights has mean 0 and this variance.
        score = ((labels - chance) * logits).sum()
        assert abs(score) < 5 * np.sqrt((chance * (1 - chance) * logits**2).sum())
        assert abs((labels - chance).sum()) < 5 * np.sqrt((chance * (1 - chance)).sum())

    def test_loss_is_scikit_learns(self, sparse):
        logits = np.asarray(sparse.examples.inputs, np.float64) @ np.asarray(sparse.weights, np.float64)
        expected = sklearn.metrics.log_loss(sparse.examples.labels, 1 / (1 + np.exp(-logits)))
        assert float(sparse.loss(sparse.weights, sparse.examples)) == pytest.approx(expected, rel=1e-5)
        assert float(sparse.loss(sparse.start, sparse.examples)) == pytest.approx(np.log(2), rel=1e-5)

    def test_gradient_of_a_feature_that_is_absent_from_the_batch_is_zero(self, sparse):
        batch = jax.tree.map(lambda leaf: leaf[:8], sparse.examples)
        absent = ~np.asarray(batch.inputs).any(axis=0)
        gradient = np.asarray(jax.grad(sparse.loss)(sparse.start, batch))
        assert absent.any()
        assert not gradient[absent].any()
        assert gradient[~absent].all()

    def test_power_can_be_swept_and_zero_makes_features_equally_common(self):
        draw = jax.vmap(
            lambda power: problems.sparse_regression(jax.random.key(0), examples=5, features=4, power=power)
        )
        problem = jax.jit(draw)(jnp.array([0.0, 2.0]))
        np.testing.assert_allclose(
            problem.frequencies, [[0.5] * 4, [0.5, 0.125, 0.5 / 9, 0.5 / 16]], rtol=1e-6
        )

    @pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32, jnp.float64])
    def test_dtype_follows_the_weights(self, x64, sparse, dtype):
        weights = jax.ShapeDtypeStruct((20,), dtype)
        assert jax.eval_shape(sparse.loss, weights, sparse.examples).dtype == dtype

    @pytest.mark.parametrize("name", ["examples", "features"])
    def test_empty_data_is_named(self, name):
        with pytest.raises(ValueError, match=f"sparse_regression: {name} = 0 must be a whole number"):
            problems.sparse_regression(jax.random.key(0), **{name: 0})
