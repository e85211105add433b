"""PSGD-Kron whitens: what it is for, and no two codes of it draw the same noise."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_edu as jo
from jaxopt_edu.optimizers.matrices.triangular import spectral_norm_from_below

ROWS, COLUMNS = 3, 2


@pytest.mark.parametrize("largest", [8192, 1], ids=["triangular", "diagonal"])
def test_whitened_gradients_are_equally_strong_and_unrelated(largest):
    """Gradients A Z Bᵀ with Z ~ N(0, 1); a diagonal Q can do it only where A and B are diagonal."""
    a, b = np.diag([3.0, 1.0, 0.3]), np.diag([1.0, 0.3])
    if largest > 1:
        a, b = a + np.triu(np.ones((ROWS, ROWS)), 1), b + np.array([[0.0, 0.0], [0.5, 0.0]])
    rng = np.random.default_rng(0)
    draws = np.einsum("ij,tjk,lk->til", a, rng.normal(size=(4000, ROWS, COLUMNS)), b).astype(np.float32)
    rate = jo.schedules.exponential(initial=0.1, rate=0.1, steps=2000.0)
    opt = jo.psgd_kron(momentum=0.0, preconditioner_rate=rate, largest=largest)
    params = {"kernel": jnp.zeros((ROWS, COLUMNS))}

    @jax.jit
    def train(opt: Any, gradients: Any) -> Any:
        step: Any = lambda state, g: (opt.update({"kernel": g}, state, params)[1], None)  # noqa: E731
        return jax.lax.scan(step, opt.init(params), gradients)[0]

    state = train(opt, jnp.asarray(draws))
    q, r = (np.asarray(side["kernel"]) for side in (state.left, state.right))
    q, r = (np.diag(side) if side.ndim == 1 else side for side in (q, r))
    assert np.all(np.tril(q, -1) == 0)
    # The covariance of P G = (QᵀQA) Z (RᵀRB)ᵀ, the columns one above the other.
    factor = np.kron(r.T @ r @ b, q.T @ q @ a)
    np.testing.assert_allclose(factor @ factor.T, np.eye(ROWS * COLUMNS), atol=0.25)
    before = np.kron(b, a)
    assert np.abs(before @ before.T - np.eye(ROWS * COLUMNS)).max() > 5


def test_q_learns_as_often_as_it_is_told():
    params = {"kernel": jnp.ones((2, 2))}
    opt = jo.psgd_kron(probability=0.25)
    state: Any = opt.init(params)
    changed = []
    for _ in range(8):
        before = state.left["kernel"]
        _, state = opt.update(params, state, params)
        changed.append(bool(jnp.any(state.left["kernel"] != before)))
    assert changed == [False, False, False, True] * 2


def test_zeros_teach_nothing():
    params = {"kernel": jnp.zeros((2, 2))}
    opt = jo.psgd_kron()
    state: Any = opt.update(params, opt.init(params), params)[1]
    np.testing.assert_array_equal(state.left["kernel"], np.eye(2))


def test_the_noise_is_the_seeds_and_the_steps():
    params = {"kernel": jnp.ones((3, 2))}

    def after_two(seed: int) -> Any:
        opt = jo.psgd_kron(seed=seed)
        state: Any = opt.init(params)
        for _ in range(2):
            _, state = opt.update(params, state, params)
        return np.asarray(state.left["kernel"])

    np.testing.assert_array_equal(after_two(0), after_two(0))
    assert np.any(after_two(0) != after_two(1))


def test_the_bound_of_the_norm():
    rng = np.random.default_rng(0)
    for _ in range(5):
        half = rng.normal(size=(6, 9))
        matrix = (half @ half.T).astype(np.float32)
        largest, found = np.linalg.eigvalsh(matrix)[-1], float(spectral_norm_from_below(jnp.asarray(matrix)))
        assert largest / 6**0.5 < found < largest * 1.00001
