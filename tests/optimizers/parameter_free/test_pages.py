"""Prodigy and DoG where parameters move: their formulas, the authors', optax's, and what they keep."""

from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import jaxopt_edu as jo
from tests.registry import OPTIMIZERS, named

ROWS = [row for row in OPTIMIZERS if row.whole]
each_page = pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
RNG = np.random.default_rng(0)
STEPS = 300
START = {"kernel": RNG.normal(size=(3, 2)), "bias": RNG.normal(size=2)}
# A bowl whose gradients are noisy, so that distances and sums do not only grow one way.
CURVATURE = {"kernel": np.array([[2.0, 0.3], [1.0, 0.01], [5.0, 0.7]]), "bias": np.array([0.1, 1.0])}
NOISE = {name: 0.3 * RNG.normal(size=(STEPS, *w.shape)) for name, w in START.items()}


def path(opt: Any, params: Any = START, noise: Any = NOISE) -> Any:
    """The parameters after every step over the bowl."""

    def step(carry: Any, noise: Any) -> Any:
        params, state = carry
        gradients = jax.tree.map(lambda w, a, n: jnp.asarray(a, w.dtype) * w + n, params, CURVATURE, noise)
        updates, state = opt.update(gradients, state, params)
        params = optax.apply_updates(params, updates)
        return (params, state), params

    return jax.lax.scan(step, (params, opt.init(params)), noise)[1]


compiled_path = jax.jit(path)


def end_to_end(tree: Any) -> np.ndarray:
    return np.concatenate([np.ravel(tree[name]) for name in START])


def formula_path(row: Any, **values: Any) -> np.ndarray:
    w, a = end_to_end(START), end_to_end(CURVATURE)
    memory, steps = row.first_memory(w.shape), []
    for t in range(STEPS):
        g = a * w + end_to_end({name: n[t] for name, n in NOISE.items()})
        update, *memory = row.step(t + 1, g, w, memory, **values)
        w = w + update
        steps.append(w)
    return np.stack(steps)


def torch_path(make: Any) -> np.ndarray:
    torch = pytest.importorskip("torch")
    params = {name: torch.nn.Parameter(torch.tensor(w)) for name, w in START.items()}
    optimizer = make(list(params.values()))
    steps = []
    for t in range(STEPS):
        for name, w in params.items():
            w.grad = torch.tensor(CURVATURE[name]) * w.detach() + torch.tensor(NOISE[name][t])
        optimizer.step()
        steps.append(np.concatenate([w.detach().numpy().ravel() for w in params.values()]))
    return np.stack(steps)


def flat(walked: Any) -> np.ndarray:
    return np.concatenate([np.reshape(walked[name], (STEPS, -1)) for name in START], axis=1)


def assert_same(found: np.ndarray, expected: np.ndarray, tolerance: float = 1e-12) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())


@pytest.fixture(scope="module")
def ours() -> dict[str, np.ndarray]:
    with jax.enable_x64(True):
        return {row.name: flat(compiled_path(row.build(), START, NOISE)) for row in ROWS}


@each_page
def test_the_formula_for_300_steps_in_float64(row, ours):
    expected = formula_path(row, **row.hyperparameters)
    assert_same(ours[row.name], expected)
    assert np.abs(expected[-1] - expected[0]).max() > 0.5, "it has hardly moved"


def test_prodigy_is_the_authors(ours):
    library = pytest.importorskip("prodigyopt")
    values = named("prodigy").hyperparameters

    def make(params: list) -> Any:
        return library.Prodigy(
            params,
            lr=values["learning_rate"],
            betas=(values["b1"], values["b2"]),
            eps=values["eps"],
            weight_decay=values["weight_decay"],
            d0=values["d0"],
            d_coef=values["d_coef"],
        )

    assert_same(ours["prodigy"], torch_path(make))


def test_dog_is_the_authors(ours):
    library = pytest.importorskip("dog")
    values = named("dog").hyperparameters
    theirs = torch_path(lambda params: library.DoG(params, reps_rel=values["reps_rel"], eps=values["eps"]))
    # Their tensors of a single number are float32.
    assert_same(ours["dog"], theirs, 1e-6)


def optax_path(transform: Any) -> np.ndarray:
    with jax.numpy_dtype_promotion("standard"):
        return flat(jax.jit(lambda: path(transform))())


def test_dog_is_optaxs(ours, x64):
    row = named("dog")
    assert_same(ours["dog"], optax_path(row.optax(**row.hyperparameters)))


