"""The order of the data: each example once an epoch, however a run is cut."""

import hypothesis
import hypothesis.strategies as st
import jax
import numpy as np
import pytest

from jaxopt_edu.training import shuffled_indices
from jaxopt_edu.training.order import permutation

# Few sizes, so that few programs are compiled; a batch may hold more examples than there are.
SIZES = st.sampled_from([(1, 3), (5, 2), (4, 9)])

compiled = jax.jit(shuffled_indices, static_argnames=("steps", "examples", "batch_size"))


def rows(seed, first, *, steps, examples, batch_size):
    epoch, offset = divmod(first * batch_size, examples)
    key = jax.random.key(seed)
    return np.asarray(
        compiled(key, epoch, offset, steps=steps, examples=examples, batch_size=batch_size), np.int64
    )


@hypothesis.settings(deadline=None, max_examples=30)
@hypothesis.given(seed=st.integers(0, 1000), sizes=SIZES, steps=st.sampled_from([1, 3, 12]))
def test_each_example_comes_once_an_epoch(seed, sizes, steps):
    examples, batch_size = sizes
    row = rows(seed, 0, steps=steps, examples=examples, batch_size=batch_size)
    assert row.shape == (steps, batch_size)
    whole, rest = divmod(row.size, examples)
    for epoch in row.ravel()[: whole * examples].reshape(whole, examples):
        assert sorted(epoch) == list(range(examples))
    unfinished = row.ravel()[whole * examples :]
    assert len(set(unfinished)) == rest
    assert set(unfinished) <= set(range(examples))


@hypothesis.settings(deadline=None, max_examples=40)
@hypothesis.given(
    seed=st.integers(0, 1000),
    sizes=SIZES,
    cuts=st.lists(st.sampled_from([1, 3]), min_size=1, max_size=4),
)
def test_any_cut_into_pieces_gives_the_same_rows(seed, sizes, cuts):
    examples, batch_size = sizes
    sizes_by_name = {"examples": examples, "batch_size": batch_size}
    whole = rows(seed, 0, steps=12, **sizes_by_name)[: sum(cuts)]
    starts = np.cumsum([0, *cuts[:-1]])
    pieces = [
        rows(seed, int(first), steps=steps, **sizes_by_name)
        for first, steps in zip(starts, cuts, strict=True)
    ]
    np.testing.assert_array_equal(np.concatenate(pieces), whole)


def test_keys_and_epochs_differ():
    first, second = (rows(seed, 0, steps=2, examples=40, batch_size=40) for seed in (0, 1))
    assert not np.array_equal(first, second)
    assert not np.array_equal(first[0], first[1])


def test_positions_are_uniform():
    # Over many keys every example stands at every place about equally often: 4000 throws of a die with five
    # faces, whose counts lie within five standard deviations (127) of 800.
    keys = jax.random.split(jax.random.key(7), 4000)
    order = jax.vmap(lambda key: shuffled_indices(key, 3, 0, steps=1, examples=5, batch_size=5)[0])(keys)
    counts = np.array([np.bincount(column, minlength=5) for column in np.asarray(order).T])
    assert np.abs(counts - 800).max() < 127


def test_far_into_a_run():
    # A hundred million examples seen: the place is exact because it is an integer, not a float32.
    place = 100_000_001
    row = rows(0, place, steps=3, examples=5, batch_size=2)
    again = rows(0, place + 1, steps=1, examples=5, batch_size=2)
    np.testing.assert_array_equal(row[1], again[0])


@pytest.mark.parametrize("wide", [False, True])
def test_indices_are_int32(wide):
    with jax.enable_x64(wide):
        row = shuffled_indices(jax.random.key(0), 0, 0, steps=1, examples=4, batch_size=2)
    assert row.dtype == np.int32


@pytest.mark.parametrize("size", [1, 2, 3, 1437, 4097, 1 << 16, (1 << 16) + 1])
def test_permutations_hold_every_number_once(size):
    numbers = np.asarray(permutation(jax.random.key(0), size))
    assert numbers.dtype == np.int32
    assert (np.sort(numbers) == np.arange(size)).all()


def test_every_order_is_as_likely():
    """All 24 orders of four numbers, in 24,000 draws: χ² with 23 degrees of freedom stays below its 1 − "
    "1e-4 quantile."""
    keys = jax.random.split(jax.random.key(0), 24_000)
    drawn = np.asarray(jax.jit(jax.vmap(lambda key: permutation(key, 4)))(keys))
    counts = np.unique(drawn @ np.array([64, 16, 4, 1]), return_counts=True)[1]
    assert len(counts) == 24
    assert ((counts - 1000) ** 2 / 1000).sum() < 57.1
