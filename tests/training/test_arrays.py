"""Data of all kinds becomes arrays, or is refused by the name of the leaf."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_edu as jo

X = np.linspace(-1, 1, 8, dtype=np.float32)
DATA = {"x": X, "y": 3 * X + 1}
NAMES = np.array(["p", "q"] * 4)


def fit(data):
    def loss(line, batch):
        return jnp.mean((line["a"] * batch["x"] + line["b"] - batch["y"]) ** 2)

    return jo.fit(loss, {"a": jnp.zeros(()), "b": jnp.zeros(())}, jo.sgd(0.1), data, steps=3).history.losses


class Tensor:
    """What NumPy can read, and JAX does not know."""

    def __init__(self, array, refuses=False):
        self.array, self.refuses, self.shape = array, refuses, array.shape

    def __array__(self, dtype=None, copy=None):
        if self.refuses:
            raise RuntimeError("it lies on another device\nand more")
        return self.array


class Table:
    """As much of a DataFrame as is needed."""

    columns = ("x", "y")

    def to_numpy(self):
        raise AssertionError("its columns may be of different kinds")

    def __getitem__(self, name):
        return Column(DATA[name])


class Column(Tensor):
    def to_numpy(self):
        return self.array


@pytest.mark.parametrize(
    "data",
    [
        jax.tree.map(jnp.asarray, DATA),
        jax.tree.map(Tensor, DATA),
        jax.tree.map(lambda leaf: leaf.tolist(), DATA),
        Table(),
        iter([Table()] * 3),
        iter([jax.tree.map(Tensor, DATA)] * 3),
    ],
    ids=["jax", "tensors", "lists", "table", "tables", "batches of tensors"],
)
def test_what_holds_numbers_is_taken(data):
    np.testing.assert_array_equal(fit(data), fit(DATA))


def test_pandas_and_torch():
    pandas, torch = pytest.importorskip("pandas"), pytest.importorskip("torch")
    np.testing.assert_array_equal(fit(pandas.DataFrame(DATA)), fit(DATA))
    np.testing.assert_array_equal(fit(jax.tree.map(torch.from_numpy, DATA)), fit(DATA))
    with pytest.raises(TypeError, match=r"fit: data\['y'\] is a Tensor that cannot be read.*requires grad"):
        fit({"x": X, "y": torch.ones(8, requires_grad=True)})
    with pytest.raises(TypeError, match=r"fit: data\['n'\] has dtype (object|str)"):
        fit(pandas.DataFrame(DATA | {"n": NAMES}))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (DATA | {"n": NAMES}, r"fit: data\['n'\] has dtype <U1, and a batch can hold numbers only"),
        (DATA | {"n": np.array([None] * 8)}, r"fit: data\['n'\] has dtype object"),
        (DATA | {"n": np.zeros(8, "datetime64[s]")}, r"fit: data\['n'\] has dtype datetime64"),
        (DATA | {"n": "p"}, r"fit: data\['n'\] is 'p', of type str"),
        (DATA | {"n": ["p"] * 8}, r"fit: data\['n'\]\[0\] is 'p', of type str"),
        (DATA | {"n": 3.0}, r"fit: data\['n'\] is 3\.0, of type float"),
        (DATA | {"n": [[1.0], [1.0, 2.0]]}, r"fit: data\['n'\] is a list that cannot be read as an array"),
        (DATA | {"n": Tensor(X, refuses=True)}, r"\['n'\] is a Tensor that .*\(it lies on another device\)"),
        (iter([DATA | {"n": NAMES}]), r"the batch's \['n'\] has dtype <U1"),
    ],
)
def test_what_does_not_is_refused_by_the_leaf(data, message):
    with pytest.raises(TypeError, match=message) as caught:
        fit(data)
    assert "\n" not in str(caught.value)
