"""An optimizer as JSON, and what is not one."""

import json
from typing import Any

import jax
import jax.numpy as jnp
import optax
import pytest

import jaxopt_edu as jo
from jaxopt_edu.core import settings
from jaxopt_edu.recipes import NotWritableError, from_recipe, recipe

COSINE = jo.schedules.cosine(peak=0.5, steps=4)
GROUPS = {"slow": jo.sgd(0.25), "fast": jo.chain(jo.momentum(0.5), jo.sgd(COSINE))}
LABELS = {"layer": {"w": "slow", "b": "fast"}, "head": "slow"}
WRITABLE = {
    "schedule": jo.adam(COSINE),
    "schedules": jo.adam(
        jo.schedules.warmup_stable_decay(0.5, 2, 3, 9),
        b1=jo.schedules.polynomial(0.5, 0.25, 9, power=2),
        b2=jo.schedules.one_cycle(0.5, 9),
        eps=jo.schedules.joined(
            [jo.schedules.restarts(0.5, 3), jo.schedules.inverse_square_root(0.5, 2)], boundaries=[6]
        ),
    ),
    "partition": jo.lift(optax.partition)(GROUPS, LABELS),
    "masked": jo.lift(optax.masked)(jo.sgd(0.25), {"w": True, "b": False}),
    "apply_if_finite": jo.lift(optax.apply_if_finite)(jo.lift(optax.masked)(jo.sgd(0.25), {"w": True}), 3),
    "MultiSteps": jo.lift(optax.MultiSteps)(jo.adam(0.25), 4),
    "lbfgs": jo.lift(optax.lbfgs)(0.5, memory_size=2),
    "dtype": jo.lift(optax.adam)(0.5, mu_dtype=jnp.bfloat16),
    "key": jo.half_state(jo.adam(0.5), jax.random.key(1)),
    "packed": jo.packed(jo.adam(0.5)),
    "array": jo.sgd(jnp.bfloat16(0.25)),
}


@pytest.mark.parametrize("opt", WRITABLE.values(), ids=list(WRITABLE))
def test_what_is_written_as_json_is_made_again(opt):
    made = from_recipe(json.loads(json.dumps(recipe(opt))))
    assert jo.describe(made) == jo.describe(opt)
    assert settings(made) == settings(opt)
    assert [jnp.result_type(leaf) for leaf in jax.tree.leaves(made)] == [
        jnp.result_type(leaf) for leaf in jax.tree.leaves(opt)
    ]


@pytest.mark.parametrize(
    ("opt", "reason"),
    [
        (jo.lift(optax.masked)(jo.sgd(0.25), lambda params: params), "lambda is neither a number nor"),
        (jo.lift(optax.masked)(optax.sgd(0.25), {"w": True}), "hides its numbers in a closure; lift"),
        (jo.lift(optax.partition)({0: jo.sgd(0.25)}, {"w": 0}), r"the names \[0\] are not all text"),
        (jo.sgd(optax.constant_schedule(0.5)), "the schedule constant_schedule is of another library"),
        (jo.lift(lambda rate: optax.sgd(rate))(0.5), "is no factory that optax offers by name"),
    ],
)  # fmt: skip
def test_what_cannot_be_written_says_why(opt, reason):
    with pytest.raises(NotWritableError, match=reason):
        recipe(opt)


SGD = recipe(jo.sgd(0.5))
NONE_OF_OURS: dict[str, Any] = {
    "not a dict": ([SGD], "of another form"),
    "nothing": ({}, "of another form"),
    "no factory": ({"factory": "rm", "arguments": {}}, "there is no 'rm' to make an optimizer of"),
    "a private one": ({"factory": "__import__", "arguments": {}}, "there is no '__import__'"),
    "a factory that is no name": ({"factory": ["sgd"], "arguments": {}}, r"there is no \['sgd'\]"),
    "a module of optax": ({"lift": "tree_utils", "static": [], "arguments": {}}, "there is no 'tree_utils'"),
    "arguments that are a list": ({"factory": "sgd", "arguments": [1]}, "of another form"),
    "an argument too many": ({"factory": "sgd", "arguments": {"rate": 0.5}}, "of another form .*'rate'"),
    "a value out of range": ({"factory": "sgd", "arguments": {"learning_rate": -1}}, "out of range"),
    "a value of another form": (
        {"factory": "sgd", "arguments": {"learning_rate": {"x": 1}}},
        "of another form",
    ),
    "members that are none": ({"factory": "chain", "members": [3], "further": []}, "of another form"),
    "a dtype that is none": (
        {"factory": "sgd", "arguments": {"learning_rate": {"array": 1, "dtype": "float33"}}},
        "of another form",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("written", "message"), NONE_OF_OURS.values(), ids=list(NONE_OF_OURS))
def test_what_is_no_recipe_gets_one_line(written, message):
    with pytest.raises(ValueError, match=message) as caught:
        from_recipe(written)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("inside", ["members", "optimizer", "list"])
def test_a_recipe_nested_thousands_deep_gets_one_line(inside):
    written: Any = SGD
    for _ in range(3000):
        if inside == "members":
            written = {"factory": "chain", "members": [written], "further": []}
        elif inside == "optimizer":
            written = {"lift": "masked", "static": [], "arguments": {"inner": {"optimizer": written}}}
        else:
            written = {"factory": "sgd", "arguments": {"learning_rate": {"list": [written]}}}
    with pytest.raises(
        ValueError, match=r"^from_recipe: the recipe is nested more than 100 deep; none of ours is\.$"
    ):
        from_recipe(written)
