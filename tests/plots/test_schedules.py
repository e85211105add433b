from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxopt_edu import schedules as s
from jaxopt_edu.plots import schedules

SEVERAL = {
    "cosine": s.warmup_cosine(peak=0.1, warmup_steps=5, steps=40),
    "trapezoid": s.warmup_stable_decay(0.1, 5, 10, steps=40),
    "one cycle": s.one_cycle(0.1, 40),
    "restarts": s.restarts(0.1, 10, factor=2),
    "inverse root": s.inverse_square_root(0.1, 5),
}


def drawn(figure) -> dict[str, Any]:
    return {line.get_label(): line for line in figure.axes[0].get_lines() if line.get_label() in SEVERAL}


def test_every_schedule_is_drawn_at_every_step(clashes):
    figure = schedules(SEVERAL, 40, title="Five schedules")
    lines = drawn(figure)
    assert list(lines) == list(SEVERAL)
    for name, schedule in SEVERAL.items():
        np.testing.assert_array_equal(lines[name].get_xdata(), np.arange(41))
        np.testing.assert_allclose(lines[name].get_ydata(), jax.vmap(schedule)(np.arange(41)), atol=1e-7)
    axes = figure.axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_yscale()) == ("step", "learning rate", "linear")
    assert clashes(figure) == []


@pytest.mark.parametrize(
    "schedule",
    [optax.cosine_decay_schedule(0.1, 8), lambda step: 0.1, lambda step: jnp.where(step < 3, 1, 2)],
)
def test_schedules_of_others_are_drawn_too(schedule):
    (line,) = drawn(schedules({"cosine": schedule}, 8)).values()
    with_ours = [float(np.asarray(schedule(np.float32(step)))) for step in range(9)]
    np.testing.assert_allclose(line.get_ydata(), with_ours, atol=1e-8)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({}, ValueError, "has nothing to draw"),
        (s.constant(0.1), TypeError, "must be a dict of schedules by name"),
        ({"a": 0.1}, TypeError, r"schedules\['a'\] = 0.1 is float, not a schedule; .* constant\(value\)"),
        ({"a": lambda step: jnp.ones(2)}, TypeError, r"schedules\['a'\] gives float32\[2\] at a step"),
        ({3: s.constant(0.1)}, TypeError, "a name in schedules = 3 is int"),
    ],
)
def test_bad_input_is_named(given, error, message):
    with pytest.raises(error, match=f"^schedules: .*{message}"):
        schedules(given, 10)
