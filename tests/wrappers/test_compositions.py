"""Every wrapper around every other one: it works, or one line says why it cannot and what can."""

import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_edu as jo
from jaxopt_edu.core import settings
from jaxopt_edu.recipes import from_recipe, recipe
from jaxopt_edu.wrappers import WRAPPERS

CLIP = jo.lift(optax.clip)(10.0)
AROUND: dict[str, Any] = {
    "weight_decay": lambda opt: jo.weight_decay(opt, 0.01, jo.matrices_only),
    "averaged": lambda opt: jo.averaged(opt, 0.9),
    "schedule_free": jo.schedule_free,
    "lookahead": lambda opt: jo.lookahead(opt, 2),
    "cautious": jo.cautious,
    "mars": jo.mars,
    "sam": jo.sam,
    "accumulated": lambda opt: jo.accumulated(opt, 1),
    "monitor": lambda opt: jo.monitor(opt, 1),
    "loss_scaling": jo.loss_scaling,
    "compensated": jo.compensated,
    "half_state": lambda opt: jo.half_state(opt, jax.random.key(0)),
    "packed": jo.packed,
    "chain": lambda opt: jo.chain(CLIP, opt),
    "partition": lambda opt: jo.partition({"a": opt, "b": jo.sgd(0.1)}, {"w": "a", "*": "b"}),
}
ELSEWHERE = {"averaged", "schedule_free", "lookahead"}
FINAL = {*ELSEWHERE, "compensated"}
# What would see gradients of the scaled loss around loss_scaling, or count the steps that are left out.
BLIND = [
    "weight_decay",
    "averaged",
    "schedule_free",
    "lookahead",
    "cautious",
    "mars",
    "monitor",
    "packed",
    "loss_scaling",
]
# What cannot stand inside of what, and a part of the line that says why.
REFUSED: dict[str, dict[str, set[str]]] = {
    "averaged": {"recommends another point": ELSEWHERE, "only once in several": {"accumulated"}},
    "schedule_free": {
        "recommends another point": ELSEWHERE,
        "added to the parameters as they are": {"compensated"},
        "only once in several": {"accumulated"},
    },
    "lookahead": {
        "recommends another point": ELSEWHERE,
        "added to the parameters as they are": {"compensated"},
        "only once in several": {"accumulated"},
    },
    "weight_decay": {
        "added to the parameters as they are": FINAL,
        "only once in several": {"accumulated"},
    },
    "cautious": {
        "added to the parameters as they are": FINAL,
        "only once in several": {"accumulated"},
        "no part of the direction": {"weight_decay"},
    },
    "mars": {"only once in several": {"accumulated"}, "a gradient of its own": {"sam"}},
    "sam": {"a gradient of its own": {"sam"}},
    "accumulated": {"a gradient of its own": {"sam"}},
    "monitor": {"only once in several": {"accumulated"}},
    "compensated": {"a gradient of its own": {"sam"}},
    "packed": {
        "a gradient of its own": {"sam"},
        "tells leaves apart": {"partition", "weight_decay", "monitor"},
        "once is enough": {"packed"},
    },
    "half_state": {"keeps parameters in its state": ELSEWHERE, "keeps what it measures": {"monitor"}},
    "loss_scaling": {"a gradient of its own": {"sam"}},
    "chain": {"to see the gradients before all others": {"loss_scaling"}},
    "partition": {"the gradients of all leaves": {"loss_scaling"}},
}
for blind in BLIND:
    REFUSED[blind] = REFUSED[blind] | {"gradients of the scaled loss": {"loss_scaling"}}
# Sums over an array are others for the packed one, and a second gradient is of the whole tree: said at the
# first update.
AT_THE_FIRST_UPDATE = {
    ("packed", "cautious"): "does not treat every number alike",
    ("packed", "mars"): "does not treat every number alike",
    ("partition", "sam"): "sam.update needs grad_fn=",
}
PARAMS = {"b": jnp.ones(2, jnp.bfloat16), "none": None, "w": jnp.full((2, 2), 2.0)}


