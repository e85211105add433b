"""mars: the corrected gradient of the paper, cut as in the official code."""

import numpy as np
import pytest

import jaxopt_edu as jo
from tests.wrappers.descent import START, assert_close, by_formula, by_torch, descended, each, stacked


def corrected(g, previous, gamma, b1, max_norm):
    c = g + gamma * b1 / (1 - b1) * (g - previous)
    size = np.sqrt(np.sum(c**2))
    return c * max_norm / size if size > max_norm else c


@pytest.mark.parametrize(("gamma", "b1", "max_norm"), [(0.025, 0.95, 1.0), (0.5, 0.8, 0.3)])
def test_it_is_the_papers_formula(gamma, b1, max_norm, x64):
    previous = each(lambda w: 0 * w, START)

    def step(t, w, gradient):
        nonlocal previous
        g = gradient(w)
        w = each(lambda w, g, old: w - 0.1 * corrected(g, old, gamma, b1, max_norm), w, g, previous)
        previous = g
        return w, w

    _, held, _ = descended(jo.mars(jo.sgd(0.1), gamma, b1, max_norm))
    assert_close(held, by_formula(step)[0])


def test_with_adamw_it_is_pytorch_optimizers(x64):
    theirs = pytest.importorskip("pytorch_optimizer")

    def make(params):
        return theirs.MARS(
            params, lr=0.01, betas=(0.95, 0.99), gamma=0.025, weight_decay=0.1, optimize_1d=True, eps=1e-8
        )

    _, held, _ = descended(jo.mars(jo.adamw(0.01, 0.95, 0.99, 1e-8, 0.1)), steps=100)
    # Its ε is divided by the bias correction; 1e-8 beside √v of about 0.1.
    assert_close(held, stacked(by_torch(make, 100)), 1e-6)
