"""Half-size state: an optimizer's averages kept in bfloat16, rounded at random.

Adam keeps two float32 numbers for each parameter. In bfloat16 they take half the room, but rounded to
the nearest they stall: v grows by a thousandth a step, and bfloat16 has steps of 1/256. Rounded up with
a probability equal to the distance from the number below, an average is right in the mean whatever it
gains.

    low ≤ x < high                   (the two bfloat16 numbers around x)
    x ← high with probability (x − low) / (high − low), else low

The optimizer computes in float32 as before; between steps its float32 arrays are bfloat16. It saves 2
bytes for each number of the state (4 of Adam's 8 for each parameter) and costs the hashing of random
bits, which take no memory. float64, complex and scalar leaves stay as they are.

optax can keep Adam's m in bfloat16 (`mu_dtype`), rounded to the nearest, which is harmless for b1 = 0.9
but not for v; torch has nothing of the kind built in.

Gupta et al. 2015, Deep Learning with Limited Numerical Precision, arXiv:1502.02551.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_edu.core.checks import check_key, check_state
from jaxopt_edu.core.composition import compose
from jaxopt_edu.core.noise import place_noise
from jaxopt_edu.core.transform import Optimizer
from jaxopt_edu.core.trees import next_count
from jaxopt_edu.wrappers.order import check_inside

if TYPE_CHECKING:
    import chex


WORDS = 2  # of 32 random bits, for each array and step


class HalfState(NamedTuple):
    """The optimizer's state at half its size, and where its random bits come from."""

    count: jax.Array  # the number of updates made; int32, shape ()
    key: jax.Array  # the random key given; the bits of step t are drawn from fold_in(key, t)
    inner: Any  # the optimizer's state, float32 arrays as bfloat16


def half_state(optimizer: optax.GradientTransformation, key: jax.Array) -> Optimizer:
    """Keep an optimizer's float32 state in bfloat16, rounded at random.

    Args:
        optimizer: any optax transform with float32 state.
        key: a `jax.random` key; two runs with the same key give the same bits.

    Returns:
        A transform that computes as before, with half of the memory between steps.

    Raises:
        TypeError: optimizer is not an optax transform.
        ValueError: its state holds parameters or measures, as that of `averaged` or `monitor` does; put
            half_state inside. Or it holds where the parameters started, as that of `dog` does.

    >>> import jax, jax.numpy as jnp, jaxopt_edu as jo
    >>> opt = half_state(jo.adam(), jax.random.key(0))
    >>> opt.init(jnp.zeros(3)).inner.v.dtype
    dtype(bfloat16)

    References:
        Gupta et al., Deep Learning with Limited Numerical Precision, 2015, arXiv:1502.02551.
    """
    check_key("half_state", "key", key)
    check_inside("half_state", optimizer, "holds_parameters", "keeps_measures", "measures_from_the_start")
    return compose(half_state, init, HalfStep(), [optimizer], key)


def init(inits: Sequence[Callable], key: jax.Array, params: "chex.ArrayTree") -> HalfState:
    """Before the first step; an initial state of zeros or powers of two is kept exactly."""
    inner = jax.tree.map(lambda x: x.astype(jnp.bfloat16) if _is_halved(x) else x, inits[0](params))
    # A copy: the state may be donated to a compiled step, and the optimizer must not lose its key with it.
    return HalfState(jnp.zeros((), jnp.int32), jnp.array(key, copy=True), inner)


@dataclass(frozen=True)
class HalfStep:
    """One step: the state as float32, the optimizer's update, the state rounded at random."""

    def inner_states(self, state: Any, size: int) -> tuple[Any, ...]:
        """The optimizer's state, as float32."""
        check_state("half_state", state, HalfState)
        return (jax.tree.map(lambda x: x.astype(jnp.float32) if _is_half(x) else x, state.inner),)

    def __call__(
        self, update_functions: Sequence[Callable], updates: Any, state: Any, params: Any, **extra: Any
    ) -> tuple["chex.ArrayTree", HalfState]:
        """The optimizer's own updates, and its state rounded."""
        (inner,) = self.inner_states(state, 1)
        updates, inner = update_functions[0](updates, inner, params, **extra)
        leaves, treedef = jax.tree.flatten(inner)
        words = jax.random.bits(jax.random.fold_in(state.key, state.count), (len(leaves), WORDS), jnp.uint32)
        halved = [
            # An optimizer that keeps bfloat16 of its own has rounded it already.
            _rounded(leaf, own) if _is_half(old) and not _is_half(leaf) else leaf
            for leaf, old, own in zip(leaves, jax.tree.leaves(state.inner), words, strict=True)
        ]
        return updates, HalfState(next_count(state.count), state.key, jax.tree.unflatten(treedef, halved))


def stochastic_round(x: jax.Array, key: jax.Array) -> jax.Array:
    """Round float32 to one of the two neighbouring bfloat16 numbers, right in the mean.

    Args:
        x: float32 array of any shape; NaN and ±∞ stay what they are, and no finite number becomes ∞.
        key: a `jax.random` key.

    Returns:
        A bfloat16 array of the same shape, whose expectation over keys is x.

    >>> import jax, jax.numpy as jnp
    >>> x = jnp.full(10_000, 1 + 1 / 512, jnp.float32)
    >>> mean = stochastic_round(x, jax.random.key(0)).astype(jnp.float32).mean()
    >>> abs(float(mean) - (1 + 1 / 512)) < 2e-4
    True
    """
    return _rounded(x, jax.random.bits(key, (WORDS,), jnp.uint32))


def _rounded(x: jax.Array, words: jax.Array) -> jax.Array:
    bits = jax.lax.bitcast_convert_type(x, jnp.uint32)
    # bfloat16 is the upper half of float32: 16 random bits added to the lower half carry with the right odds.
    carried = jnp.bitwise_and(bits + (place_noise(words, x.shape) >> 16), jnp.uint32(0xFFFF0000))
    rounded = jax.lax.bitcast_convert_type(carried, jnp.float32)
    largest = float(jnp.finfo(jnp.bfloat16).max)
    return jnp.where(jnp.isfinite(x), jnp.clip(rounded, -largest, largest), x).astype(jnp.bfloat16)


def _is_halved(leaf: Any) -> bool:
    return getattr(leaf, "dtype", None) == jnp.float32 and jnp.ndim(leaf) > 0


def _is_half(leaf: Any) -> bool:
    return getattr(leaf, "dtype", None) == jnp.bfloat16
