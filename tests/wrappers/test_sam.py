"""sam: the gradient of the worst point nearby, in a loop of one's own, in fit and in a sweep."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_edu as jo
from tests.wrappers.descent import assert_close, by_formula, by_torch, descended, each, stacked


def length(tree):
    return np.sqrt(sum(np.sum(leaf**2) for leaf in tree.values()))


def test_it_is_the_papers_formula(x64):
    def step(t, w, gradient):
        g = gradient(w)
        size = length(g)
        up = each(lambda w, g: w + 0.3 * g / size, w, g)
        w = each(lambda w, g: w - 0.1 * g, w, gradient(up))
        return w, w

    _, held, _ = descended(jo.sam(jo.sgd(0.1), 0.3))
    assert_close(held, by_formula(step)[0])


def test_it_is_pytorch_optimizers(x64):
    torch, theirs = pytest.importorskip("torch"), pytest.importorskip("pytorch_optimizer")
    make = lambda params: theirs.SAM(params, torch.optim.SGD, rho=0.3, lr=0.1, momentum=0.9)  # noqa: E731
    _, held, _ = descended(jo.sam(jo.momentum(0.1), 0.3), steps=50)
    assert_close(held, stacked(by_torch(make, 50, "closure")), 1e-7)


def test_it_is_optaxs_in_one_step(x64):
    w, grad_fn = jnp.array([1.0, -2.0]), jax.grad(lambda w: jnp.sum(w**4) / 4)
    uphill = optax.chain(optax.contrib.normalize(), optax.sgd(0.3))
    theirs: Any = optax.contrib.sam(optax.sgd(0.1), uphill, sync_period=2, opaque_mode=True)
    state = theirs.init(w)
    with jax.numpy_dtype_promotion("standard"):
        expected, _ = theirs.update(grad_fn(w), state, w, grad_fn=lambda w, _: grad_fn(w))
    opt: Any = jo.sam(jo.sgd(0.1), 0.3)
    found, _ = opt.update(grad_fn(w), opt.init(w), w, grad_fn=grad_fn)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_where_the_gradient_is_0_it_is_the_optimizers_own():
    opt: Any = jo.sam(jo.sgd(0.1))
    w: Any = {"w": jnp.zeros(2)}
    updates, _ = opt.update(w, opt.init(w), w, grad_fn=lambda w: jax.tree.map(lambda w: 2 * w + 1, w))
    np.testing.assert_allclose(updates["w"], [-0.1, -0.1], rtol=1e-6)


def narrow(w, batch):
    """A steep valley at 0 and a flat one at 3."""
    return jnp.minimum(20 * w**2, 0.05 * (w - 3) ** 2 + 0.1) + 0 * jnp.sum(batch)


def test_fit_and_sweep_give_the_second_gradient():
    w, data = jnp.asarray(0.15), jnp.zeros((4, 1))
    opts = [jo.sam(jo.sgd(0.02), rho) for rho in (0.0, 0.5)]
    ends = [
        float(jo.fit(narrow, w, opt, data, steps=200, batch_size=2, key=jax.random.key(0)).params)
        for opt in opts
    ]
    assert abs(ends[0]) < 0.01, "gradient descent stays in the steep one"
    assert ends[1] > 0.3, "the second gradient leads out of it"
    result = jo.sweep(narrow, w, opts, data, steps=200, batch_size=2, keep=2)
    swept = {jo.hyperparameters(run.optimizer)["rho"]: float(run.params) for run in result.top}
    np.testing.assert_allclose([swept[0.0], swept[0.5]], ends, atol=1e-5)


def test_without_it_the_call_is_named():
    opt: Any = jo.sam(jo.sgd(0.1))
    w: Any = jnp.ones(1)
    with pytest.raises(
        ValueError, match=r"sam\.update needs grad_fn=.* fit and sweep give it; optax\.chain and"
    ):
        opt.update(w, opt.init(w), w)
    lost = jo.partition({"a": opt}, {"*": "a"})
    with pytest.raises(ValueError, match=r"sam\.update needs grad_fn="):
        lost.update(w, lost.init(w), w, grad_fn=lambda w: w)
