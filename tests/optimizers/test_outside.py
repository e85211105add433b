"""Optimizers of further libraries for torch, where their formula is a page's: 300 steps in float64.

pip install --no-deps what the extra `oracles` lists, beside torch; without them the tests are skipped.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.optimizers.test_trajectories import FLOAT64, GRADIENTS, relative_error, torch_updates
from tests.registry import named, scan_updates


def theirs(library: str, name: str, **more: Any) -> Callable[..., Any]:
    """A library's optimizer that takes two β as a pair."""

    def make(params: list, *, learning_rate: float, b1: float, b2: float, **values: float) -> Any:
        factory = getattr(pytest.importorskip(library), name)
        return factory(params, lr=learning_rate, betas=(b1, b2), **values, **more)

    return make


def yogi(params: list, **values: float) -> Any:
    """Theirs starts m at 1e-6 as well."""
    optimizer = theirs("pytorch_optimizer", "Yogi")(params, **values)
    for w in params:
        optimizer.state[w] = {"exp_avg": w.detach() * 0, "exp_avg_sq": w.detach() * 0 + 1e-6}
    return optimizer


def sign_sgd(params: list, *, learning_rate: float, momentum: float) -> Any:
    return pytest.importorskip("pytorch_optimizer").SignSGD(params, lr=learning_rate, momentum=momentum)


AUTHORS_ADABELIEF = theirs("adabelief_pytorch", "AdaBelief", rectify=False, print_change_log=False)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        pytest.param("adamw", theirs("optimi", "AdamW"), id="adamw-optimi"),
        pytest.param("adamax", theirs("pytorch_optimizer", "AdaMax"), id="adamax-pytorch_optimizer"),
        pytest.param("radam", theirs("optimi", "RAdam"), id="radam-optimi"),
        pytest.param("adabelief", AUTHORS_ADABELIEF, id="adabelief-the authors'"),
        pytest.param("adabelief", theirs("pytorch_optimizer", "AdaBelief"), id="adabelief-pytorch_optimizer"),
        pytest.param("yogi", yogi, id="yogi-pytorch_optimizer"),
        pytest.param("signum", sign_sgd, id="signum-pytorch_optimizer"),
        pytest.param("lion", theirs("lion_pytorch", "Lion"), id="lion-lion_pytorch"),
        pytest.param("lion", theirs("optimi", "Lion"), id="lion-optimi"),
        pytest.param("lion", theirs("pytorch_optimizer", "Lion"), id="lion-pytorch_optimizer"),
    ],
)
def test_the_same_formula_elsewhere(name, make, x64):
    row, gradients = named(name), GRADIENTS.astype(np.float64)
    expected = torch_updates(row._replace(torch=make), gradients)
    assert relative_error(np.asarray(scan_updates(row.build(), gradients)), expected) < FLOAT64


def test_radam_of_pytorch_optimizer_adds_epsilon_before_the_correction(x64):
    """As torch's does: its steps are shorter, by most in the coordinate of the smallest gradients."""
    row, gradients = named("radam"), GRADIENTS.astype(np.float64)
    make = theirs("pytorch_optimizer", "RAdam", degenerated_to_sgd=True)
    ours = np.asarray(scan_updates(row.build(), gradients))
    assert 1e-6 < relative_error(ours, torch_updates(row._replace(torch=make), gradients)) < 3e-5
    without = row._replace(hyperparameters=row.hyperparameters | {"eps": 0.0}, torch=make)
    ours = np.asarray(scan_updates(without.build(), gradients))
    assert relative_error(ours, torch_updates(without, gradients)) < 1e-11
