"""Lift a rule written for one array to a pytree: the only place that knows dtypes and None."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.core import Tracer

from jaxopt_edu.core.by_leaf import is_by_leaf, scalars_of_leaves
from jaxopt_edu.core.checks import FRACTION, Limit, check_gradient_dtypes, check_matches, check_parameters
from jaxopt_edu.core.numerics import bias_correction

if TYPE_CHECKING:
    import chex


def working_dtype(dtype: Any) -> jnp.dtype:
    """The real dtype in which a leaf is worked on: float64 for 64-bit leaves, else float32.

    Args:
        dtype: a floating or complex dtype.

    Returns:
        float32 or float64.

    >>> working_dtype(jnp.bfloat16), working_dtype(jnp.complex64)
    (dtype('float32'), dtype('float32'))
    """
    return jnp.dtype(jnp.float64 if jnp.finfo(dtype).bits == 64 else jnp.float32)


def working_array(leaf: Any) -> Any:
    """An array of parameters or gradients in the dtype in which it is worked on.

    Args:
        leaf: floating or complex array of any shape, or its ShapeDtypeStruct.

    Returns:
        The same numbers in at least float32 (complex64), or the array itself.

    >>> working_array(jnp.ones(2, jnp.bfloat16)).dtype
    dtype('float32')
    """
    if isinstance(leaf, jax.ShapeDtypeStruct):
        return leaf.update(dtype=_like(leaf.dtype, working_dtype(leaf.dtype)))
    leaf = jnp.asarray(leaf)
    return leaf.astype(_like(leaf.dtype, working_dtype(leaf.dtype)))


class ValueInForce(NamedTuple):
    """A hyperparameter at this step, not yet of any leaf's dtype."""

    value: Any
    limit: Limit
    name: str = "a hyperparameter"  # for the error: whose it is, and what it is called

    def astype(self, dtype: Any) -> jax.Array:
        """The value in a leaf's working dtype.

        A fraction that rounds to 1 there becomes the largest number below 1, for which a moving
        average is the plain mean of what it has seen, and not 0/0.

        Raises:
            ValueError: it has a value for each leaf, and one of the whole tree is asked for.
        """
        if is_by_leaf(self.value):
            raise ValueError(
                f"{self.name} is {self.value.func.__name__}(…), a value for each leaf, but has to be one "
                "number for the whole tree; give a number or a schedule."
            )
        value = jax.lax.optimization_barrier(jnp.asarray(self.value).astype(dtype))
        if self.limit == FRACTION:
            return jnp.minimum(value, jnp.asarray(1 - jnp.finfo(dtype).epsneg, dtype))
        return value


class WeightSum(NamedTuple):
    """The sum of a moving average's weights after t steps, 1 − bᵗ, not yet of any leaf's dtype.

    Inside a rule it would be computed for every leaf anew, which XLA does not notice in a loop.
    """

    b: ValueInForce
    t: jax.Array

    def astype(self, dtype: Any) -> jax.Array:
        """The sum in a leaf's working dtype."""
        return bias_correction(self.b.astype(dtype), self.t.astype(dtype))


def zeros_like(params: "chex.ArrayTree", *, real: bool = False) -> "chex.ArrayTree":
    """Zeros in the working dtype, for a state that mirrors the parameters.

    Args:
        params: pytree of floating or complex arrays, or of their ShapeDtypeStructs.
        real: make real zeros for complex leaves too (for second moments).

    Returns:
        A pytree of the same structure and shapes, with the parameters' shardings.

    Raises:
        TypeError: a leaf is not a floating or complex array.
    """
    check_parameters(params)

    def zeros(leaf: Any) -> jax.Array:
        leaf = leaf if hasattr(leaf, "dtype") else jnp.asarray(leaf)
        dtype = working_dtype(leaf.dtype)
        if not real:
            dtype = _like(leaf.dtype, dtype)
        return jnp.zeros_like(leaf, dtype=dtype)

    return jax.tree.map(zeros, params)


def copies(owner: str, params: "chex.ArrayTree") -> "chex.ArrayTree":
    """The parameters themselves in the working dtype, for a state that starts where they are.

    Args:
        owner: the optimizer's name, for the error.
        params: pytree of floating or complex arrays.

    Returns:
        New arrays of the same structure and shapes, so that parameters and state can both be donated.

    Raises:
        TypeError: a leaf is not a floating or complex array, or there are only shapes.

    >>> copies("averaged", {"w": jnp.ones(2, jnp.bfloat16)})["w"].dtype
    dtype('float32')
    """
    check_parameters(params)
    if any(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in jax.tree.leaves(params)):
        raise TypeError(
            f"{owner}.init starts from the parameters' numbers and was given shapes; for the state's shapes "
            f"call jax.eval_shape({owner}(…).init, params)."
        )
    return jax.tree.map(lambda w: jnp.array(working_array(w), copy=True), params)


def first_count(params: "chex.ArrayTree") -> jax.Array:
    """The count of an optimizer that has made no update; refuses parameters that cannot be trained.

    Args:
        params: pytree of floating or complex arrays.

    Returns:
        0; int32, shape ().

    Raises:
        TypeError: a leaf is not a floating or complex array.
    """
    check_parameters(params)
    return jnp.zeros((), jnp.int32)


def next_count(count: jax.Array) -> jax.Array:
    """The count after one more update; stays at the largest int32 instead of turning negative.

    Args:
        count: number of updates made; int32, shape ().

    Returns:
        count + 1; int32, shape ().
    """
    return jnp.asarray(optax.safe_increment(count))


