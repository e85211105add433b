"""An optimizer as a pytree: what its leaves are, when two are of one structure, copies and pickles."""

import copy
import pickle

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_edu as jo
from jaxopt_edu.core import build
from tests.registry import OPTIMIZERS, each_optimizer, gradient_stream, scan_updates


@each_optimizer
def test_the_leaves_are_the_users_own_floats(row):
    opt = row.build()
    assert {name: opt.update.keywords[name] for name in row.hyperparameters} == row.hyperparameters
    assert {type(leaf) for leaf in jax.tree.leaves(opt)} == {float}


@each_optimizer
def test_settings_share_a_structure_and_optimizers_do_not(row):
    structures = [jax.tree.structure(other.build()) for other in OPTIMIZERS]
    own = jax.tree.structure(row.build(learning_rate=0.5))
    assert [own == other for other in structures] == [other.name == row.name for other in OPTIMIZERS]
    assert hash(own) == hash(jax.tree.structure(row.build()))


@each_optimizer
@pytest.mark.parametrize("through", ["pickle", "deepcopy", "flatten"])
def test_a_copy_is_the_same_optimizer(row, through):
    opt = row.build()
    if through == "pickle":
        twin = pickle.loads(pickle.dumps(opt))
    elif through == "deepcopy":
        twin = copy.deepcopy(opt)
    else:
        twin = jax.tree.unflatten(*jax.tree.flatten(opt)[::-1])
    assert jax.tree.structure(twin) == jax.tree.structure(opt)
    assert jo.describe(twin) == jo.describe(opt)
    gradients = gradient_stream(20)
    chex.assert_trees_all_equal(scan_updates(twin, gradients), scan_updates(opt, gradients))


def test_a_pickled_optimizer_holds_its_fractions_below_one_too():
    opt = pickle.loads(pickle.dumps(jo.adam(b2=jnp.bfloat16(0.999))))
    w = jnp.ones(2)
    chex.assert_tree_all_finite(opt.update(w, opt.init(w), w))


def test_optimizers_survive_tree_map_with_placeholders():
    """jit, vmap and equinox put other objects than numbers in the leaves for a while."""
    opt = jo.chain(jo.adam(), jo.lift(optax.lion)(1e-3))
    marked = jax.tree.map(lambda leaf: object(), opt)
    assert jax.tree.structure(marked) == jax.tree.structure(opt)
    axes = jax.tree.map(lambda leaf: 0, opt)
    stacked = jo.stack([opt, opt])
    w = jnp.ones(2)
    states = jax.vmap(lambda opt, w: opt.init(w), in_axes=(axes, None))(stacked, w)
    assert states[0].m.shape == (2, 2)


def test_a_schedule_of_ours_brings_its_leaves_and_a_function_brings_none():
    cosine = jo.schedules.cosine(peak=0.5, steps=10)
    assert sorted(jax.tree.leaves(jo.sgd(learning_rate=cosine))) == [0.0, 0.5, 10.0]
    assert jax.tree.leaves(jo.sgd(learning_rate=lambda step: 0.5)) == []


def test_a_callable_pytree_is_taken_as_a_schedule():
    opt = jo.sgd(learning_rate=jax.tree_util.Partial(halving, start=jnp.float32(0.5)))
    w = jnp.ones(1)
    _, state = opt.update(w, opt.init(w))
    updates, _ = opt.update(w, state)
    np.testing.assert_allclose(updates, -0.25)  # type: ignore[arg-type, call-overload]
    assert jax.tree.leaves(opt) == [0.5]


def halving(step, *, start):
    return start * 0.5 ** step.astype(jnp.float32)


def test_schedules_are_asked_at_the_number_of_updates_made():
    asked = []

    def schedule(step):
        asked.append(int(step))
        return 0.1

    opt, w = jo.sgd(learning_rate=schedule), jnp.ones(1)
    state = opt.init(w)
    for _ in range(3):
        _, state = opt.update(w, state, w)
    assert asked == [0, 1, 2]


def test_an_optimizer_stays_one_through_trees_copies_and_compiled_code():
    opt = jo.chain(jo.sgd(0.25), jo.adam(0.5))
    through = {
        "tree.map": jax.tree.map(lambda leaf: leaf, opt),
        "jit": jax.jit(lambda opt: opt)(opt),
        "stack": jo.unstack(jo.stack([opt, opt]))[0],
        "copy": copy.copy(opt),
        "deepcopy": copy.deepcopy(opt),
        "pickle": pickle.loads(pickle.dumps(opt)),
        "_replace": opt._replace(init=opt.init),
    }
    for way, other in through.items():
        assert type(other) is jo.Optimizer, way
        assert repr(other) == repr(opt) == jo.describe(opt), way
        assert jax.tree.structure(other) == jax.tree.structure(opt), way
    assert isinstance(opt, optax.GradientTransformationExtraArgs)
    assert jax.tree.leaves(optax.chain(opt, opt).init(jnp.ones(2)))


def test_an_optimizer_can_be_shown_whatever_its_leaves_are():
    opt = jo.adam()
    for leaf in (None, object(), "text", jax.ShapeDtypeStruct((2,), jnp.float32), jnp.ones((2, 2)), True):
        text = repr(jax.tree.map(lambda _, leaf=leaf: leaf, opt))
        assert text.startswith("adam(learning_rate=")
        assert "0x" not in text


def test_what_is_no_number_is_told_where_it_belongs():
    def switched(learning_rate=0.1, *, turbo=True):
        return build(switched, object, lambda params: None, lambda g, s: (g, s), {}, turbo=turbo)

    with pytest.raises(TypeError, match=r"^switched: turbo = True is given to build .* belongs in static="):
        switched()
