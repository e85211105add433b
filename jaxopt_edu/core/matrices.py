"""Lift a rule written for one matrix to a pytree: what a leaf is as a matrix, all of a shape in one call.

A rule is written for one matrix G with a row for each input and a column for each output of a layer. Here a
leaf is turned into matrices and back, and matrices of one shape, wherever they lie in the tree, are one call.
"""

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_edu.core.by_leaf import scalars_of_leaves
from jaxopt_edu.core.checks import check_gradient_dtypes, check_matches, check_parameters
from jaxopt_edu.core.paths import leaf_name, own_name
from jaxopt_edu.core.shardings import beside
from jaxopt_edu.core.trees import Row, applied, working_array

if TYPE_CHECKING:
    import chex

# Words in the name of a layer that looks tokens up, or scores them: a row of it belongs to one token.
TABLES = frozenset("embed embedding embeddings embedder unembed unembedding wte wpe head logits".split())  # noqa: SIM905
# Words that end the name of a layer, or of a leaf, which scales and shifts vectors.
NORMS = frozenset("norm layernorm rmsnorm batchnorm groupnorm ln".split())  # noqa: SIM905
# Words that end the name of a leaf which is a vector, or a stack of vectors.
VECTORS = NORMS | frozenset("bias biases b scale scales offset gamma beta".split())  # noqa: SIM905


class MatrixAxes(NamedTuple):
    """Which axes of a leaf are the rows and the columns of its matrices; the others are mapped over."""

    inputs: tuple[int, ...]  # the rows: what a layer reads
    outputs: tuple[int, ...]  # the columns: what it writes

    def mapped(self, ndim: int) -> tuple[int, ...]:
        """The axes along which there is another matrix at every place."""
        return tuple(axis for axis in range(ndim) if axis not in self.inputs + self.outputs)

    def shape(self, leaf: Any) -> tuple[int, int]:
        """Rows and columns of a leaf's matrices."""
        rows, columns = (int(np.prod([leaf.shape[i] for i in axes])) for axes in self)
        return rows, columns

    def number(self, leaf: Any) -> int:
        """How many matrices a leaf is."""
        return int(np.prod([leaf.shape[i] for i in self.mapped(leaf.ndim)]))

    def fold(self, leaf: jax.Array) -> jax.Array:
        """The matrices of a leaf; of shape (number, rows, columns)."""
        order = (*self.mapped(leaf.ndim), *self.inputs, *self.outputs)
        return leaf.transpose(order).reshape(self.number(leaf), *self.shape(leaf))

    def unfold(self, matrices: jax.Array, shape: Sequence[int]) -> jax.Array:
        """The leaf of a shape that `fold` made these matrices of."""
        order = (*self.mapped(len(shape)), *self.inputs, *self.outputs)
        return matrices.reshape([shape[i] for i in order]).transpose(np.argsort(order))


Axes = Callable[[str, Any], MatrixAxes | None]


def matrix_axes(name: str, leaf: Any) -> MatrixAxes | None:
    """What a leaf is as a matrix, by its number of axes and its name: the rule of all matrix methods.

    - Two axes are (inputs, outputs); three are layers stacked along the first, each (inputs, outputs).
    - Four are a convolution's (height, width, inputs, outputs), flattened to (height · width · inputs,
      outputs); five are such kernels stacked along the first.
    - A leaf named `weight`, as in Equinox and torch, has its outputs first: (outputs, inputs), and
      (outputs, inputs, height, width).
    - No matrices are: fewer than two axes or more than five; embeddings and heads, whose rows or columns
      belong to single tokens, by a word in their names (embed, embedding, wte, wpe, head, logits, …);
      stacked biases and scales of norms, by the last word of theirs (bias, b, scale, offset, gamma, beta) or
      of the layer's (norm, layernorm, ln, …).

    A layer that is named otherwise is not told apart: give the optimizer another function of (name, leaf).

    Args:
        name: of the leaf, as in "decoder/layers/0/attention/query/kernel".
        leaf: anything with a shape.

    Returns:
        The axes of rows and columns; None for what is no matrix.

    >>> matrix_axes("dense/kernel", jnp.zeros((3, 4)))
    MatrixAxes(inputs=(0,), outputs=(1,))
    >>> matrix_axes("conv/kernel", jnp.zeros((3, 3, 8, 16))).shape(jnp.zeros((3, 3, 8, 16)))
    (72, 16)
    >>> matrix_axes("embed/embedding", jnp.zeros((3, 4))) is None
    True
    """
    *layers, last = own_name(name).split("/")
    words = {word for part in (*layers, last) for word in _words(part)}
    ndim = len(leaf.shape)
    if not 2 <= ndim <= 5 or words & TABLES or set(_words(last)[-1:]) & VECTORS:
        return None
    if any(set(_words(part)[-1:]) & NORMS for part in layers):
        return None
    first = ndim - 4 if ndim > 3 else ndim - 2
    axes = tuple(range(first, ndim))
    if last == "weight":
        return MatrixAxes(inputs=axes[1:], outputs=axes[:1])
    return MatrixAxes(inputs=axes[:-1], outputs=axes[-1:])


