"""Adaptive step lengths: how torch, optax and pytorch_optimizer are made to be a row's formula."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
import pytest


def torch_adagrad(params: list, *, learning_rate: float, eps: float) -> Any:
    return pytest.importorskip("torch").optim.Adagrad(params, lr=learning_rate, eps=eps)


def torch_adadelta(params: list, *, learning_rate: float, rho: float, eps: float) -> Any:
    return pytest.importorskip("torch").optim.Adadelta(params, lr=learning_rate, rho=rho, eps=eps)


def torch_rmsprop(params: list, *, learning_rate: float, decay: float, eps: float) -> Any:
    return pytest.importorskip("torch").optim.RMSprop(params, lr=learning_rate, alpha=decay, eps=eps)


def torch_of_betas(name: str, **more: float) -> Any:
    """torch's optimizer of a name, for those that take two β as a pair."""

    def make(params: list, *, learning_rate: float, b1: float, b2: float, **values: float) -> Any:
        factory = getattr(pytest.importorskip("torch").optim, name)
        return factory(params, lr=learning_rate, betas=(b1, b2), **values, **more)

    return make


def pytorch_adan(
    params: list, *, b1: float, b2: float, b3: float, learning_rate: float, **values: float
) -> Any:
    theirs = pytest.importorskip("pytorch_optimizer").Adan
    return theirs(params, lr=learning_rate, betas=(b1, b2, b3), **values)


def pytorch_adopt(params: list, *, b1: float, b2: float, learning_rate: float, eps: float) -> Any:
    """It clips at t^¼; told to count from 0, as the paper does, it is the paper's."""
    theirs = pytest.importorskip("pytorch_optimizer").ADOPT
    return theirs(params, learning_rate, (b1, b2), lambda step: (step - 1) ** 0.25, eps=eps)


def pytorch_ademamix(
    params: list, *, b1: float, b2: float, b3: float, learning_rate: float, **values: float
) -> Any:
    theirs = pytest.importorskip("pytorch_optimizer").AdEMAMix
    return theirs(params, lr=learning_rate, betas=(b1, b2, b3), weight_decouple=True, **values)


def torch_rprop(
    params: list,
    *,
    learning_rate: float,
    eta_minus: float,
    eta_plus: float,
    min_step_size: float,
    max_step_size: float,
) -> Any:
    theirs = pytest.importorskip("torch").optim.Rprop
    etas, step_sizes = (eta_minus, eta_plus), (min_step_size, max_step_size)
    return theirs(params, lr=learning_rate, etas=etas, step_sizes=step_sizes)


def optax_adagrad(learning_rate: float, eps: float) -> optax.GradientTransformation:
    """optax puts ε inside the root; both are the same method only where ε does not count."""
    del eps
    return optax.adagrad(learning_rate, initial_accumulator_value=0.0, eps=0.0)


def optax_yogi(**values: float) -> optax.GradientTransformation:
    """optax starts m at 1e-6 as well."""
    theirs = optax.yogi(**values)

    def init(params: Any) -> Any:
        state = theirs.init(params)
        return optax.tree.set(state, mu=jax.tree.map(jnp.zeros_like, optax.tree.get(state, "mu")))

    return optax.GradientTransformation(init, theirs.update)
