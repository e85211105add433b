"""Adafactor on matrices: its formula, that of other libraries, what it keeps and what it survives."""

from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import jaxopt_edu as jo
from tests.registry import named

ROW = named("adafactor")
RNG = np.random.default_rng(0)
STEPS = 300
SHAPES = {"kernel": (5, 3), "stack": (2, 4, 3), "bias": (3,), "scale": ()}
START = {name: RNG.normal(size=shape) for name, shape in SHAPES.items()}
GRADIENTS = {name: RNG.normal(size=(STEPS, *shape)) for name, shape in SHAPES.items()}
# Rows and columns of very different sizes, and a place that is seen now and then.
GRADIENTS["kernel"] *= np.array([[1e-3], [0.1], [1.0], [10.0], [1e3]]) * np.array([1.0, 30.0, 1e-2])
GRADIENTS["kernel"][::3, 2, 1] = 0.0


def path(opt: Any, params: Any = START, gradients: Any = GRADIENTS) -> Any:
    """The parameters after every step."""

    def step(carry: Any, g: Any) -> Any:
        params, state = carry
        updates, state = opt.update(g, state, params)
        params = optax.apply_updates(params, updates)
        return (params, state), params

    return jax.lax.scan(step, (params, opt.init(params)), gradients)[1]


compiled_path = jax.jit(path)


def torch_path(make: Any) -> dict[str, np.ndarray]:
    torch = pytest.importorskip("torch")
    params = {name: torch.nn.Parameter(torch.tensor(w)) for name, w in START.items()}
    optimizer = make(list(params.values()))
    walked: dict[str, list] = {name: [] for name in params}
    for t in range(STEPS):
        for name, w in params.items():
            w.grad = torch.tensor(GRADIENTS[name][t])
        optimizer.step()
        for name, w in params.items():
            walked[name].append(w.detach().numpy().copy())
    return {name: np.stack(steps) for name, steps in walked.items()}


def assert_same(found: Any, expected: Any, tolerance: float, names: Any = SHAPES) -> None:
    for name in names:
        size = np.abs(expected[name]).max()
        np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=tolerance * size, err_msg=name)


def test_the_formula_for_300_steps_in_float64(x64):
    expected = {}
    for name, w in START.items():
        memory, steps = ROW.first_memory(np.shape(w)), []
        for t, g in enumerate(GRADIENTS[name], start=1):
            update, *memory = ROW.step(t, g, w, memory, **ROW.hyperparameters)
            w = w + update
            steps.append(w)
        expected[name] = np.stack(steps)
    assert_same(compiled_path(ROW.build(), START, GRADIENTS), expected, 1e-12)


def test_torchs_is_the_same_while_the_rate_is_below_its_own(x64):
    ours = compiled_path(ROW.build(), START, GRADIENTS)
    assert ROW.hyperparameters["learning_rate"] < STEPS**-0.5
    assert_same(torch_path(lambda params: ROW.torch(params, **ROW.hyperparameters)), ours, 1e-12)


def test_torchs_rate_is_at_most_its_own_schedule(x64):
    """1/√t, as in the paper: a schedule here."""
    values = {"learning_rate": 0.7, "weight_decay": 0.0}
    theirs = torch_path(lambda params: ROW.torch(params, **ROW.hyperparameters | values))
    ours = compiled_path(ROW.build(**values | {"learning_rate": relative}), START, GRADIENTS)
    assert_same(ours, theirs, 1e-12)


def relative(step: jax.Array) -> jax.Array:
    return jnp.minimum(0.7, 1 / jnp.sqrt(jnp.asarray(step + 1, jnp.float64)))


def test_pytorch_optimizers_is_the_same_when_told_so(x64):
    library = pytest.importorskip("pytorch_optimizer")
    theirs = torch_path(
        lambda params: library.AdaFactor(
            params,
            lr=0.01,
            betas=(None, 0.999),
            decay_rate=-0.8,
            clip_threshold=1.2,
            scale_parameter=True,
            relative_step=False,
            eps1=1e-30,
            eps2=1e-3,
        )
    )
    assert_same(theirs, compiled_path(ROW.build(weight_decay=0.0), START, GRADIENTS), 1e-12)


