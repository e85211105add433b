"""Leaves as matrices: which are, how each lies in its leaf, and that one call serves all of a shape."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jaxopt_edu.core import (
    MatrixAxes,
    map_matrices,
    matrix_axes,
    matrix_state,
    with_fewer_rows,
    zeros_like,
)
from jaxopt_edu.core.paths import leaf_names
from tests.draws import normal


def zeros(params: Any) -> Any:
    return zeros_like(params)


def gram(params: Any) -> Any:
    return matrix_state(params, lambda rows, columns, dtype: jnp.eye(rows, dtype=dtype))


def polar(g, *, scale):
    """The nearest matrix with orthogonal rows or columns: one rule that sees all places of a matrix."""
    u, _, v = jnp.linalg.svd(g, full_matrices=False)
    return scale * (u @ v)


def numpy_polar(g: Any) -> np.ndarray:
    u, _, v = np.linalg.svd(np.asarray(g, np.float64), full_matrices=False)
    return u @ v


SCALE = jnp.float32(2.0)

MATRICES = {
    "kernel": ((4, 3), MatrixAxes((0,), (1,))),
    "dense/kernel": ((4, 3), MatrixAxes((0,), (1,))),
    "dense/kernel/value": ((4, 3), MatrixAxes((0,), (1,))),
    "mlp/w": ((4, 3), MatrixAxes((0,), (1,))),
    "b/w": ((4, 3), MatrixAxes((0,), (1,))),
    "linear/weight": ((3, 4), MatrixAxes((1,), (0,))),
    "layers/kernel": ((5, 4, 3), MatrixAxes((1,), (2,))),
    "layers/weight": ((5, 3, 4), MatrixAxes((2,), (1,))),
    "Conv_0/kernel": ((3, 3, 2, 4), MatrixAxes((0, 1, 2), (3,))),
    "conv/weight": ((4, 2, 3, 3), MatrixAxes((1, 2, 3), (0,))),
    "stacked/conv/kernel": ((2, 3, 3, 2, 4), MatrixAxes((1, 2, 3), (4,))),
    "attention/heads/kernel": ((4, 3), MatrixAxes((0,), (1,))),
    "embedded/kernel": ((4, 3), MatrixAxes((0,), (1,))),
}
NONE = {
    "bias": (3,),
    "scalar": (),
    "layers/bias": (5, 3),
    "layers/b": (5, 3),
    "layers/LayerNorm_0/scale": (5, 3),
    "layers/layer_norm/weight": (5, 3),
    "layers/ln/weight": (5, 3),
    "embed/embedding": (10, 3),
    "Embed_0/embedding": (10, 3),
    "TokenEmbedder/table": (10, 3),
    "wte": (10, 3),
    "lm_head/kernel": (3, 10),
    "LMHead/kernel": (3, 10),
    "head/weight": (10, 3),
    "logits/w": (3, 10),
    "six": (1, 1, 1, 1, 2, 2),
}


@pytest.mark.parametrize("name", MATRICES)
def test_what_is_a_matrix_and_how_it_lies(name):
    shape, axes = MATRICES[name]
    assert matrix_axes(name, jax.ShapeDtypeStruct(shape, jnp.float32)) == axes


@pytest.mark.parametrize("name", NONE)
def test_what_is_none(name):
    assert matrix_axes(name, jax.ShapeDtypeStruct(NONE[name], jnp.float32)) is None


def test_the_layers_of_flax_and_equinox_are_told_apart():
    class Model(nnx.Module):
        def __init__(self, rngs):
            self.embed = nnx.Embed(7, 4, rngs=rngs)
            self.conv = nnx.Conv(2, 4, (3, 3), rngs=rngs)
            self.norm = nnx.LayerNorm(4, rngs=rngs)
            self.dense = nnx.Linear(4, 3, rngs=rngs)

    state = nnx.state(Model(nnx.Rngs(0)), nnx.Param)
    leaves = dict(zip(leaf_names(state), jax.tree.leaves(state), strict=True))
    found = {name for name, leaf in leaves.items() if matrix_axes(name, leaf)}
    assert found == {"conv/kernel/value", "dense/kernel/value"}

    model = eqx.nn.Sequential(
        [
            eqx.nn.Linear(4, 3, key=jax.random.key(0)),
            eqx.nn.LayerNorm(3),
            eqx.nn.Conv2d(2, 5, 3, key=jax.random.key(0)),
        ]
    )
    model = eqx.filter(model, eqx.is_inexact_array)
    leaves = dict(zip(leaf_names(model), jax.tree.leaves(model), strict=True))
    found = {name: axes.shape(leaf) for name, leaf in leaves.items() if (axes := matrix_axes(name, leaf))}
    assert found == {"layers/0/weight": (4, 3), "layers/2/weight": (18, 5)}


@pytest.mark.parametrize("name", MATRICES)
def test_a_leaf_comes_back_as_it_was(name):
    shape, axes = MATRICES[name]
    leaf = normal(*shape)
    matrices = axes.fold(leaf)
    assert matrices.shape[1:] == axes.shape(leaf)
    assert len(matrices) == axes.number(leaf)
    np.testing.assert_array_equal(axes.unfold(matrices, shape), leaf)


TREE = {
    "a": {"kernel": normal(4, 3)},
    "b": {"kernel": normal(4, 3, seed=1), "frozen": None},
    "wide": {"kernel": normal(3, 4)},
    "torch": {"weight": normal(3, 4, seed=1)},
    "layers": {"kernel": normal(5, 4, 3)},
    "conv": {"kernel": normal(2, 1, 2, 3)},
    "half": {"kernel": normal(4, 3, seed=2, dtype=jnp.bfloat16)},
}


def expected_update(name, leaf):
    if name == "conv":
        return 2 * numpy_polar(leaf.reshape(4, 3)).reshape(leaf.shape)
    if name == "layers":
        return np.stack([2 * numpy_polar(each) for each in leaf])
    return 2 * numpy_polar(leaf)


def check_updates(updates: Any) -> None:
    assert jax.tree.structure(updates) == jax.tree.structure(TREE)
    for name, layer in TREE.items():
        for key, leaf in layer.items():
            if leaf is None:
                continue
            update = updates[name][key]
            assert update.dtype == leaf.dtype
            tolerance = 1e-2 if leaf.dtype == jnp.bfloat16 else 1e-5
            np.testing.assert_allclose(
                np.asarray(update, np.float64), expected_update(name, leaf), atol=tolerance, err_msg=name
            )


@pytest.mark.parametrize("compiled", [False, True])
def test_each_matrix_is_worked_on_as_it_would_be_alone(compiled):
    step = lambda tree: map_matrices(polar, tree, scale=SCALE)  # noqa: E731
    check_updates((jax.jit(step) if compiled else step)(TREE))


def test_matrices_of_one_shape_are_one_call():
    calls = []

    def counted(g, *, scale):
        calls.append(g.shape)
        return polar(g, scale=scale)

    map_matrices(counted, TREE, scale=SCALE)
    # (4, 3): two dense layers, five stacked ones, a convolution's and the one with outputs first.
    assert sorted(calls) == [(3, 4), (4, 3), (4, 3)], "the third is bfloat16"


def test_the_rule_sees_rows_for_inputs_whatever_the_leaf_has_first():
    seen = {}
    tree: Any = {"weight": normal(3, 5), "kernel": normal(2, 7)}
    map_matrices(lambda g: seen.setdefault(g.shape, g), tree)
    np.testing.assert_array_equal(seen[(5, 3)], tree["weight"].T)
    np.testing.assert_array_equal(seen[(2, 7)], tree["kernel"])


def remembering(g, w, m, left, *, b):
    m = b * m + g
    left = left + g @ g.T
    return -(left @ m) - w, m, left


def test_states_that_mirror_and_states_of_their_own():
    params: Any = {"w": normal(2, 4, 3), "z": normal(4, 3), "weight": normal(3, 4)}
    gradients: Any = jax.tree.map(lambda leaf: leaf + 1, params)
    m, left = zeros(params), gram(params)
    assert {name: leaf.shape for name, leaf in left.items()} == {
        "w": (2, 4, 4),
        "z": (4, 4),
        "weight": (4, 4),
    }
    step = jax.jit(
        lambda *trees: map_matrices(
            remembering, trees[0], trees[1], own=(trees[2],), params=trees[3], b=jnp.float32(0.5)
        )
    )
    for _ in range(2):
        updates, m, left = step(gradients, m, left, params)
    for name, g, w in [
        ("w", gradients["w"][1], params["w"][1]),
        ("z", gradients["z"], params["z"]),
        ("weight", gradients["weight"].T, params["weight"].T),
    ]:
        grown = np.eye(4) + 2 * np.asarray(g @ g.T)
        found = [tree[name][1] if name == "w" else tree[name] for tree in (updates, m, left)]
        update, momentum, product = (x.T if name == "weight" and x.shape == (3, 4) else x for x in found)
        np.testing.assert_allclose(product, grown, rtol=1e-5)
        np.testing.assert_allclose(momentum, 1.5 * g, rtol=1e-6)
        np.testing.assert_allclose(update, -(grown @ (1.5 * np.asarray(g))) - w, rtol=1e-4)


def test_states_are_at_least_float32_and_keep_their_dtype():
    params: Any = {"w": normal(4, 3, dtype=jnp.bfloat16)}
    left = gram(params)
    assert left["w"].dtype == jnp.float32
    _, m, left = map_matrices(
        remembering, params, zeros(params), own=(left,), params=params, b=jnp.float32(0.5)
    )
    assert (m["w"].dtype, left["w"].dtype) == (jnp.float32, jnp.float32)


def test_what_is_no_matrix_is_refused_by_name():
    tree: Any = {"dense": {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}}
    message = r"leaf dense/bias of shape \(2,\) is no matrix.*partition\("
    with pytest.raises(ValueError, match=message):
        map_matrices(polar, tree, scale=SCALE)
    with pytest.raises(ValueError, match=message):
        matrix_state(tree, lambda rows, columns, dtype: jnp.zeros(rows, dtype))


def test_another_function_says_what_is_a_matrix():
    """Attention's (embed, heads, size) as one matrix of heads · size columns instead of stacked ones."""

    def axes(name, leaf):
        return MatrixAxes((0,), (1, 2)) if leaf.ndim == 3 else matrix_axes(name, leaf)

    query: Any = normal(6, 2, 2)
    updates: Any = map_matrices(polar, {"query": query}, axes=axes, scale=SCALE)
    np.testing.assert_allclose(
        updates["query"].reshape(6, 4), 2 * numpy_polar(query.reshape(6, 4)), rtol=1e-4, atol=1e-5
    )


