"""Where states of another shape than their parameter's lie: bytes counted on eight virtual devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jaxopt_edu.core.shardings import beside, sharding_of, with_automatic_axes, without_axis

pytestmark = pytest.mark.skipif(jax.device_count() < 8, reason="XLA_FLAGS was set to fewer devices")


def on_mesh(shape, *spec, kind=AxisType.Auto):
    mesh = jax.make_mesh((2, 4), ("data", "model"), axis_types=(kind, kind))
    return jax.device_put(np.ones(shape, np.float32), NamedSharding(mesh, PartitionSpec(*spec)))


def part_of(shape, sharding):
    return sharding.shard_shape(shape)


@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit])
@pytest.mark.parametrize(
    ("spec", "rows", "columns"),
    [
        (("model",), (4,), (16,)),
        ((None, "model"), (16,), (4,)),
        (("data", "model"), (8,), (4,)),
        ((("data", "model"),), (2,), (16,)),
        ((), (16,), (16,)),
    ],
)
def test_sums_are_split_as_the_axes_that_they_have(kind, spec, rows, columns):
    w = on_mesh((16, 16), *spec, kind=kind)
    assert part_of((16,), without_axis(w, -1)) == rows
    assert part_of((16,), without_axis(w, -2)) == columns


@pytest.mark.parametrize(
    ("shape", "spec", "product", "mapped", "part"),
    [
        ((16, 8), ("model",), (16, 16), (), (4, 16)),
        ((16, 8), ("model",), (8, 8), (), (2, 8)),  # of the side that is not split, too
        ((16, 8), (None, "model"), (16, 16), (), (4, 16)),
        ((16, 8), ("model", "data"), (16, 16), (), (2, 16)),
        ((16, 8), (("data", "model"),), (8, 8), (), (1, 8)),
        ((16, 6), ("data", None), (6, 6), (), (3, 6)),
        ((16, 6), ("model", "data"), (6, 6), (), (3, 6)),  # 4 does not divide 6, and 2 does
        ((16, 5), ("model",), (5, 5), (), (5, 5)),
        ((4, 16, 8), ("data", None, "model"), (4, 16, 16), (0,), (2, 4, 16)),
        ((4, 16, 8), ("model",), (4, 8, 8), (0,), (1, 8, 8)),
        ((16, 8), ("model",), (0, 0), (), (0, 0)),  # a side that is too long has none
        ((16, 8), (), (16, 16), (), (16, 16)),
    ],
)
def test_a_product_is_in_as_many_parts_as_its_parameter(shape, spec, product, mapped, part):
    assert part_of(product, beside(on_mesh(shape, *spec), product, mapped)) == part


def test_what_says_nothing_has_no_sharding():
    assert sharding_of(jnp.ones(3)) is None
    assert sharding_of(jax.ShapeDtypeStruct((3,), jnp.float32)) is None
    assert sharding_of(3.0) is None
    w = on_mesh((16, 8), "model")
    assert sharding_of(jax.eval_shape(lambda: w)) is None
    struct = jax.ShapeDtypeStruct(w.shape, w.dtype, sharding=w.sharding)
    assert sharding_of(struct) == sharding_of(w) == w.sharding
    seen = []
    jax.jit(lambda w: seen.append(sharding_of(w)))(w)
    assert seen == [None]


def test_explicit_axes_are_told_inside_of_a_compiled_function_too_and_split_no_product():
    w = on_mesh((16, 8), "model", kind=AxisType.Explicit)
    seen = []
    jax.jit(lambda w: seen.append(sharding_of(w)))(w)
    assert seen[0].spec == PartitionSpec("model", None)
    assert beside(w, (16, 16)) is None


def test_with_automatic_axes_arrays_stay_where_they_are():
    w = on_mesh((16, 8), "model", kind=AxisType.Explicit)
    tree = with_automatic_axes({"w": w, "alone": jnp.ones(2), "number": 1.0})
    assert set(tree["w"].sharding.mesh.axis_types) == {AxisType.Auto}
    assert tree["w"].sharding.is_equivalent_to(w.sharding, 2)
    assert not tree["alone"].committed
    assert tree["number"] == 1.0