def reason(outer: str, inner: str) -> str | None:
    found = [why for why, names in REFUSED.get(outer, {}).items() if inner in names]
    return found[0] if found else None


PAIRS = [(outer, inner) for outer in AROUND for inner in AROUND]
GOOD = [pair for pair in PAIRS if reason(*pair) is None and pair not in AT_THE_FIRST_UPDATE]


def test_every_wrapper_is_in_the_table():
    assert {each.__name__ for each in WRAPPERS} | {"chain", "partition"} == set(AROUND)


def updated(opt: Any, params: Any, state: Any) -> Any:
    return opt.update(params, state, params, grad_fn=lambda params: params)


@pytest.mark.parametrize(("outer", "inner"), GOOD)
def test_a_pair_works(outer, inner):
    """Updates of the parameters' dtypes, a state that keeps its form, a description and a recipe."""
    opt = AROUND[outer](AROUND[inner](jo.momentum(0.1)))
    state = jax.eval_shape(opt.init, PARAMS)
    updates, after = jax.eval_shape(updated, opt, PARAMS, state)
    forms = [jax.tree.map(lambda x: (x.shape, x.dtype), tree) for tree in (updates, PARAMS, state, after)]
    assert forms[0] == forms[1]
    assert jax.tree.structure(state) == jax.tree.structure(after)
    assert forms[2] == forms[3]
    evaluated = jax.eval_shape(jo.evaluation_params, opt, state, PARAMS)
    assert jax.tree.map(lambda x: (x.shape, x.dtype), evaluated) == forms[1]
    again = from_recipe(json.loads(json.dumps(recipe(opt))))
    assert jo.describe(again) == jo.describe(opt)
    assert settings(jo.unstack(jo.stack([opt, again]))[1]).keys() == settings(opt).keys()


@pytest.mark.parametrize(("outer", "inner"), [pair for pair in PAIRS if reason(*pair) is not None])
def test_a_pair_that_cannot_work_is_refused_in_one_line(outer, inner):
    alone = AROUND[inner](jo.momentum(0.1))
    for within in [alone] if inner == "loss_scaling" else [alone, jo.chain(CLIP, alone)]:
        with pytest.raises(ValueError, match=f"^{outer}: .*{reason(outer, inner)}") as caught:
            AROUND[outer](within)
        assert "\n" not in str(caught.value)
        assert inner in str(caught.value)


@pytest.mark.parametrize(("outer", "inner"), AT_THE_FIRST_UPDATE)
def test_what_only_the_update_can_see_is_refused_there(outer, inner):
    opt: Any = AROUND[outer](AROUND[inner](jo.momentum(0.1)))
    with pytest.raises(ValueError, match=AT_THE_FIRST_UPDATE[outer, inner]):
        jax.eval_shape(updated, opt, PARAMS, jax.eval_shape(opt.init, PARAMS))


@pytest.mark.parametrize("name", sorted(FINAL))
def test_in_a_chain_it_is_the_last(name):
    wrapped = AROUND[name](jo.sgd(0.1))
    with pytest.raises(ValueError, match=rf"^chain: the updates of {name} have to be .*; put it last, or"):
        jo.chain(wrapped, CLIP)
    with pytest.raises(ValueError, match=rf"^chain: the updates of {name}"):
        jo.chain(jo.chain(CLIP, wrapped), CLIP)


KEPT = ("compensated", "half_state", "packed")
ALONE = [name for name in AROUND if name not in ("chain", "partition")]


