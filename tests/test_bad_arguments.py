"""Every argument of the functions that make, read and change optimizers, given the wrong kind: one line.

The table is made from the signatures: a new optimizer is in it at once, another function by a row in
FUNCTIONS that says what a right call looks like.
"""

import inspect
from typing import Any

import jax
import optax
import pytest

import jaxopt_edu as jo
from jaxopt_edu import core, schedules
from jaxopt_edu.optimizers import OPTIMIZERS
from jaxopt_edu.recipes import SCHEDULES


class Other:
    """An object of another library."""


ADAM = jo.adam()
WRONG: dict[str, Any] = {
    "None": None,
    "text": "fast",
    "NaN": float("nan"),
    "negative": -1,
    "vector": [0.5, -0.5, "x"],
    "a number": 3,
    "an object": Other(),
    "a function's name": "adam",
}
FUNCTIONS: dict[str, tuple[Any, dict[str, Any]]] = {
    **{factory.__name__: (factory, {}) for factory in OPTIMIZERS},
    "describe": (jo.describe, {"optimizer": ADAM}),
    "kind": (core.kind, {"optimizer": ADAM}),
    "hyperparameters": (jo.hyperparameters, {"optimizer": ADAM}),
    "settings": (core.settings, {"optimizer": ADAM}),
    "replace": (jo.replace, {"optimizer": ADAM}),
    "stack": (jo.stack, {"optimizers": [ADAM]}),
    "unstack": (jo.unstack, {"optimizer": jo.stack([ADAM, ADAM])}),
    "lift": (jo.lift, {"factory": optax.sgd}),
    "evaluation_params": (jo.evaluation_params, {"optimizer": ADAM, "state": None, "params": None}),
    "weight_decay": (jo.weight_decay, {"optimizer": ADAM, "rate": 0.1}),
    "averaged": (jo.averaged, {"optimizer": ADAM, "decay": 0.9}),
    "schedule_free": (jo.schedule_free, {"optimizer": ADAM}),
    "lookahead": (jo.lookahead, {"optimizer": ADAM}),
    "cautious": (jo.cautious, {"optimizer": ADAM}),
    "accumulated": (jo.accumulated, {"optimizer": ADAM, "steps": 2}),
    "sam": (jo.sam, {"optimizer": ADAM}),
    "mars": (jo.mars, {"optimizer": ADAM}),
    "compensated": (jo.compensated, {"optimizer": ADAM}),
    "packed": (jo.packed, {"optimizer": ADAM}),
    "half_state": (jo.half_state, {"optimizer": ADAM, "key": jax.random.key(0)}),
    **{name: (getattr(schedules, name), good) for name, good in {
        "constant": {"value": 0.5},
        "linear": {"initial": 0.5, "final": 0.1, "steps": 9},
        "warmup": {"peak": 0.5, "steps": 9},
        "exponential": {"initial": 0.5, "rate": 0.9},
        "cosine": {"peak": 0.5, "steps": 9},
        "joined": {"schedules": [schedules.constant(0.5)], "boundaries": []},
        "warmup_cosine": {"peak": 0.5, "warmup_steps": 2, "steps": 9},
    }.items()},
}  # fmt: skip
# What is looked at only together with the optimizer that it belongs to, or is any pytree or any number.
ANY = {
    ("hyperparameters", "state"), ("evaluation_params", "state"), ("evaluation_params", "params"),
    ("replace", "changes"), ("lift", "static.None"),
}  # fmt: skip
# What one argument takes, though others of its kind do not.
TAKEN = {
    ("weight_decay", "rate", "a number"), ("weight_decay", "mask", "None"), ("averaged", "decay", "None"),
    ("accumulated", "steps", "a number"),
}  # fmt: skip
RIGHT_NUMBERS = {"a number", "negative"}


def cells():
    for function, (call, good) in FUNCTIONS.items():
        for argument in inspect.signature(call).parameters:
            if (function, argument) in ANY:
                continue
            for kind, value in WRONG.items():
                numeric = function in SCHEDULES or (argument not in good and function != "lift")
                taken = (function, argument, kind) in TAKEN
                if not taken and not (numeric and kind in RIGHT_NUMBERS):
                    yield pytest.param(call, good, argument, value, id=f"{function}-{argument}-{kind}")


@pytest.mark.parametrize(("call", "good", "argument", "value"), list(cells()))
def test_a_wrong_argument_gets_one_line(call, good, argument, value):
    with pytest.raises((TypeError, ValueError)) as caught:
        call(**good | {argument: value})
    message = str(caught.value)
    assert message.startswith(f"{call.__name__}: "), message
    assert "\n" not in message
    assert argument in message or "argument 0" in message, message
    assert len(message) < 400


def test_every_function_is_called_rightly_in_the_table():
    for call, good in FUNCTIONS.values():
        call(**good)


@pytest.mark.parametrize("factory", OPTIMIZERS, ids=lambda factory: factory.__name__)
def test_a_negative_hyperparameter_is_refused(factory):
    for argument in inspect.signature(factory).parameters:
        with pytest.raises(ValueError, match=rf"^{factory.__name__}: {argument} = -1 is out of range"):
            factory(**{argument: -1})
