"""Hyperparameters that change with the step: functions of the step count that are pytrees of their numbers.

Wherever an optimizer takes a number it takes a schedule: `adam(learning_rate=cosine(peak=1e-3, steps=1000))`.
Step 0 is the first update. The numbers of a schedule are leaves of the optimizer, so a peak or a
warm-up length can be swept and differentiated like any learning rate.
"""

from jaxopt_edu.schedules.cycles import one_cycle, restarts
from jaxopt_edu.schedules.decays import constant, cosine, exponential, linear, polynomial
from jaxopt_edu.schedules.joining import joined
from jaxopt_edu.schedules.numbers import Number as Number
from jaxopt_edu.schedules.numbers import Schedule as Schedule
from jaxopt_edu.schedules.warmups import inverse_square_root, warmup, warmup_cosine, warmup_stable_decay

__all__ = [
    "constant",
    "cosine",
    "exponential",
    "inverse_square_root",
    "joined",
    "linear",
    "one_cycle",
    "polynomial",
    "restarts",
    "warmup",
    "warmup_cosine",
    "warmup_stable_decay",
]
