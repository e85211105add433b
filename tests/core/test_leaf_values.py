"""Numbers with a value for each leaf: each leaf moves as it does with its own value alone."""

import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_edu as jo
from jaxopt_edu.core import NON_NEGATIVE, kind, map_matrices, settings
from jaxopt_edu.core.naming import limits
from jaxopt_edu.core.trees import ValueInForce
from jaxopt_edu.recipes import NotWritableError, from_recipe, recipe
from jaxopt_edu.training.packing import layout_that_pays
from tests.registry import each_optimizer

PARAMS: Any = {
    "dense": {"kernel": jnp.array([[1.0, -2.0], [0.5, 4.0]]), "bias": jnp.array([1.0, -1.0])},
    "last": {"kernel": jnp.array([[2.0, 1.0], [-1.0, 0.25]]), "bias": None},
}
GRADIENTS: Any = jax.tree.map(lambda leaf: leaf / 2 + 0.125, PARAMS)
IN_LAST = "last/*"


def steps(opt: Any, params: Any = PARAMS, gradients: Any = GRADIENTS, n: int = 2) -> Any:
    state, updates = opt.init(params), None
    for _ in range(n):
        updates, state = opt.update(gradients, state, params)
    return updates


def assert_equal(found: Any, expected: Any) -> None:
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(one, other)


# Numbers of the whole tree, which have to be one.
OF_THE_TREE = {
    "prodigy": {"learning_rate", "b2", "d0", "d_coef"},
    "dog": {"reps_rel", "eps"},
    "psgd_kron": {"probability"},
}


def own_numbers(row: Any) -> dict[str, float]:
    return {
        name: value
        for name, value in row.hyperparameters.items()
        if name not in OF_THE_TREE.get(row.name, ())
    }


@each_optimizer
def test_each_leaf_moves_as_it_does_with_its_own_numbers_alone(row):
    own = {name: value / 2 for name, value in own_numbers(row).items()}
    values = {name: jo.where(IN_LAST, value, row.hyperparameters[name]) for name, value in own.items()}
    run = jax.jit(steps)
    found = run(row.build(**values))
    expected = {"dense": run(row.build())["dense"], "last": run(row.build(**own))["last"]}
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-6, atol=1e-12)


@each_optimizer
def test_the_same_value_everywhere_is_the_number_itself(row):
    values = {name: jo.where(IN_LAST, value, value) for name, value in own_numbers(row).items()}
    assert_equal(steps(row.build(**values), n=1), steps(row.build(), n=1))


RATE = jo.where(IN_LAST, 0.5, otherwise=0.25)
PREDICATES: dict[str, Any] = {
    "pattern": IN_LAST,
    "what lies below": "last",
    "patterns": ["nowhere else/*", "last"][1:],
    "function": lambda name, leaf: name.startswith("last"),
}


@pytest.mark.parametrize("predicate", PREDICATES.values(), ids=PREDICATES)
def test_which_leaves_are_meant(predicate):
    updates = steps(jo.sgd(jo.where(predicate, 0.5, 0.25)), n=1)
    assert_equal(updates["last"], jax.tree.map(lambda g: -0.5 * g, GRADIENTS["last"]))
    assert_equal(updates["dense"], jax.tree.map(lambda g: -0.25 * g, GRADIENTS["dense"]))


def test_a_function_sees_names_shapes_and_dtypes():
    seen = {}

    def predicate(name, leaf):
        seen[name] = leaf.shape, leaf.dtype
        return leaf.ndim > 1

    jax.jit(steps)(jo.sgd(jo.where(predicate, 0.5, 0.25)))
    assert seen == {
        "dense/bias": ((2,), jnp.float32),
        "dense/kernel": ((2, 2), jnp.float32),
        "last/kernel": ((2, 2), jnp.float32),
    }


