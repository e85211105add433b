"""Schedules against torch's, step by step in float64."""

import jax
import numpy as np
import pytest

from jaxopt_edu import schedules as s

torch = pytest.importorskip("torch")
lr_scheduler = torch.optim.lr_scheduler
RATE, STEPS = 0.3, 200


def rates_of_torch(make):
    """The rates of the first steps, those of update 0 first."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=RATE)
    scheduler, rates = make(optimizer), []
    for _ in range(STEPS):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return np.array(rates)


def one_cycle_of_torch(steps, share):
    """torch reaches its top and its end a step before they are due."""
    return s.one_cycle(RATE, steps - 1, pct_start=(share * steps - 1) / (steps - 1))


PAIRS = {
    "polynomial": (
        s.polynomial(RATE, 0.0, steps=120, power=2.0),
        lambda opt: lr_scheduler.PolynomialLR(opt, total_iters=120, power=2.0),
    ),
    "restarts": (
        s.restarts(RATE, period=13, factor=2, final=0.01),
        lambda opt: lr_scheduler.CosineAnnealingWarmRestarts(opt, T_0=13, T_mult=2, eta_min=0.01),
    ),
    "restarts of one length": (
        s.restarts(RATE, period=13),
        lambda opt: lr_scheduler.CosineAnnealingWarmRestarts(opt, T_0=13),
    ),
    "one_cycle": (
        one_cycle_of_torch(STEPS + 1, 0.3),
        lambda opt: lr_scheduler.OneCycleLR(opt, max_lr=RATE, total_steps=STEPS + 1),
    ),
    "exponential": (s.exponential(RATE, rate=0.97), lambda opt: lr_scheduler.ExponentialLR(opt, gamma=0.97)),
}


@pytest.mark.parametrize("name", PAIRS)
def test_it_is_torchs(name, x64):
    ours, theirs = PAIRS[name]
    # torch multiplies the rate before by a factor at each step, and its roundings add up.
    np.testing.assert_allclose(jax.vmap(ours)(np.arange(STEPS)), rates_of_torch(theirs), rtol=0, atol=1e-14)
