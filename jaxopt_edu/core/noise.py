"""Random bits that are computed where they are used, and take no memory.

`jax.random.bits` writes its bits to memory, and on a CPU eight bytes for each number while it makes them,
more than rounding at random saves. Bits for that need not be of a cipher's quality. Here each is a hash of
its place and of a few words that were drawn from a key; a compiler puts it into the kernel that wants it.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp


@partial(jax.jit, static_argnames="shape")
def place_noise(words: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """32 random bits for each place of an array.

    The hash is the finalizer of Appleby's MurmurHash3, once for each word: h ← mix(h ⊕ word), from h = place.

    Args:
        words: what decides the bits, drawn by `jax.random.bits`; uint32, shape (n,).
        shape: of the result.

    Returns:
        uint32 array of that shape; under vmap over words the same as one by one.

    >>> words = jax.random.bits(jax.random.key(0), (2,), jnp.uint32)
    >>> bits = place_noise(words, (10_000,))
    >>> abs(float(bits.astype(jnp.float32).mean()) / 2**32 - 0.5) < 0.01
    True
    """
    bits = jax.lax.iota(jnp.uint32, math.prod(shape)).reshape(shape)
    for word in words:
        bits = _mixed(bits ^ word)
    return bits


def _mixed(bits: jax.Array) -> jax.Array:
    bits = (bits ^ (bits >> 16)) * jnp.uint32(0x85EBCA6B)
    bits = (bits ^ (bits >> 13)) * jnp.uint32(0xC2B2AE35)
    return bits ^ (bits >> 16)