def test_empty_trees_and_matrices_without_rows_pass_through():
    assert map_matrices(polar, {}, scale=SCALE) == {}
    nothing: Any = [None]
    assert map_matrices(polar, nothing, scale=SCALE) == nothing
    updates: Any = map_matrices(lambda g, *, scale: scale * g, {"w": jnp.ones((0, 3))}, scale=SCALE)
    assert updates["w"].shape == (0, 3)


def test_it_is_one_program_under_vmap():
    stacked: Any = {"kernel": normal(3, 4, 2)}
    axes = lambda name, leaf: MatrixAxes((0,), (1,))  # noqa: E731
    found = jax.vmap(lambda tree, scale: map_matrices(polar, tree, axes=axes, scale=scale))(
        stacked, jnp.arange(1.0, 4.0)
    )
    for place in range(3):
        np.testing.assert_allclose(
            found["kernel"][place], (place + 1) * numpy_polar(stacked["kernel"][place]), atol=1e-5
        )


def test_a_wide_matrix_costs_no_more_than_its_transpose():
    """Counted by the compiler: multiplications of a rule that works on XXᵀ."""

    def cubic(x):
        return 1.5 * x - 0.5 * (x @ x.T) @ x

    def flops(shape):
        work = jax.jit(lambda x: with_fewer_rows(cubic, x)).lower(jnp.zeros(shape)).compile()
        analysis: Any = work.cost_analysis()
        return analysis["flops"]

    assert flops((16, 256)) == pytest.approx(flops((256, 16)), rel=0.01)
    x = normal(3, 8)
    np.testing.assert_allclose(with_fewer_rows(cubic, x.T), with_fewer_rows(cubic, x).T, rtol=1e-6)
    np.testing.assert_allclose(with_fewer_rows(cubic, x), cubic(x), rtol=1e-6)


def test_split_matrices_stay_where_they_are():
    if jax.device_count() < 8:
        pytest.skip("XLA_FLAGS was set to fewer devices")
    mesh = jax.make_mesh((8,), ("x",), axis_types=(AxisType.Auto,))
    tree: Any = {"a": normal(16, 4), "c": normal(16, 4, seed=1), "stacked": normal(8, 16, 4)}
    rows = {"a": ("x", None), "c": ("x", None), "stacked": (None, "x", None)}
    split: Any = {
        name: jax.device_put(leaf, NamedSharding(mesh, PartitionSpec(*rows[name])))
        for name, leaf in tree.items()
    }
    rule = lambda g, *, scale: scale * with_fewer_rows(lambda x: (x @ x.T) @ x, g)  # noqa: E731
    with jax.set_mesh(mesh):
        found = jax.jit(lambda tree: map_matrices(rule, tree, scale=SCALE))(split)
    expected = map_matrices(rule, tree, scale=SCALE)
    for name in tree:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-4, atol=1e-4)
        assert found[name].sharding.is_equivalent_to(split[name].sharding, found[name].ndim), name
