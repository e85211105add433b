"""Layouts: what goes in comes out, whatever the tree holds."""

import chex
import jax
import jax.numpy as jnp
import pytest

from jaxopt_edu.core.packing import SMALL, Layout

TREES = {
    "shapes": {"a": jnp.arange(6.0).reshape(2, 3), "b": [jnp.ones(()), jnp.arange(4.0)]},
    "dtypes": {"a": jnp.ones(2), "b": jnp.ones(3, jnp.bfloat16), "c": jnp.ones(2, jnp.complex64) * 1j},
    "pairs": [jnp.full(n, n, dtype) for n in (2, 3) for dtype in (jnp.float32, jnp.bfloat16, jnp.complex64)],
    "none and zero size": {"a": None, "b": jnp.ones((0, 3)), "c": jnp.ones(2), "d": {}},
    "large": [jnp.arange(SMALL / 4 + 1), jnp.ones(2), jnp.arange(SMALL / 4), jnp.ones(1)],
    "empty": {},
    "one": jnp.ones(3),
}


@pytest.mark.parametrize("name", TREES)
def test_unpacking_undoes_packing(name):
    tree = TREES[name]
    layout = Layout.of(tree)
    there_and_back = lambda tree, count: layout.unpack(layout.pack(tree), count)  # noqa: E731
    for run in (there_and_back, jax.jit(there_and_back)):
        chex.assert_trees_all_equal(run(tree, jnp.int32(0)), tree)
        chex.assert_trees_all_equal_dtypes(run(tree, jnp.int32(0)), tree)


def test_small_leaves_of_a_dtype_lie_together_and_large_ones_alone():
    layout = Layout.of(TREES["large"])
    assert (layout.groups, layout.alone) == ((("float32", (1, 2, 3)),), (0,))
    packed = layout.pack(TREES["large"])
    assert packed.together["float32"].shape == (SMALL // 4 + 3,)
    assert packed.alone[0].shape == (SMALL // 4 + 1,)


def test_shapes_alone_are_enough():
    shapes = jax.eval_shape(lambda: TREES["pairs"])
    layout = Layout.of(shapes)
    assert layout == Layout.of(TREES["pairs"])
    chex.assert_trees_all_equal_shapes_and_dtypes(layout.pack(shapes), layout.pack(TREES["pairs"]))


def test_leaves_that_would_be_promoted_are_refused():
    layout = Layout.of({"a": jnp.ones(2), "b": jnp.ones(2)})
    with pytest.raises(ValueError, match=r"dtypes bfloat16 and float32 .* cast the gradients"):
        layout.pack({"a": jnp.ones(2), "b": jnp.ones(2, jnp.bfloat16)})


def test_a_batch_of_packed_trees_is_sliced_and_not_gathered():
    layout = Layout.of(TREES["shapes"])
    batch = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf + 1]), TREES["shapes"])
    counts = jnp.arange(2)
    run = jax.jit(jax.vmap(lambda tree, count: layout.unpack(layout.pack(tree), count)))
    chex.assert_trees_all_equal(run(batch, counts), batch)
    text = run.lower(batch, counts).compile().as_text() or ""
    assert " gather(" not in text
    assert " dynamic-slice(" in text


def test_a_kernel_is_compiled_for_each_size_and_not_for_each_leaf():
    """Else a thousand leaves take 20 s. What XLA compiles once it has to see as the same operation."""
    layout = Layout.of([jnp.ones(5)] * 20)
    program = jax.jit(lambda packed, count: layout.unpack(packed, count))
    text = program.lower(layout.pack([jnp.ones(5)] * 20), jnp.int32(0)).compile().as_text() or ""
    assert text.count("dynamic-slice(") >= 20
    assert " slice(" not in text
