"""Training a part of the parameters: the rest costs no gradient, has no state, and stays to the bit."""

import functools
from typing import Any

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jaxopt_edu as jo
from jaxopt_edu.storage import named_leaves

KEY = jax.random.key(0)
X = jnp.linspace(-1.0, 1.0, 12).reshape(6, 2)
DATA = (X, jnp.sin(X[:, :1]))
PARAMS: Any = {
    "body": {"w": jnp.array([[1.0, 0.5], [-0.5, 2.0]])},
    "head": {"w": jnp.ones((2, 1)), "b": jnp.zeros(())},
}


def loss(params, batch):
    x, y = batch
    hidden = jnp.tanh(x @ params["body"]["w"])
    return jnp.mean((hidden @ params["head"]["w"] + params["head"]["b"] - y) ** 2)


def fit(params: Any = PARAMS, optimizer: Any = None, **changes: Any) -> jo.FitResult:
    given = {"steps": 4, "every": 2, "batch_size": 3, "key": KEY, "trainable": "head"} | changes
    return jo.fit(changes.pop("loss_fn", loss), params, optimizer or jo.momentum(0.1), DATA, **_known(given))


def _known(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name != "loss_fn"}


def assert_equal(found: Any, expected: Any) -> None:
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_is_trained_moves_as_if_the_rest_were_constants():
    body = PARAMS["body"]
    alone = fit(
        PARAMS["head"], loss_fn=lambda head, batch: loss({"body": body, "head": head}, batch), trainable=None
    )
    result = fit()
    assert_equal(result.params["body"], body)
    assert result.params["body"]["w"] is body["w"]
    assert_equal(result.params["head"], alone.params)
    np.testing.assert_array_equal(result.history.losses, alone.history.losses)
    assert list(named_leaves(result.state)) == ["count", "velocity/head/b", "velocity/head/w"]


@functools.partial(jax.custom_vjp)
def undifferentiable(w):
    return w


def refuse(_, __):
    raise AssertionError("a gradient was asked for")


undifferentiable.defvjp(lambda w: (w, None), refuse)


def test_no_gradient_of_the_rest_is_asked_for():
    def guarded(params, batch):
        return loss(params | {"body": {"w": undifferentiable(params["body"]["w"])}}, batch)

    fit(loss_fn=guarded, steps=1)
    with pytest.raises(AssertionError, match="a gradient was asked for"):
        fit(loss_fn=guarded, steps=1, trainable=None)


PREDICATES: dict[str, Any] = {
    "patterns": ["*/b", "head/w"],
    "function": lambda name, leaf: name.startswith("head") and leaf.ndim < 3,
}


@pytest.mark.parametrize("trainable", PREDICATES.values(), ids=PREDICATES)
def test_patterns_and_functions(trainable):
    assert_equal(fit(trainable=trainable, steps=1).params, fit(steps=1).params)


def test_evaluation_callback_and_the_best_moment_see_all_parameters():
    seen = []

    def evaluate(params):
        seen.append(jax.tree.structure(params))
        return loss(params, DATA)

    def callback(moment):
        seen.append(jax.tree.structure(moment.params))

    result = fit(optimizer=jo.averaged(jo.momentum(0.1)), evaluate=evaluate, callback=callback)
    assert set(seen) == {jax.tree.structure(PARAMS)}
    assert result.best is not None
    for tree in (result.best.params, result.held):
        assert_equal(tree["body"], PARAMS["body"])
    assert float(loss(result.best.params, DATA)) == result.best.value


def test_the_rest_may_be_integers_and_numbers():
    params = PARAMS | {"table": np.arange(3), "scale": 2.0}

    def scaled(params, batch):
        return loss(params, batch) * params["scale"] + jnp.sum(params["table"]).astype(jnp.float32)

    result = fit(params, loss_fn=scaled, steps=1)
    np.testing.assert_array_equal(result.params["table"], [0, 1, 2])
    assert float(result.params["scale"]) == 2.0
    assert_equal(result.params["body"], PARAMS["body"])


def test_a_resumed_run_is_the_whole_one_and_knows_the_rest(tmp_path):
    whole = fit()
    fit(steps=2, checkpoint=tmp_path)
    other = PARAMS | {"body": {"w": PARAMS["body"]["w"] + 1}}
    with pytest.raises(
        ValueError, match=r"another run: the parameters that are not trained are others. Pass"
    ):
        fit(other, checkpoint=tmp_path, resume=True)
    resumed = fit(checkpoint=tmp_path, resume=True)
    assert_equal(resumed.params, whole.params)
    further = fit(whole.params, state=whole.state, steps=2, first_batch=4)
    assert_equal(further.params, fit(steps=6).params)


