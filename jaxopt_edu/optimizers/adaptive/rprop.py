"""Rprop: each coordinate's step grows while its gradient keeps its sign, and is halved when it changes.

How large a gradient is says little about how far its minimum is; whether it still points to the same side
says more. Each coordinate has a step length δ of its own, which grows by η₊ after equal signs and shrinks
by η₋ after a change: then a minimum has been jumped over. That step is left out, and the next is taken as
if it were the first. It is a method for the gradient of all examples: with noise, signs change by chance
and all δ shrink. It costs two arrays of memory, and no learning rate has to be right for long.

    s = g₋₁ g
    δ ← min(η₊ δ, δ_max) if s > 0,  max(η₋ δ, δ_min) if s < 0,  else δ
    g ← 0 if s < 0
    w ← w − δ sign(g)

with δ = learning_rate at first, η₋ = eta_minus, η₊ = eta_plus, δ_min = min_step_size,
δ_max = max_step_size, g₋₁ = last, the g of the step before (0 at first, and where a step was left out). For
complex g, s is the real part of the conjugate of g₋₁ times g, and sign(z) is z/|z|. A schedule for
learning_rate is read at the first step alone.

`torch.optim.Rprop(lr, (eta_minus, eta_plus), (min_step_size, max_step_size))` is the same, for real
numbers. optax 0.2.8's `rprop` makes each step one call later: its first update is 0.

Riedmiller & Braun 1993, A Direct Adaptive Method for Faster Backpropagation Learning: The RPROP Algorithm,
IEEE ICNN; as iRprop− in Igel & Hüsken 2000, Improving the Rprop Learning Algorithm, NC, Algorithm 4.
"""

from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_edu.core.checks import FRACTION, NON_NEGATIVE, Limit
from jaxopt_edu.core.distributions import Distribution, loguniform, uniform
from jaxopt_edu.core.hints import with_hints
from jaxopt_edu.core.stepping import step_leaves
from jaxopt_edu.core.transform import Hyperparameter, Optimizer, build
from jaxopt_edu.core.trees import ValueInForce, first_count, next_count, zeros_like

if TYPE_CHECKING:
    import chex

LIMITS: dict[str, Limit] = {
    "learning_rate": NON_NEGATIVE,
    "eta_minus": FRACTION,
    "eta_plus": NON_NEGATIVE,
    "min_step_size": NON_NEGATIVE,
    "max_step_size": NON_NEGATIVE,
}
SPACE: dict[str, Distribution] = {
    "learning_rate": loguniform(1e-4, 1.0),
    "eta_minus": uniform(0.2, 0.9),
    "eta_plus": uniform(1.0, 1.5),
}


class RpropState(NamedTuple):
    """What Rprop remembers."""

    count: jax.Array  # t, the number of updates made; int32, shape ()
    delta: "chex.ArrayTree"  # δ, the step length of each coordinate; real, as params, ≥ float32
    last: "chex.ArrayTree"  # g₋₁, the last gradient, 0 where a step was left out; as params, ≥ float32


@with_hints
def rprop(
    learning_rate: Hyperparameter = 0.01,
    eta_minus: Hyperparameter = 0.5,
    eta_plus: Hyperparameter = 1.2,
    min_step_size: Hyperparameter = 1e-6,
    max_step_size: Hyperparameter = 50.0,
) -> Optimizer:
    """Rprop, w ← w − δ sign(g), where δ grows by η₊ or shrinks by η₋.

    Args:
        learning_rate: the first δ, in every coordinate; finite, ≥ 0, or a schedule, read at the first step.
        eta_minus: η₋, by which δ is multiplied when a sign changes; in [0, 1), or a schedule.
        eta_plus: η₊, by which δ is multiplied while a sign stays, 1 or more; finite, ≥ 0, or a schedule.
        min_step_size: δ_min, the shortest δ that shrinking makes; finite, ≥ 0, or a schedule.
        max_step_size: δ_max, the longest δ that growing makes; finite, ≥ 0, or a schedule.

    Returns:
        An optax transform that is a pytree of its five hyperparameters. Its state is
        RpropState(count, delta, last).

    Raises:
        TypeError: a hyperparameter is neither a number of shape () nor a schedule.
        ValueError: a hyperparameter is out of its range.

    >>> import jax.numpy as jnp, jaxopt_edu as jo, optax
    >>> opt = jo.rprop(learning_rate=0.1)
    >>> params = {"w": jnp.array([1.0, -0.15])}
    >>> state = opt.init(params)
    >>> for _ in range(3):
    ...     gradients = params  # of f(w) = ½‖w‖²
    ...     updates, state = opt.update(gradients, state, params)
    ...     params = optax.apply_updates(params, updates)
    >>> [round(float(w), 4) for w in params["w"]]
    [0.636, 0.07]

    References:
        Riedmiller & Braun, A Direct Adaptive Method for Faster Backpropagation Learning: The RPROP Algorithm,
        IEEE ICNN 1993. Igel & Hüsken, Improving the Rprop Learning Algorithm, NC 2000.
    """
    return build(
        rprop,
        RpropState,
        init,
        update,
        LIMITS,
        learning_rate=learning_rate,
        eta_minus=eta_minus,
        eta_plus=eta_plus,
        min_step_size=min_step_size,
        max_step_size=max_step_size,
    )


def init(params: "chex.ArrayTree") -> RpropState:
    """Before the first step, which will set δ."""
    return RpropState(count=first_count(params), delta=zeros_like(params, real=True), last=zeros_like(params))


def update(
    gradients: "chex.ArrayTree", state: RpropState, **hyperparameters: ValueInForce
) -> tuple["chex.ArrayTree", RpropState]:
    """One step of the rule on every leaf."""
    return step_leaves(rule, gradients, state, t=next_count(state.count), **hyperparameters)


def rule(
    g: jax.Array,
    delta: jax.Array,
    last: jax.Array,
    *,
    learning_rate: jax.Array,
    eta_minus: jax.Array,
    eta_plus: jax.Array,
    min_step_size: jax.Array,
    max_step_size: jax.Array,
    t: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The update and the new states for one array."""
    delta = jnp.where(t == 1, learning_rate, delta)
    # Of the signs, whose product cannot underflow.
    s = jnp.real(jnp.conj(jnp.sign(last)) * jnp.sign(g))
    longer = jnp.minimum(eta_plus * delta, max_step_size)
    shorter = jnp.maximum(eta_minus * delta, min_step_size)
    delta = jnp.where(s > 0, longer, jnp.where(s < 0, shorter, delta))
    g = jnp.where(s < 0, 0, g)
    return -delta * jnp.sign(g), delta, g
