"""place_noise: bits as random as rounding needs, the same however they are computed, and without memory."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_edu.core.noise import place_noise

SHAPE = (256, 256)
words_of = jax.jit(lambda key: jax.random.bits(key, (2,), jnp.uint32))
WORDS = [words_of(jax.random.key(seed)) for seed in range(4)]
BITS = [np.asarray(place_noise(words, SHAPE)) for words in WORDS]
NUMBERS = 256 * 256


def test_every_bit_is_a_fair_coin():
    for bits in BITS:
        for position in range(32):
            heads = int(((bits >> position) & 1).sum())
            assert abs(heads - NUMBERS / 2) < 5 * np.sqrt(NUMBERS / 4), position


def test_the_upper_bits_that_rounding_uses_are_uniform():
    """χ² of 256 cells has mean 255 and deviation √510."""
    for bits in BITS:
        for shift in (16, 24):
            counts = np.bincount(((bits >> shift) & 255).ravel(), minlength=256)
            chi_squared = ((counts - NUMBERS / 256) ** 2 / (NUMBERS / 256)).sum()
            assert abs(chi_squared - 255) < 5 * np.sqrt(510)


def test_neighbours_and_other_words_have_nothing_in_common():
    uniform = [bits.astype(np.float64) / 2**32 - 0.5 for bits in BITS]
    pairs = [(uniform[0][:, shift:], uniform[0][:, :-shift]) for shift in (1, 2, 3, 4, 8, 16, 32, 64, 128)]
    pairs += [(uniform[0][shift:], uniform[0][:-shift]) for shift in (1, 2, 4, 64)]
    pairs += [(uniform[0], other) for other in uniform[1:]]
    for one, other in pairs:
        # The product of two independent uniform numbers has the deviation 1/12.
        assert abs((one * other).mean()) < 5 / 12 / np.sqrt(one.size)


def test_a_batch_is_its_members():
    together = jax.vmap(lambda words: place_noise(words, SHAPE))(jnp.stack(WORDS))
    np.testing.assert_array_equal(together, np.stack(BITS))
    np.testing.assert_array_equal(place_noise(WORDS[0], (NUMBERS,)), BITS[0].ravel())


def test_a_compiled_use_keeps_no_bits():
    rounded = jax.jit(lambda words, x: x + (place_noise(words, x.shape) >> 16))
    memory = rounded.lower(WORDS[0], jnp.zeros(SHAPE, jnp.uint32)).compile().memory_analysis()
    assert memory is not None
    assert memory.temp_size_in_bytes < NUMBERS