def correction(step: jax.Array) -> jax.Array:
    t = jnp.asarray(step + 1, jnp.float64)
    return jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)


def test_prodigy_is_optaxs_with_its_correction_in_the_rate(ours, x64):
    """optax multiplies the rate by Adam's bias correction, as the authors' code does only when asked to."""
    row = named("prodigy")
    theirs = optax_path(optax.contrib.prodigy(estim_lr0=0.01, estim_lr_coef=1.5, weight_decay=0.1))
    assert_same(flat(compiled_path(row.build(learning_rate=correction), START, NOISE)), theirs)
    assert np.abs(theirs[0] - ours["prodigy"][0]).max() > 0.02
    assert np.abs(theirs - ours["prodigy"]).max() > 0.1


def test_in_bfloat16_optaxs_sum_of_squares_stops_and_ours_does_not():
    w = jnp.ones(1, jnp.bfloat16)

    def sums(opt: Any, read: Any) -> Any:
        step = lambda state, _: (opt.update(w, state, w)[1], None)  # noqa: E731
        return read(jax.jit(lambda: jax.lax.scan(step, opt.init(w), None, length=3000)[0])())

    assert sums(jo.dog(), lambda state: state.squares) == 3000
    with jax.numpy_dtype_promotion("standard"):
        theirs = sums(optax.contrib.dog(), lambda state: state[1].sum_sq_norm_grads)
    assert theirs == 256


@jax.jit
def descended(opt: Any) -> Any:
    """Parameters and state after 500 steps down the bowl, without noise."""

    def step(carry: Any, _: Any) -> Any:
        params, state = carry
        gradients = jax.tree.map(lambda w, a: a * w, params, CURVATURE)
        updates, state = opt.update(gradients, state, params)
        return (optax.apply_updates(params, updates), state), None

    return jax.lax.scan(step, (START, opt.init(START)), None, length=500)[0]


def bowl(params: Any) -> float:
    return sum(float((CURVATURE[name] * params[name] ** 2).sum()) for name in START)


@each_page
def test_what_it_finds_hardly_depends_on_where_it_begins(row, x64):
    """From 1e-9 to 1e-3, six orders of magnitude: a distance as that to the minimum comes out, within 10."""
    begins, finds = {"prodigy": ("d0", "d"), "dog": ("reps_rel", "distance")}[row.name]
    found = []
    for begun in (1e-9, 1e-6, 1e-3):
        params, state = descended(row.factory(**{begins: begun}))
        assert bowl(params) < 0.05 * bowl(START)
        found.append(float(getattr(state, finds)))
    assert max(found) < 2 * min(found)
    largest = max(np.abs(w).max() for w in START.values())
    assert 0.1 * largest < min(found) < 2 * np.linalg.norm(end_to_end(START))


@each_page
def test_bfloat16_parameters_keep_numbers_of_the_tree_in_float32(row):
    params = {"w": jnp.full(3, 0.3, jnp.bfloat16), "none": None, "z": jnp.ones(2, jnp.complex64)}
    opt: Any = row.factory()
    state = opt.init(params)
    updates, after = jax.jit(opt.update)(params, state, params)
    chex.assert_trees_all_equal_shapes_and_dtypes((updates, after), (params, state))
    for name in row.further:
        assert getattr(after, name).dtype == jnp.float32
    np.testing.assert_array_equal(state.first["w"], params["w"].astype(jnp.float32))
    chex.assert_tree_all_finite((updates, after))


def test_wide_gradients_of_narrow_parameters_and_the_other_way_round(x64):
    """float64 beside float32 and bfloat16, in the parameters, the gradients or both."""
    params = {"a": jnp.ones(2, jnp.float64), "b": jnp.ones(2), "c": jnp.ones(2, jnp.bfloat16)}
    for gradients in (params, jax.tree.map(lambda w: w.astype(jnp.float32), params)):
        for row in ROWS:
            opt: Any = row.build()
            state = opt.init(params)
            updates, after = jax.eval_shape(opt.update, gradients, state, params)
            chex.assert_trees_all_equal_shapes_and_dtypes(updates, gradients)
            chex.assert_trees_all_equal_shapes_and_dtypes(after, state)
            assert getattr(state, row.further[-1]).dtype == jnp.float64


