"""Where a run stops since a loss is not finite, it says what went first, and where."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import Mesh

import jaxopt_edu as jo
from tests.draws import normal

PARAMS = {"head": jnp.ones(3), "layers": [{"weight": jnp.ones(4)}]}
ROOT, NAN = 3, 5  # the batches in which the slope of a root is infinite, and one of the numbers is NaN


def loss_fn(params, batch):
    first = params["layers"][0]["weight"][0]
    root = jnp.sqrt(batch["inside"] * first**2)  # of 0: a finite value, and a slope of 0 · ∞
    return jnp.mean(batch["x"]) * jnp.sum(params["head"]) + root


def batches(root=None, nan=None):
    for step in range(20):
        x = np.ones(2, np.float32)
        x[0] = np.nan if step == nan else 1.0
        yield {"inside": np.float32(step != root), "x": x}


def stopped(optimizer, data=None, *, loss=loss_fn, params=PARAMS, **options):
    """What went first, the step of the loss that is not finite, and the result."""
    with pytest.warns(RuntimeWarning, match="fit stopped") as caught:
        result = jo.fit(loss, params, optimizer, data, steps=20, every=4, **options)
    (warning,) = caught
    said = result.history.stopped
    assert str(warning.message) == f"fit stopped: {said}."
    assert "\n" not in said
    return said.rpartition("; what went first: ")[2], len(result.history.losses) - 1, result


@pytest.mark.parametrize("root", [0, 1, 3, 4, 7])
def test_a_gradient_that_is_not_finite_though_its_loss_is(root):
    first, bad, result = stopped(jo.sgd(0.01), batches(root=root))
    assert first == f"the gradient of layers/0/weight has 1 NaN of 4 at step {root}"
    assert bad == root + 1
    assert int(result.state.count) == root
    assert np.isfinite(result.params["layers"][0]["weight"]).all()


OTHERS = {
    "schedule-free": (jo.schedule_free(jo.adam(0.01, b1=0.0)), {}),
    "packed": (jo.packed(jo.adam(0.01)), {}),
    "in a chain": (jo.chain(optax.clip_by_global_norm(1.0), jo.adam(0.01)), {}),
    "in part": (jo.adam(0.01), {"trainable": "layers"}),
}


@pytest.mark.parametrize("name", OTHERS)
def test_leaves_have_their_names_whatever_the_optimizer_does_with_them(name):
    optimizer, options = OTHERS[name]
    first, bad, _ = stopped(optimizer, batches(root=ROOT), **options)
    assert first == f"the gradient of layers/0/weight has 1 NaN of 4 at step {ROOT}"
    assert bad == ROOT + 1


def test_a_batch_with_a_nan_is_named_at_the_loss_itself():
    first, bad, _ = stopped(jo.sgd(0.01), batches(nan=NAN))
    assert first == f"the loss itself at step {NAN}, at finite parameters; the batch's x has 1 NaN of 2"
    assert bad == NAN
    assert stopped(jo.sgd(0.01), batches(nan=0))[:2] == (first.replace(str(NAN), "0", 1), 0)


def test_a_gradient_that_the_optimizer_leaves_out_is_not_to_blame():
    skipping = optax.apply_if_finite(jo.sgd(0.01), max_consecutive_errors=5)
    first, bad, _ = stopped(skipping, batches(root=NAN - 1, nan=NAN))
    assert first.startswith(f"the loss itself at step {NAN}, at finite parameters")
    assert bad == NAN


def test_what_an_earlier_gradient_left_in_the_state_is_named_there():
    first, bad, _ = stopped(jo.accumulated(jo.sgd(0.01), steps=3), batches(root=1))
    assert first == "the optimizer's state total/layers/0/weight has 1 NaN of 4 at step 2"
    assert bad == 3


def slope(params, batch):
    return -1e10 * jnp.sum(params)


def test_an_update_that_overflows():
    first, bad, result = stopped(jo.sgd(1e30), loss=slope, params=jnp.ones(2))
    assert first == "the update has 2 inf of 2 at step 0"
    assert bad == 1
    np.testing.assert_array_equal(result.params, np.ones(2))


def test_a_parameter_that_overflows_though_its_update_does_not():
    first, _, _ = stopped(jo.sgd(2e38), loss=lambda p, _: -jnp.sum(p["w"]), params={"w": jnp.full(1, 3e38)})
    assert first == "the updated parameter w has 1 inf of 1 at step 0"


def test_parameters_that_are_not_finite_from_the_beginning():
    params = PARAMS | {"head": jnp.array([1.0, jnp.nan, jnp.inf])}
    first, bad, _ = stopped(jo.sgd(0.01), batches(), params=params)
    assert first == "the parameter head has 1 NaN and 1 inf of 3 before step 0"
    assert bad == 0


def test_what_was_infinite_while_the_loss_was_finite_is_not_to_blame():
    params = PARAMS | {"mask": jnp.array([0.0, -jnp.inf])}
    first, _, _ = stopped(jo.sgd(0.01), batches(nan=NAN), params=params)
    assert first == f"the loss itself at step {NAN}; the batch's x has 1 NaN of 2"
    first, _, _ = stopped(jo.sgd(0.01), batches(root=ROOT), params=params)
    assert first == f"the gradient of layers/0/weight has 1 NaN of 4 at step {ROOT}"


def test_a_network_that_overflows_is_the_loss_itself():
    def network(params, batch):
        hidden = batch @ params["layers"][0]["weight"]
        return jnp.mean(jnp.exp(hidden**2))

    uphill = jo.chain(optax.scale(-1.0), jo.sgd(0.1))
    params = {"layers": [{"weight": normal(4, 4) / 4}]}
    first, bad, _ = stopped(uphill, normal(8, 4, seed=1), loss=network, params=params)
    assert first == f"the loss itself at step {bad}, at finite parameters"
    assert bad >= 1


def test_the_state_of_a_model_that_overflows():
    def stateful(params, state, batch):
        after = {"mean": state["mean"] * 1e15, "seen": state["seen"] + 1}
        return jnp.sum(params["head"]) + 0.0 * state["mean"], after

    state = {"mean": jnp.float32(1.0), "seen": jnp.int32(0)}
    first, bad, _ = stopped(jo.sgd(0.01), loss=stateful, params=PARAMS, model_state=state)
    assert first == "the model's state mean has 1 inf of 1 after step 2"
    assert bad == 3


def test_on_several_devices():
    mesh = Mesh(np.array(jax.devices()[:2]), ("data",))
    data = {"inside": np.zeros(4, np.float32), "x": np.ones(4, np.float32)}

    def over_data(params, batch):
        return loss_fn(params, {"x": batch["x"], "inside": jnp.mean(batch["inside"])})

    first, bad, _ = stopped(jo.sgd(0.01), data, loss=over_data, mesh=mesh)
    assert first == "the gradient of layers/0/weight has 1 NaN of 4 at step 0"
    assert bad == 1


@pytest.mark.slow
def test_of_many_leaves_that_are_packed_in_the_loop_the_first_is_named():
    def deep(params, batch):
        for layer in params["layers"]:
            batch = jnp.tanh(batch @ layer["weight"] + layer["bias"][None])
        first = params["layers"][7]["bias"][0]
        return jnp.mean(batch) + jnp.sqrt(jnp.maximum(first, 0.0))

    layer = {"weight": jnp.eye(2), "bias": jnp.full(2, 0.05)}
    first, _, result = stopped(
        jo.sgd(0.01), jnp.ones((1, 2)), loss=deep, params={"layers": [layer for _ in range(50)]}
    )
    assert first.startswith("the gradient of layers/7/bias has 1 ")
    assert np.isfinite(result.params["layers"][7]["bias"]).all()


def test_a_lack_of_memory_loses_no_result(monkeypatch):
    def lacking(*given, **options):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 8 bytes.\nmore lines")

    monkeypatch.setattr("jaxopt_edu.training.cause._look", lacking)
    first, _, result = stopped(jo.sgd(0.01), batches(nan=NAN))
    assert first == "could not be found out (RESOURCE_EXHAUSTED: Out of memory allocating 8 bytes.)"
    assert int(result.state.count) == NAN - 1