def test_values_are_schedules_and_other_wheres():
    falling = jo.schedules.linear(1.0, 0.0, steps=4)
    opt = jo.sgd(jo.where("last", falling, jo.where("*/bias", optax.constant_schedule(2.0), 0.25)))
    for run in (steps, jax.jit(steps, static_argnames="n")):
        updates = run(opt, n=3)
        assert_equal(updates["last"]["kernel"], -0.5 * GRADIENTS["last"]["kernel"])
        assert_equal(updates["dense"]["bias"], -2.0 * GRADIENTS["dense"]["bias"])
        assert_equal(updates["dense"]["kernel"], -0.25 * GRADIENTS["dense"]["kernel"])
    first: Any = opt.init(PARAMS)
    state = first._replace(count=jnp.int32(1))
    in_force = jo.hyperparameters(opt, state)["learning_rate"]
    assert float(in_force.keywords["where"]) == 0.75
    assert in_force.keywords["otherwise"].keywords["otherwise"] == 0.25


LAYERS = ["embed", "blocks/0", "blocks/1", "*"]


def test_a_rate_falls_from_layer_to_layer():
    params = {"embed": jnp.ones(1), "blocks": [{"w": jnp.ones(1)}, {"w": jnp.ones(1)}], "last": jnp.ones(1)}
    opt = jo.sgd(jo.layerwise(LAYERS, value=jo.where("last", 0.5, 1.0), decay=0.5))
    expected = {
        "embed": -jnp.full(1, 0.125),
        "blocks": [{"w": -jnp.full(1, 0.25)}, {"w": -jnp.full(1, 0.5)}],
        "last": -jnp.full(1, 0.5),
    }
    assert_equal(steps(opt, params, params, n=1), expected)
    closed_over = jax.jit(lambda: steps(jo.sgd(jo.layerwise(LAYERS, 0.3, 0.7)), params, params, n=1))()
    assert_equal(jax.jit(steps)(jo.sgd(jo.layerwise(LAYERS, 0.3, 0.7)), params, params), closed_over)
    slope = jax.grad(lambda opt: jnp.sum(steps(opt, params, params, n=1)["embed"]))(opt)
    # value · decay³ at the bottom: 3 · 0.5² by decay.
    assert float(jo.hyperparameters(slope)["learning_rate"].keywords["decay"]) == -0.75


def test_its_numbers_are_leaves_that_are_read_replaced_stacked_and_differentiated():
    opt = jo.adamw(0.5, weight_decay=jo.where("*/bias", 0.0, 0.25))
    assert jax.tree.leaves(opt) == [0.9, 0.999, 1e-8, 0.5, 0.25, 0.0]
    assert "weight_decay=where(predicate='*/bias', where=0, otherwise=0.25)" in jo.describe(opt)
    assert kind(opt) == "adamw(weight_decay=where(predicate='*/bias'))"
    names = ["learning_rate", "b1", "b2", "eps", "weight_decay.where", "weight_decay.otherwise"]
    assert list(settings(opt)) == names
    assert limits(opt)["weight_decay.where"] == limits(opt)["weight_decay"]
    other = jo.replace(opt, **{"weight_decay.otherwise": 0.125})
    assert settings(other)["weight_decay.otherwise"] == 0.125
    assert jax.tree.structure(other) == jax.tree.structure(opt)
    with pytest.raises(ValueError, match=r"adamw: weight_decay.otherwise = -1.* out of range"):
        jo.replace(opt, **{"weight_decay.otherwise": -1})
    with pytest.raises(ValueError, match="has no part 'then'; it has where, otherwise"):
        jo.replace(opt, **{"weight_decay.then": 1})


def test_they_are_stacked_and_differentiated():
    opt, other = jo.sgd(RATE), jo.sgd(jo.where(IN_LAST, 0.125, 1.0))
    side_by_side = jax.vmap(steps, (0, None, None))(jo.stack([opt, other]), PARAMS, GRADIENTS)
    assert_equal(jax.tree.map(lambda leaf: leaf[1], side_by_side), steps(other))
    slope = jax.grad(lambda opt: steps(opt, n=1)["dense"]["bias"][0])(opt)
    assert {name: float(value) for name, value in settings(slope).items()} == {
        "learning_rate.where": 0.0,
        "learning_rate.otherwise": -float(GRADIENTS["dense"]["bias"][0]),
    }


