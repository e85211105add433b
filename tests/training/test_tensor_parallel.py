"""Layers split between devices: loss curves are those of one device, and nothing moves from where it lies."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

import jaxopt_edu as jo
from jaxopt_edu.storage import named_leaves

# tests/conftest.py asks for them, unless XLA_FLAGS says otherwise.
pytestmark = pytest.mark.skipif(jax.device_count() < 8, reason="needs eight devices, see XLA_FLAGS")

WIDTH, HEADS = 16, 4
RANDOM = np.random.default_rng(4)
X = RANDOM.normal(size=(64, 6, WIDTH)).astype(np.float32)
DATA = {"x": X, "y": np.cumsum(X, axis=1)[..., :3] > 0}


def matrix(*shape):
    return jnp.asarray(RANDOM.normal(size=shape) / shape[0] ** 0.5, jnp.float32)


PARAMS: Any = {
    "query": matrix(WIDTH, WIDTH),
    "key": matrix(WIDTH, WIDTH),
    "value": matrix(WIDTH, WIDTH),
    "attended": matrix(WIDTH, WIDTH),
    "norm": jnp.ones(WIDTH),
    "hidden": {"kernel": matrix(WIDTH, 32), "bias": jnp.zeros(32)},
    "out": {"kernel": matrix(32, WIDTH), "bias": jnp.zeros(WIDTH)},
    "head": matrix(WIDTH, 3),
}
# Megatron's way (Shoeybi et al. 2019, arXiv:1909.08053): what makes heads and hidden features is split by its
# outputs, what takes them in by its inputs. FSDP splits all that it can, anyhow.
COLUMNS, ROWS, WHOLE = P(None, "model"), P("model", None), P()
LAYOUTS: dict[str, Any] = {
    "tensor": {
        "query": COLUMNS,
        "key": COLUMNS,
        "value": COLUMNS,
        "attended": ROWS,
        "norm": WHOLE,
        "hidden": {"kernel": COLUMNS, "bias": P("model")},
        "out": {"kernel": ROWS, "bias": WHOLE},
        "head": WHOLE,
    },
    "fsdp": {
        "query": ROWS,
        "key": ROWS,
        "value": ROWS,
        "attended": P(("data", "model")),
        "norm": WHOLE,
        "hidden": {"kernel": ROWS, "bias": P("model")},
        "out": {"kernel": P("data", "model"), "bias": WHOLE},
        "head": ROWS,
    },
    "replicated": jax.tree.map(lambda _: WHOLE, PARAMS),
}
OPTIMIZERS = {
    "adamw": jo.adamw(3e-3),
    "muon": jo.muon(3e-3),
    "averaged": jo.averaged(jo.adamw(3e-3), decay=0.9),
    "adafactor": jo.adafactor(3e-3),
    "optax": optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(3e-3)),
    "optax's adafactor": optax.adafactor(3e-3, min_dim_size_to_factor=2),
}


@jax.numpy_rank_promotion("allow")
def loss_fn(params, batch):
    x = batch["x"].astype(params["norm"].dtype)
    heads = (*x.shape[:2], HEADS, WIDTH // HEADS)
    query, key, value = (
        (x * params["norm"] @ params[name]).reshape(heads) for name in ("query", "key", "value")
    )
    scores = jnp.einsum("bqhd,bkhd->bhqk", query, key) / 2  # the root of four features
    weights = jax.nn.softmax(jnp.where(jnp.tri(x.shape[1], dtype=bool), scores, -1e9))
    attended = jnp.einsum("bhqk,bkhd->bqhd", weights, value).reshape(x.shape)
    x = x + attended @ params["attended"]
    hidden = jnp.tanh(x @ params["hidden"]["kernel"] + params["hidden"]["bias"])
    x = x + hidden @ params["out"]["kernel"] + params["out"]["bias"]
    return optax.sigmoid_binary_cross_entropy(x @ params["head"], batch["y"].astype(x.dtype)).mean()


def fit(params, optimizer, **options):
    return jo.fit(loss_fn, params, optimizer, DATA, steps=50, batch_size=16, key=jax.random.key(3), **options)


def placed(layout, kind):
    mesh = jax.make_mesh((2, 4), ("data", "model"), axis_types=(kind, kind))
    specs = LAYOUTS[layout]
    return mesh, jax.tree.map(
        lambda leaf, spec: jax.device_put(leaf, NamedSharding(mesh, spec)), PARAMS, specs
    )


@pytest.fixture(scope="module")
def on_one_device():
    known: dict[str, Any] = {}

    def losses(name):
        if name not in known:
            known[name] = fit(PARAMS, OPTIMIZERS[name]).history.losses
        return known[name]

    return losses


def mirroring(state, params):
    """The leaves of a state that have a parameter's name and shape, each with its parameter."""
    for path, leaf in named_leaves(state).items():
        for name, parameter in named_leaves(params).items():
            if path.endswith(f"/{name}") and leaf.shape == parameter.shape:
                yield path, leaf, parameter


