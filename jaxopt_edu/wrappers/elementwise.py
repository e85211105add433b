"""Whether an optimizer treats every number alike, told from what its update computes.

The update is traced twice, for the tree and for the packed tree. Each result is a formula, a number that
equal operations on equal operands share, whatever their shapes. Packing changes nothing if all results are
formulas of the numbers at their own place, and the same for a leaf and for the long array that it lies in.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal

from jaxopt_edu import optimizers
from jaxopt_edu.core.packing import Layout, Packed, is_packed
from jaxopt_edu.core.transform import Page

# Operations whose result at a place comes from the operands at the same place.
ELEMENTWISE = frozenset(
    """
    abs acos acosh add add_any and asin asinh atan atan2 atanh bitcast_convert_type cbrt ceil clamp
    complex conj convert_element_type copy copy_p cos cosh div eq erf erf_inv exp exp2 expm1 floor ge gt
    imag integer_pow is_finite le log log1p logistic lt max min mul ne neg nextafter not or pow real
    reduce_precision rem round rsqrt select_n shift_left shift_right_arithmetic shift_right_logical sign
    sin sinh sqrt square stop_gradient sub tan tanh xor
    """.split()  # noqa: SIM905
)
# Operations that call another jaxpr, by all the names that releases of JAX give them, and where it stands.
CALLS = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "remat": "jaxpr",
    "remat2": "jaxpr",
    "checkpoint": "jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
}
NOISE = "place_noise"  # core.noise's function, as it is called in a jaxpr


class NotElementwiseError(ValueError):
    """The optimizer cannot be packed."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"packed: the optimizer does not treat every number alike: {reason}. Use it as it is, or pack "
            "only the part of a chain that does."
        )


class Value(NamedTuple):
    """What is known of an intermediate result."""

    formula: int
    leaf: int | None  # the leaf it is computed from; None for numbers that all leaves share


def check_elementwise(
    update: Callable, layout: Layout, updates: Any, state: Any, params: Any, extra: dict[str, Any]
) -> None:
    """Refuse an update that would be another one on packed arrays.

    Args:
        update: the optimizer's update, a Partial.
        layout: how the leaves are packed.
        updates: pytree of gradients, of the layout's structure.
        state: the optimizer's state for packed parameters.
        params: as updates, or None.
        extra: further keyword arguments of the update.

    Raises:
        NotElementwiseError: the update mixes places or leaves, or leaves that would lie in one array differ
            in their rule.
    """
    function: Any = getattr(update, "func", None)
    if isinstance(function, Page) and function.factory in optimizers.ELEMENTWISE:
        return  # their rules have no sums, and map_rule knows no leaf by name
    leaves, treedef = jax.tree.flatten((update, updates, state, params, extra))
    _check(layout, treedef, tuple(map(_struct, leaves)))


@functools.lru_cache(maxsize=64)
def _check(layout: Layout, treedef: Any, structs: tuple[jax.ShapeDtypeStruct, ...]) -> None:
    update, updates, state, params, extra = treedef.unflatten(structs)
    parts, slots = jax.tree.flatten(state, is_leaf=is_packed)

    def step(update: Callable, extra: Any, updates: Any, params: Any, *parts: Any) -> tuple[Any, ...]:
        steps, new_state = update(updates, slots.unflatten(parts), params, **extra)
        return steps, *slots.flatten_up_to(new_state)

    formulas: dict[Any, int] = {}
    mirroring = [False, False, True, True, *map(is_packed, parts)]
    pack = lambda tree: None if tree is None else layout.pack(tree)  # noqa: E731
    spread = [_spread(layout, part) if is_packed(part) else part for part in parts]
    try:
        whole = _results(formulas, step, mirroring, [update, extra, updates, params, *spread])
        long = _results(formulas, step, mirroring, [update, extra, pack(updates), pack(params), *parts])
    except NotElementwiseError:
        raise
    except (TypeError, ValueError) as error:
        if params is None:
            # If all is well with parameters, it is them that it misses, and it says so itself.
            leaves, treedef = jax.tree.flatten((update, updates, state, updates, extra))
            _check(layout, treedef, tuple(leaves))
            raise
        raise NotElementwiseError(f"its update does not take packed arrays ({error})") from error
    lies_in = dict.fromkeys(range(len(layout.shapes)), 0)
    arrays = [*(members for _, members in layout.groups), *((position,) for position in layout.alone)]
    for number, members in enumerate(arrays):
        lies_in |= dict.fromkeys(members, number)
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_flatten_with_path(updates)[0]]
    for mirrors, of_tree, of_packed in zip([True, *mirroring[4:]], whole, long, strict=True):
        for position, value in enumerate(of_tree):
            other = of_packed[lies_in[position] if mirrors else position]
            empty = mirrors and 0 in layout.shapes[position]
            if value.formula != other.formula and not empty:
                where = f"leaf {paths[position]}" if mirrors else "the state"
                raise NotElementwiseError(f"{where} has a rule of its own, and not that of the packed array")


