"""Mixed precision: parameters in float32, the network in bfloat16 or float16.

    w, x ← cast to `compute`;  L ← loss(w, x);  L ← cast to `output`

An accelerator multiplies matrices several times as fast in half precision, and what a network keeps for its
gradient takes half the room. The parameters stay as they are held, since steps are smaller than what half
precision can add to them. The derivative of the cast is the cast back: gradients have the parameters' dtype.

The policy has three dtypes: that of the parameters is the parameters' own (`cast` makes it another one), and
`compute` and `output` are arguments. bfloat16 has float32's range. float16 has more digits, but gradients
below 6e-8 are 0 in it: multiply the loss, with `loss_scaling` around the optimizer.

jmp's `Policy` and Flax's `dtype` and `param_dtype` are told to each layer; torch's `autocast` chooses a dtype
for each operation. Here the loss sees half-precision arrays and nothing else changes: what needs all digits
inside (a softmax, a norm's mean) is cast there, by hand, and JAX's own functions do most of it.

Micikevicius et al. 2018, Mixed Precision Training, arXiv:1710.03740.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from jaxopt_edu.core.by_leaf import Rules
from jaxopt_edu.core.leaf_values import Predicate
from jaxopt_edu.losses.casting import cast_but, floating_dtype, kept
from jaxopt_edu.training.objective import around, with_loss_scale


def mixed_precision(
    loss_fn: Callable[..., Any],
    compute: Any = jnp.bfloat16,
    output: Any = jnp.float32,
    keep: Predicate = (),
) -> Callable[..., Any]:
    """The same loss, computed in another precision than the parameters are held in.

    It works in `fit`, `sweep`, `rate_test` and loops of one's own. With `micro_batches` it stands inside:
    `micro_batches(mixed_precision(loss_fn), parts)` adds up gradients of the parameters' dtype.

    Args:
        loss_fn: as for `fit`. It sees parameters and batch with their floating leaves in `compute`. Integers
            and random keys stay as they are, and so do complex arrays, of which there is no half.
        compute: a real floating dtype.
        output: that of the loss and its floating metrics.
        keep: which parameters loss_fn sees as they are held, such as the scales of norms: a pattern of their
            names or several, as in "*/norm*" (see `partition`), or a function of (name, leaf). What they are
            multiplied with becomes float32 by JAX's rules, until loss_fn casts it back.

    Returns:
        A function with the same arguments, a pytree. The model's state is given as it is, and comes back in
        the dtypes that it had.

    Raises:
        TypeError: loss_fn is no function, a dtype is no real floating one, or keep is no predicate.
        ValueError: while it runs: a pattern means no leaf.

    >>> import jax, jax.numpy as jnp
    >>> loss_fn = mixed_precision(lambda w, x: jnp.mean((w * x) ** 2))
    >>> loss, gradient = jax.value_and_grad(loss_fn)(jnp.array([1.0, 1.001]), jnp.ones(2))
    >>> float(loss), gradient.dtype  # 1.001 is 1 in bfloat16
    (1.0, dtype('float32'))

    References:
        Micikevicius et al., Mixed Precision Training, 2018, arXiv:1710.03740.
    """
    owner = "mixed_precision"
    dtypes = floating_dtype(owner, "compute", compute), floating_dtype(owner, "output", output)
    return around(owner, MixedPrecision(*dtypes, kept(owner, keep)), loss_fn)


@dataclass(frozen=True)
class MixedPrecision:
    """The static half of `mixed_precision`: the policy."""

    around_loss = True

    compute: np.dtype
    output: np.dtype
    keep: Rules | None

    def with_loss_scale(self, scale: jax.Array, loss_fn: Callable[..., Any]) -> Partial:
        """The same, around a loss that was told by what it is going to be multiplied."""
        return Partial(self, with_loss_scale(loss_fn, scale))

    def __call__(self, loss_fn: Callable[..., Any], params: Any, *rest: Any, **keywords: Any) -> Any:
        """The loss, in the form in which loss_fn gives it."""
        *state, batch = rest
        params = cast_but(params, self.compute, self.keep, "mixed_precision")
        told = loss_fn(params, *state, cast_but(batch, self.compute), **keywords)
        if not state or not isinstance(told, tuple) or len(told) < 2:
            return cast_but(told, self.output)
        loss, new, *metrics = told
        return cast_but(loss, self.output), _as_it_was(state[0], new), *cast_but(metrics, self.output)


def _as_it_was(given: Any, returned: Any) -> Any:
    """A model's state in the dtypes that it had; of another structure, it is left to others to tell."""
    if jax.tree.structure(given) != jax.tree.structure(returned):
        return returned
    return jax.tree.map(
        lambda old, new: cast_but(new, old.dtype) if _are_floating(old, new) else new, given, returned
    )


def _are_floating(*leaves: Any) -> bool:
    return all(hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in leaves)
