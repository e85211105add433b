"""Where batches come from, and that their order depends on the key and the step alone."""

import threading
from itertools import count

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import jaxopt_edu as jo
from jaxopt_edu.training.sources import IteratorSource, make_source

KEY = jax.random.key(3)
STEPS = 50
EXAMPLES = np.arange(20, dtype=np.float32)
OPT = jo.sgd(learning_rate=0.01)


def loss_fn(w, batch):
    loss = jnp.mean((w * batch - 1) ** 2)
    return loss, {"batch": batch}


def sample(key):
    return jax.random.normal(key, (4,))


def numbers(length=10**6, size=4):
    return (np.full(size, step, np.float32) for step in range(length))


def fit(data, steps=STEPS, **options):
    return jo.fit(loss_fn, jnp.array(0.1), OPT, data, steps=steps, **options)


def assert_same_run(found, expected):
    np.testing.assert_array_equal(found.history.losses, expected.history.losses)
    np.testing.assert_array_equal(found.params, expected.params)
    assert found.history.losses.shape == (STEPS,)


KINDS = {
    "arrays": (lambda: EXAMPLES, {"batch_size": 8, "key": KEY}),
    "replacement": (lambda: EXAMPLES, {"batch_size": 8, "key": KEY, "replacement": True}),
    "whole": (lambda: EXAMPLES, {}),
    "sample": (lambda: sample, {"key": KEY}),
    "iterator": (lambda: (np.sin(batch) for batch in numbers()), {}),
}


def without_batch(w, batch):
    assert batch is None
    return (w - 1) ** 2


