"""Numbers of the whole tree: sums over all leaves, in at least float32.

A float32 sum of n numbers, added one after another, loses up to n roundings, and a distance or an average
that is made of it drifts. XLA adds up pieces of some dozens of numbers and then the pieces' sums, which
tests/core/test_reductions.py holds it to.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from jaxopt_edu.core.numerics import squared_magnitude, squared_root
from jaxopt_edu.core.trees import working_array, working_dtype

if TYPE_CHECKING:
    import chex


def tree_sum(function: Callable[..., jax.Array], *trees: "chex.ArrayTree") -> jax.Array:
    """The sum, over all leaves and places, of a function written for one array of each tree.

    Args:
        function: called as function(x, y, …) with a leaf of each tree in its working dtype (at least
            float32); returns a real array of any shape.
        *trees: pytrees of the same structure and shapes.

    Returns:
        The sum; of the widest working dtype among the first tree's leaves, float32 for a
        tree without any, shape (). It does as a value for `map_rule`.

    >>> w, first = {"a": jnp.array([3.0, 0.0]), "b": jnp.array(4.0)}, {"a": jnp.zeros(2), "b": jnp.array(4.0)}
    >>> float(tree_sum(lambda w, first: jnp.abs(w - first), w, first))
    3.0
    """
    leaves, treedef = jax.tree.flatten(trees[0])
    columns = [leaves, *map(treedef.flatten_up_to, trees[1:])]
    widest = _widest(leaves)
    sums = [jnp.sum(_call(function, row)).astype(widest) for row in zip(*columns, strict=True)]
    return jnp.sum(jnp.stack(sums)) if sums else jnp.zeros((), widest)


def tree_zero(tree: "chex.ArrayTree") -> jax.Array:
    """0, for a state that will be a number of the whole tree: in the dtype of `tree_sum` over it.

    Args:
        tree: pytree of floating or complex arrays, or of their ShapeDtypeStructs.

    Returns:
        0 in the widest working dtype, float32 for a tree without any leaf; shape ().

    >>> tree_zero({"w": jnp.ones(2, jnp.bfloat16)})
    Array(0., dtype=float32)
    """
    return jnp.zeros((), _widest(jax.tree.leaves(tree)))


def tree_dot(left: "chex.ArrayTree", right: "chex.ArrayTree") -> jax.Array:
    """The inner product of two trees, ⟨x, y⟩ = Σ x y; the real part of Σ x̄ y for complex leaves.

    Args:
        left: pytree of floating or complex arrays.
        right: pytree of the same structure and shapes.

    Returns:
        A real number of the working dtype, shape ().

    >>> float(tree_dot([jnp.array([1.0, 2.0])], [jnp.array([3.0, 4.0])]))
    11.0
    """
    return tree_sum(product, left, right)


def tree_norm(tree: "chex.ArrayTree") -> jax.Array:
    """The Euclidean norm of a whole tree, √Σ|x|², with derivative 0 where all is 0.

    Args:
        tree: pytree of floating or complex arrays.

    Returns:
        A real number of the working dtype, shape ().

    >>> float(tree_norm({"w": jnp.array([3.0, 0.0]), "b": jnp.array(4.0)}))
    5.0
    """
    return squared_root(tree_sum(squared_magnitude, tree))


def norm(x: jax.Array) -> jax.Array:
    """The Euclidean norm of one array, √Σ|x|², with derivative 0 where all is 0: for the rule of a layer.

    Args:
        x: real or complex array of any shape.

    Returns:
        A real number, shape ().

    >>> float(norm(jnp.array([[3.0], [4.0]])))
    5.0
    """
    return squared_root(jnp.sum(squared_magnitude(x)))


def ratio_or_one(numerator: jax.Array, denominator: jax.Array) -> jax.Array:
    """How long a step is beside its layer, and 1 where either is 0: for trust ratios.

    Args:
        numerator: ≥ 0; real, shape ().
        denominator: ≥ 0; real, shape ().

    Returns:
        numerator / denominator, or 1; real, shape ().

    >>> [float(ratio_or_one(jnp.float32(x), jnp.float32(y))) for x, y in [(3, 4), (0, 4), (3, 0)]]
    [0.75, 1.0, 1.0]
    """
    nothing = (numerator == 0) | (denominator == 0)
    return jnp.where(nothing, 1, numerator / jnp.where(nothing, 1, denominator))


def product(x: jax.Array, y: jax.Array) -> jax.Array:
    """What an inner product sums up: x y; the real part of x̄ y for complex arrays.

    Args:
        x: real or complex array of any shape.
        y: of the same shape and dtype.

    Returns:
        A real array of the same shape.

    >>> float(product(jnp.array(1j), jnp.array(2j)))
    2.0
    """
    return (x.conj() * y).real if jnp.iscomplexobj(x) else x * y


def _widest(leaves: list[Any]) -> jnp.dtype:
    dtypes = {working_dtype(jnp.result_type(leaf)) for leaf in leaves}
    return max(dtypes, key=lambda dtype: dtype.itemsize, default=jnp.dtype(jnp.float32))


def _call(function: Callable[..., jax.Array], row: tuple[Any, ...]) -> jax.Array:
    arrays = [working_array(leaf) for leaf in row]
    promotion = "standard" if jnp.iscomplexobj(arrays[0]) else jax.config.jax_numpy_dtype_promotion  # type: ignore[attr-defined]
    with jax.numpy_dtype_promotion(promotion):
        return function(*arrays)