def test_a_number_passed_and_closed_over_is_the_same_to_the_bit():
    opt = jo.adam(jo.where(IN_LAST, 0.3, 0.1), b2=jo.where(IN_LAST, 0.99, 0.999))
    assert_equal(jax.jit(steps)(opt), jax.jit(lambda: steps(opt))())


def test_low_precision_keeps_its_dtypes():
    low = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), PARAMS)
    updates = steps(jo.adam(RATE), low, low)
    assert {leaf.dtype for leaf in jax.tree.leaves(updates)} == {jnp.dtype(jnp.bfloat16)}
    wide = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), low)
    expected = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), steps(jo.adam(RATE), wide, wide))
    assert_equal(updates, expected)


def test_matrices_of_one_shape_with_values_of_their_own_are_a_call_each():
    calls = []

    def rule(g, *, rate):
        calls.append(g.shape)
        return -rate * g

    kernels = {"w1": jnp.ones((2, 2)), "w2": jnp.ones((2, 2)), "last": jnp.ones((2, 2))}
    rate = ValueInForce(jo.where("last", 0.5, 0.25)(0), NON_NEGATIVE)
    updates = map_matrices(rule, kernels, rate=rate)
    assert [float(updates[name][0, 0]) for name in kernels] == [-0.25, -0.25, -0.5]
    assert len(calls) == 2


AROUND: dict[str, Any] = {
    "weight_decay": lambda value: jo.weight_decay(jo.sgd(0.1), value, mask=jo.matrices_only),
    "averaged": lambda value: jo.averaged(jo.sgd(0.1), decay=value),
    "schedule_free": lambda value: jo.schedule_free(jo.sgd(value), b1=value),
    "lookahead": lambda value: jo.lookahead(jo.sgd(0.1), sync_period=1, slow_step_size=value),
    "mars": lambda value: jo.mars(jo.sgd(0.1), gamma=value),
    "accumulated": lambda value: jo.accumulated(jo.sgd(value), 2),
    "chain": lambda value: jo.chain(optax.clip_by_global_norm(100.0), jo.sgd(value)),
    "cautious": lambda value: jo.cautious(jo.sgd(value)),
    "monitor": lambda value: jo.monitor(jo.sgd(value)),
    "compensated": lambda value: jo.compensated(jo.sgd(value)),
    "half_state": lambda value: jo.half_state(jo.momentum(value), jax.random.key(0)),
    "lifted": lambda value: jo.lift(optax.masked)(jo.sgd(value), {"dense": True, "last": True}),
    "partition": lambda value: jo.partition({"all": jo.sgd(value)}, {"*": "all"}),
}


@pytest.mark.parametrize("around", AROUND.values(), ids=AROUND)
def test_wrappers_take_them_and_hand_them_on(around):
    found, inside, outside = (steps(around(value)) for value in (RATE, 0.5, 0.25))
    assert_equal(found, {"dense": outside["dense"], "last": inside["last"]})


@pytest.mark.parametrize(
    ("opt", "name"),
    [
        (jo.prodigy(d0=RATE), "prodigy: d0"),
        (jo.prodigy(RATE), "prodigy: learning_rate"),
        (jo.dog(reps_rel=RATE), "dog: reps_rel"),
        (jo.sam(jo.sgd(), rho=RATE), "sam: rho"),
        (jo.psgd_kron(probability=RATE), "psgd_kron: probability"),
    ],
)
def test_a_number_of_the_whole_tree_has_to_be_one(opt, name):
    with pytest.raises(ValueError, match=rf"^{name} is where\(…\), a value for each leaf, but has to be one"):
        opt.update(GRADIENTS, opt.init(PARAMS), PARAMS, grad_fn=lambda params: params)


def three(name, leaf) -> Any:
    return 3


WRONG: Any = RATE  # where no type allows it