# 50 = 7 · 7 + 1: the last stretch is a single step, which XLA unrolls.
@pytest.mark.parametrize("every", [7, pytest.param(10, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", KINDS)
def test_the_order_depends_neither_on_every_nor_on_a_resume(kind, every, tmp_path):
    data, options = KINDS[kind]
    expected = fit(data(), **options)
    assert_same_run(fit(data(), every=every, **options), expected)
    fit(data(), steps=3 * every, every=every, checkpoint=tmp_path, **options)
    resumed = fit(data(), every=every, checkpoint=tmp_path, resume=True, **options)
    assert_same_run(resumed, expected)
    np.testing.assert_array_equal(resumed.history.metrics["batch"], expected.history.metrics["batch"])


def test_no_data():
    expected = jo.fit(without_batch, jnp.array(0.1), OPT, steps=STEPS)
    for every in (7, 10):
        assert_same_run(jo.fit(without_batch, jnp.array(0.1), OPT, steps=STEPS, every=every), expected)


def test_each_example_comes_once_an_epoch():
    batches = fit(EXAMPLES, batch_size=8, key=KEY).history.metrics["batch"]
    assert batches.shape == (STEPS, 8)
    epochs = batches.reshape(-1, len(EXAMPLES))
    for epoch in epochs:
        np.testing.assert_array_equal(np.sort(epoch), EXAMPLES)
    assert len(np.unique(epochs, axis=0)) == len(epochs)


def test_replacement_draws_independently():
    batches = fit(EXAMPLES, batch_size=8, key=KEY, replacement=True).history.metrics["batch"]
    assert any(len(set(batch)) < 8 for batch in batches)
    counts = np.bincount(batches.ravel().astype(int), minlength=20)
    # 400 draws among 20: a count has mean 20 and standard deviation 4.4.
    assert (np.abs(counts - 20) < 5 * 4.4).all()
    assert counts.std() > 1


def test_a_batch_beyond_the_examples_is_refused():
    with pytest.raises(ValueError, match=r"fit: batch_size = 6 is more than the 3 examples.*leave it out"):
        fit(EXAMPLES[:3], steps=4, batch_size=6, key=KEY)
    drawn = fit(EXAMPLES[:3], steps=4, batch_size=6, key=KEY, replacement=True).history.metrics["batch"]
    assert drawn.shape == (4, 6)


def test_all_leaves_of_a_tree_are_drawn_alike():
    def loss(w, batch):
        return w**2 + 0 * jnp.sum(batch["x"][0]), {"x": batch["x"][0], "y": batch["y"]}

    data = {"x": [EXAMPLES], "y": np.stack([EXAMPLES, -EXAMPLES], axis=1)}
    metrics = jo.fit(loss, jnp.array(0.1), OPT, data, steps=3, batch_size=4, key=KEY).history.metrics
    np.testing.assert_array_equal(metrics["y"], np.stack([metrics["x"], -metrics["x"]], axis=-1))


def test_keys_give_other_batches():
    first, second = (
        fit(EXAMPLES, batch_size=8, key=jax.random.key(seed)).history.metrics["batch"] for seed in (0, 1)
    )
    assert not np.array_equal(first, second)
    drawn = fit(sample, key=KEY).history.metrics["batch"]
    assert len(np.unique(drawn)) == drawn.size


def test_a_sampler_that_carries_arrays_is_a_sampler():
    def pick(examples, key):
        return jax.random.choice(key, examples, (4,))

    batches = fit(Partial(pick, jnp.asarray(EXAMPLES)), steps=10, key=KEY).history.metrics["batch"]
    assert batches.shape == (10, 4)
    assert set(batches.ravel()) <= set(EXAMPLES)


def test_the_end_of_the_data_is_a_clean_end():
    with pytest.warns(RuntimeWarning, match="the data ended after 20 of 50 steps"):
        result = fit(numbers(length=20), every=10)
    assert result.history.stopped == "end of data at step 20"
    np.testing.assert_array_equal(result.history.metrics["batch"][:, 0], np.arange(20))
    np.testing.assert_array_equal(result.history.evaluated_at, [10, 20])
    assert_no_reader()


def test_no_batch_at_all():
    used_up = numbers(length=4)
    fit(used_up, steps=4)
    for empty in (used_up, iter([]), NothingInIt()):
        with pytest.raises(ValueError, match=r"fit: data gave no batch at all.*make a new one"):
            fit(empty)


class NothingInIt:
    def __iter__(self):
        return iter([])


def test_the_last_batch_may_be_smaller():
    def loss(w, batch):
        return (w - jnp.mean(batch)) ** 2, {"mean": jnp.mean(batch)}

    batches = [*numbers(length=13), np.full(2, 13, np.float32)]
    with pytest.warns(RuntimeWarning, match="ended after 14"):
        result = jo.fit(loss, jnp.array(0.1), OPT, iter(batches), steps=STEPS, every=10)
    np.testing.assert_array_equal(result.history.metrics["mean"], np.arange(14))
    assert result.history.stopped == "end of data at step 14"


def test_a_change_of_shape_makes_no_extra_steps():
    def loss(w, batch):
        return (w - jnp.mean(batch)) ** 2, {"mean": jnp.mean(batch)}

    batches = (np.full(2 if step < 5 else 3, step, np.float32) for step in count())
    result = jo.fit(loss, jnp.array(0.1), OPT, batches, steps=22, every=10)
    np.testing.assert_array_equal(result.history.metrics["mean"], np.arange(22))
    np.testing.assert_array_equal(result.history.evaluated_at, [10, 20, 22])


def test_shapes_may_change_all_the_time():
    steps = 3000
    source = IteratorSource((np.full(1 + step % 2, step) for step in range(steps)), 0)
    seen = []
    while (piece := source.entries(len(seen), 10, 10))[1]:
        seen += piece[0][:, 0].tolist()
    source.close()
    assert seen == list(range(steps))


def test_a_change_of_dtype_does_not_promote():
    source = IteratorSource(iter([np.arange(2), np.arange(2.0)]), 0)
    kinds = [source.entries(step, 2, 0)[0].dtype.kind for step in (0, 1)]
    source.close()
    assert kinds == ["i", "f"]


def test_a_buffer_that_is_filled_again_and_again():
    buffer = np.zeros(4, np.float32)

    def refilled():
        for step in range(8):
            buffer[:] = step
            yield buffer

    batches = fit(refilled(), steps=8, every=4).history.metrics["batch"]
    np.testing.assert_array_equal(batches[:, 0], np.arange(8))


def test_batches_are_taken_in_order_and_read_ahead():
    taken, moments = [], []

    def watched():
        for step in count():
            taken.append(step)
            yield np.full(4, step, np.float32)

    def callback(moment):
        moments.append((moment.step, len(taken)))

    batches = fit(watched(), steps=30, every=10, callback=callback).history.metrics["batch"]
    np.testing.assert_array_equal(batches[:, 0], np.arange(30))
    # Never more than the next stretch, and none beyond the end.
    assert all(length <= min(step + 10, 30) for step, length in moments)
    assert len(taken) == 30


@pytest.mark.parametrize("at", [0, 4, 10, 15])
def test_an_error_inside_the_iterator_reaches_the_caller(at):
    class BrokenDiskError(Exception):
        pass

    moments = []

    def broken():
        for step in range(at):
            yield np.full(4, step, np.float32)
        raise BrokenDiskError(f"sector {at}")

    with pytest.raises(BrokenDiskError, match=f"sector {at}"):
        fit(broken(), steps=30, every=10, callback=lambda moment: moments.append(moment.step))
    assert moments == [10] * (at // 10)
    assert_no_reader()


def test_threads_end_with_the_run():
    batches = numbers()
    assert fit(batches, every=10, callback=lambda moment: True).history.stopped.startswith("stopped")
    assert_no_reader()
    # Nobody else is inside the generator now, and at most one stretch was read ahead.
    assert next(batches)[0] <= 20

    def broken(moment):
        raise KeyError("a bug in the callback")

    with pytest.raises(KeyError, match="a bug"):
        fit(numbers(), every=10, callback=broken)
    assert_no_reader()


def assert_no_reader():
    assert [each.name for each in threading.enumerate() if each.name.startswith("jaxopt-edu-data")] == []


def test_a_resumed_iterator_that_is_too_short(tmp_path):
    fit(numbers(), steps=20, every=10, checkpoint=tmp_path)
    with pytest.warns(RuntimeWarning, match="the data ended after 20 of 50 steps"):
        result = fit(numbers(length=15), every=10, checkpoint=tmp_path, resume=True)
    assert result.history.stopped == "end of data at step 20"


@pytest.mark.slow
def test_a_torch_loader():
    data = pytest.importorskip("torch.utils.data")
    import torch

    dataset = data.TensorDataset(torch.arange(10.0), -torch.arange(10.0))
    loader = data.DataLoader(dataset, batch_size=4)

    def loss(w, batch):
        x, y = batch
        return w**2, {"x": jnp.sum(x), "y": jnp.sum(y)}

    result = jo.fit(loss, jnp.array(0.1), OPT, loader, steps=8)
    np.testing.assert_array_equal(result.history.metrics["x"], [6, 22, 17, 6, 22, 17, 6, 22])
    np.testing.assert_array_equal(result.history.metrics["y"], -result.history.metrics["x"])
    assert result.history.stopped == "completed"


@pytest.mark.parametrize(
    "data",
    [{"x": np.zeros(4), "y": np.zeros(5)}, {"x": np.zeros(4), "y": np.array(1.0)}, np.array(1.0)],
    ids=["lengths", "scalar beside", "scalar"],
)
def test_arrays_without_a_common_axis_are_refused(data):
    with pytest.raises(ValueError, match="common leading axis"):
        fit(data)


def test_arrays_without_examples_are_refused():
    with pytest.raises(ValueError, match="no examples"):
        fit(np.zeros((0, 3)), batch_size=2, key=KEY)


def test_a_sampler_without_a_key_is_refused():
    with pytest.raises(ValueError, match=r"sample\(key\) needs a key"):
        fit(sample)


@pytest.mark.parametrize("data", [3.0, "batches.npy", {}, ()])
def test_other_kinds_of_data_are_refused(data):
    with pytest.raises(TypeError, match=rf"data is {type(data).__name__}; it has to be"):
        make_source(data, key=KEY, batch_size=None, replacement=False, first=0)