# optax takes t^(−c) in float32.
OF_FLOAT32 = 1e-6


def of_optax(**values: Any) -> Any:
    with jax.numpy_dtype_promotion("standard"):
        return jax.jit(lambda: path(optax.adafactor(0.01, clipping_threshold=1.2, **values)))()


def test_optaxs_is_the_same_when_small_matrices_are_factored(x64):
    ours = compiled_path(ROW.build(weight_decay=0.0), START, GRADIENTS)
    assert_same(of_optax(min_dim_size_to_factor=2), ours, OF_FLOAT32)
    # By default it keeps every number of these, and so goes other ways.
    default = of_optax()
    assert_same(default, ours, OF_FLOAT32, ["bias", "scale"])
    assert np.abs(default["kernel"] - ours["kernel"]).max() > 0.01


def test_optaxs_decay_is_not_times_the_rate(x64):
    ours = compiled_path(ROW.build(weight_decay=0.1), START, GRADIENTS)
    assert_same(of_optax(min_dim_size_to_factor=2, weight_decay_rate=0.1 * 0.01), ours, OF_FLOAT32)


def test_it_keeps_a_number_for_each_row_and_column():
    params: Any = {name: jnp.zeros(shape, jnp.bfloat16) for name, shape in SHAPES.items()} | {"none": None}
    state: Any = jo.adafactor().init(params)
    assert {name: x.shape for name, x in state.v.items() if x is not None} == {
        "kernel": (0,),
        "stack": (0,),
        "bias": (3,),
        "scale": (),
    }
    assert {name: x.shape for name, x in state.rows.items() if x is not None} == {
        "kernel": (5,),
        "stack": (2, 4),
        "bias": (0,),
        "scale": (0,),
    }
    numbers = sum(leaf.size for leaf in jax.tree.leaves(state[1:]))
    assert numbers == (5 + 3) + 2 * (4 + 3) + 3 + 1
    assert {leaf.dtype for leaf in jax.tree.leaves(state[1:])} == {jnp.dtype(jnp.float32)}
    shapes = jax.tree.map(lambda w: jax.ShapeDtypeStruct(w.shape, w.dtype), params)
    chex.assert_trees_all_equal(jo.adafactor().init(shapes), state)
    halved: Any = jo.half_state(jo.adafactor(), jax.random.key(0)).init(params)
    assert {leaf.dtype for leaf in jax.tree.leaves(halved.inner[1:])} == {
        jnp.dtype(jnp.bfloat16),
        jnp.dtype(jnp.float32),  # of the scalar
    }


def test_a_row_that_was_never_seen_stays_and_small_squares_do_not_vanish():
    """A small row's share times a small column is nothing in float32, and of their roots it is not."""
    w = jnp.ones((3, 3))
    g = jnp.outer(jnp.array([1.0, 1e-14, 0.0]), jnp.array([1.0, 1e-14, 1.0]))
    opt: Any = jo.adafactor(0.1, eps=0.0, clipping_threshold=10.0)
    step = jax.jit(lambda g: opt.update(g, opt.init(w), w))
    updates, state = step(g)
    chex.assert_tree_all_finite((updates, state))
    np.testing.assert_allclose(updates[:2], -0.1, rtol=1e-5)
    np.testing.assert_array_equal(updates[2], 0)
    np.testing.assert_array_equal(step(0 * g)[0], 0)


def test_an_array_of_zeros_moves_by_the_least_scale():
    w = jnp.zeros((2, 2))
    opt: Any = jo.adafactor(0.1, min_scale=0.5)
    updates, _ = opt.update(jnp.ones((2, 2)), opt.init(w), w)
    np.testing.assert_allclose(updates, -0.05, rtol=1e-6)


