"""Compensated updates: what a step loses to rounding is carried to the next one.

A bfloat16 parameter at 1 cannot move by 0.001: the next number above is 1.0078, and every step is
rounded away. Kahan's summation keeps the lost part beside the parameter and adds it to the next step,
so that many small steps arrive.

    s ← u + residual                 (u: the optimizer's update, in float32)
    Δ = round(round(w + s) − w)      (the update that comes out; round: to the parameter's dtype)
    w′ = round(w + Δ)                (what adding it to the parameters makes of them)
    residual ← s − (w′ − w)
    w ← w′

It costs one more copy of the parameters in their own dtype (2 bytes for each bfloat16 or float16
parameter; float32 masters cost 4), and works for any optimizer. The optimizer itself sees gradients and
parameters in at least float32.

torch and optax have no such transform; both recommend float32 masters.

Kahan 1965, Pracniques: further remarks on reducing truncation errors; for bfloat16 training Zamirai et
al. 2020, Revisiting BFloat16 Training, arXiv:2010.06192.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_edu.core.checks import check_given, check_matches, check_parameters, check_state
from jaxopt_edu.core.composition import compose
from jaxopt_edu.core.transform import Optimizer
from jaxopt_edu.core.trees import working_array
from jaxopt_edu.wrappers.order import check_inside

if TYPE_CHECKING:
    import chex


class CompensatedState(NamedTuple):
    """The optimizer's state, and what was lost to rounding."""

    inner: Any  # the optimizer's state for parameters of at least float32
    residual: "chex.ArrayTree"  # the part of past steps not yet in the parameters; as params, in their dtype


def compensated(optimizer: optax.GradientTransformation) -> Optimizer:
    """Carry what rounding takes from a step into the next one.

    Args:
        optimizer: any optax transform; in a chain it has to be the whole chain, since the updates that come
            out must be added to the parameters as they are.

    Returns:
        A transform whose update needs `params`. It costs one copy of the parameters in their own dtype.

    Raises:
        TypeError: optimizer is not an optax transform.
        ValueError: it asks for a second gradient, as `sam` does.

    >>> import jax.numpy as jnp, jaxopt_edu as jo, optax
    >>> opt = compensated(jo.sgd(learning_rate=0.001))
    >>> w = jnp.asarray(1.0, jnp.bfloat16)
    >>> state = opt.init(w)
    >>> for _ in range(100):
    ...     updates, state = opt.update(jnp.asarray(-1.0, jnp.bfloat16), state, w)
    ...     w = optax.apply_updates(w, updates)
    >>> float(w)
    1.1015625

    References:
        Kahan, Pracniques: further remarks on reducing truncation errors, 1965.
        Zamirai et al., Revisiting BFloat16 Training, 2020, arXiv:2010.06192.
    """
    check_inside("compensated", optimizer, "takes_new_gradient")
    return compose(compensated, init, CompensatedStep(), [optimizer])


def init(inits: Sequence[Callable], params: "chex.ArrayTree") -> CompensatedState:
    """Before the first step: nothing lost."""
    check_parameters(params)
    # With the dtype spelled out a Python float's zero is no weak type, which would compile a second time.
    residual = jax.tree.map(lambda w: jnp.zeros_like(w, dtype=jnp.result_type(w)), params)
    return CompensatedState(inits[0](jax.tree.map(working_array, params)), residual)


@dataclass(frozen=True)
class CompensatedStep:
    """One step: the optimizer's update and the residual, as far as the parameters can take them."""

    updates_are_final = True

    def inner_states(self, state: Any, size: int) -> tuple[Any, ...]:
        """The optimizer's state."""
        check_state("compensated", state, CompensatedState)
        return (state.inner,)

    def __call__(
        self, update_functions: Sequence[Callable], updates: Any, state: Any, params: Any, **extra: Any
    ) -> tuple["chex.ArrayTree", CompensatedState]:
        """The updates that change the parameters to what they should round to.

        Raises:
            ValueError: params is missing.
        """
        check_given("compensated", params)
        (inner,) = self.inner_states(state, 1)
        check_matches("gradient", updates, "parameter", params)
        steps, inner = update_functions[0](
            jax.tree.map(working_array, updates), inner, jax.tree.map(working_array, params), **extra
        )
        pairs = jax.tree.map(_rounded, params, steps, state.residual)
        is_pair = lambda node: isinstance(node, _Rounded)  # noqa: E731
        moved = jax.tree.map(lambda pair: pair.update, pairs, is_leaf=is_pair)
        residual = jax.tree.map(lambda pair: pair.residual, pairs, is_leaf=is_pair)
        return moved, CompensatedState(inner, residual)

    def evaluated_at(
        self, asks: Sequence[Callable], state: CompensatedState, params: "chex.ArrayTree"
    ) -> "chex.ArrayTree":
        """The optimizer's own point, seen from the parameters with what rounding has taken from them."""
        add = lambda w, residual: working_array(w) + residual.astype(working_array(w).dtype)  # noqa: E731
        moved = asks[0](state.inner, jax.tree.map(add, params, state.residual))
        return jax.tree.map(lambda x, w: x.astype(jnp.result_type(w)), moved, params)


class _Rounded(NamedTuple):
    update: jax.Array
    residual: jax.Array


def _rounded(w: jax.Array, step: jax.Array, residual: jax.Array) -> _Rounded:
    dtype = jnp.asarray(w).dtype
    w = working_array(w)
    whole = step.astype(w.dtype) + residual.astype(w.dtype)
    # Where most of w cancels, the difference has more digits than the dtype: what is left is lost, too.
    update = _round_to(_round_to(w + whole, dtype) - w, dtype)
    moved = _round_to(w + update, dtype) - w
    return _Rounded(update.astype(dtype), (whole - moved).astype(dtype))


def _round_to(x: jax.Array, dtype: Any) -> jax.Array:
    if jnp.iscomplexobj(x):
        return jax.lax.complex(_round_to(x.real, dtype), _round_to(x.imag, dtype))
    # XLA may keep a bfloat16 intermediate in float32; reduce_precision is the rounding it must not leave out.
    target = jnp.finfo(dtype)
    rounded = jax.lax.reduce_precision(x, target.nexp, target.nmant)
    if target.minexp == jnp.finfo(x.dtype).minexp:
        return rounded
    # It also makes 0 of subnormal numbers; those of float16 reach up to 6e-5, where parameters are.
    spacing = 2.0 ** (target.minexp - target.nmant)
    return jnp.where(jnp.abs(x) < 2.0**target.minexp, jnp.round(x / spacing) * spacing, rounded)