REFUSED: dict[str, tuple[Any, str]] = {
    "packed": (lambda: jo.packed(jo.sgd(RATE)), "^packed: sgd tells leaves apart"),
    "packed wrapper": (lambda: jo.packed(jo.averaged(jo.sgd(), RATE)), "^packed: averaged tells leaves"),
    "lifted": (lambda: jo.lift(optax.sgd)(RATE), "^sgd: learning_rate = where.* a value for each leaf"),
    "whole": (lambda: jo.accumulated(jo.sgd(), RATE), "accumulated: steps"),
    "schedule": (lambda: jo.schedules.cosine(WRONG, 3), "cosine: peak"),
    "range": (lambda: jo.adam(b1=jo.where("a", 0.5, 1.5)), r"^adam: b1.otherwise = 1.5 is out of range"),
    "share": (lambda: jo.layerwise(["a"], 0.5, 1.5), r"^layerwise: decay = 1.5 is out of range"),
    "no pattern": (lambda: jo.where([], 0.5, 0.25), "^where: predicate is an empty list"),
    "schedule_free": (
        lambda: jo.schedule_free(jo.sgd(jo.where("a", jo.schedules.cosine(1, 2), 0.1))),
        "is a schedule",
    ),
    "typing error": (lambda: steps(jo.sgd(jo.where("*/bais", 1, 2))), r"pattern '\*/bais' means no leaf;"),
    "no layer": (lambda: steps(jo.sgd(jo.layerwise(["last"], 1, 1))), "^layerwise: the leaf dense/bias is"),
    "no answer": (lambda: steps(jo.sgd(jo.where(three, 1, 2))), "gave 3 for the leaf dense"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_said_in_one_line(call, message):
    with pytest.raises((TypeError, ValueError), match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_they_are_written_and_made_again():
    rate = jo.where("last", jo.schedules.cosine(0.5, 4), jo.layerwise(["dense", "*"], 0.5, 0.25))
    opt = jo.adamw(rate, weight_decay=jo.where(jo.matrices_only, 0.1, 0.0))
    made = from_recipe(json.loads(json.dumps(recipe(opt))))
    assert jax.tree.structure(made) == jax.tree.structure(opt)
    assert settings(made) == settings(opt)
    with pytest.raises(NotWritableError, match="lambda is neither"):
        recipe(jo.sgd(jo.where(lambda name, leaf: True, 1, 2)))


def test_they_are_saved_and_loaded(tmp_path):
    jo.save(tmp_path / "opt.npz", jo.sgd(RATE))
    loaded = jo.load(tmp_path / "opt.npz", like=jo.sgd(jo.where(IN_LAST, 0, 0)))
    assert settings(loaded) == settings(jo.sgd(RATE))
    with pytest.raises(ValueError, match="was asked for"):
        jo.load(tmp_path / "opt.npz", like=jo.sgd(jo.where("dense/*", 0, 0)))


def test_a_run_of_many_small_leaves_is_not_laid_end_to_end():
    params = {f"w{i}": jnp.ones(1) for i in range(120)}
    assert layout_that_pays(jo.adam(), params) is not None
    assert layout_that_pays(jo.adam(jo.where("w0", 1, 2)), params) is None


def test_a_sweep_draws_them_by_name(tmp_path):
    def loss(params, batch):
        return sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(params)) / 2

    opt = jo.sgd(jo.where("last", 0.5, 0.25))
    settings_of = jo.grid(opt, **{"learning_rate.where": [0.0, 1.0], "learning_rate.otherwise": [0.0, 1.0]})
    result = jo.sweep(
        loss,
        PARAMS,
        settings_of,
        steps=1,
        evaluate=lambda params: loss(params, None),
        path=tmp_path / "sweep",
    )
    parts = {"last": loss(PARAMS["last"], None), "dense": loss(PARAMS["dense"], None)}
    left = [float(parts["last"] * (1 - a) + parts["dense"] * (1 - b)) for a in (0, 1) for b in (0, 1)]
    final = jo.sweeps.load(tmp_path / "sweep")
    assert [jo.describe(each) for each in final.optimizers] == [jo.describe(each) for each in settings_of]
    np.testing.assert_allclose(result.values()[:, 0], left, rtol=1e-6)
    assert result.best().index == 3
