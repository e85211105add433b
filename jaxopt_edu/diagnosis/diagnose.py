"""`diagnose`: readings in, a report in words out."""

from typing import Any

import optax

from jaxopt_edu.core import hyperparameters
from jaxopt_edu.core.foreign import checked_transform
from jaxopt_edu.core.reading import show
from jaxopt_edu.diagnosis.report import Diagnosis, Finding, listed
from jaxopt_edu.diagnosis.rules import RULES, Rule
from jaxopt_edu.wrappers import Readings
from jaxopt_edu.wrappers.readings import as_readings


def diagnose(record: Any, optimizer: optax.GradientTransformation | None = None) -> Diagnosis:
    """Say in words which layers train badly.

    These faults are known. Unless another rule is told, a layer has one if at least half of its readings
    show it.

    - dead: ‖g‖ = 0 exactly, at the last reading. Rounding does not make a norm 0.
    - exploding: ‖g‖ grows by 1e3 over its shortest before, once. Batches and phases of training change it by
      ten or so.
    - still: ‖u‖/‖w‖ < 1e-6, with a gradient. A million steps would move the layer by its own size, and
      float32 rounds to 6e-8 of a number.
    - too slow, too fast: ‖u‖/‖w‖ < 1e-5 or > 0.1, ten times beyond the 1e-4 to 1e-2 that networks train with
      (1e-3 is the rule of thumb). A layer that starts at 0 may be fast in its first reading.
    - layers apart: these ratios differ by 1e3 between layers. In one network they differ by 30 or so; layers
      whose norm doubles on the way are left out, since the ratio of a bias that starts at 0 says nothing.
    - against the gradient: the cosine of step and gradient < 0.02, with 3 readings at least. Among nothing
      but noise momentum β leaves √(1 − β²): 0.44 for 0.9, 0.14 for 0.99, 0.045 for 0.999.
    - eps rules: √v̂ < ε for half of those coordinates that have seen a gradient.
    - always clipped: 95 % of the steps.

    Args:
        record: what `fit` returned or its history, with a `monitor` in the optimizer; or `Readings`.
        optimizer: the optimizer, to tell its numbers with the advice; None for without.

    Returns:
        Diagnosis(findings, layers, first_step, last_step); printed, a report.

    Raises:
        TypeError: record is something else, or optimizer is none.
        ValueError: there are no readings.

    >>> import jax, jax.numpy as jnp, jaxopt_edu as jo
    >>> opt, w = jo.monitor(jo.sgd(learning_rate=1e-9)), {"w": jnp.array([4.0])}
    >>> _, state = opt.update(w, opt.init(w), w)
    >>> diagnosis = diagnose(jo.readings(opt, state, w), opt)
    >>> [(finding.name, finding.layers) for finding in diagnosis.findings]
    [('still', ('w',))]

    References:
        Karpathy, CS231n, Neural Networks Part 3: Learning and Evaluation, 2015: the ratio of 1e-3.
    """
    readings = as_readings("diagnose", record)
    numbers = {}
    if optimizer is not None:
        numbers = hyperparameters(checked_transform("diagnose", "optimizer", optimizer))
    found = [_finding(rule, readings, numbers) for rule in RULES if len(readings.steps) >= rule.needs]
    first, last = int(readings.steps[0]), int(readings.steps[-1])
    return Diagnosis(tuple(filter(None, found)), len(readings.layers), first, last)


def _finding(rule: Rule, readings: Readings, numbers: dict[str, Any]) -> Finding | None:
    values, faulty = rule.look(readings, rule.threshold)
    chosen = rule.chosen(faulty)
    if not chosen.any():
        return None
    at = faulty & chosen
    steps = readings.steps[at.any(axis=1)]
    told = [f"{name}={show(value)}" for name, value in numbers.items() if name.split(".")[-1] in rule.numbers]
    return Finding(
        name=rule.name,
        layers=tuple(layer for layer, is_one in zip(readings.layers, chosen, strict=True) if is_one),
        of=len(readings.layers),
        first_step=int(steps[0]),
        last_step=int(steps[-1]),
        quantity=rule.quantity,
        measured=float(rule.summary(values[at])),
        threshold=rule.threshold,
        meaning=rule.meaning,
        advice=f"{rule.advice} Now {listed(told)}." if told else rule.advice,
    )