@pytest.mark.slow
@pytest.mark.parametrize("name", ALONE)
def test_compiled_in_a_loop_and_side_by_side_it_is_the_eager_one(name):
    """Three steps: one by one, in a scan, and two learning rates under vmap."""
    params = {"b": jnp.ones(2), "w": jnp.full((2, 2), 2.0)}

    def step(opt, carry):
        params, state = carry
        updates, state = updated(opt, params, state)
        return jax.tree.map(jnp.add, params, updates), state

    def scanned(opt):
        first = params, opt.init(params)
        last, _ = jax.lax.scan(lambda carry, _: (step(opt, carry), None), first, length=3)
        return last[0], jo.evaluation_params(opt, last[1], last[0])

    opts = [AROUND[name](jo.momentum(rate)) for rate in (0.1, 0.2)]
    carry = params, opts[1].init(params)
    for _ in range(3):
        carry = step(opts[1], carry)
    eager = carry[0], jo.evaluation_params(opts[1], carry[1], carry[0])
    several = jax.vmap(scanned)(jo.stack(opts))
    for one, other in zip(jax.tree.leaves(eager), jax.tree.leaves(several), strict=True):
        np.testing.assert_allclose(other[1], one, rtol=1e-5)
        assert np.any(other[0] != other[1])


@pytest.mark.slow
@pytest.mark.parametrize("name", [each for each in ALONE if each not in KEPT])
def test_hypergradients_are_finite_where_gradients_are_0_and_complex_leaves_pass(name):
    opt: Any = AROUND[name](jo.momentum(0.1))

    @jax.jit
    def end(opt, params):
        state = opt.init(params)
        for _ in range(3):
            updates, state = updated(opt, params, state)
            params = jax.tree.map(jnp.add, params, updates)
        return jo.evaluation_params(opt, state, params)

    numbers = jax.tree.map(jnp.float32, opt)
    params = {"b": jnp.array([1.0, 0.0]), "w": jnp.zeros((2, 2))}
    squares = lambda opt: sum(jnp.sum(leaf**2) for leaf in end(opt, params).values())  # noqa: E731
    hypergradient = jax.tree.leaves(jax.grad(squares)(numbers))
    assert np.all(np.isfinite(hypergradient))
    assert np.any(np.asarray(hypergradient) != 0)
    # The real and the imaginary part of this one are equal, and so they stay.
    found: Any = np.asarray(end(numbers, {"w": jnp.full((2, 2), 1 + 1j, jnp.complex64)})["w"])
    np.testing.assert_allclose(found.real, found.imag, rtol=1e-6)
    assert np.all(np.abs(found) < abs(1 + 1j))


@pytest.mark.parametrize("name", ALONE)
def test_another_optimizers_state_and_missing_parameters_are_told(name):
    opt: Any = AROUND[name](jo.momentum(0.1))
    params = {"w": jnp.ones((2, 2))}
    with pytest.raises(
        TypeError, match=rf"{name}\.update was given a MomentumState with fields .* needs the"
    ):
        updated(opt, params, jo.momentum(0.1).init(params))
    if name not in ("cautious", "mars", "accumulated", "loss_scaling", "half_state", "packed"):
        with pytest.raises(ValueError, match=rf"{name}\.update needs the parameters: call update"):
            opt.update(params, opt.init(params))


@pytest.mark.parametrize("name", sorted(ELSEWHERE))
def test_what_starts_at_the_parameters_needs_them_and_not_their_shapes(name):
    opt = AROUND[name](jo.sgd(0.1))
    with pytest.raises(
        TypeError, match=rf"{name}\.init starts from the parameters' numbers .*jax\.eval_shape"
    ):
        opt.init({"w": jax.ShapeDtypeStruct((2,), jnp.float32)})


@pytest.mark.parametrize("name", sorted(ELSEWHERE))
def test_fit_gives_the_point_that_it_recommends_and_goes_on_from_the_other(name):
    """A noisy bowl: the recommended point is what evaluation_params says of the state and the held one."""
    opt = AROUND[name](jo.momentum(0.1))
    data = jax.random.normal(jax.random.key(0), (16, 2))
    loss = lambda params, batch: jnp.sum((params["w"] - batch.mean(0)) ** 2)  # noqa: E731
    start = {"w": jnp.zeros(2)}
    found = jo.fit(loss, start, opt, data, steps=7, batch_size=4, key=jax.random.key(1))
    expected = jo.evaluation_params(opt, found.state, found.held)
    np.testing.assert_allclose(found.params["w"], expected["w"], rtol=1e-6)
    assert np.any(np.asarray(found.params["w"]) != np.asarray(found.held["w"]))