@each_page
def test_groups_find_distances_of_their_own(row):
    params = {"near": jnp.full(2, 0.1), "far": jnp.full(2, 100.0)}
    opt: Any = jo.partition({"near": row.build(), "far": row.build()}, {"near": "near", "far": "far"})

    @jax.jit
    def run(opt: Any, params: Any) -> Any:
        def step(carry: Any, _: Any) -> Any:
            params, state = carry
            updates, state = opt.update(params, state, params)
            return (optax.apply_updates(params, updates), state), None

        return jax.lax.scan(step, (params, opt.init(params)), None, length=50)[0]

    _, state = run(opt, params)
    found = optax.tree_utils.tree_get_all_with_path(state, "d" if row.name == "prodigy" else "distance")
    small, large = sorted(float(value) for _, value in found)
    assert 10 * small < large


AROUND = {
    "clip": lambda opt: jo.chain(optax.clip_by_global_norm(1.0), opt),
    "weight_decay": lambda opt: jo.weight_decay(opt, 0.01),
    "averaged": lambda opt: jo.averaged(opt, 0.9),
    "lookahead": jo.lookahead,
    "cautious": jo.cautious,
    "mars": jo.mars,
    "accumulated": lambda opt: jo.accumulated(opt, 2),
    "compensated": jo.compensated,
    "if_finite": lambda opt: jo.lift(optax.apply_if_finite)(opt, max_consecutive_errors=3),
}


@each_page
@pytest.mark.parametrize("around", AROUND)
def test_wrappers_take_it(row, around):
    params = {"w": jnp.ones(3, jnp.bfloat16), "b": jnp.ones(())}
    opt: Any = AROUND[around](row.build())
    state = opt.init(params)
    updates, after = jax.eval_shape(opt.update, params, state, params)
    assert jax.tree.structure(updates) == jax.tree.structure(params)
    chex.assert_trees_all_equal_shapes_and_dtypes(state, after)


@each_page
def test_what_cannot_be_composed_says_why_in_one_line(row):
    message = rf"half_state: {row.name} measures how far .* leave half_state out"
    with pytest.raises(ValueError, match=message) as raised:
        jo.half_state(jo.chain(optax.identity(), row.build()), jax.random.key(0))
    assert "\n" not in str(raised.value)
    with pytest.raises(ValueError, match=message):
        jo.half_state(jo.muon(others=row.build()), jax.random.key(0))
    params = {"a": jnp.ones(3), "b": jnp.ones(2)}
    opt: Any = jo.packed(row.build())
    with pytest.raises(ValueError, match="packed: the optimizer does not treat every number alike"):
        opt.update(params, opt.init(params), params)
    with pytest.raises(ValueError, match=rf"{row.name}.*params"):
        row.build().update(params, row.build().init(params))
    with pytest.raises(TypeError, match=rf"{row.name}.init starts from the parameters' numbers"):
        row.build().init(jax.ShapeDtypeStruct((3,), jnp.float32))


@each_page
def test_without_a_beginning_nothing_moves(row):
    w = jnp.ones(3)
    opt: Any = row.build(**{"prodigy": {"d0": 0.0}, "dog": {"reps_rel": 0.0}}[row.name])
    updates, state = opt.update(w, opt.init(w), w)
    np.testing.assert_array_equal(updates, 0)
    chex.assert_tree_all_finite(state)


@each_page
@pytest.mark.skipif(jax.device_count() < 8, reason="XLA_FLAGS was set to fewer devices")
def test_the_start_lies_where_the_parameters_lie_and_numbers_are_those_of_one_device(row):
    mesh = jax.make_mesh((8,), ("x",), axis_types=(AxisType.Auto,))
    alone = jnp.arange(16.0)
    w = jax.device_put(alone, NamedSharding(mesh, PartitionSpec("x")))
    opt: Any = row.build()
    state = opt.init(w)
    for name in row.memory:
        assert getattr(state, name).sharding.is_equivalent_to(w.sharding, 1), name
    step = jax.jit(opt.update)
    updates, after = step(w, state, w)
    assert updates.sharding.is_equivalent_to(w.sharding, 1)
    expected, after_alone = step(alone, opt.init(alone), alone)
    np.testing.assert_allclose(np.asarray(updates), expected, rtol=1e-6)
    for name in row.further:
        np.testing.assert_allclose(getattr(after, name), getattr(after_alone, name), rtol=1e-6)


@each_page
def test_state_and_parameters_can_both_be_donated(row):
    w = jnp.ones(3)
    opt: Any = row.build()
    step = jax.jit(lambda w, state: opt.update(w, state, w), donate_argnums=(0, 1))
    updates, _ = step(w, opt.init(w))
    assert np.all(updates != 0)