def _words(part: str) -> list[str]:
    # LayerNorm_0, layer_norm and layernorm are norms; lm_head and LMHead are heads.
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", part)]


def matrix_state(
    params: "chex.ArrayTree", make: Callable[[int, int, Any], jax.Array], axes: Axes = matrix_axes
) -> "chex.ArrayTree":
    """A state of a matrix method that has not the parameters' shapes, such as a product GGᵀ.

    Args:
        params: pytree of floating arrays, or of their ShapeDtypeStructs; every leaf a matrix.
        make: make(rows, columns, dtype) -> the first state of one matrix, an array of any shape.
        axes: what a leaf is as a matrix.

    Returns:
        A pytree of the parameters' structure; a leaf has the mapped axes of the parameter, then make's. That
        of a parameter which is split over devices is split over the same ones (see core/shardings.py).

    Raises:
        ValueError: a leaf is no matrix; names it.

    >>> stacked = {"layers": jnp.ones((6, 2, 3))}
    >>> matrix_state(stacked, lambda rows, columns, dtype: jnp.zeros((rows, rows), dtype))["layers"].shape
    (6, 2, 2)
    """
    check_parameters(params)

    def first(path: Any, leaf: Any) -> jax.Array:
        leaf = leaf if hasattr(leaf, "dtype") else jnp.asarray(leaf)
        found = _axes_of(axes, leaf_name(path), leaf)
        own = make(*found.shape(leaf), working_array(jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)).dtype)
        mapped = found.mapped(leaf.ndim)
        whole = jnp.broadcast_to(own, (*(leaf.shape[i] for i in mapped), *own.shape))
        sharding = beside(leaf, whole.shape, mapped)
        return whole if sharding is None else jax.device_put(whole, sharding)

    return jax.tree_util.tree_map_with_path(first, params)


