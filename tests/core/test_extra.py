"""Every transform is handed those extra arguments that it takes, wherever it stands."""

import jax
import jax.numpy as jnp
import optax
import pytest
from jax.tree_util import Partial

import jaxopt_edu as jo
from jaxopt_edu.core.extra import call_update, takes_any
from jaxopt_edu.core.foreign import as_pytree
from jaxopt_edu.training import descend, start

PARAMS = jnp.array([3.0, -1.0])
PLATEAU = optax.contrib.reduce_on_plateau(patience=2)
SAM = optax.contrib.sam(optax.sgd(0.1), optax.sgd(0.05), sync_period=2)
OPAQUE = optax.contrib.sam(optax.sgd(0.1), optax.sgd(0.05), sync_period=2, opaque_mode=True)


def loss_fn(w, _):
    return jnp.sum(w**2) / 2


def losses(optimizer, steps=4):
    return descend(loss_fn, optimizer, start(optimizer, PARAMS), None, steps=steps)[1]


def python_loop(optimizer, *names, steps=4):
    """The plain optax loop, which hands over what it is told to."""
    params, state, found = PARAMS, optimizer.init(PARAMS), []
    with jax.numpy_dtype_promotion("standard"):
        for _ in range(steps):
            loss, gradient = loss_fn(params, None), params
            offered = {
                "value": loss,
                "grad": gradient,
                "value_fn": lambda w: loss_fn(w, None),
                "grad_fn": lambda w, _: w,
            }
            extra = {name: offered[name] for name in names}
            updates, state = optimizer.update(gradient, state, params, **extra)
            params = optax.apply_updates(params, updates)
            found.append(loss)
    return jnp.stack(found)


@pytest.mark.parametrize(
    ("optimizer", "names"),
    [
        (optax.MultiSteps(optax.chain(jo.adam(0.1), PLATEAU), 2), ["value"]),
        (optax.MultiSteps(optax.chain(jo.adam(0.1), PLATEAU), 2).gradient_transformation(), ["value"]),
        (SAM, []),
        (OPAQUE, ["grad_fn"]),
        (optax.MultiSteps(SAM, 2), []),
        (optax.chain(optax.clip(10.0), SAM), []),
        (optax.apply_if_finite(SAM, 2), []),
        pytest.param(
            optax.MultiSteps(optax.lbfgs(), 2), ["value", "grad", "value_fn"], marks=pytest.mark.slow
        ),
    ],
    ids=[
        "MultiSteps",
        "as a transform",
        "sam",
        "opaque sam",
        "sam inside",
        "chain",
        "if finite",
        "lbfgs inside",
    ],
)
def test_agrees_with_the_plain_loop(optimizer, names):
    assert jnp.allclose(losses(optimizer), python_loop(optimizer, *names), rtol=1e-5)


def test_our_chain_hands_each_what_it_takes():
    both = jo.chain(SAM, PLATEAU)
    assert jnp.allclose(losses(both), python_loop(SAM), rtol=1e-5)
    with pytest.raises(TypeError, match=r"needs value=.*another.*jaxopt_edu\.chain"):
        losses(optax.chain(SAM, PLATEAU))


def test_lifted_ones_too():
    lifted = jo.lift(lambda learning_rate: optax.contrib.sam(optax.sgd(learning_rate), optax.sgd(0.05)))
    assert jnp.allclose(losses(lifted(0.1)), python_loop(SAM), rtol=1e-5)


def test_a_partial_of_the_users_own_keeps_its_leaves():
    def update(updates, state, params=None, *, rate):
        return -rate * updates, state

    own = as_pytree(
        optax.GradientTransformationExtraArgs(Partial(lambda params: ()), Partial(update, rate=0.5))
    )
    assert jax.tree.leaves(own) == [0.5]
    assert losses(own, 2).tolist() == [5.0, 1.25]


def test_the_same_transform_compiles_once():
    assert jax.tree.structure(as_pytree(SAM)) == jax.tree.structure(as_pytree(SAM))


def test_errors_of_the_users_own_pass_through():
    def broken(updates, state, params=None, **extra):
        return {"value": 1, "valu": 2}[extra["mistake"]]

    with pytest.raises(KeyError, match="mistake"):
        call_update(broken, (1, (), None), {"value": 2})

    def always(updates, state, params=None, **extra):
        raise TypeError("got an unexpected keyword argument 'other'")

    with pytest.raises(TypeError, match="'other'"):
        call_update(always, (1, (), None), {"value": 2})


def test_a_builtin_takes_none():
    assert not takes_any(max)