def map_rule(
    rule: Callable[..., Any],
    gradients: "chex.ArrayTree",
    *states: "chex.ArrayTree",
    own: Any = (),
    params: "chex.ArrayTree | None" = None,
    **values: Any,
) -> Any:
    """Apply a rule written for one array to every leaf of a tree.

    Each leaf is worked on in its working dtype (at least float32). New states keep the dtype that
    they had, and updates come back in the gradient's dtype.

    Args:
        rule: called as rule(g, *state_arrays, *own_arrays, **scalars), or with w after g if params are given;
            returns the update, followed by the new state arrays if there are any.
        gradients: pytree of floating or complex arrays; None is an empty subtree.
        *states: pytrees of the same structure and shapes.
        own: a tuple of further states, of the same structure and any shapes, such as a number for each row.
        params: the parameters w, for a rule that reads them: of the same structure and shapes.
        **values: hyperparameters in force (of which one may have a number for each leaf), the step count,
            numbers of the whole tree such as a norm; each has shape () and is cast to the leaf's working
            dtype.

    Returns:
        The updates; with states, a tuple (updates, *new_states, *new_own).

    Raises:
        ValueError: structures or shapes differ.
        TypeError: a gradient is not floating or complex.
    """
    check_gradient_dtypes(gradients)
    for state in states:
        check_matches("gradient", gradients, "entry of the state", state)
    leaves, treedef = jax.tree.flatten(gradients)
    states = (*states, *own)
    read = [()] * len(leaves) if params is None else [(jnp.asarray(w),) for w in jax.tree.leaves(params)]
    rows = [
        Row(jnp.asarray(g), w, tuple(rest))
        for g, w, *rest in zip(leaves, read, *map(jax.tree.leaves, states), strict=True)
    ]
    scalars = scalars_of_leaves(values, gradients, [row.work() for row in rows])
    traced = any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves((rows, scalars)))
    apply = _apply_once_traced if traced else applied
    results = [apply(rule, row, own) for row, own in zip(rows, scalars, strict=True)]
    columns = zip(*results, strict=True) if results else [()] * (1 + len(states))
    trees = tuple(jax.tree.unflatten(treedef, column) for column in columns)
    return trees if states else trees[0]


def map_point(
    rule: Callable[..., jax.Array], params: "chex.ArrayTree", *states: "chex.ArrayTree", **values: Any
) -> "chex.ArrayTree":
    """Another point than the parameters, by a rule written for one array: for `evaluated_at`.

    Args:
        rule: called as rule(w, *state_arrays, **scalars); returns one array.
        params: pytree of floating or complex arrays.
        *states: pytrees of the same structure and shapes.
        **values: as for `map_rule`.

    Returns:
        The points, in the parameters' dtypes.

    >>> map_point(lambda w, z: (w + z) / 2, {"w": jnp.array([1.0])}, {"w": jnp.array([3.0])})["w"].tolist()
    [2.0]
    """
    keep = lambda w, *arrays, **scalars: (rule(w, *arrays, **scalars), *arrays)  # noqa: E731
    return map_rule(keep, params, *states, **values)[0] if states else map_rule(rule, params, **values)


class Row(NamedTuple):
    """What a rule is given for one leaf."""

    gradient: jax.Array
    read: tuple[jax.Array, ...]  # the parameter, if the rule reads it
    states: tuple[jax.Array, ...]

    def work(self) -> jnp.dtype:
        """The dtype in which it is worked on: the state's decides, if there is one, else the parameter's."""
        return working_dtype((*self.states, *self.read, self.gradient)[0].dtype)


def applied(rule: Callable[..., Any], row: Row, scalars: dict[str, jax.Array]) -> tuple[jax.Array, ...]:
    """A rule's results for one leaf: worked on in its working dtype, in the dtypes that they had.

    Args:
        rule: written for one array, as for `map_rule`.
        row: what it is given.
        scalars: hyperparameters and other numbers by name, of the row's working dtype.

    Returns:
        The update in the gradient's dtype, and the new states in the states'.
    """
    work = row.work()
    g, *others = (array.astype(_like(array.dtype, work)) for array in jax.tree.leaves(row))
    # A real number times a complex array is no accident here, though strict promotion calls it one.
    promotion = "standard" if jnp.iscomplexobj(g) else jax.config.jax_numpy_dtype_promotion  # type: ignore[attr-defined]
    with jax.numpy_dtype_promotion(promotion):
        result = rule(g, *others, **scalars)
    update, *new_states = result if row.states else (result,)
    if any(update is new for new in new_states):
        update = _fusible(update)
    return update.astype(row.gradient.dtype), *(
        new.astype(old.dtype) for new, old in zip(new_states, row.states, strict=True)
    )


# Inside a compiled function leaves of one shape share a trace of the rule, which is most of the time that a
# tree of many leaves takes before XLA sees it.
_apply_once_traced = jax.jit(applied, static_argnums=0)


def _fusible(update: jax.Array) -> jax.Array:
    # An update that stands in memory as part of the state is added to the parameters by a kernel of a single
    # addition, which XLA compiles for a CPU with a detour over the stack, up to a third slower. With a factor
    # that it learns to be 1 only after it has fused, the addition is compiled as any other kernel is.
    if not isinstance(update, Tracer) or jnp.iscomplexobj(update):
        return update
    return update * jax.lax.optimization_barrier(jnp.ones((), update.dtype))


def _like(dtype: Any, work: jnp.dtype) -> jnp.dtype:
    if not jnp.issubdtype(dtype, jnp.complexfloating):
        return work
    return jnp.dtype(jnp.complex128 if work == jnp.float64 else jnp.complex64)