def test_parameters_on_several_devices_are_trained_in_part():
    mesh = jax.make_mesh((2,), ("data",), devices=jax.devices()[:2])
    split = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    params = PARAMS | {"body": {"w": jax.device_put(PARAMS["body"]["w"], split)}}
    result = fit(params, batch_size=4, mesh=mesh, steps=2)
    assert result.params["body"]["w"].sharding == split
    expected = fit(batch_size=4, steps=2).params
    for one, other in zip(jax.tree.leaves(result.params), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


class Net(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(1, name="head")(jnp.tanh(nn.Dense(2, name="body")(x)))


class NnxNet(nnx.Module):
    def __init__(self, rngs):
        self.body = nnx.Linear(2, 2, rngs=rngs)
        self.head = nnx.Linear(2, 1, rngs=rngs)

    def __call__(self, x):
        return self.head(jnp.tanh(self.body(x)))


class EquinoxNet(eqx.Module):
    body: eqx.nn.Linear
    head: eqx.nn.Linear

    def __call__(self, x):
        return jax.vmap(self.head)(jnp.tanh(jax.vmap(self.body)(x)))


def linen():
    return Net().init(KEY, X)["params"], lambda params: Net().apply({"params": params}, X)


def flax_nnx():
    graph, params = nnx.split(NnxNet(nnx.Rngs(0)), nnx.Param)
    return params, lambda params: nnx.merge(graph, params)(X)


def equinox():
    keys = jax.random.split(KEY)
    return EquinoxNet(eqx.nn.Linear(2, 2, key=keys[0]), eqx.nn.Linear(2, 1, key=keys[1])), lambda net: net(X)


@pytest.mark.parametrize("model", [linen, flax_nnx, equinox])
def test_models_of_other_libraries(model):
    params, apply = model()
    result = jo.fit(
        lambda params, _: jnp.mean((apply(params) - DATA[1]) ** 2),
        params,
        jo.adam(0.1),
        steps=2,
        trainable="head",
    )
    assert jax.tree.structure(result.params) == jax.tree.structure(params)
    before, after = named_leaves(params), named_leaves(result.params)
    for name in before:
        assert np.array_equal(before[name], after[name]) == name.startswith("body"), name


REFUSED: dict[str, tuple[Any, str]] = {
    "a typing error": ("haed", "^fit: trainable: the pattern 'haed' means no leaf; there are"),
    "nothing": (lambda name, leaf: False, "^fit: trainable means none of the 3 leaves"),
    "no patterns": ([], "^fit: trainable is an empty list"),
    "a number": (3, "^fit: trainable = 3 says not which leaves"),
    "a function of one": (lambda name: True, "^fit: trainable is called as trainable"),
}


@pytest.mark.parametrize(("trainable", "message"), REFUSED.values(), ids=REFUSED)
def test_what_means_nothing_is_said_in_one_line(trainable, message):
    with pytest.raises((TypeError, ValueError), match=message) as caught:
        fit(trainable=trainable)
    assert "\n" not in str(caught.value)


def test_what_is_no_array_is_named():
    with pytest.raises(TypeError, match=r"^fit: the leaf activation of the parameters is a .*, not an array"):
        fit(PARAMS | {"activation": jnp.tanh})


def test_the_scales_of_a_numpyro_guide_stay_while_its_places_are_found():
    numpyro = pytest.importorskip("numpyro")
    infer = numpyro.infer
    autoguide = pytest.importorskip("numpyro.infer.autoguide")

    def model(y):
        place = numpyro.sample("place", numpyro.distributions.Normal(0.0, 10.0))
        numpyro.sample("y", numpyro.distributions.Normal(place, 0.5), obs=y)

    guide, y = autoguide.AutoNormal(model), 2 + 0.5 * jnp.cos(jnp.arange(64.0))
    bound = infer.Trace_ELBO()
    svi = infer.SVI(model, guide, jo.adam(), bound)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        params = svi.get_params(svi.init(jax.random.key(0), y))
        result = jo.fit(
            lambda params, key: bound.loss(key, params, model, guide, y) / 64,
            params,
            jo.adam(jo.where("*_loc", 0.1, otherwise=0.0)),
            lambda key: key,
            steps=200,
            key=KEY,
            trainable="*_loc",
        )
    assert params.keys() == {"place_auto_loc", "place_auto_scale"}
    assert float(result.params["place_auto_loc"]) == pytest.approx(float(y.mean()), abs=0.1)
    assert result.params["place_auto_scale"] == params["place_auto_scale"]
