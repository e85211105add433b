"""Loaders of all kinds: those that end, those that begin anew, and those that know their place."""

import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_edu as jo

OPT = jo.sgd(learning_rate=0.01)


def fit(data, steps=14, **options):
    return jo.fit(
        lambda w, batch: (w**2, {"batch": batch[0]}),
        jnp.array(0.1),
        OPT,
        data,
        steps=steps,
        every=4,
        **options,
    )


def seen(result):
    return result.history.metrics["batch"].astype(int).tolist()


class Loader:
    """Six batches an epoch, shuffled anew each time; knows how often it was asked for one."""

    def __init__(self, smaller_last=False):
        self.epoch, self.made, self.smaller_last = 0, 0, smaller_last

    def order(self):
        return np.random.default_rng(self.epoch).permutation(6)

    def batch(self, place):
        self.made += 1
        last = self.smaller_last and place == 5
        return np.full(2 if last else 3, 10 * self.epoch + self.order()[place], np.float32)

    def __iter__(self):
        for place in range(6):
            yield self.batch(place)
        self.epoch += 1


class WithStateDict(Loader):
    """As torch's StatefulDataLoader."""

    def __init__(self, **options):
        super().__init__(**options)
        self.place, self.begin = 0, 0

    def state_dict(self):
        return {"epoch": self.epoch, "place": self.place, "generator": np.arange(3), "note": (b"x", None)}

    def load_state_dict(self, state):
        np.testing.assert_array_equal(state["generator"], np.arange(3))
        assert state["note"] == (b"x", None)
        self.epoch, self.begin = state["epoch"], state["place"]

    def __iter__(self):
        begin, self.begin = self.begin, 0
        for place in range(begin, 6):
            self.place = place + 1
            yield self.batch(place)
        self.epoch, self.place = self.epoch + 1, 0


class WithGetState(Loader):
    """As grain's: the iterator knows, and there is one epoch without an end."""

    def __iter__(self):
        return Endless(self)


class Endless:
    def __init__(self, loader):
        self.loader, self.place = loader, 0

    def __iter__(self):
        return self

    def __next__(self):
        self.loader.epoch, place = divmod(self.place, 6)
        self.place += 1
        return self.loader.batch(place)

    def get_state(self):
        return str(self.place).encode()

    def set_state(self, state):
        self.place = int(state)


LOADERS = [Loader, WithStateDict, WithGetState, lambda: iter(WithGetState())]


@pytest.mark.parametrize("loader", LOADERS)
def test_epochs_begin_anew(loader):
    found = seen(fit(loader()))
    assert sorted(found[:6]) == list(range(6))
    assert sorted(found[6:12]) == list(range(10, 16))
    assert found[12] >= 20


@pytest.mark.parametrize("smaller_last", [False, True])
@pytest.mark.parametrize("loader", [Loader, WithStateDict, WithGetState])
@pytest.mark.parametrize("first", [4, 6, 12])
def test_a_resume_sees_the_batches_that_follow(loader, first, smaller_last, tmp_path):
    expected = fit(loader(smaller_last=smaller_last))
    fit(loader(smaller_last=smaller_last), steps=first, checkpoint=tmp_path)
    following = loader(smaller_last=smaller_last)
    found = fit(following, checkpoint=tmp_path, resume=True)
    assert seen(found) == seen(expected)
    np.testing.assert_array_equal(found.params, expected.params)
    # Those that know their place make again at most the batches since a change of shape.
    drawn_again = following.made - (14 - first)
    assert drawn_again == first if loader is Loader else drawn_again <= (6 if smaller_last else 0)


def test_a_list_of_batches_of_other_kinds_begins_anew():
    batches = [(np.full(2, number, np.float32), "a") for number in range(3)]
    with pytest.raises(TypeError, match=r"the batch's \[1\] has dtype <U1, and"):
        fit(batches)


def test_a_state_that_cannot_be_kept_is_refused_by_name(tmp_path):
    class Odd(WithStateDict):
        def state_dict(self):
            return {"worker": [object()]}

    assert len(fit(Odd()).history.losses) == 14
    with pytest.raises(TypeError, match=r"fit: the data's state\['worker'\]\[0\] is of type object.*pickled"):
        fit(Odd(), checkpoint=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_torch_tensors_in_a_state_come_back():
    torch = pytest.importorskip("torch")
    from jaxopt_edu.training.plain import from_plain, to_plain

    state = {"generator": torch.get_rng_state(), 3: [1.5, True]}
    found = from_plain(to_plain(state, "state"))
    assert torch.equal(found["generator"], state["generator"])
    assert found[3] == [1.5, True]


def assert_resumes_where_it_was(make, drawn, tmp_path, at_most, steps=14):
    """A fit that is stopped after 8 steps and resumed sees the same batches, and draws few anew."""
    expected = fit(make(), steps=steps)
    fit(make(), steps=8, checkpoint=tmp_path)
    drawn.clear()
    found = fit(make(), steps=steps, checkpoint=tmp_path, resume=True)
    assert seen(found) == seen(expected)
    np.testing.assert_array_equal(found.params, expected.params)
    assert len(drawn) <= at_most
    assert sorted(seen(expected)[:6]) != seen(expected)[:6], "nothing was shuffled"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["iterable", "iterator", "one epoch", "map"])
def test_grain_resumes_where_it_was(kind, tmp_path):
    grain = pytest.importorskip("grain")
    drawn = []

    class Numbers:
        def __len__(self):
            return 30

        def __getitem__(self, place):
            drawn.append(place)
            return np.float32(place)

    def make():
        shuffled = grain.MapDataset.source(Numbers()).seed(3).shuffle()
        batches = (shuffled if kind == "one epoch" else shuffled.repeat(2)).batch(3)
        if kind == "map":
            return batches
        # Nothing is read ahead, so that what is drawn can be counted.
        dataset = batches.to_iter_dataset(grain.ReadOptions(num_threads=0, prefetch_buffer_size=0))
        return iter(dataset) if kind == "iterator" else dataset

    # Six batches are left; a map reads ahead by itself, to the end of its second epoch.
    assert_resumes_where_it_was(make, drawn, tmp_path, at_most=60 - 8 * 3 if kind == "map" else 6 * 3)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:'set_vital' is deprecated:UserWarning")
def test_a_stateful_loader_of_torchdata_resumes_where_it_was(tmp_path):
    stateful = pytest.importorskip("torchdata.stateful_dataloader")
    torch = pytest.importorskip("torch")
    drawn = []

    class Numbers(torch.utils.data.Dataset):
        def __len__(self):
            return 30

        def __getitem__(self, place):
            drawn.append(place)
            return np.float32(place)

    def make():
        generator = torch.Generator().manual_seed(3)
        return stateful.StatefulDataLoader(Numbers(), batch_size=3, shuffle=True, generator=generator)

    # It remembers the order of one epoch, of ten batches; that of the next one is drawn after a resume.
    assert_resumes_where_it_was(make, drawn, tmp_path, at_most=2 * 3, steps=10)