def map_matrices(
    rule: Callable[..., Any],
    gradients: "chex.ArrayTree",
    *states: "chex.ArrayTree",
    own: Sequence["chex.ArrayTree"] = (),
    params: "chex.ArrayTree | None" = None,
    axes: Axes = matrix_axes,
    **values: Any,
) -> Any:
    """Apply a rule written for one matrix to every leaf of a tree, those of one shape in one call.

    Dtypes are dealt with as in `map_rule`. Leaves with mapped axes, and leaves whose matrices have one shape,
    are laid one behind the other and the rule is mapped over them with `jax.vmap`.

    Args:
        rule: called as rule(G, *state_matrices, *own_arrays, **scalars), or with W after G if params are
            given; G has shape (rows, columns), a row for each input. Returns the update, followed by the new
            state arrays if there are any.
        gradients: pytree of floating arrays, every leaf a matrix; None is an empty subtree.
        *states: pytrees of the same structure and shapes, which the rule sees as matrices, too.
        own: further states, as `matrix_state` makes them, which the rule sees as they are.
        params: the parameters W, for a rule that reads them.
        axes: what a leaf is as a matrix.
        **values: hyperparameters in force and other numbers, as for `map_rule`.

    Returns:
        The updates; with states, a tuple (updates, *new_states, *new_own).

    Raises:
        ValueError: structures or shapes differ, or a leaf is no matrix; names it.
        TypeError: a gradient is not floating.

    >>> transpose_rule = lambda g, *, scale: scale * g / jnp.sum(jnp.abs(g))
    >>> map_matrices(transpose_rule, {"w": jnp.ones((2, 2))}, scale=jnp.float32(8))["w"].tolist()
    [[2.0, 2.0], [2.0, 2.0]]
    """
    check_gradient_dtypes(gradients)
    for state in states:
        check_matches("gradient", gradients, "entry of the state", state)
    paths, treedef = jax.tree_util.tree_flatten_with_path(gradients)
    columns = [[jnp.asarray(leaf) for leaf in treedef.flatten_up_to(tree)] for tree in (*states, *own)]
    read = [()] * len(paths) if params is None else [(jnp.asarray(w),) for w in treedef.flatten_up_to(params)]
    rows = [
        Row(jnp.asarray(g), read[place], tuple(column[place] for column in columns))
        for place, (_, g) in enumerate(paths)
    ]
    scalars = scalars_of_leaves(values, gradients, [row.work() for row in rows])
    batches: dict[Any, list[int]] = {}
    folds = []
    for place, ((path, _), row) in enumerate(zip(paths, rows, strict=True)):
        fold = _axes_of(axes, leaf_name(path), row.gradient)
        batch = _folded(fold, row, len(states))
        folds.append((fold, batch))
        kind = tuple((array.shape[1:], array.dtype) for array in jax.tree.leaves(batch))
        batches.setdefault((kind, id(scalars[place])), []).append(place)
    results: list[Any] = [None] * len(rows)
    for places in batches.values():
        together = _end_to_end([folds[place][1] for place in places])
        made = _mapped(rule, together, scalars[places[0]])
        start = 0
        for place in places:
            stop = start + len(folds[place][1].gradient)
            results[place] = _unfolded(
                folds[place][0], rows[place], [x[start:stop] for x in made], len(states)
            )
            start = stop
    made_columns = zip(*results, strict=True) if results else [()] * (1 + len(columns))
    trees = tuple(treedef.unflatten(column) for column in made_columns)
    return trees if columns else trees[0]


def with_fewer_rows(function: Callable[[jax.Array], jax.Array], matrix: jax.Array) -> jax.Array:
    """A function that commutes with transposition, on the side on which XXᵀ is smaller.

    Args:
        function: with f(Xᵀ) = f(X)ᵀ, such as the polar factor; works on XXᵀ, rows by rows.
        matrix: of shape (rows, columns).

    Returns:
        f(matrix), computed from matrixᵀ where that has fewer rows; as dear for a matrix as for its transpose.

    >>> with_fewer_rows(lambda x: x * x.shape[0], jnp.ones((5, 2))).tolist()[0]
    [2.0, 2.0]
    """
    rows, columns = matrix.shape
    return function(matrix) if rows <= columns else function(matrix.T).T


def _axes_of(axes: Axes, name: str, leaf: Any) -> MatrixAxes:
    found = axes(name, leaf)
    if found is None:
        raise ValueError(
            f"leaf {name or '(the whole tree)'} of shape {leaf.shape} is no matrix, and the optimizer's rule "
            "is for matrices. Give it to another optimizer: "
            'partition({"matrices": …, "others": adamw()}, labels).'
        )
    return found


def _folded(fold: MatrixAxes, row: Row, mirroring: int) -> Row:
    mapped, number = len(fold.mapped(row.gradient.ndim)), fold.number(row.gradient)
    states = [
        fold.fold(state) if position < mirroring else state.reshape(number, *state.shape[mapped:])
        for position, state in enumerate(row.states)
    ]
    return Row(fold.fold(row.gradient), tuple(map(fold.fold, row.read)), tuple(states))


def _unfolded(fold: MatrixAxes, row: Row, made: Sequence[jax.Array], mirroring: int) -> list[jax.Array]:
    update, *states = made
    return [
        fold.unfold(update, row.gradient.shape),
        *(
            fold.unfold(new, old.shape) if position < mirroring else new.reshape(old.shape)
            for position, (new, old) in enumerate(zip(states, row.states, strict=True))
        ),
    ]


def _end_to_end(batch: Sequence[Row]) -> Row:
    return batch[0] if len(batch) == 1 else jax.tree.map(lambda *arrays: jnp.concatenate(arrays), *batch)


def _mapped(rule: Callable[..., Any], batch: Row, scalars: dict[str, jax.Array]) -> list[jax.Array]:
    if len(batch.gradient) == 1:
        made = applied(rule, jax.tree.map(lambda array: array[0], batch), scalars)
        return [array[None] for array in made]
    return list(jax.vmap(lambda row: applied(rule, row, scalars))(batch))