def test_derivatives_of_matrices_are_finite_and_right(x64):
    """By every hyperparameter, with a row that is never seen, against differences."""
    gradients = {"kernel": GRADIENTS["kernel"][:20].copy()}
    gradients["kernel"][:, 4] = 0.0
    params = {"kernel": START["kernel"]}

    @jax.jit
    def loss(opt: Any) -> Any:
        return jnp.sum(jnp.sin(path(opt, params, gradients)["kernel"][-1]))

    opt: Any = ROW.build(eps=1e-6, min_scale=3.0)
    slopes = jo.hyperparameters(jax.jit(jax.grad(loss))(opt))
    for name, value in jo.hyperparameters(opt).items():
        h = 1e-6 * value
        ends = [float(loss(jo.replace(opt, **{name: value + step}))) for step in (h, -h)]
        np.testing.assert_allclose(slopes[name], (ends[0] - ends[1]) / (2 * h), rtol=1e-4, err_msg=name)
        assert slopes[name] != 0, name
    chex.assert_tree_all_finite(jax.jit(jax.grad(loss))(ROW.build(eps=0.0)))


def test_vmap_over_a_stack_is_a_loop():
    gradients = {"kernel": jnp.asarray(GRADIENTS["kernel"][:10], jnp.float32)}
    params = {"kernel": jnp.asarray(START["kernel"], jnp.float32)}
    opts = [ROW.build(learning_rate=rate) for rate in (0.1, 0.01)]
    together = jax.jit(jax.vmap(path, (0, None, None)))(jo.stack(opts), params, gradients)
    for place, opt in enumerate(opts):
        alone = compiled_path(opt, params, gradients)
        chex.assert_trees_all_close(
            jax.tree.map(lambda x, i=place: x[i], together), alone, rtol=1e-5, atol=1e-6
        )


def test_complex_matrices_turn_with_the_problem():
    w = jnp.asarray(RNG.normal(size=(3, 2)) + 1j * RNG.normal(size=(3, 2)), jnp.complex64)
    opt: Any = ROW.build()
    updates, state = opt.update(w, opt.init(w), w)
    assert state.rows.dtype == jnp.float32
    turned, _ = opt.update(1j * w, opt.init(w), 1j * w)
    np.testing.assert_allclose(turned, 1j * updates, rtol=1e-5)


@pytest.mark.skipif(jax.device_count() < 8, reason="XLA_FLAGS was set to fewer devices")
def test_rows_are_split_as_the_matrix_is():
    automatic = jax.make_mesh((8,), ("x",), axis_types=(AxisType.Auto,))
    first: Any = jo.adafactor(0.1).init(
        jax.device_put(jnp.ones((16, 4)), NamedSharding(automatic, PartitionSpec("x")))
    )
    assert first.rows.sharding.shard_shape((16,)) == (2,)
    assert first.columns.sharding.is_fully_replicated
    mesh = jax.make_mesh((8,), ("x",), axis_types=(AxisType.Explicit,))
    with jax.set_mesh(mesh):
        w = jax.device_put(jnp.ones((16, 4)), NamedSharding(mesh, PartitionSpec("x")))
        opt = jo.adafactor(0.1)
        state = jax.jit(opt.init)(w)
        assert state.rows.sharding.spec == PartitionSpec("x")
        updates, after = jax.jit(opt.update)(w, state, w)
    assert updates.sharding.spec == PartitionSpec("x", None)
    assert after.rows.sharding.spec == PartitionSpec("x")
    np.testing.assert_allclose(updates, -0.1, rtol=1e-6)


def test_packed_says_why_it_cannot():
    params = {"a": jnp.ones(3), "b": jnp.ones(2)}
    opt: Any = jo.packed(jo.adafactor())
    with pytest.raises(ValueError, match="packed: the optimizer does not treat every number alike"):
        opt.update(params, opt.init(params), params)
