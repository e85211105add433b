"""An optimizer of matrices, and its companion: another one for whatever is no matrix.

A page for matrices is written for a tree of nothing but matrices. Built here, it takes any tree: the leaves
that are no matrices (biases, norms, embeddings, heads) go to the optimizer `others`.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import optax

from jaxopt_edu.core.arguments import checked_function
from jaxopt_edu.core.checks import Limit, check_parameters
from jaxopt_edu.core.evaluation import evaluates_elsewhere, evaluation_params
from jaxopt_edu.core.foreign import as_pytree, is_transform
from jaxopt_edu.core.matrices import Axes, MatrixAxes, matrix_axes
from jaxopt_edu.core.paths import is_meant, leaf_name
from jaxopt_edu.core.transform import Hyperparameter, Optimizer, build

if TYPE_CHECKING:
    import chex


def build_for_matrices(
    factory: Callable[..., Optimizer],
    state_type: type,
    init: Callable[..., Any],
    update: Callable[..., Any],
    limits: Mapping[str, Limit],
    *,
    others: optax.GradientTransformation,
    axes: Axes | Mapping[str, MatrixAxes | None],
    static: Mapping[str, Any] | None = None,
    **hyperparameters: Hyperparameter,
) -> Optimizer:
    """Make an optimizer out of a page for matrices and of its companion.

    Args:
        factory: the function that users call, such as `muon`.
        state_type: the NamedTuple that `init` returns; its first field is `count`, its last one `others`,
            which is filled in here.
        init: `init(params) -> state`, given those of the parameters that are matrices. It gets `axes` and
            those of `static` for which it has an argument.
        update: `update(gradients, state, params, *, axes, **hyperparameters) -> (updates, state)`, given
            those of the leaves that are matrices.
        limits: which values each hyperparameter may take.
        others: the companion; any optax transform. Its numbers are called "others.learning_rate".
        axes: what a leaf is as a matrix: a function of (name, leaf), or patterns; see `as_axes`.
        static: further arguments of the factory that are no numbers.
        **hyperparameters: numbers, or schedules.

    Returns:
        An optax transform that is a pytree of its numbers and of its companion's.

    Raises:
        TypeError: others is no optax transform, or a hyperparameter is no number.
        ValueError: a hyperparameter is outside its limit.
    """
    if not is_transform(others):
        raise TypeError(
            f"{factory.__name__}: others = {others!r} is no optimizer; it needs one for what is no matrix, "
            "such as adam(learning_rate=0.001)."
        )
    return build(
        factory,
        state_type,
        MatricesInit(init),
        MatricesUpdate(update),
        limits,
        static={**(static or {}), "axes": as_axes(factory.__name__, axes)},
        inner={"others": as_pytree(others)},
        evaluated_at=others_evaluated_at if evaluates_elsewhere(others) else None,
        traits=(),
        **hyperparameters,
    )


@dataclass(frozen=True)
class MatricesInit:
    """The init of a page for matrices, for a tree of any leaves."""

    init: Callable[..., Any]

    @property
    def __signature__(self) -> inspect.Signature:
        """The arguments of the page's init, the axes and the companion."""
        own = inspect.signature(self.init).parameters
        further = [name for name in ("axes", "others") if name not in own]
        keyword = inspect.Parameter.KEYWORD_ONLY
        return inspect.Signature([*own.values(), *(inspect.Parameter(name, keyword) for name in further)])

    def __call__(
        self, params: "chex.ArrayTree", *, axes: Axes, others: Callable[..., Any], **static: Any
    ) -> Any:
        """The first state of the page, and of its companion."""
        check_parameters(params)
        matrices, rest = split(params, axes)
        own = {"axes": axes} if "axes" in inspect.signature(self.init).parameters else {}
        return self.init(matrices, **own, **static)._replace(others=others(rest))


@dataclass(frozen=True)
class MatricesUpdate:
    """The update of a page for matrices, for a tree of any leaves."""

    update: Callable[..., Any]

    def __call__(
        self,
        gradients: "chex.ArrayTree",
        state: Any,
        params: "chex.ArrayTree",
        *,
        axes: Axes,
        others: Optimizer,
        **values: Any,
    ) -> tuple["chex.ArrayTree", Any]:
        """One step of the page, and one of its companion."""
        matrices, rest = split(gradients, axes)
        own_params, other_params = split(params, axes)
        updates, new = self.update(matrices, state, own_params, axes=axes, **values)
        other_updates, other_state = others.update(rest, state.others, other_params)
        return joined(updates, other_updates), new._replace(others=other_state)


