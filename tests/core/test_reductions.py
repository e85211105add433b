"""Sums over a whole tree: every leaf counts, in at least float32, and the digits stay."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_edu.core import norm, squared_magnitude, tree_dot, tree_norm, tree_sum
from tests.draws import draw

TREE = {
    "w": draw(3, 4).astype(np.float32),
    "frozen": None,
    "deep": [draw(5).astype(np.float32), np.float32(2.0)],
}
LEAVES = [np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(TREE)]


def test_every_leaf_and_place_counts():
    assert float(tree_sum(jnp.abs, TREE)) == pytest.approx(sum(np.abs(x).sum() for x in LEAVES), rel=1e-6)
    assert float(tree_norm(TREE)) == pytest.approx(np.sqrt(sum((x**2).sum() for x in LEAVES)), rel=1e-6)
    double = jax.tree.map(lambda x: 2 * x, TREE)
    assert float(tree_dot(TREE, double)) == pytest.approx(2 * sum((x**2).sum() for x in LEAVES), rel=1e-6)


def test_a_function_of_several_trees_is_given_leaves_of_each():
    ones = jax.tree.map(np.ones_like, TREE)
    found = tree_sum(lambda g, w, first: g * (first - w), TREE, ones, TREE)
    assert float(found) == pytest.approx(sum((x * (x - 1)).sum() for x in LEAVES), rel=1e-6)


@pytest.mark.parametrize("tree", [{}, None, {"none of them": np.ones((0, 3), np.float32)}])
def test_an_empty_tree_has_the_sum_0(tree):
    assert float(tree_sum(jnp.abs, tree)) == 0
    assert float(tree_norm(tree)) == 0
    assert tree_norm(tree).dtype == jnp.float32


def test_half_precision_is_summed_in_float32():
    """4,096 ones in bfloat16: added in it, the sum stays at 256."""
    assert float(tree_sum(jnp.abs, [jnp.ones(4096, jnp.bfloat16)] * 3)) == 3 * 4096
    assert float(tree_norm(jnp.full(4, 1000.0, jnp.float16))) == 2000.0


def test_the_widest_leaf_says_in_what_is_summed(x64):
    tree = [jnp.ones(2, jnp.bfloat16), jnp.full(3, 0.1)]
    assert tree_sum(jnp.abs, tree).dtype == jnp.float64
    assert float(tree_norm(tree)) == pytest.approx(np.sqrt(2.03), rel=1e-15)


def test_complex_leaves_have_real_sums():
    tree = {"z": jnp.array([3 + 4j]), "x": jnp.array([12.0])}
    assert float(tree_norm(tree)) == 13.0
    assert float(tree_dot(tree, tree)) == 169.0
    assert tree_dot(tree, tree).dtype == jnp.float32


# The compiler of jax 0.8.1 was measured to lose 3.4e-5 where the numbers are all alike and have several axes.
ROUNDING = 5e-7 if jax.__version_info__ >= (0, 10) else 1e-4


@pytest.mark.parametrize("shape", [(1 << 20,), (1_000_003,), (700, 1_500), (1_500, 7, 100)])
@pytest.mark.parametrize("values", ["squares", "all alike"])
def test_the_digits_stay_in_long_sums(shape, values):
    """Added up one after another, a million float32 numbers would lose 1e-5 to 1e-2 of their sum."""
    x = np.full(shape, 0.1, np.float32) if values == "all alike" else draw(*shape).astype(np.float32)
    exact = np.square(x.astype(np.float64)).sum()
    for tree in ({"w": x}, {"a": x, "b": jnp.float32(0)}):
        assert float(jax.jit(lambda tree: tree_sum(squared_magnitude, tree))(tree)) == pytest.approx(
            exact, rel=ROUNDING
        )


def test_a_thousand_leaves_keep_the_digits_too():
    tree = [jnp.full(3, 0.1 + i / 7, jnp.float32) for i in range(1000)]
    exact = sum(3 * float(leaf[0]) for leaf in tree)
    assert float(tree_sum(jnp.abs, tree)) == pytest.approx(exact, rel=3e-7)


def test_derivatives_are_finite_at_0():
    assert jax.grad(norm)(jnp.zeros(3)).tolist() == [0, 0, 0]
    gradient = jax.grad(lambda tree: tree_norm(tree))({"a": jnp.zeros(2), "b": jnp.zeros(())})
    assert all(np.all(np.asarray(leaf) == 0) for leaf in jax.tree.leaves(gradient))


def test_it_stays_one_program_under_vmap():
    stacked = {"w": jnp.arange(6.0).reshape(3, 2)}
    expected = [float(tree_norm({"w": row})) for row in stacked["w"]]
    np.testing.assert_allclose(jax.vmap(tree_norm)(stacked), expected, rtol=1e-7)