AUTO, EXPLICIT = AxisType.Auto, AxisType.Explicit
QUICK = ("adamw", "tensor", AUTO)
CASES = [QUICK, ("adamw", "fsdp", EXPLICIT), ("adamw", "replicated", AUTO)]
CASES += [(name, "tensor", EXPLICIT) for name in ("muon", "optax")]
CASES += [(name, "fsdp", EXPLICIT) for name in ("averaged", "adafactor", "optax's adafactor")]


@pytest.mark.parametrize(
    ("name", "layout", "kind"),
    [pytest.param(*case, marks=() if case == QUICK else pytest.mark.slow) for case in CASES],
)
def test_split_layers_learn_as_whole_ones_do(name, layout, kind, on_one_device):
    mesh, params = placed(layout, kind)
    axes = "data" if layout == "tensor" else ("data", "model")
    found = fit(params, OPTIMIZERS[name], mesh=mesh, data_axis=axes)
    np.testing.assert_allclose(found.history.losses, on_one_device(name), rtol=1e-6)
    assert found.history.losses[-1] < 0.9 * found.history.losses[0]
    assert jax.tree.map(lambda leaf: leaf.sharding, found.params) == jax.tree.map(
        lambda leaf: leaf.sharding, params
    )
    mirrors = list(mirroring(found.state, params))
    assert mirrors
    for path, leaf, parameter in mirrors:
        assert leaf.sharding.is_equivalent_to(parameter.sharding, leaf.ndim), path
    if layout != "replicated":
        assert {leaf.sharding.mesh for leaf in jax.tree.leaves(found.state)} == {mesh}


def test_the_compiler_moves_nothing_to_where_it_likes_it_better():
    """With FSDP over an axis along which no batch is split, XLA would end the loop with split biases."""
    mesh, params = placed("fsdp", AxisType.Auto)
    found = fit(params, OPTIMIZERS["adamw"], mesh=mesh)
    for path, leaf, parameter in mirroring(found, params):
        assert leaf.sharding.is_equivalent_to(parameter.sharding, leaf.ndim), path


@pytest.mark.slow
def test_products_of_split_layers_are_split_and_the_curve_is_the_same(x64):
    """In float64, and with products of short sides alone.

    A product of a long side has eigenvalues of 0, and a step in their directions is one rounding by another.
    """
    optimizer = jo.shampoo(largest=WIDTH)
    mesh, params = placed("fsdp", AxisType.Auto)
    wide = lambda tree: jax.tree.map(lambda leaf: leaf.astype(jnp.float64), tree)  # noqa: E731
    expected = fit(wide(PARAMS), optimizer).history.losses
    found = fit(wide(params), optimizer, mesh=mesh, data_axis=("data", "model"))
    np.testing.assert_allclose(found.history.losses, expected, rtol=1e-6)
    for path, leaf in named_leaves(found.state).items():
        if path.startswith(("left", "right")) and path.endswith("query") and leaf.size:
            assert leaf.addressable_shards[0].data.size * 4 == leaf.size, path
