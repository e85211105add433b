"""Cautious steps: only where the update goes downhill by the newest gradient.

An average remembers gradients of other places, and may point uphill in some coordinates now. There the step
is left out, and the others are made larger by as much as was left out:

    u ← optimizer.update(g)
    mask = 1 where u · g < 0, else 0
    u ← u · mask / max(mean of mask, floor)

with the mean over each array of its own, and floor = 1e-3. It costs no memory.

The paper's first release divided by (Σ mask + 1) / n, which pytorch_optimizer's `cautious=True` still does;
here it is the official code of today, timm's and c_adamw's. Decay of weights is no part of the mask there:
wrap an optimizer without any, and decay outside, as in `weight_decay(cautious(adam()), rate)`;
cautious(adamw()) is another method. optax has none.

Liang et al. 2024, Cautious Optimizers: Improving Training with One Line of Code, arXiv:2411.16085.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_edu.core.checks import check_state
from jaxopt_edu.core.composition import compose
from jaxopt_edu.core.transform import Optimizer
from jaxopt_edu.core.trees import map_rule
from jaxopt_edu.wrappers.order import check_inside

if TYPE_CHECKING:
    import chex

FLOOR = 1e-3  # the smallest part of an array by which its updates are divided


class CautiousState(NamedTuple):
    """The optimizer's state, and nothing else."""

    inner: Any  # the optimizer's state


def cautious(optimizer: optax.GradientTransformation) -> Optimizer:
    """Leave out the steps that go uphill by the newest gradient.

    Args:
        optimizer: any optax transform whose updates are to be added, as all optimizers' are; one without
            decay of the weights.

    Returns:
        A transform with the same numbers. Its state is CautiousState(inner).

    Raises:
        TypeError: optimizer is not an optax transform.
        ValueError: optimizer cannot stand inside.

    >>> import jax.numpy as jnp, jaxopt_edu as jo
    >>> opt, w = cautious(jo.momentum(learning_rate=1.0, momentum=0.5)), jnp.array([1.0, 1.0])
    >>> _, state = opt.update(jnp.array([1.0, 1.0]), opt.init(w))
    >>> updates, _ = opt.update(jnp.array([1.0, -0.25]), state)  # momentum would go (-1.5, -0.25)
    >>> updates.tolist()
    [-3.0, 0.0]

    References:
        Liang et al., Cautious Optimizers: Improving Training with One Line of Code, 2024, arXiv:2411.16085.
    """
    check_inside(
        "cautious", optimizer, "updates_are_final", "rests_between_steps", "decays", "scales_the_loss"
    )
    return compose(cautious, init, CautiousStep(), [optimizer])


def init(inits: Sequence[Callable], params: "chex.ArrayTree") -> CautiousState:
    """Before the first step."""
    return CautiousState(inits[0](params))


@dataclass(frozen=True)
class CautiousStep:
    """One step: the optimizer's, where it goes downhill."""

    def inner_states(self, state: Any, size: int) -> tuple[Any, ...]:
        """The optimizer's state."""
        check_state("cautious", state, CautiousState)
        return (state.inner,)

    def __call__(
        self, update_functions: Sequence[Callable], updates: Any, state: Any, params: Any, **extra: Any
    ) -> tuple["chex.ArrayTree", CautiousState]:
        """The masked updates."""
        (inner,) = self.inner_states(state, 1)
        steps, inner = update_functions[0](updates, inner, params, **extra)
        return map_rule(rule, steps, params=updates), CautiousState(inner)


def rule(u: jax.Array, g: jax.Array) -> jax.Array:
    """The masked update for one array."""
    # By their signs, since the product of two small numbers is 0.
    product = (u * g.conj()).real if jnp.iscomplexobj(u) else jnp.sign(u) * jnp.sign(g)
    downhill = product < 0
    return jnp.where(downhill, u / jnp.maximum(jnp.mean(downhill.astype(product.dtype)), FLOOR), 0)
