"""SAM: the gradient is taken a little uphill, so that the descent prefers flat valleys to narrow ones.

A minimum is worth more if the loss stays low around it. The worst point within a distance rho is, to first
order, straight uphill, and its gradient is the one to descend along:

    g = ∇f(w)
    ĝ = ∇f(w + rho · g / ‖g‖)        (‖g‖: over all parameters at once)
    u ← optimizer.update(ĝ)

It costs a second gradient for each step, of the same batch, and while it is computed a copy of the
parameters. The update needs `grad_fn`, a function of the parameters; `fit` and `sweep` give it.

`optax.contrib.sam` makes the two steps in turns, or with `opaque_mode=True` as here; its adversarial step
is an optimizer of its own, chain(normalize, sgd(rho)) for the paper's. pytorch_optimizer's `SAM(rho,
adaptive=False)` is the same formula but for a term of 1e-12 in the norm. Where g = 0 there is no uphill,
and ĝ = ∇f(w).

Foret et al. 2021, Sharpness-Aware Minimization for Efficiently Improving Generalization, arXiv:2010.01412.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import optax

from jaxopt_edu.core.checks import NON_NEGATIVE, check_given, check_matches, check_state
from jaxopt_edu.core.composition import compose
from jaxopt_edu.core.numerics import divide
from jaxopt_edu.core.reductions import tree_norm
from jaxopt_edu.core.transform import Hyperparameter, Optimizer
from jaxopt_edu.core.trees import ValueInForce, first_count, map_point, next_count
from jaxopt_edu.wrappers.order import check_inside

if TYPE_CHECKING:
    import chex


class SamState(NamedTuple):
    """The optimizer's state, and the count that a schedule of rho is asked at."""

    count: jax.Array  # the number of updates made; int32, shape ()
    inner: Any  # the optimizer's state


def sam(optimizer: optax.GradientTransformation, rho: Hyperparameter = 0.05) -> Optimizer:
    """Descend along the gradient of the worst point nearby.

    Args:
        optimizer: any optax transform; it sees the second gradient.
        rho: how far uphill that is taken, over all parameters; finite, ≥ 0, or a schedule.

    Returns:
        A transform whose update needs `params` and `grad_fn=`, where grad_fn(params) gives the gradients of
        the same batch at other parameters. Its state is SamState(count, inner).

    Raises:
        TypeError: optimizer is not an optax transform, or rho is no number.
        ValueError: rho is out of range.

    >>> import jax, jax.numpy as jnp, jaxopt_edu as jo
    >>> opt, w = sam(jo.sgd(learning_rate=1.0), rho=0.5), jnp.array([3.0, 4.0])
    >>> grad_fn = jax.grad(lambda w: (w**2).sum() / 2)
    >>> updates, state = opt.update(grad_fn(w), opt.init(w), w, grad_fn=grad_fn)
    >>> [round(float(u), 6) for u in updates]
    [-3.3, -4.4]

    References:
        Foret et al., Sharpness-Aware Minimization for Efficiently Improving Generalization, 2021,
        arXiv:2010.01412.
    """
    check_inside("sam", optimizer, "takes_new_gradient")
    return compose(sam, init, SamStep(), [optimizer], limits={"rho": NON_NEGATIVE}, rho=rho)


def init(inits: Sequence[Callable], params: "chex.ArrayTree") -> SamState:
    """Before the first step."""
    return SamState(first_count(params), inits[0](params))


@dataclass(frozen=True)
class SamStep:
    """One step: uphill, the gradient there, and the optimizer's step for it."""

    takes_new_gradient = True

    def inner_states(self, state: Any, size: int) -> tuple[Any, ...]:
        """The optimizer's state."""
        check_state("sam", state, SamState)
        return (state.inner,)

    def __call__(
        self,
        update_functions: Sequence[Callable],
        updates: Any,
        state: Any,
        params: Any,
        *,
        rho: ValueInForce,
        grad_fn: Callable[[Any], Any] | None = None,
        **extra: Any,
    ) -> tuple["chex.ArrayTree", SamState]:
        """The optimizer's updates for the second gradient.

        Raises:
            ValueError: params or grad_fn is missing.
        """
        check_given("sam", params)
        if grad_fn is None:
            raise ValueError(
                "sam.update needs grad_fn=, which gives the gradients at other parameters, as in "
                "update(gradients, state, params, grad_fn=jax.grad(loss)). fit and sweep give it; optax.chain"
                " and partition do not hand it on: write sam(…) around them."
            )
        (inner,) = self.inner_states(state, 1)
        check_matches("gradient", updates, "parameter", params)
        length = tree_norm(updates)
        scale = divide(rho.astype(length.dtype), length)
        uphill = map_point(lambda w, g, *, scale: w + scale * g, params, updates, scale=scale)
        updates, inner = update_functions[0](grad_fn(uphill), inner, params, **extra)
        return updates, SamState(next_count(state.count), inner)
