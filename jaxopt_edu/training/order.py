"""In which order a run sees its examples."""

import jax
import jax.numpy as jnp


def shuffled_indices(
    key: jax.Array,
    epoch: jax.Array | int,
    offset: jax.Array | int,
    *,
    steps: int,
    examples: int,
    batch_size: int,
) -> jax.Array:
    """Which examples the batches of consecutive steps hold: each one once an epoch, in shuffled order.

    The order is an endless row of permutations, one an epoch, cut into batches. It depends on the key and the
    step alone, so any cut of a run into pieces sees the same data. Step s begins at
    (epoch, offset) = divmod(s · batch_size, examples), in exact integers.

    Args:
        key: a `jax.random` key.
        epoch: the epoch in which the first batch begins; int32, shape ().
        offset: its place within the epoch, below `examples`; int32, shape ().
        steps: number of batches.
        examples: number of examples in the data.
        batch_size: examples in a batch; may exceed the number of examples.

    Returns:
        Indices into the examples; int32, shape (steps, batch_size).

    >>> import jax
    >>> rows = shuffled_indices(jax.random.key(0), 0, 0, steps=2, examples=4, batch_size=2)
    >>> sorted(rows.ravel().tolist())
    [0, 1, 2, 3]
    """
    # The batches may begin anywhere in their first epoch, so they can touch one epoch more than fits.
    epochs = (steps * batch_size + examples - 2) // examples + 1
    numbers = jnp.asarray(epoch, jnp.int32) + jnp.arange(epochs, dtype=jnp.int32)
    keys = jax.vmap(lambda number: jax.random.fold_in(key, number))(numbers)
    order = jax.vmap(lambda epoch_key: permutation(epoch_key, examples))(keys).ravel()
    rows = jax.lax.dynamic_slice_in_dim(order, jnp.asarray(offset, jnp.int32), steps * batch_size)
    return rows.astype(jnp.int32).reshape(steps, batch_size)


def permutation(key: jax.Array, size: int) -> jax.Array:
    """The numbers below size in random order.

    `jax.random.permutation` sorts pairs, which on a CPU takes four times as long as sorting single numbers
    and is a third of a small model's step. Up to 2¹⁶ each number is packed into 32 bits, below as many
    random ones. Numbers with equal random bits would keep their order: one pair in a million up to 4096, and
    beyond that a second round parts them.

    Args:
        key: a `jax.random` key.
        size: how many numbers.

    Returns:
        A permutation; int32, shape (size,).

    >>> import jax
    >>> sorted(permutation(jax.random.key(0), 5).tolist())
    [0, 1, 2, 3, 4]
    """
    if size > 1 << 16:
        return jax.random.permutation(key, size).astype(jnp.int32)
    low = jnp.uint32((1 << max(size - 1, 1).bit_length()) - 1)
    numbers = jnp.arange(size, dtype=jnp.uint32)

    def shuffled(round_key: jax.Array) -> jax.Array:
        bits = jax.random.bits(round_key, (size,), jnp.uint32)
        return jnp.sort((bits & ~low) | numbers, stable=False) & low

    if size <= 4096:
        return shuffled(key).astype(jnp.int32)
    first, second = map(shuffled, jax.random.split(key))
    return first[second].astype(jnp.int32)
