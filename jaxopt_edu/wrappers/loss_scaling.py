"""Loss scaling: small gradients survive float16, since the loss is multiplied before it is differentiated.

Half of a network's gradients may lie below 6e-8, which is 0 in float16. Of a loss s times as large they are s
times as large, and after the way back, in float32, they are divided by s. How large s can be is found by
trying: it grows until a gradient overflows, whose step is left out.

    g ← g / s                            (g: the gradient of s · loss, in at least float32)
    if all g are finite:
        u ← optimizer.update(g),  k ← k + 1
        if k = growth_interval:  s ← growth · s,  k ← 0
    else:
        u ← 0,  s ← backoff · s,  k ← 0  (the optimizer's state stays as it is)

It costs no memory, and no digit while s, growth and backoff are powers of 2. bfloat16, which has float32's
range, needs none of this.

These are the rules of torch's `GradScaler`, which begins at 65536 and not at 32768; the gradient of a float16
loss itself is s, and float16 ends at 65504. jmp's `DynamicLossScale` leaves the step to its caller.
`optax.apply_if_finite` leaves steps out and scales nothing.

Micikevicius et al. 2018, Mixed Precision Training, arXiv:1710.03740.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxopt_edu.core.checks import POSITIVE, Limit, check_state, checked_number
from jaxopt_edu.core.composition import bearer, compose
from jaxopt_edu.core.foreign import checked_transform
from jaxopt_edu.core.reading import describe
from jaxopt_edu.core.transform import Optimizer
from jaxopt_edu.core.trees import ValueInForce, first_count, map_rule, next_count, working_array
from jaxopt_edu.wrappers.order import check_inside
from jaxopt_edu.wrappers.whole import check_whole

if TYPE_CHECKING:
    import chex

LIMITS: dict[str, Limit] = {
    "scale": POSITIVE,
    "growth_interval": Limit(1.0, float("inf"), "a whole number of at least 1"),
    "growth": Limit(1.0, float("inf"), "a finite number of at least 1"),
    "backoff": Limit(float(np.nextafter(0.0, 1.0)), 1.0000001, "a number in (0, 1]"),
}


class LossScalingState(NamedTuple):
    """The optimizer's state, and by what the next loss is multiplied."""

    scale: jax.Array  # s; float32, shape ()
    good_steps: jax.Array  # k, the number of finite gradients since s has changed; int32, shape ()
    inner: Any  # the optimizer's state


def loss_scaling(
    optimizer: optax.GradientTransformation,
    scale: float | jax.Array = 2.0**15,
    growth_interval: float | jax.Array = 2000,
    growth: float | jax.Array = 2.0,
    backoff: float | jax.Array = 0.5,
) -> Optimizer:
    """Divide gradients by what the loss was multiplied by, and leave out steps whose gradients overflow.

    `fit` and `sweep` multiply the loss by themselves, and report it as it was; with `mixed_precision(loss_fn,
    jnp.float16)` around the loss that is all. In a loop of one's own `loss_scale(opt, state)` says by how
    much. It goes around everything that reads gradients, chains included; only `sam` and `accumulated` may go
    around it.

    Args:
        optimizer: any optax transform; it sees gradients as of the loss itself, in at least float32, and
            nothing of the steps that are left out. Its schedules do not count them.
        scale: s at the first step; above 0.
        growth_interval: after how many finite gradients in a row s grows; whole, ≥ 1.
        growth: by what factor; ≥ 1.
        backoff: by what s is multiplied where a gradient is not finite; in (0, 1].

    Returns:
        A transform whose update takes gradients of the loss times s, as `grad` and from `grad_fn` too. Its
        state is LossScalingState(scale, good_steps, inner).

    Raises:
        TypeError: optimizer is not an optax transform, or a number is none.
        ValueError: a number is out of range, or optimizer cannot stand inside.

    >>> import jax, jax.numpy as jnp, jaxopt_edu as jo
    >>> opt, w = loss_scaling(jo.sgd(learning_rate=1.0), scale=2.0**15), jnp.array(1.0)
    >>> state = opt.init(w)
    >>> loss_fn = lambda w: jnp.float16(1e-4) * w.astype(jnp.float16) * jnp.float16(1e-4)
    >>> scaled = lambda w: loss_scale(opt, state) * loss_fn(w).astype(jnp.float32)
    >>> updates, state = opt.update(jax.grad(scaled)(w), state, w)
    >>> float(jax.grad(loss_fn)(w)), round(float(updates), 10)
    (0.0, -1e-08)
    >>> updates, state = opt.update(jnp.array(jnp.inf), state, w)
    >>> float(updates), float(state.scale)
    (0.0, 16384.0)

    References:
        Micikevicius et al., Mixed Precision Training, 2018, arXiv:1710.03740.
    """
    check_inside("loss_scaling", optimizer, "takes_new_gradient", "scales_the_loss")
    numbers = {"scale": scale, "growth_interval": growth_interval, "growth": growth, "backoff": backoff}
    checked: dict[str, Any] = {
        name: checked_number("loss_scaling", name, value, LIMITS[name]) for name, value in numbers.items()
    }
    check_whole("loss_scaling", "growth_interval", growth_interval)
    step = LossScalingStep()
    return compose(loss_scaling, init, step, [optimizer], limits=LIMITS, begins_with=("scale",), **checked)


