"""What every optimizer for matrices keeps: its formula, whatever leaf a matrix is, and finite numbers."""

from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import jaxopt_edu as jo
from jaxopt_edu.core import MatrixAxes
from tests.draws import draw, normal
from tests.optimizers.matrices.formulas import PAGES, stream, walk

each_page = pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])


@jax.jit
def path(opt: Any, params: Any, gradients: Any) -> Any:
    """The parameters after every step."""

    def step(carry: Any, g: Any) -> Any:
        params, state = carry
        updates, state = opt.update(g, state, params)
        params = optax.apply_updates(params, updates)
        return (params, state), params

    return jax.lax.scan(step, (params, opt.init(params)), gradients)[1]


@each_page
def test_the_formula_for_300_steps_in_float64(page, x64):
    for shape in page.shapes:
        gradients, w = stream(300, shape), draw(*shape)
        expected = np.stack(list(walk(page.formula(shape), gradients, w)))
        found = path(page.build(), {"kernel": jnp.asarray(w)}, {"kernel": jnp.asarray(gradients)})["kernel"]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


@each_page
def test_float32_is_near_the_formula(page):
    """In units of the learning rate, over a hundred steps; the bound is stated on the page's row."""
    shape = page.shapes[-1]
    gradients, w = stream(100, shape).astype(np.float32), draw(*shape).astype(np.float32)
    expected = np.stack(list(walk(page.formula(shape), gradients.astype(np.float64), w.astype(np.float64))))
    found = path(page.build(), {"kernel": jnp.asarray(w)}, {"kernel": jnp.asarray(gradients)})["kernel"]
    assert np.abs(found - expected).max() < page.float32 * page.settings["learning_rate"]


PARAMS = {
    "dense": {"kernel": normal(4, 3), "bias": normal(3)},
    "twin": {"kernel": normal(4, 3, seed=1)},
    "wide": {"kernel": normal(3, 4)},
    "torch": {"weight": normal(3, 4, seed=1)},
    "layers": {"kernel": normal(2, 4, 3)},
    "conv": {"kernel": normal(2, 1, 2, 3)},
    "embed": {"embedding": normal(7, 3)},
    "half": {"kernel": normal(4, 3, seed=2, dtype=jnp.bfloat16)},
    "frozen": None,
}


@each_page
def test_each_matrix_moves_as_it_does_alone(page):
    """Stacked layers, convolutions, torch's layout, and a twin of the same shape in the same call."""
    opt = page.build(**page.alike)
    gradients = jax.tree.map(lambda w: jnp.stack([w, 0.5 * w + 1, w - 1]), PARAMS)
    found = path(opt, PARAMS, gradients)
    assert jax.tree.structure(found) == jax.tree.structure(PARAMS)
    assert found["half"]["kernel"].dtype == jnp.bfloat16

    def alone(matrix, g):
        return path(opt, {"kernel": matrix}, {"kernel": g})["kernel"]

    near = lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)  # noqa: E731
    for name in ("dense", "twin", "wide"):
        near(found[name]["kernel"], alone(PARAMS[name]["kernel"], gradients[name]["kernel"]))
    turned = alone(PARAMS["torch"]["weight"].T, gradients["torch"]["weight"].swapaxes(1, 2))
    near(found["torch"]["weight"], turned.swapaxes(1, 2))
    for i in range(2):
        near(
            found["layers"]["kernel"][:, i],
            alone(PARAMS["layers"]["kernel"][i], gradients["layers"]["kernel"][:, i]),
        )
    flat = alone(PARAMS["conv"]["kernel"].reshape(4, 3), gradients["conv"]["kernel"].reshape(3, 4, 3))
    near(found["conv"]["kernel"].reshape(3, 4, 3), flat)


@each_page
def test_what_is_no_matrix_is_the_companions(page):
    companion = jo.momentum(learning_rate=0.25)
    opt = page.build(others=companion)
    rest: Any = {"dense": {"bias": PARAMS["dense"]["bias"]}, "embed": PARAMS["embed"]}
    gradients = jax.tree.map(lambda w: jnp.stack([w, w + 1]), PARAMS)
    other_gradients = {"dense": {"bias": gradients["dense"]["bias"]}, "embed": gradients["embed"]}
    found, expected = path(opt, PARAMS, gradients), path(companion, rest, other_gradients)
    chex.assert_trees_all_equal(found["dense"]["bias"], expected["dense"]["bias"])
    chex.assert_trees_all_equal(found["embed"], expected["embed"])
    state: Any = opt.init(PARAMS)
    assert state.others.velocity["dense"] == {"bias": state.others.velocity["dense"]["bias"], "kernel": None}
    assert state.m["dense"]["bias"] is None, "no memory for what is the companion's"


@each_page
def test_names_and_numbers_of_the_companion(page):
    opt = page.build(others=jo.momentum(learning_rate=0.25))
    named = jo.hyperparameters(opt)
    assert named["others.learning_rate"] == 0.25
    assert named["learning_rate"] == page.settings["learning_rate"]
    changed = jo.replace(opt, **{"others.momentum": 0.5, "learning_rate": 0.125})
    assert jo.hyperparameters(changed)["others.momentum"] == 0.5
    assert jo.hyperparameters(changed)["learning_rate"] == 0.125
    assert "others=momentum(learning_rate=0.25, momentum=0.9)" in jo.describe(opt)
    scheduled = page.build(others=jo.sgd(jo.schedules.linear(1.0, 0.0, 4)))
    state = scheduled.init({"b": jnp.ones(1)})
    _, state = scheduled.update({"b": jnp.ones(1)}, state, {"b": jnp.ones(1)})
    assert jo.hyperparameters(scheduled, state)["others.learning_rate"] == 0.75
    with pytest.raises(TypeError, match=rf"{page.name}: others = .* is no optimizer"):
        page.build(others=jo.sgd)