def _results(
    formulas: dict[Any, int], step: Callable, mirroring: Sequence[bool], arguments: Sequence[Any]
) -> list[list[Value]]:
    """The formulas of the step's results, by result and leaf."""
    inputs = [
        Value(_number(formulas, (position, None if mirrors else leaf)), leaf if mirrors else None)
        for position, (mirrors, tree) in enumerate(zip(mirroring, arguments, strict=True))
        for leaf in range(len(jax.tree.leaves(tree)))
    ]
    closed, results = jax.make_jaxpr(step, return_shape=True)(*arguments)
    values = iter(_walk(formulas, closed, inputs))
    return [[next(values) for _ in jax.tree.leaves(result)] for result in results]


def _walk(formulas: dict[Any, int], closed: ClosedJaxpr, inputs: Sequence[Value]) -> list[Value]:
    jaxpr = closed.jaxpr
    known: dict[Any, Value] = dict(zip(jaxpr.invars, inputs, strict=True))
    for variable, constant in zip(jaxpr.constvars, closed.consts, strict=True):
        known[variable] = Value(_number(formulas, ("constant", id(constant))), None)

    def read(operand: Any) -> Value:
        if isinstance(operand, Literal):
            return Value(_number(formulas, ("literal", str(operand.aval), repr(operand.val))), None)
        return known[operand]

    for equation in jaxpr.eqns:
        results = _apply(formulas, equation, [read(operand) for operand in equation.invars])
        known |= dict(zip(equation.outvars, results, strict=True))
    return [read(variable) for variable in jaxpr.outvars]


def _apply(formulas: dict[Any, int], equation: JaxprEqn, operands: list[Value]) -> list[Value]:
    name, params = equation.primitive.name, equation.params
    if params.get("name") == NOISE or name == "random_bits":
        # Which bits a place gets is a matter of chance in the tree, too.
        return [Value(_number(formulas, "chance"), None)]
    if name in CALLS:
        called = params[CALLS[name]]
        return _walk(formulas, ClosedJaxpr(called, ()) if isinstance(called, Jaxpr) else called, operands)
    if name == "optimization_barrier":
        return operands
    from_leaves = any(operand.leaf is not None for operand in operands)
    if name == "broadcast_in_dim":
        same_shape = getattr(equation.invars[0].aval, "shape", None) == params["shape"]
        if same_shape or not from_leaves:
            return operands[:1]
    if name == "cond":
        choice, *rest = operands
        columns = zip(*(_walk(formulas, branch, rest) for branch in params["branches"]), strict=True)
        return [_combined(formulas, name, [choice, *column]) for column in columns]
    if name in ELEMENTWISE:
        kept = {key: value for key, value in params.items() if key not in ("sharding", "weak_type")}
        return [_combined(formulas, f"{name} {kept}", operands)]
    if from_leaves and any(isinstance(value, Jaxpr | ClosedJaxpr) for value in params.values()):
        raise NotElementwiseError(f"its update hands a leaf to a {name}, into which packed cannot look")
    if from_leaves:
        raise NotElementwiseError(
            f"its update makes a {name} of a leaf, which depends on more than the numbers at one place"
        )
    return [
        _combined(formulas, f"{name} {params} {position}", operands)
        for position in range(len(equation.outvars))
    ]


def _combined(formulas: dict[Any, int], name: str, operands: Sequence[Value]) -> Value:
    leaves = {operand.leaf for operand in operands} - {None}
    if len(leaves) > 1:
        raise NotElementwiseError(f"its update mixes leaves (by {name.split()[0]})")
    formula = _number(formulas, (name, *(operand.formula for operand in operands)))
    return Value(formula, next(iter(leaves), None))


def _number(formulas: dict[Any, int], key: Any) -> int:
    return formulas.setdefault(key, len(formulas))


def _spread(layout: Layout, packed: Packed) -> Any:
    """The tree of which a state's part is the packed form; as ShapeDtypeStructs."""
    leaves: list[Any] = [None] * len(layout.shapes)
    for name, members in layout.groups:
        together: jax.Array | None = packed.together[name]
        if together is None:
            raise NotElementwiseError("its state leaves out leaves that are packed into one array")
        for position in members:
            leaves[position] = jax.ShapeDtypeStruct(layout.shapes[position], together.dtype)
    for position, leaf in zip(layout.alone, packed.alone, strict=True):
        leaves[position] = leaf
    return layout.treedef.unflatten(leaves)


def _struct(leaf: Any) -> jax.ShapeDtypeStruct:
    kind = jax.typeof(leaf)
    return jax.ShapeDtypeStruct(kind.shape, kind.dtype, weak_type=kind.weak_type)