def loss_scale(optimizer: optax.GradientTransformation, state: Any) -> jax.Array:
    """By what a loss has to be multiplied before it is differentiated.

    Args:
        optimizer: any optimizer.
        state: its state; it is looked through, chains and other libraries' wrappers included.

    Returns:
        The scale of `loss_scaling`, 1 for all other optimizers; float32, shape ().

    Raises:
        TypeError: optimizer is not an optax transform.
        ValueError: the state is not this optimizer's, or there are several scales in it.

    >>> import jax.numpy as jnp, jaxopt_edu as jo
    >>> plain, scaled, w = jo.adam(), loss_scaling(jo.adam()), jnp.ones(2)
    >>> float(loss_scale(plain, plain.init(w))), float(loss_scale(scaled, scaled.init(w)))
    (1.0, 32768.0)
    """
    transform = checked_transform("loss_scale", "optimizer", optimizer)
    found = _scaling_states(state)
    if len(found) > 1 or (not found and bearer(transform, "scales_the_loss") is not None):
        raise ValueError(
            f"loss_scale: {len(found)} scales are in the state given, a {type(state).__name__}, and "
            f"{describe(transform)} should have one; give the state of this optimizer."
        )
    return found[0].scale if found else jnp.ones((), jnp.float32)


def scales_loss(state: Any) -> bool:
    """Whether a state is of an optimizer whose loss has to be multiplied; known while tracing."""
    return bool(_scaling_states(state))


def _scaling_states(state: Any) -> list[LossScalingState]:
    is_scaling = lambda node: isinstance(node, LossScalingState)  # noqa: E731
    return [node for node in jax.tree.leaves(state, is_leaf=is_scaling) if is_scaling(node)]


def init(inits: Sequence[Callable], params: "chex.ArrayTree", *, scale: Any) -> LossScalingState:
    """Before the first gradient."""
    return LossScalingState(jnp.asarray(scale).astype(jnp.float32), first_count(params), inits[0](params))


@dataclass(frozen=True)
class LossScalingStep:
    """One step: the optimizer's for the gradients of the loss itself, or none."""

    scales_the_loss = True

    def inner_states(self, state: Any, size: int) -> tuple[Any, ...]:
        """The optimizer's state."""
        check_state("loss_scaling", state, LossScalingState)
        return (state.inner,)

    def __call__(
        self,
        update_functions: Sequence[Callable],
        updates: Any,
        state: Any,
        params: Any,
        *,
        scale: ValueInForce,
        growth_interval: ValueInForce,
        growth: ValueInForce,
        backoff: ValueInForce,
        **extra: Any,
    ) -> tuple["chex.ArrayTree", LossScalingState]:
        """The optimizer's updates, or 0."""
        (inner,) = self.inner_states(state, 1)
        gradients = unscaled(updates, state.scale)
        if extra.get("grad") is not None:
            extra["grad"] = unscaled(extra["grad"], state.scale)
        if (grad_fn := extra.get("grad_fn")) is not None:
            extra["grad_fn"] = lambda *given: unscaled(grad_fn(*given), state.scale)

        def step(inner: Any) -> tuple[Any, Any]:
            moved, inner = update_functions[0](gradients, inner, params, **extra)
            return jax.tree.map(lambda u, g: u.astype(jnp.result_type(g)), moved, updates), inner

        def rest(inner: Any) -> tuple[Any, Any]:
            return jax.tree.map(jnp.zeros_like, updates), inner

        finite = all_finite(gradients)
        moved, inner = jax.lax.cond(finite, step, rest, inner)
        good = jnp.where(finite, next_count(state.good_steps), 0)
        grows = good >= growth_interval.astype(jnp.int32)
        larger, smaller = (state.scale * factor.astype(jnp.float32) for factor in (growth, backoff))
        larger = jnp.where(grows & jnp.isfinite(larger), larger, state.scale)
        after = jnp.where(finite, larger, smaller)
        return moved, LossScalingState(after, jnp.where(grows, 0, good), inner)


def unscaled(gradients: "chex.ArrayTree", scale: jax.Array) -> "chex.ArrayTree":
    """Gradients of the loss itself, in at least float32."""
    return map_rule(lambda g, *, scale: g / scale, jax.tree.map(working_array, gradients), scale=scale)


def all_finite(tree: "chex.ArrayTree") -> jax.Array:
    """Whether all numbers are finite; boolean, shape ()."""
    return jnp.array([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)], bool).all()