@each_page
def test_patterns_say_what_is_a_matrix(page):
    opt = page.build(
        axes={"dense": None, "embed/*": MatrixAxes((0,), (1,)), "layers": MatrixAxes((1,), (0, 2))},
        others=jo.sgd(),
    )
    state: Any = jax.eval_shape(opt.init, PARAMS)
    assert state.m["dense"] == {"kernel": None, "bias": None}
    assert state.m["embed"]["embedding"].shape == (7, 3)
    assert state.m["twin"]["kernel"].shape == (4, 3)
    with pytest.raises(TypeError, match=rf"{page.name}: axes = .* says not what is a matrix"):
        page.build(axes=3)
    assert "axes={dense: None, " in jo.describe(opt)


@each_page
def test_a_sweep_is_each_of_them(page):
    opts = [page.build(learning_rate=rate) for rate in (0.1, 0.01)]
    params = {"kernel": normal(4, 3), "bias": normal(3)}
    gradients = jax.tree.map(lambda w: jnp.stack([w, w + 1, w - 1]), params)
    together = jax.vmap(path, (0, None, None))(jo.stack(opts), params, gradients)
    for i, opt in enumerate(opts):
        alone = path(opt, params, gradients)
        chex.assert_trees_all_close(
            jax.tree.map(lambda leaf, i=i: leaf[i], together), alone, rtol=1e-4, atol=1e-5
        )


@each_page
def test_split_matrices_stay_where_they_are(page, x64):
    if jax.device_count() < 8:
        pytest.skip("XLA_FLAGS was set to fewer devices")
    mesh = jax.make_mesh((8,), ("x",), axis_types=(AxisType.Auto,))
    spec = NamedSharding(mesh, PartitionSpec("x", None))
    opt, whole = page.build(), {"kernel": jnp.asarray(draw(8, 8)), "bias": jnp.asarray(draw(3))}
    split = whole | {"kernel": jax.device_put(whole["kernel"], spec)}
    state: Any = opt.init(split)
    assert state.m["kernel"].sharding.is_equivalent_to(spec, 2)
    step = jax.jit(opt.update)
    for params, found_state in ((split, state), (whole, opt.init(whole))):
        # Another gradient in the second step: in the eigenbases of the first one, which SOAP has then, that
        # one is a diagonal, and the rest is rounding that is divided by itself.
        for shift in (0.0, 1.0):
            gradients = jax.tree.map(lambda w, shift=shift: w + shift, params)
            updates, found_state = step(gradients, found_state, params)
        if params is split:
            found = updates
    # In float64, as roots of matrices magnify what another order of the sums changes.
    np.testing.assert_allclose(found["kernel"], updates["kernel"], rtol=1e-9, atol=1e-10)


@each_page
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_zero_and_rank_deficient_gradients_are_finite(page, dtype):
    zero = jnp.zeros((4, 3), dtype)
    one = jnp.outer(jnp.arange(4.0), jnp.ones(3)).astype(dtype)
    params = {"zero": zero, "one": one, "equal": jnp.eye(4, 3, dtype=dtype), "tiny": 1e-30 * one}
    gradients = jax.tree.map(lambda w: jnp.stack([w, w, 0 * w, w]), params)
    found = path(page.build(weight_decay=0.0), params, gradients)
    chex.assert_tree_all_finite(found)
    np.testing.assert_array_equal(found["zero"], 0)
    if dtype == jnp.float32 and "eps" in jo.hyperparameters(page.build()):
        chex.assert_tree_all_finite(path(page.build(eps=0.0), params, gradients))


@pytest.mark.slow
@each_page
def test_hypergradients_are_finite(page):
    """Through steps of a matrix of rank one, of equal singular values, and of zeros."""

    @jax.jit
    @jax.grad
    def hypergradient(opt):
        params = {"one": jnp.ones((3, 2)), "equal": jnp.eye(3), "zero": jnp.zeros((2, 2)), "b": jnp.zeros(2)}

        def step(carry, _):
            params, state = carry
            updates, state = opt.update(params, state, params)
            return (optax.apply_updates(params, updates), state), None

        params, _ = jax.lax.scan(step, (params, opt.init(params)), None, length=4)[0]
        return sum(jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(params))

    found = hypergradient(page.build())
    chex.assert_tree_all_finite(found)
    assert jo.hyperparameters(found)["learning_rate"] != 0


@each_page
def test_a_wide_matrix_costs_no_more_than_its_transpose(page):
    """Counted by the compiler."""

    def flops(shape):
        opt, w = page.build(), {"kernel": jnp.zeros(shape)}
        work = jax.jit(opt.update).lower(w, opt.init(w), w).compile()
        analysis: Any = work.cost_analysis()
        return analysis["flops"]

    assert flops((8, 128)) == pytest.approx(flops((128, 8)), rel=0.02)


@each_page
def test_the_point_that_the_companion_recommends(page):
    params = {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}
    plain = page.build()
    assert jo.evaluation_params(plain, plain.init(params), params) is params
