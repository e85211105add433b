"""What does not fit is refused through chains, lifted transforms and wrappers as it is without them.

Each message names the path, both sides and the way out. Guards against an optimizer that broadcasts a
gradient of shape (3, 1) into a (3, 3) update, trains integers by truncation, or takes another's state for
its own.
"""

import jax
import jax.numpy as jnp
import optax
import pytest

import jaxopt_edu as jo
from tests.registry import OPTIMIZERS, each_optimizer

PARAMS = {"layer": [jnp.ones(3), jnp.ones(2)]}
AROUND = {
    "chain": lambda opt: jo.chain(optax.clip_by_global_norm(1.0), opt),
    "nested chain": lambda opt: jo.chain(optax.identity(), jo.chain(jo.lift(optax.scale)(2.0), opt)),
    "lifted": lambda opt: jo.lift(optax.apply_if_finite)(opt, max_consecutive_errors=3),
    "wrappers": lambda opt: jo.half_state(jo.compensated(opt), jax.random.key(0)),
}
each_around = pytest.mark.parametrize("around", AROUND)


@each_optimizer
@each_around
@pytest.mark.parametrize("leaf", [jnp.arange(2), jnp.array([True, False])], ids=["integer", "boolean"])
def test_leaves_without_a_gradient(row, around, leaf):
    opt = AROUND[around](row.build())
    with pytest.raises(TypeError, match=rf"parameter \['layer'\]\[1\] has dtype {leaf.dtype}.*optax.masked"):
        opt.init({"layer": [jnp.ones(3), leaf]})


@each_optimizer
@each_around
def test_a_tree_of_other_structure(row, around):
    opt = AROUND[around](row.build())
    state = opt.init(PARAMS)
    with pytest.raises(
        ValueError, match=r"parameter at \['layer'\]\[1\] but no gradient.*Differentiate with"
    ):
        opt.update({"layer": [jnp.ones(3)]}, state, PARAMS)


@each_optimizer
@each_around
def test_shapes_that_would_broadcast(row, around):
    opt = AROUND[around](row.build())
    state = opt.init(PARAMS)
    message = (
        r"gradient \['layer'\]\[0\] has shape \(3, 1\), but the parameter has shape \(3,\)\. Shapes must"
    )
    with pytest.raises(ValueError, match=message):
        opt.update({"layer": [jnp.ones((3, 1)), jnp.ones(2)]}, state, PARAMS)


def test_optax_broadcasts_them():
    opt = optax.sgd(0.1, momentum=0.9)
    with jax.numpy_rank_promotion("allow"):
        updates, _ = opt.update(jnp.ones((3, 1)), opt.init(jnp.ones(3)), jnp.ones(3))
    assert updates.shape == (3, 3)  # type: ignore[attr-defined]


@each_optimizer
@each_around
def test_the_state_of_another_optimizer(row, around):
    opt = AROUND[around](row.build())
    for other in OPTIMIZERS:
        if other.name == row.name or (around == "wrappers" and "half_state" in other.refused):
            continue
        state = AROUND[around](other.build()).init(PARAMS)
        message = (
            rf"{row.name}.update was given a {other.state_type.__name__} with fields .* "
            rf"needs the {row.state_type.__name__} with fields .*{row.name}\(...\)\.init\(params\)"
        )
        with pytest.raises(TypeError, match=message):
            opt.update(PARAMS, state, PARAMS)


@each_optimizer
def test_the_state_of_the_bare_optimizer_for_its_chain(row):
    opt = AROUND["chain"](row.build())
    with pytest.raises(
        ValueError, match=rf"given a {row.state_type.__name__} as its state; it needs the tuple of 2 states"
    ):
        opt.update(PARAMS, row.build().init(PARAMS), PARAMS)