def others_evaluated_at(
    params: "chex.ArrayTree", state: Any, *, axes: Axes, others: Optimizer, **values: Any
) -> "chex.ArrayTree":
    """The point that the companion recommends, and the matrices as they are."""
    matrices, rest = split(params, axes)
    return joined(matrices, evaluation_params(others, state.others, rest))


def split(tree: "chex.ArrayTree", axes: Axes) -> tuple["chex.ArrayTree", "chex.ArrayTree"]:
    """The matrices of a tree, and the rest.

    Args:
        tree: pytree of arrays; None is an empty subtree.
        axes: what a leaf is as a matrix, None for what is none.

    Returns:
        Two trees, each with None for the leaves of the other.

    >>> import jax.numpy as jnp
    >>> split({"kernel": jnp.ones((1, 1)), "bias": jnp.ones(1)}, matrix_axes)[1]
    {'bias': Array([1.], dtype=float32), 'kernel': None}
    """
    paths, treedef = jax.tree_util.tree_flatten_with_path(tree)
    found = [axes(leaf_name(path), _shaped(leaf)) is not None for path, leaf in paths]
    return (
        treedef.unflatten([leaf if is_one else None for is_one, (_, leaf) in zip(found, paths, strict=True)]),
        treedef.unflatten([None if is_one else leaf for is_one, (_, leaf) in zip(found, paths, strict=True)]),
    )


def _shaped(leaf: Any) -> Any:
    # A Python number has no shape of its own.
    return leaf if hasattr(leaf, "shape") else jax.ShapeDtypeStruct((), jnp.result_type(leaf))


def joined(matrices: Any, rest: Any) -> "chex.ArrayTree":
    """The tree that `split` took apart.

    Args:
        matrices: pytree with None for what is no matrix.
        rest: pytree with None for what is one.

    Returns:
        The tree of all leaves.

    >>> joined({"kernel": 1, "bias": None}, {"kernel": None, "bias": 2})
    {'bias': 2, 'kernel': 1}
    """
    return jax.tree.map(
        lambda one, other: other if one is None else one, matrices, rest, is_leaf=lambda node: node is None
    )


def as_axes(owner: str, axes: Any) -> Axes:
    """What a leaf is as a matrix, as a function of (name, leaf).

    Args:
        owner: the factory's name, for the error.
        axes: the function, or patterns with what they mean, as in {"*/query/kernel": MatrixAxes((0,), (1,
            2)), "pooler": None}: a leaf whose name matches (as in `partition`) is such a matrix, or none;
            all others are what `matrix_axes` says.

    Returns:
        The function; of patterns a hashable one.

    Raises:
        TypeError: axes is neither.

    >>> axes = as_axes("muon", {"pooler": None})
    >>> import jax.numpy as jnp
    >>> axes("pooler/kernel", jnp.ones((2, 2))) is None, axes("dense/kernel", jnp.ones((2, 2)))
    (True, MatrixAxes(inputs=(0,), outputs=(1,)))
    """
    if callable(axes):
        checked_function(owner, "axes", axes, "name", "leaf")
        given: Any = axes
        return given
    is_fit = isinstance(axes, Mapping) and all(
        isinstance(pattern, str) and (value is None or isinstance(value, MatrixAxes))
        for pattern, value in axes.items()
    )
    if not is_fit:
        raise TypeError(
            f"{owner}: axes = {axes!r} says not what is a matrix; it must be a function of (name, leaf) such "
            'as matrix_axes, or a dict such as {"pooler": None, "*/query/kernel": MatrixAxes((0,), (1, 2))}.'
        )
    return PatternAxes(tuple((pattern, value) for pattern, value in axes.items()))


@dataclass(frozen=True)
class PatternAxes:
    """What leaves are as matrices, by patterns of their names."""

    patterns: tuple[tuple[str, MatrixAxes | None], ...]

    @property
    def __name__(self) -> str:
        """The patterns, as `describe` shows them."""
        return f"{{{', '.join(f'{pattern}: {axes}' for pattern, axes in self.patterns)}}}"

    def __call__(self, name: str, leaf: Any) -> MatrixAxes | None:
        """What the first pattern says that means the leaf, and what `matrix_axes` says if none does."""
        said = [axes for pattern, axes in self.patterns if is_meant(name, pattern)]
        return said[0] if said else matrix_axes(name, leaf)
